//! A session after its handshake: reading, writing and heartbeats, side by side.

use std::time::Duration;

use freehold_types::agent::{self, Answer, Facts, Query, ToController, ToNode};
use futures::{SinkExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{self, Message};

use super::dial::{STEP, Socket};
use super::{Session, SessionError, read, say, send};
use crate::converge::Command;
use crate::host::Host;

/// Changes that come within this span are told together.
const COALESCE: Duration = Duration::from_millis(50);

/// Questions that may be open at a time.
const QUERIES: usize = 32;

/// Runs until something ends it.
pub(super) async fn run(session: &Session, socket: &mut Socket, facts: Facts) -> SessionError {
    let (mut sink, mut stream) = socket.split();
    let (replies, outbox) = mpsc::unbounded_channel();
    let end = tokio::select! {
        end = listen(session, &mut stream, &replies) => end,
        end = speak(session, &mut sink, facts, outbox) => end,
    };
    match end {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

type Never = std::convert::Infallible;

/// Hands slices to the converge loop, one at a time, and answers questions.
async fn listen(
    session: &Session,
    stream: &mut (impl futures::Stream<Item = Result<Message, tungstenite::Error>> + Unpin),
    replies: &mpsc::UnboundedSender<ToController>,
) -> Result<Never, SessionError> {
    let silence = Duration::from_secs(agent::SILENCE_SECONDS);
    let mut queries = JoinSet::new();
    loop {
        while queries.try_join_next().is_some() {}
        let frame = timeout(silence, stream.next()).await.map_err(|_| SessionError::Silent)?;
        let Some(message) = read(&frame.ok_or_else(|| SessionError::Closed(String::new()))??)? else {
            continue;
        };
        match message {
            ToNode::Slice(slice) => {
                let (reply, answer) = oneshot::channel();
                let command = Command::Slice { slice, reply };
                session.commands.send(command).await.map_err(|_| SessionError::Stopping)?;
                if let Err(refused) = answer.await.map_err(|_| SessionError::Stopping)? {
                    tracing::warn!(
                        ?refused,
                        "refused a slice that is older than what is held, or lacks its base"
                    );
                    let crate::ledger::Refused { lineage, revision, held } = refused;
                    let _ = replies.send(ToController::Refused { lineage, revision, held });
                }
            }
            ToNode::Query { request, .. } if queries.len() >= QUERIES => {
                let reason = "the node has too many open questions; ask again".to_owned();
                let _ = replies.send(ToController::Answer { request, answer: Answer::Failed { reason } });
            }
            ToNode::Query { request, query } => {
                let (host, replies) = (session.host.clone(), replies.clone());
                queries.spawn(async move {
                    let answer = answer(&host, query).await;
                    let _ = replies.send(ToController::Answer { request, answer });
                });
            }
            ToNode::Refused { reason } => return Err(SessionError::Refused { reason }),
            ToNode::Challenge { .. } | ToNode::Welcome => {
                return Err(SessionError::Malformed("it began the handshake anew".to_owned()));
            }
        }
    }
}

async fn answer(host: &Host, query: Query) -> Answer {
    match query {
        Query::Console { machine } => match timeout(STEP, host.machines.console(machine)).await {
            Ok(Ok(url)) => Answer::Console { url },
            Ok(Err(error)) => Answer::Failed { reason: error.to_string() },
            Err(_) => Answer::Failed { reason: "the host took too long to answer; ask again".to_owned() },
        },
    }
}

/// Tells facts and everything observed, then what changes, and gives signs of life.
async fn speak(
    session: &Session,
    sink: &mut (impl futures::Sink<Message, Error = tungstenite::Error> + Unpin),
    facts: Facts,
    mut outbox: mpsc::UnboundedReceiver<ToController>,
) -> Result<Never, SessionError> {
    let mut changes = session.board.subscribe();
    say(sink, &ToController::Facts(Box::new(facts))).await?;
    say(sink, &ToController::Observed(session.board.take_all())).await?;
    let period = Duration::from_secs(agent::HEARTBEAT_SECONDS);
    let mut heartbeat = interval_at(Instant::now() + period, period);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut flush: Option<Instant> = None;
    loop {
        tokio::select! {
            Some(message) = outbox.recv() => say(sink, &message).await?,
            changed = changes.changed(), if flush.is_none() => {
                changed.map_err(|_| SessionError::Stopping)?;
                flush = Some(Instant::now() + COALESCE);
            }
            () = sleep_until(flush.unwrap_or_else(Instant::now)), if flush.is_some() => {
                flush = None;
                changes.mark_unchanged();
                if let Some(observation) = session.board.take_changes() {
                    say(sink, &ToController::Observed(observation)).await?;
                }
            }
            _ = heartbeat.tick() => send(sink, Message::Ping(tungstenite::Bytes::new())).await?,
        }
        sink.flush().await?;
    }
}
