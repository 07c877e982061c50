use async_trait::async_trait;
use freehold_types::Id;
use freehold_types::agent::{Detail, Image, Phase, Pool, Volume};

use tokio::sync::watch;

use super::*;
use crate::board::Link;
use crate::fixture::{POOL, VOLUME, full, id, pool, segment, volume};
use crate::host::sim::{Sim, SimConfig};
use crate::host::{HostError, Storage};

struct Fixture {
    board: Arc<Board>,
    commands: mpsc::Sender<Command>,
    _stop: watch::Sender<bool>,
    _task: JoinSet<()>,
}

fn run(host: Host, ledger: Ledger) -> Fixture {
    let settings = Settings { parallel: 4, parallel_images: 1, observe_every: Duration::from_mins(5) };
    let board = Arc::new(Board::new(id(1), Link::None));
    let (stop, stopped) = watch::channel(false);
    let (commands, requests) = mpsc::channel(1);
    let converge = Converge::new(host, settings, ledger, Arc::clone(&board), Stop::new(stopped));
    let mut task = JoinSet::new();
    task.spawn(converge.run(requests));
    Fixture { board, commands, _stop: stop, _task: task }
}

impl Fixture {
    async fn until(&self, is: impl Fn(&crate::Status) -> bool) -> crate::Status {
        let mut changes = self.board.subscribe();
        let wait = changes.wait_for(|_| is(&self.board.status()));
        tokio::time::timeout(Duration::from_mins(10), wait).await.unwrap().unwrap();
        self.board.status()
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_begun_until_the_ledger_can_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let sim = Sim::new(SimConfig::default());
    let mut ledger = Ledger::open(directory.path()).unwrap();
    ledger.break_file();
    let node = run(sim.host(), ledger);
    let (reply, answer) = oneshot::channel();
    node.commands.send(Command::Slice { slice: full(1, vec![pool(POOL)]), reply }).await.unwrap();
    let status = node.until(|status| status.ledger_fault.is_some()).await;
    assert_eq!((status.held, status.objects.len(), sim.world().calls), (None, 0, 0));
    answer.await.unwrap().unwrap();
    let status = node.until(|status| status.idle && status.objects.len() == 1).await;
    assert_eq!(status.ledger_fault, None);
    node.until(|status| status.objects[0].phase == Phase::Ready).await;
}

/// Storage with a fault of ours in it.
#[derive(Debug)]
struct Faulty;

#[async_trait]
impl Storage for Faulty {
    async fn ensure_pool(&self, _: Id, _: &Pool) -> Result<Detail, HostError> {
        panic!("a fault of the node")
    }
    async fn remove_pool(&self, _: Id, _: &Pool) -> Result<(), HostError> {
        Ok(())
    }
    async fn ensure_image(
        &self,
        _: Id,
        _: &Image,
        _: &Pool,
        _: watch::Sender<Option<Detail>>,
    ) -> Result<Detail, HostError> {
        panic!("a fault of the node")
    }
    async fn remove_image(&self, _: Id, _: &Image, _: &Pool) -> Result<(), HostError> {
        Ok(())
    }
    async fn ensure_volume(&self, _: Id, _: &Volume, _: &Pool) -> Result<Detail, HostError> {
        panic!("a fault of the node")
    }
    async fn remove_volume(&self, _: Id, _: &Volume, _: &Pool) -> Result<(), HostError> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_in_one_call_is_told_and_the_rest_goes_on() {
    let host = Host { storage: Arc::new(Faulty), ..Sim::new(SimConfig::default()).host() };
    let node = run(host, Ledger::in_memory());
    let (reply, answer) = oneshot::channel();
    let slice = full(1, vec![pool(POOL), volume(VOLUME, POOL, None), segment(9)]);
    node.commands.send(Command::Slice { slice, reply }).await.unwrap();
    answer.await.unwrap().unwrap();
    let status = node.until(|status| status.idle && status.held.is_some()).await;
    let phases: Vec<Phase> = status.objects.iter().map(|object| object.phase).collect();
    assert_eq!(phases, [Phase::Failed, Phase::Working, Phase::Ready]);
    assert!(status.objects[0].message.contains("please report"), "{}", status.objects[0].message);
}
