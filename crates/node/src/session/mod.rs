//! The link to the controller: dials, proves who it is, takes slices in and tells what was observed.
//!
//! One task per node. It holds no state of its own: slices go to the converge loop, and what is told comes
//! from the board, so a break loses nothing. It dials for ever, with growing jittered delays.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use freehold_types::agent::{self, Facts, ToController, ToNode};
use freehold_types::wire::AgentType;
use freehold_types::{Id, Secret, Timestamp};
use futures::{SinkExt, StreamExt};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::{self, Message};

mod dial;
mod flow;

pub(crate) use dial::{Endpoint, tls};
use dial::{STEP, Socket};

use crate::backoff;
use crate::board::{Board, Link};
use crate::converge::Command;
use crate::host::{Host, HostError};
use crate::stop::Stop;

/// Delays between dials.
const DIAL_AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// A session that lasted this long was a success: the next dial comes soon.
const SUCCESS: Duration = Duration::from_secs(5);

/// How long the first session waits for a first look at the objects held, so that the controller is not
/// told that everything is in work after each restart of the node.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// Who the node is and where it dials.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) agent: Id,
    pub(crate) key: Secret<String>,
    pub(crate) role: AgentType,
    pub(crate) endpoint: Endpoint,
    pub(crate) tls: Option<TlsConnector>,
    /// Address to tell in the facts; without one, that of the connection.
    pub(crate) address: Option<IpAddr>,
    /// Features of the host beyond those of its machines.
    pub(crate) features: Vec<String>,
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("{url} cannot be reached: {reason}")]
    Dial { url: String, reason: String },
    #[error("the controller speaks protocol {theirs} and this node {ours}; bring both to one version", ours = agent::PROTOCOL)]
    Protocol { theirs: u32 },
    #[error("the controller refused this node: {reason}")]
    Refused { reason: String },
    #[error("the controller did not keep to the protocol: {0}")]
    Malformed(String),
    #[error("nothing was heard from the controller for {seconds} seconds", seconds = agent::SILENCE_SECONDS)]
    Silent,
    #[error("the controller closed the connection{0}")]
    Closed(String),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the facts of this host cannot be read: {0}")]
    Facts(HostError),
    #[error("the node is stopping")]
    Stopping,
}

impl From<tungstenite::Error> for SessionError {
    fn from(error: tungstenite::Error) -> Self {
        if matches!(error, tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) {
            Self::Closed(String::new())
        } else {
            Self::Broken(error.to_string())
        }
    }
}

/// The task.
pub(crate) struct Session {
    identity: Identity,
    host: Host,
    board: Arc<Board>,
    commands: mpsc::Sender<Command>,
    stop: Stop,
    /// As last read.
    facts: Option<Facts>,
}

impl Session {
    pub(crate) const fn new(
        identity: Identity,
        host: Host,
        board: Arc<Board>,
        commands: mpsc::Sender<Command>,
        stop: Stop,
    ) -> Self {
        Self { identity, host, board, commands, stop, facts: None }
    }

    /// Dials until told to stop.
    pub(crate) async fn run(mut self) {
        let mut stop = self.stop.clone();
        stop.or(self.first_look()).await;
        let mut failures = 0;
        let mut last = String::new();
        while !stop.is_asked() {
            let begun = Instant::now();
            let error = self.attempt().await;
            if matches!(error, SessionError::Stopping) {
                break;
            }
            failures = if begun.elapsed() >= SUCCESS + STEP { 1 } else { failures + 1 };
            let refused = matches!(error, SessionError::Refused { .. } | SessionError::Protocol { .. });
            let wait = backoff::delay(if refused { u32::MAX } else { failures }, DIAL_AGAIN.0, DIAL_AGAIN.1);
            let reason = error.to_string();
            if reason == last {
                tracing::debug!(agent = %self.identity.agent, reason, ?wait, "no session with the controller");
            } else {
                tracing::warn!(agent = %self.identity.agent, reason, ?wait, "no session with the controller");
            }
            self.board.set_link(Link::Broken { reason: reason.clone(), next: Timestamp::now() + wait });
            last = reason;
            stop.or(tokio::time::sleep(wait)).await;
        }
    }

    async fn first_look(&self) {
        let mut changes = self.board.subscribe();
        let idle = changes.wait_for(|_| self.board.is_idle());
        // Late or not, the controller is dialled then.
        let _ = timeout(FIRST_LOOK, idle).await;
    }

    /// One session from dial to end.
    async fn attempt(&mut self) -> SessionError {
        let mut stop = self.stop.clone();
        let (mut socket, address) = match stop.or(self.open()).await {
            Some(Ok(opened)) => opened,
            Some(Err(error)) => return error,
            None => return SessionError::Stopping,
        };
        tracing::info!(agent = %self.identity.agent, "in session with the controller");
        self.board.set_link(Link::Connected { since: Timestamp::now() });
        let session = async {
            match self.facts(address).await {
                Ok(facts) => flow::run(self, &mut socket, facts).await,
                Err(error) => error,
            }
        };
        let end = stop.or(session).await;
        // A polite end; the other side learns of a break by itself.
        let _ = timeout(Duration::from_secs(1), socket.close(None)).await;
        end.unwrap_or(SessionError::Stopping)
    }

