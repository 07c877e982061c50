//! One node's session: it proves who it is, says what it has, and is told what must be.
//!
//! *Expected flow:* see [`freehold_types::agent`]. *Guarantees:* what is sent is always computed from the
//! current state, so a session may be cut at any point and the next one puts everything right.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use freehold_kinds::agent::{Agent, AgentStatus};
use freehold_kinds::slice;
use freehold_kinds::token::Token;
use freehold_store::{Actor, Key, Snapshot, Transaction};
use freehold_types::agent::{
    self, Answer, Desired, Facts, HEARTBEAT_SECONDS, MESSAGE_LIMIT, ObjectKey, Observation, PROTOCOL,
    SILENCE_SECONDS, Slice, ToController, ToNode,
};
use freehold_types::wire::AgentType;
use freehold_types::{Id, Timestamp};
use hmac::{Hmac, Mac};
use http::StatusCode;
use sha2::Sha256;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{Hub, Link, Question};

/// How long a node may take to prove who it is.
const GREETING: Duration = Duration::from_secs(15);

/// Largest message of a peer that has not proved who it is, in bytes. A hello is far smaller.
const GREETING_LIMIT: usize = 8 << 10;
/// Room for what has arrived and was not read yet, in bytes. Grows for larger messages.
const READ_BUFFER: usize = 8 << 10;

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the connection was closed")]
    Closed,
    #[error("the connection failed")]
    Failed(#[from] axum::Error),
    #[error("nothing was heard for {SILENCE_SECONDS} s")]
    Silent,
    #[error("it took nothing for {SILENCE_SECONDS} s")]
    Stuck,
    #[error("it did not prove who it is within {} s", GREETING.as_secs())]
    Unproved,
    #[error("a message cannot be read")]
    Unreadable(#[from] serde_json::Error),
    #[error("it was refused: {0}")]
    Refused(String),
    #[error("another session of the agent has begun, or its key was taken away")]
    Replaced,
    #[error("the controller stops")]
    Stopping,
    #[error("the store is closed")]
    Store(#[from] freehold_store::CommitError),
}

/// Opens the WebSocket, unless too many peers are about to prove who they are.
pub(crate) async fn upgrade(State(hub): State<Hub>, upgrade: WebSocketUpgrade) -> Response {
    let Ok(turn) = Arc::clone(&hub.0.greetings).try_acquire_owned() else {
        let busy = "too many nodes connect at once; try again in some seconds";
        return (StatusCode::SERVICE_UNAVAILABLE, busy).into_response();
    };
    upgrade
        .read_buffer_size(READ_BUFFER)
        .max_message_size(MESSAGE_LIMIT)
        .max_frame_size(MESSAGE_LIMIT)
        .on_upgrade(|socket| run(hub, socket, turn))
}

async fn run(hub: Hub, mut socket: WebSocket, turn: OwnedSemaphorePermit) {
    let greeted = tokio::time::timeout(GREETING, greet(&hub, &mut socket)).await;
    drop(turn);
    let agent = match greeted.unwrap_or(Err(Ended::Unproved)) {
        Ok(agent) => agent,
        Err(ended) => {
            tracing::warn!(reason = %ended, "a node was not let in");
            return;
        }
    };
    let (link, questions) = hub.register(agent);
    let mut session = Session {
        hub: hub.clone(),
        agent,
        link: Arc::clone(&link),
        socket,
        sent: HashMap::new(),
        waiting: HashMap::new(),
        next_request: 0,
        synchronised: false,
    };
    let ended = session.serve(questions).await;
    tracing::info!(%agent, reason = %ended.as_ref().err().map_or_else(String::new, ToString::to_string), "a node has left");
    if hub.unregister(agent, &link)
        && let Err(error) = set_presence(&hub, agent, false, None).await
    {
        tracing::warn!(%agent, %error, "the absence of a node could not be noted");
    }
}

/// Challenges the node and checks its proof.
async fn greet(hub: &Hub, socket: &mut WebSocket) -> Result<Id, Ended> {
    let nonce = freehold_kinds::key::random_text(32).into_inner();
    send(socket, &ToNode::Challenge { protocol: PROTOCOL, nonce: nonce.clone() }).await?;
    let hello = receive_greeting(socket).await?;
    let refusal = match judge(hub, &nonce, &hello) {
        Ok(agent) => {
            send(socket, &ToNode::Welcome).await?;
            return Ok(agent);
        }
        Err(refusal) => refusal,
    };
    send(socket, &ToNode::Refused { reason: refusal.clone() }).await?;
    Err(Ended::Refused(refusal))
}

/// Who the node has proved to be; else why it is refused.
fn judge(hub: &Hub, nonce: &str, hello: &ToController) -> Result<Id, String> {
    let ToController::Hello { protocol, agent, role, version, proof } = hello else {
        return Err("it did not say hello first".to_owned());
    };
    if *protocol != PROTOCOL {
        return Err(format!("it speaks protocol {protocol} (version {version}), and {PROTOCOL} is needed"));
    }
    // One answer for an unknown agent, a missing key and a wrong one.
    let unknown = || "the agent is unknown or its key is wrong; issue a new key".to_owned();
    let snapshot = hub.0.store.snapshot();
    let known = snapshot.get::<Agent>(*agent).ok_or_else(unknown)?;
    let token = snapshot.claimed::<Token>(&Token::owner_claim(*agent)).ok_or_else(unknown)?;
    let digest = unhex(&token.spec.digest).ok_or_else(unknown)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&digest).map_err(|_| unknown())?;
    mac.update(agent::proof_input(nonce, *agent).as_bytes());
    let proof = unhex(proof).ok_or_else(unknown)?;
    mac.verify_slice(&proof).map_err(|_| unknown())?;
    if token.spec.is_expired(Timestamp::now()) {
        return Err("the key of the agent has expired; issue a new one".to_owned());
    }
    if *role != known.spec.role {
        return Err(format!(
            "it has the role {role:?}, and the agent has {:?}; set `role` in the node's file to the agent's type",
            known.spec.role
        ));
    }
    match role {
        AgentType::Hypervisor | AgentType::Edge => Ok(*agent),
        AgentType::Service => Err("agents of type Kontroller are not served by this version".to_owned()),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

async fn send(socket: &mut WebSocket, message: &ToNode) -> Result<(), Ended> {
    transmit(socket, Message::Text(serde_json::to_string(message)?.into())).await
}

/// Sends, and gives up on a peer that takes nothing.
async fn transmit(socket: &mut WebSocket, message: Message) -> Result<(), Ended> {
    let sent = tokio::time::timeout(Duration::from_secs(SILENCE_SECONDS), socket.send(message)).await;
    Ok(sent.map_err(|_| Ended::Stuck)??)
}

/// The first message of a peer, which nobody knows yet.
async fn receive_greeting(socket: &mut WebSocket) -> Result<ToController, Ended> {
    loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) if text.len() <= GREETING_LIMIT => {
                return Ok(serde_json::from_str(&text)?);
            }
            Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                return Err(Ended::Refused(format!(
                    "its first message is no text of at most {GREETING_LIMIT} B"
                )));
            }
            Some(Ok(Message::Close(_))) | None => return Err(Ended::Closed),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Err(error)) => return Err(error.into()),
        }
    }
}

