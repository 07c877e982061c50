//! A client of PowerDNS's API, which both servers have.
//!
//! Promises: an answer comes within [`PATIENCE`] and is at most [`ANSWER_LIMIT`] long; no proxy of the
//! environment is asked; the key is in a header and nowhere else; what PowerDNS says of a failure is told.
//! Asking blocks, and is done off the asynchronous threads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use freehold_types::Secret;
use http::{Method, Request};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use ureq::Agent;

use super::records::{Change, Zone};
use crate::host::HostError;

/// How long an answer may take. Two thousand names take a second or two on a slow disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest answer that is read, in bytes: a zone of a hundred thousand names.
const ANSWER_LIMIT: u64 = 64 << 20;

/// Most record sets in one request; PowerDNS takes 2 MB at a time.
pub(super) const BATCH: usize = 1000;

/// One server's API.
#[derive(Debug, Clone)]
pub(super) struct Api {
    /// For people: which server it is.
    server: &'static str,
    address: SocketAddr,
    key: Secret<String>,
    agent: Agent,
    /// How many requests were sent, of all servers together.
    requests: Arc<AtomicU64>,
}

/// What a server said.
#[derive(Debug)]
struct Answer {
    status: u16,
    body: String,
}

/// A zone that the resolver passes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Forward {
    pub(super) name: String,
    #[serde(rename = "type", default)]
    class: String,
    kind: String,
    #[serde(default)]
    servers: Vec<String>,
    #[serde(default)]
    recursion_desired: bool,
}

impl Forward {
    /// Questions for the zone go to the server, which is authoritative.
    pub(super) fn new(name: &str, server: SocketAddr) -> Self {
        Self {
            name: name.to_owned(),
            class: "Zone".to_owned(),
            kind: "Forwarded".to_owned(),
            servers: vec![server.to_string()],
            recursion_desired: false,
        }
    }

    /// Whether both pass questions on alike.
    fn is_like(&self, other: &Self) -> bool {
        (&self.kind, &self.servers, self.recursion_desired)
            == (&other.kind, &other.servers, other.recursion_desired)
    }
}

#[derive(Serialize)]
struct Patch<'a> {
    rrsets: &'a [Change],
}

impl Api {
    pub(super) fn new(
        server: &'static str,
        address: SocketAddr,
        key: Secret<String>,
        requests: &Arc<AtomicU64>,
    ) -> Self {
        let agent = Agent::config_builder()
            .proxy(None)
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .http_status_as_error(false)
            .build()
            .new_agent();
        Self { server, address, key, agent, requests: Arc::clone(requests) }
    }

    /// Whether the server answers.
    pub(super) async fn is_up(&self) -> bool {
        self.call(Method::GET, "", String::new()).await.is_ok_and(|answer| answer.status == 200)
    }

    /// The zones of the authoritative server, without what is in them.
    pub(super) async fn zones(&self) -> Result<Vec<Zone>, HostError> {
        let answer = self.call(Method::GET, "/zones?dnssec=false", String::new()).await?;
        self.read(&answer, "its zones")
    }

    /// A zone of the authoritative server.
    pub(super) async fn zone(&self, name: &str) -> Result<Option<Zone>, HostError> {
        let answer = self.call(Method::GET, &format!("/zones/{name}"), String::new()).await?;
        if answer.status == 404 { Ok(None) } else { self.read(&answer, name).map(Some) }
    }

    pub(super) async fn create(&self, zone: &Zone) -> Result<(), HostError> {
        let answer = self.call(Method::POST, "/zones", self.write(zone)?).await?;
        self.done(&answer, "making", &zone.name)
    }

    /// Changes record sets, so many at a time that a request stays small.
    pub(super) async fn patch(&self, zone: &str, changes: &[Change]) -> Result<(), HostError> {
        for rrsets in changes.chunks(BATCH) {
            let body = self.write(&Patch { rrsets })?;
            let answer = self.call(Method::PATCH, &format!("/zones/{zone}"), body).await?;
            self.done(&answer, "changing", zone)?;
        }
        Ok(())
    }

    /// Removes a zone of either server; one that is not there is removed.
    pub(super) async fn delete(&self, name: &str) -> Result<(), HostError> {
        let answer = self.call(Method::DELETE, &format!("/zones/{name}"), String::new()).await?;
        if is_absent(&answer) { Ok(()) } else { self.done(&answer, "removing", name) }
    }