    async fn open(&self) -> Result<(Socket, IpAddr), SessionError> {
        let (mut socket, address) = dial::dial(&self.identity.endpoint, self.identity.tls.as_ref()).await?;
        let nonce = match hear(&mut socket).await? {
            ToNode::Challenge { protocol: agent::PROTOCOL, nonce } => nonce,
            ToNode::Challenge { protocol, .. } => return Err(SessionError::Protocol { theirs: protocol }),
            ToNode::Refused { reason } => return Err(SessionError::Refused { reason }),
            ToNode::Welcome | ToNode::Slice(_) | ToNode::Query { .. } => {
                return Err(SessionError::Malformed("it did not begin with a challenge".to_owned()));
            }
        };
        let Identity { agent, key, role, .. } = &self.identity;
        let hello = ToController::Hello {
            protocol: agent::PROTOCOL,
            agent: *agent,
            role: *role,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            proof: proof(key, &nonce, *agent)?,
        };
        say(&mut socket, &hello).await?;
        match hear(&mut socket).await? {
            ToNode::Welcome => Ok((socket, address)),
            ToNode::Refused { reason } => Err(SessionError::Refused { reason }),
            ToNode::Challenge { .. } | ToNode::Slice(_) | ToNode::Query { .. } => {
                Err(SessionError::Malformed("it neither welcomed nor refused this node".to_owned()))
            }
        }
    }

    /// What the host is. It seldom changes, so what was read last will do while it cannot be read.
    async fn facts(&mut self, address: IpAddr) -> Result<Facts, SessionError> {
        let late = |_| HostError::Failed(format!("no answer in {} seconds", STEP.as_secs()));
        let read = timeout(STEP, self.host.machines.facts()).await.map_err(late).flatten();
        let mut facts = match (read, self.facts.clone()) {
            (Ok(facts), _) => facts,
            (Err(error), Some(facts)) => {
                tracing::warn!(%error, "the facts of this host cannot be read; the last known ones are told");
                facts
            }
            (Err(error), None) => return Err(SessionError::Facts(error)),
        };
        self.facts = Some(facts.clone());
        env!("CARGO_PKG_VERSION").clone_into(&mut facts.version);
        facts.address = self.identity.address.or(facts.address).or(Some(address));
        for feature in &self.identity.features {
            if !facts.features.contains(feature) {
                facts.features.push(feature.clone());
            }
        }
        Ok(facts)
    }
}

/// What the node answers to a challenge; see [`agent::proof_input`].
fn proof(key: &Secret<String>, nonce: &str, agent: Id) -> Result<String, SessionError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&Sha256::digest(key.expose().as_bytes()))
        .map_err(|error| SessionError::Malformed(error.to_string()))?;
    mac.update(agent::proof_input(nonce, agent).as_bytes());
    Ok(format!("{:x}", mac.finalize().into_bytes()))
}

/// The next message of the handshake.
async fn hear(socket: &mut Socket) -> Result<ToNode, SessionError> {
    loop {
        let frame = timeout(STEP, socket.next()).await.map_err(|_| SessionError::Silent)?;
        let frame = frame.ok_or_else(|| SessionError::Closed(String::new()))??;
        if let Some(message) = read(&frame)? {
            return Ok(message);
        }
    }
}

async fn say(
    sink: &mut (impl futures::Sink<Message, Error = tungstenite::Error> + Unpin),
    message: &ToController,
) -> Result<(), SessionError> {
    let text = serde_json::to_string(message).map_err(|error| SessionError::Malformed(error.to_string()))?;
    send(sink, Message::text(text)).await
}

/// Sends a frame; a controller that does not take it in is as good as silent.
async fn send(
    sink: &mut (impl futures::Sink<Message, Error = tungstenite::Error> + Unpin),
    frame: Message,
) -> Result<(), SessionError> {
    let bound = Duration::from_secs(agent::SILENCE_SECONDS);
    timeout(bound, sink.send(frame)).await.map_err(|_| SessionError::Silent)??;
    Ok(())
}

/// Reads a frame; one without content is a sign of life and no more. What cannot be read is not shown: it
/// may hold secrets.
fn read(frame: &Message) -> Result<Option<ToNode>, SessionError> {
    match frame {
        Message::Ping(_) | Message::Pong(_) => Ok(None),
        Message::Text(text) => serde_json::from_str(text).map(Some).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            SessionError::Malformed(format!(
                "a message cannot be read at {line}:{column}; bring both ends to one version"
            ))
        }),
        Message::Close(close) => {
            let reason =
                close.as_ref().map(|frame| frame.reason.as_str()).filter(|reason| !reason.is_empty());
            Err(SessionError::Closed(reason.map(|reason| format!(": {reason}")).unwrap_or_default()))
        }
        Message::Binary(_) | Message::Frame(_) => {
            Err(SessionError::Malformed("a frame is not text".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_the_hmac_in_hexadecimal() {
        // printf freehold-agent/1/000000000000000000000001/nonce |
        //   openssl dgst -sha256 -mac HMAC -macopt hexkey:$(printf key | sha256sum | cut -c-64)
        let proof = proof(&Secret::new("key".to_owned()), "nonce", Id::from_u64(1)).unwrap();
        assert_eq!(proof, "3ddabcbec0768a42752314561f6acd773789f31ceea2a4070a1b01402d4635c3");
    }

    #[test]
    fn unreadable_messages_do_not_leak() {
        let error = read(&Message::text(r#"{"type":"welcome", "secret-thing": "#)).unwrap_err().to_string();
        assert!(!error.contains("secret-thing"), "{error}");
    }
}