struct Session {
    hub: Hub,
    agent: Id,
    link: Arc<Link>,
    socket: WebSocket,
    /// What the node was last told of each object; `None` for those that it told of itself.
    sent: HashMap<ObjectKey, Option<Desired>>,
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    next_request: u64,
    /// Whether the node has told everything and has been told everything.
    synchronised: bool,
}

impl Session {
    async fn serve(&mut self, mut questions: mpsc::Receiver<Question>) -> Result<(), Ended> {
        let mut shutdown = self.hub.0.supervisor.shutdown();
        let mut heartbeat = tokio::time::interval(Duration::from_secs(HEARTBEAT_SECONDS));
        let link = Arc::clone(&self.link);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                () = shutdown.requested() => return Err(Ended::Stopping),
                () = link.end.notified() => return Err(Ended::Replaced),
                message = self.socket.recv() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => self.hear(serde_json::from_str(&text)?).await?,
                        Some(Ok(Message::Close(_))) | None => return Err(Ended::Closed),
                        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_))) => {}
                        Some(Err(error)) => return Err(error.into()),
                    }
                }
                () = link.wake.notified(), if self.synchronised => self.tell_changes().await?,
                Some(question) = questions.recv() => self.ask(question).await?,
                _ = heartbeat.tick() => {
                    if heard.elapsed() > Duration::from_secs(SILENCE_SECONDS) {
                        return Err(Ended::Silent);
                    }
                    transmit(&mut self.socket, Message::Ping(bytes::Bytes::new())).await?;
                }
            }
        }
    }

    async fn hear(&mut self, message: ToController) -> Result<(), Ended> {
        match message {
            ToController::Facts(facts) => {
                tracing::info!(agent = %self.agent, host = %facts.hostname, "a node has joined");
                Ok(set_presence(&self.hub, self.agent, true, Some(*facts)).await?)
            }
            ToController::Observed(observation) => self.observed(observation).await,
            ToController::Answer { request, answer } => {
                if let Some(waiting) = self.waiting.remove(&request) {
                    // An error means that whoever asked has gone.
                    let _ = waiting.send(answer);
                }
                Ok(())
            }
            ToController::Refused { lineage, revision, held } => {
                tracing::warn!(agent = %self.agent, %lineage, revision, held, "a node has refused a slice");
                // A node that is ahead of this controller would refuse the whole state as well.
                if held <= self.hub.0.store.snapshot().revision() {
                    self.tell_everything().await
                } else {
                    Ok(())
                }
            }
            ToController::Hello { .. } => Err(Ended::Refused("it said hello twice".to_owned())),
        }
    }

    async fn observed(&mut self, observation: Observation) -> Result<(), Ended> {
        let Observation { full, objects, .. } = observation;
        let agent = self.agent;
        for observed in &objects {
            self.sent.entry(observed.key).or_insert(None);
        }
        let name = self.hub.0.store.snapshot().get::<Agent>(agent).map(|agent| agent.spec.name.clone());
        let actor = Actor {
            who: format!("node {}", name.unwrap_or_default()),
            from: String::new(),
            why: "observed".into(),
        };
        let plan = move |snapshot: &Snapshot| {
            let mut transaction = Transaction::default();
            for observed in &objects {
                slice::observe(agent, observed, snapshot, &mut transaction);
            }
            Ok::<_, ()>((transaction, ()))
        };
        // The plan never refuses, so the inner result is always good.
        let _ = self.hub.0.store.transact(actor, plan).await?;
        if full { self.tell_everything().await } else { Ok(()) }
    }

    async fn tell_everything(&mut self) -> Result<(), Ended> {
        self.link.take_dirty();
        let snapshot = self.hub.0.store.snapshot();
        let objects = slice::full(self.agent, &snapshot, &self.hub.0.environment);
        let known: HashMap<ObjectKey, Option<Desired>> =
            objects.iter().map(|desired| (desired.key, Some(desired.clone()))).collect();
        let forget = self.sent.keys().filter(|key| !known.contains_key(key)).copied().collect();
        let (lineage, revision) = (snapshot.lineage(), snapshot.revision());
        send(&mut self.socket, &ToNode::Slice(Slice { lineage, revision, full: true, objects, forget }))
            .await?;
        self.sent = known;
        self.synchronised = true;
        Ok(())
    }

    async fn tell_changes(&mut self) -> Result<(), Ended> {
        let dirty = self.link.take_dirty();
        let snapshot = self.hub.0.store.snapshot();
        let (mut objects, mut forget) = (Vec::new(), Vec::new());
        for key in dirty {
            let Some(object) = object_key(key) else { continue };
            match slice::one(key, self.agent, &snapshot, &self.hub.0.environment) {
                Some(desired)
                    if self.sent.get(&object).is_some_and(|known| known.as_ref() == Some(&desired)) => {}
                Some(desired) => {
                    self.sent.insert(object, Some(desired.clone()));
                    objects.push(desired);
                }
                None => forget.extend(self.sent.remove(&object).map(|_| object)),
            }
        }
        if objects.is_empty() && forget.is_empty() {
            return Ok(());
        }
        let (lineage, revision) = (snapshot.lineage(), snapshot.revision());
        send(&mut self.socket, &ToNode::Slice(Slice { lineage, revision, full: false, objects, forget }))
            .await
    }

    async fn ask(&mut self, question: Question) -> Result<(), Ended> {
        let request = self.next_request;
        self.next_request += 1;
        self.waiting.retain(|_, waiting| !waiting.is_closed());
        self.waiting.insert(request, question.answer);
        send(&mut self.socket, &ToNode::Query { request, query: question.query }).await
    }
}

fn object_key(key: Key) -> Option<ObjectKey> {
    Some(ObjectKey { kind: slice::object_kind(key.kind)?, id: key.id })
}

async fn set_presence(
    hub: &Hub,
    agent: Id,
    connected: bool,
    facts: Option<Facts>,
) -> Result<(), freehold_store::CommitError> {
    let sessions = hub.clone();
    let plan = move |snapshot: &Snapshot| {
        let mut transaction = Transaction::default();
        // A node that has come back meanwhile is not absent, however late its absence is noted.
        let is_outdated = !connected && sessions.has_session(agent);
        if let Some(object) = snapshot.get::<Agent>(agent).filter(|_| !is_outdated) {
            let facts = facts.clone().or_else(|| object.status.facts.clone());
            let status = AgentStatus { connected, since: Some(Timestamp::now()), facts };
            transaction.observe(object, status);
        }
        Ok::<_, ()>((transaction, ()))
    };
    let actor = Actor::internal("nodes", if connected { "a node has joined" } else { "a node has left" });
    hub.0.store.transact(actor, plan).await.map(drop)
}