    /// Has the resolver pass a zone on; tells whether it did not yet.
    pub(super) async fn forward(&self, forward: &Forward) -> Result<bool, HostError> {
        let name = &forward.name;
        let answer = self.call(Method::GET, &format!("/zones/{name}"), String::new()).await?;
        if !is_absent(&answer) {
            if self.read::<Forward>(&answer, name)?.is_like(forward) {
                return Ok(false);
            }
            self.delete(name).await?;
        }
        let answer = self.call(Method::POST, "/zones", self.write(forward)?).await?;
        if answer.status == 422 {
            // It means that the zone is there, and that it cannot be had: a look tells which.
            let found = self.call(Method::GET, &format!("/zones/{name}"), String::new()).await?;
            if !is_absent(&found) && self.read::<Forward>(&found, name)?.is_like(forward) {
                return Ok(true);
            }
        }
        self.done(&answer, "passing on", name)?;
        Ok(true)
    }

    /// Has the resolver forget what it remembers of a name, and of all names below it if so asked.
    pub(super) async fn flush(&self, name: &str, below: bool) -> Result<(), HostError> {
        let path = format!("/cache/flush?domain={name}&subtree={below}");
        let answer = self.call(Method::PUT, &path, String::new()).await?;
        self.done(&answer, "forgetting", name)
    }

    async fn call(&self, method: Method, path: &str, body: String) -> Result<Answer, HostError> {
        let failed = |reason: String| {
            HostError::Failed(format!("the {} does not answer at {}: {reason}", self.server, self.address))
        };
        let uri = format!("http://{}/api/v1/servers/localhost{path}", self.address);
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("x-api-key", self.key.expose())
            .header("content-type", "application/json")
            .body(body)
            .map_err(|error| failed(error.to_string()))?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let agent = self.agent.clone();
        let ask = move || {
            let mut response = agent.run(request)?;
            let body =
                response.body_mut().with_config().limit(ANSWER_LIMIT).lossy_utf8(true).read_to_string()?;
            Ok(Answer { status: response.status().as_u16(), body })
        };
        tokio::task::spawn_blocking(ask)
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error: ureq::Error| failed(error.to_string()))
    }

    fn write(&self, value: &impl Serialize) -> Result<String, HostError> {
        serde_json::to_string(value)
            .map_err(|error| HostError::Failed(format!("the {} cannot be told: {error}", self.server)))
    }

    fn read<T: DeserializeOwned>(&self, answer: &Answer, subject: &str) -> Result<T, HostError> {
        self.done(answer, "telling of", subject)?;
        serde_json::from_str(&answer.body).map_err(|error| {
            HostError::Failed(format!(
                "what the {} tells of {subject} cannot be read ({error}); see that its version is one that this node knows",
                self.server
            ))
        })
    }

    fn done(&self, answer: &Answer, deed: &str, subject: &str) -> Result<(), HostError> {
        match answer.status {
            200..=299 => Ok(()),
            401 => Err(HostError::Failed(format!(
                "the {} at {} has another key: end the server that holds this port, or give ours another in `edge`",
                self.server, self.address
            ))),
            status => Err(HostError::Failed(format!(
                "the {} refuses {deed} {subject} with status {status}: {}",
                self.server,
                reason(&answer.body)
            ))),
        }
    }
}

/// The authoritative server says 404 of a zone that it has not, the resolver 422.
fn is_absent(answer: &Answer) -> bool {
    answer.status == 404 || answer.status == 422 && answer.body.contains("Could not find domain")
}

/// What PowerDNS says of a failure, cut short.
fn reason(body: &str) -> String {
    #[derive(Deserialize)]
    struct Failure {
        error: String,
        #[serde(default)]
        errors: Vec<String>,
    }
    let text = match serde_json::from_str::<Failure>(body) {
        Ok(Failure { error, errors }) => std::iter::once(error).chain(errors).collect::<Vec<_>>().join("; "),
        Err(_) => body.to_owned(),
    };
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect();
    if line.is_empty() { "it says no more; see its log".to_owned() } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_powerdns_says_of_a_failure_is_told() {
        assert_eq!(reason(r#"{"error":"RRset x. IN A: Conflicts"}"#), "RRset x. IN A: Conflicts");
        assert_eq!(reason(r#"{"error":"a","errors":["b","c"]}"#), "a; b; c");
        assert_eq!(reason("Not\nFound"), "Not Found");
        assert!(reason("").contains("log"));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named_without_its_key() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let api = Api::new("resolver", closed, Secret::new("swordfish".to_owned()), &Arc::default());
        let error = api.zones().await.unwrap_err().to_string();
        assert!(error.contains("resolver") && error.contains(&closed.to_string()), "{error}");
        assert!(!error.contains("swordfish") && !format!("{api:?}").contains("swordfish"));
        assert!(!api.is_up().await);
    }
}
