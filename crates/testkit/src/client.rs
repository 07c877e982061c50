//! A client of the API: JSON in and out, with status and headers.

use std::sync::OnceLock;
use std::time::Duration;

use freehold_types::{Id, wire};
use http::{HeaderMap, Method};
use serde_json::Value;
use tokio::sync::Semaphore;

/// Requests of one process at a time; more would only wait for the same cores.
const AT_ONCE: usize = 64;

fn places() -> &'static Semaphore {
    static PLACES: OnceLock<Semaphore> = OnceLock::new();
    PLACES.get_or_init(|| Semaphore::new(AT_ONCE))
}

/// Speaks to a controller as somebody. Clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    key: Option<String>,
    agent: ureq::Agent,
}

impl Client {
    /// Nobody in particular, at an origin such as `http://127.0.0.1:8080`.
    pub fn new(base: impl Into<String>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections(AT_ONCE)
            .max_idle_connections_per_host(AT_ONCE)
            .timeout_global(Some(Duration::from_mins(2)))
            .build();
        Self { base: base.into(), key: None, agent: config.into() }
    }

    /// The same, with an API key.
    #[must_use]
    pub fn with_key(&self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self.clone() }
    }

    /// A request to an operation: its path is below the base path of the API.
    pub fn api(&self, method: &str, path: &str) -> Request {
        self.raw(method, &format!("{}{path}", wire::BASE_PATH))
    }

    /// A request to a path as it is.
    pub fn raw(&self, method: &str, path: &str) -> Request {
        let method = method.parse().expect("a method of HTTP");
        let url = format!("{}{path}", self.base);
        Request { client: self.clone(), method, url, headers: HeaderMap::new(), body: None }
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Answer {
        self.api("GET", path).send().await
    }

    /// Makes.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.api("POST", path).json(body).send().await
    }

    /// Changes.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.api("PUT", path).json(body).send().await
    }

    /// Acts.
    pub async fn patch(&self, path: &str) -> Answer {
        self.api("PATCH", path).send().await
    }

    /// Removes.
    pub async fn delete(&self, path: &str) -> Answer {
        self.api("DELETE", path).send().await
    }
}

/// A request that is being written.
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    client: Client,
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

impl Request {
    /// With a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().expect("a value of a header"));
        self
    }

    /// Waits as long as this for what it begins.
    pub fn wait(self, seconds: u64) -> Self {
        self.header("prefer", &format!("wait={seconds}"))
    }

    /// With a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// With a body.
    pub fn body(self, media: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: Some(body.into()), ..self.header("content-type", media) }
    }

    /// Sends it.
    pub async fn send(self) -> Answer {
        let _place = places().acquire().await.expect("nobody closes it");
        tokio::task::spawn_blocking(move || self.exchange()).await.expect("the exchange does not panic")
    }

    fn exchange(self) -> Answer {
        let Self { client, method, url, mut headers, body } = self;
        if let Some(key) = &client.key {
            headers.insert("x-api-key", key.parse().expect("a key is a header"));
        }
        let mut request = http::Request::builder().method(&method).uri(&url);
        *request.headers_mut().expect("the request is sound") = headers;
        let asked = format!("{method} {url}");
        let sent = match body {
            Some(body) => client.agent.run(request.body(body).expect("the request is sound")),
            None => client.agent.run(request.body(()).expect("the request is sound")),
        };
        let mut response = sent.unwrap_or_else(|error| panic!("{asked}: {error}"));
        let text = response.body_mut().with_config().limit(1 << 30).read_to_string();
        let text = text.unwrap_or_else(|error| panic!("{asked}: {error}"));
        Answer {
            asked,
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Method and URL, for messages.
    pub asked: String,
    pub status: u16,
    pub headers: HeaderMap,
    /// `null` when there was no JSON.
    pub body: Value,
    pub text: String,
}

impl Answer {
    /// The body of an answer that must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text);
        self.body
    }

    /// The body of an answer to what must have worked.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{}: {} {}", self.asked, self.status, self.text);
        self.body
    }

    /// The id of the object in an answer to what must have worked.
    #[track_caller]
    pub fn id(self) -> Id {
        let asked = self.asked.clone();
        let body = self.ok();
        body["id"].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{asked}: {body}"))
    }

    /// The reason of a refusal that must have this status.
    #[track_caller]
    pub fn refused(self, status: u16) -> String {
        let asked = self.asked.clone();
        let body = self.expect(status);
        body["reason"].as_str().unwrap_or_else(|| panic!("{asked}: no reason in {body}")).to_owned()
    }
}
