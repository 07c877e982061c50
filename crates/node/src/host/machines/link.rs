//! The line to libvirt: kept open, opened again with growing pauses when the daemon went away.
//!
//! Promises: after each (re)connection the domains of ours are reported as changed, since whatever
//! happened meanwhile went unheard; callers get an error that names the address while there is no
//! connection, never a wait. A thread of its own does all of this, since libvirt's calls block.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use freehold_types::agent::{ObjectKey, ObjectKind};
use tokio::sync::mpsc::UnboundedSender;

use super::virt_sys::{self, Session};
use super::xml;
use crate::host::HostError;

/// First and longest pause between two tries to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

enum Signal {
    /// The connection with this number broke.
    Broken(u64),
    Stop,
}

enum Line {
    Down(String),
    Up(Arc<Session>),
}

/// A supervised connection; dropping it closes it.
pub(super) struct Link {
    uri: String,
    line: Arc<Mutex<Line>>,
    signals: mpsc::Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

impl Link {
    /// Starts to connect, and returns when the first try is over, well or badly. Blocks.
    pub(super) fn start(uri: &str, changed: UnboundedSender<ObjectKey>) -> Result<Self, String> {
        virt_sys::start_event_loop()?;
        let (signals, inbox) = mpsc::channel();
        let (tried, first_try) = mpsc::channel();
        let line = Arc::new(Mutex::new(Line::Down("not tried yet".to_owned())));
        let supervisor =
            Supervisor { uri: uri.to_owned(), line: Arc::clone(&line), signals: signals.clone(), changed };
        let thread = std::thread::Builder::new()
            .name("libvirt-link".to_owned())
            .spawn(move || supervisor.run(&inbox, &tried))
            .map_err(|error| format!("cannot start the thread for libvirt: {error}"))?;
        // The sender is dropped with the thread, so this ends in any case.
        let _ = first_try.recv();
        Ok(Self { uri: uri.to_owned(), line, signals, thread: Some(thread) })
    }

    /// The connection as it now is.
    pub(super) fn session(&self) -> Result<Arc<Session>, HostError> {
        match &*lock(&self.line) {
            Line::Up(session) => Ok(Arc::clone(session)),
            Line::Down(reason) => Err(HostError::Failed(format!(
                "libvirt at {} cannot be reached ({reason}): see that libvirtd and virtlogd run",
                self.uri
            ))),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = self.signals.send(Signal::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Supervisor {
    uri: String,
    line: Arc<Mutex<Line>>,
    signals: mpsc::Sender<Signal>,
    changed: UnboundedSender<ObjectKey>,
}

impl Supervisor {
    fn run(self, inbox: &mpsc::Receiver<Signal>, tried: &mpsc::Sender<()>) {
        let mut pause = FIRST_PAUSE;
        for number in 0_u64.. {
            let outcome = self.open(number);
            let up = outcome.is_ok();
            match outcome {
                Ok(session) => {
                    tracing::info!(uri = self.uri, "connected to libvirt");
                    pause = FIRST_PAUSE;
                    let session = Arc::new(session);
                    *lock(&self.line) = Line::Up(Arc::clone(&session));
                    self.report_all(&session);
                }
                Err(reason) => {
                    tracing::warn!(uri = self.uri, reason, "cannot connect to libvirt");
                    *lock(&self.line) = Line::Down(reason);
                }
            }
            let _ = tried.send(());
            if !wait(inbox, number, (!up).then_some(pause)) {
                break;
            }
            if up {
                tracing::warn!(uri = self.uri, "lost the connection to libvirt");
                *lock(&self.line) = Line::Down("the connection broke".to_owned());
            } else {
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        *lock(&self.line) = Line::Down("the node is stopping".to_owned());
    }

    fn open(&self, number: u64) -> Result<Session, String> {
        let changed = self.changed.clone();
        let signals = self.signals.clone();
        Session::open(
            &self.uri,
            Box::new(move |domain| {
                if let Some(id) = xml::machine_of(domain) {
                    let _ = changed.send(ObjectKey { kind: ObjectKind::Machine, id });
                }
            }),
            Box::new(move || {
                let _ = signals.send(Signal::Broken(number));
            }),
        )
        .map_err(|error| error.message().to_owned())
    }

    /// Reports every domain that bears one of our names.
    fn report_all(&self, session: &Session) {
        let domains = match session.connect().list_all_domains(0) {
            Ok(domains) => domains,
            Err(error) => {
                tracing::warn!(error = error.message(), "cannot list the domains of libvirt");
                return;
            }
        };
        for id in domains.iter().filter_map(|domain| xml::machine_of(&domain.get_name().ok()?)) {
            let _ = self.changed.send(ObjectKey { kind: ObjectKind::Machine, id });
        }
    }
}

/// Waits until the connection of this number broke or the pause is over; false when all is to end.
fn wait(inbox: &mpsc::Receiver<Signal>, number: u64, pause: Option<Duration>) -> bool {
    loop {
        let signal = match pause {
            Some(pause) => match inbox.recv_timeout(pause) {
                Ok(signal) => signal,
                Err(mpsc::RecvTimeoutError::Timeout) => return true,
                Err(mpsc::RecvTimeoutError::Disconnected) => return false,
            },
            None => match inbox.recv() {
                Ok(signal) => signal,
                Err(mpsc::RecvError) => return false,
            },
        };
        match signal {
            Signal::Stop => return false,
            Signal::Broken(broken) if broken == number && pause.is_none() => return true,
            // A late word about an earlier connection.
            Signal::Broken(_) => {}
        }
    }
}

fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}
