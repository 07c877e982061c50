//! The way to a controller: TLS, retries, credentials, errors. A real HTTP server answers; what it
//! answers is made up per test, since nothing about objects is tested here.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;

use std::sync::Arc;
use std::time::Duration;

use freehold_cli::client::{Client, Method, Request, Retry, Wait};
use freehold_cli::context::{Authority, Connection, Credential};
use freehold_cli::directory::{Directory, Scope};
use freehold_cli::error::{Error, Failure};
use freehold_cli::kind::find;
use freehold_cli::object::Object;
use freehold_cli::terminal::Terminal;
use serde_json::{Value, json};
use server::{Answer, Server};

/// A terminal whose standard error can be read.
#[derive(Clone, Default)]
struct Screen(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Screen {
    fn terminal(&self) -> Terminal {
        Terminal::plain(
            Box::new(self.clone()),
            Box::new(self.clone()),
            Box::new(std::io::empty()),
            false,
            true,
        )
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

const QUICK: Retry = Retry { again: 3, first: Duration::from_millis(1), longest: Duration::from_millis(20) };

fn connection(url: &str) -> Connection {
    let key = Credential::ApiKey("the-secret-key".to_owned().into());
    Connection { url: url.to_owned(), authority: None, credential: Some(key) }
}

fn told(error: &Error) -> String {
    let mut stream = anstream::StripStream::new(Vec::new());
    error.tell(&mut stream).unwrap();
    String::from_utf8(stream.into_inner()).unwrap()
}

/// Sends one request to a server that answers with these, the last one for ever.
fn exchange(request: &Request, answers: Vec<Answer>) -> (Result<(u16, Value), Error>, Server, String) {
    let server = Server::start(answers);
    let screen = Screen::default();
    let terminal = screen.terminal();
    let client = Client::new(&connection(&server.url()), &terminal).unwrap().with_retry(QUICK);
    let outcome = client.send(request).map(|answer| (answer.status, answer.body));
    (outcome, server, screen.text())
}

#[test]
fn an_answer_is_read() {
    let request =
        Request::new(Method::Post, "/project/1/record").query("a b", "c&d").body(json!({ "name": "x" }));
    let (outcome, server, _) = exchange(
        &request.wait(Wait::UpTo(Duration::from_secs(90))),
        vec![Answer::json(201, &json!({ "id": "7" }))],
    );
    assert_eq!(outcome.unwrap(), (201, json!({ "id": "7" })));
    let seen = &server.requests()[0];
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("POST", "/api/v1/project/1/record?a%20b=c%26d")
    );
    assert_eq!(seen.body, r#"{"name":"x"}"#);
    assert_eq!(seen.header("x-api-key"), Some("the-secret-key"));
    assert_eq!(seen.header("prefer"), Some("wait=90"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
}

#[test]
fn sessions_travel_as_bearer_tokens_and_nothing_else_is_said() {
    let server = Server::start(vec![Answer::empty(204)]);
    let terminal = Screen::default().terminal();
    let session = Credential::Session { email: "a@b".to_owned(), token: "jwt".to_owned().into() };
    let connection = Connection { credential: Some(session), ..connection(&server.url()) };
    let client = Client::new(&connection, &terminal).unwrap();
    client.send(&Request::new(Method::Post, "/logout")).unwrap();
    client.send(&Request::new(Method::Delete, "/team/1").wait(Wait::No)).unwrap();
    let seen = server.requests();
    assert_eq!(seen[0].header("authorization"), Some("Bearer jwt"));
    assert_eq!((seen[0].header("x-api-key"), seen[0].header("prefer")), (None, None));
    assert_eq!(seen[1].header("prefer"), Some("respond-async, wait=0"));
}

#[test]
fn the_trace_shows_requests_and_no_secret() {
    let answers =
        vec![Answer::refusal(503, "busy").header("retry-after", "0"), Answer::json(200, &json!([]))];
    let (outcome, server, screen) = exchange(&Request::get("/region"), answers);
    outcome.unwrap();
    let trace = screen.replace(&server.url(), "URL");
    let trace: String =
        trace.lines().map(|line| line.split(" in ").next().unwrap().to_owned() + "\n").collect();
    insta::assert_snapshot!(trace, @r"
    > GET URL/api/v1/region
    < 503
      trying again
    > GET URL/api/v1/region
    < 200
    ");
    assert!(!screen.contains("the-secret-key"));
}

#[test]
fn what_may_be_repeated_is_repeated_until_patience_ends() {
    for (method, tries) in
        [(Method::Get, 4), (Method::Put, 4), (Method::Delete, 4), (Method::Post, 1), (Method::Patch, 1)]
    {
        for status in [502, 503] {
            let (outcome, server, _) =
                exchange(&Request::new(method, "/zone/1"), vec![Answer::refusal(status, "busy")]);
            assert_eq!(outcome.unwrap_err().failure(), Failure::Unreachable);
            assert_eq!(server.requests().len(), tries, "{method:?} {status}");
        }
    }
}

#[test]
fn a_repeated_deletion_that_finds_nothing_has_succeeded() {
    let delete = Request::new(Method::Delete, "/zone/1");
    let gone = Answer::refusal(404, "there is no zone 1");
    let (outcome, ..) = exchange(&delete, vec![Answer::refusal(502, ""), gone.clone()]);
    assert_eq!(outcome.unwrap().0, 200);
    let (outcome, ..) = exchange(&delete, vec![gone]);
    assert_eq!(outcome.unwrap_err().failure(), Failure::NotFound);
}

#[test]
fn a_dropped_connection_is_made_again() {
    let (outcome, server, _) =
        exchange(&Request::get("/zone"), vec![Answer::hang_up(), Answer::json(200, &json!([]))]);
    assert_eq!(outcome.unwrap().0, 200);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn refusals_are_classes_of_failure() {
    for (status, failure) in [
        (400, Failure::Invalid),
        (401, Failure::Denied),
        (403, Failure::Denied),
        (404, Failure::NotFound),
        (409, Failure::Conflict),
        (422, Failure::Invalid),
        (429, Failure::General),
        (500, Failure::General),
        (504, Failure::TimedOut),
        (507, Failure::NoRoom),
    ] {
        let (outcome, server, _) = exchange(
            &Request::get("/zone"),
            vec![Answer::refusal(status, "because").header("x-request-id", "r7")],
        );
        let error = outcome.unwrap_err();
        assert_eq!((error.failure(), error.to_string().as_str()), (failure, "because"), "{status}");
        assert_eq!(told(&error).contains("r7"), matches!(status, 500 | 504), "{status}");
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[test]
fn what_is_no_controller_is_told() {
    let (outcome, server, _) = exchange(&Request::get("/zone"), vec![Answer::text(200, "<html>")]);
    let text = told(&outcome.unwrap_err()).replace(&server.url(), "URL");
    insta::assert_snapshot!(text, @r"
    error: URL answered GET /api/v1/zone with something that is not JSON: expected value at line 1 column 1
    hint: check that URL is a Freehold controller
    ");
    let (outcome, server, _) = exchange(&Request::get("/zone"), vec![Answer::text(404, "not here")]);
    let text = told(&outcome.unwrap_err()).replace(&server.url(), "URL");
    insta::assert_snapshot!(text, @r"
    error: the server answered 404 to GET /api/v1/zone, without saying why
    hint: check that URL is a Freehold controller
    ");
}

#[test]
fn redirects_are_not_followed() {
    let elsewhere = Server::start(vec![Answer::json(200, &json!([]))]);
    let answer = Answer::empty(302).header("location", &elsewhere.url());
    let (outcome, ..) = exchange(&Request::get("/zone"), vec![answer]);
    assert!(outcome.is_err());
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn a_controller_that_is_not_there_is_told() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let terminal = Screen::default().terminal();
    let client = Client::new(&connection(&format!("http://{address}")), &terminal).unwrap().with_retry(QUICK);
    let error = client.get("/zone").unwrap_err();
    assert_eq!(error.failure(), Failure::Unreachable);
    assert!(told(&error).starts_with(&format!("error: cannot reach http://{address}: ")), "{}", told(&error));
}

#[test]
fn only_the_given_authority_is_trusted() {
    let (server, pem) = Server::start_tls(vec![Answer::json(200, &json!([]))]);
    let terminal = Screen::default().terminal();
    let ask = |authority: Option<Authority>| {
        let connection = Connection { authority, ..connection(&server.url()) };
        Client::new(&connection, &terminal).unwrap().with_retry(QUICK).get("/zone")
    };
    assert_eq!(ask(Some(Authority::Pem(pem.clone()))).unwrap(), json!([]));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &pem).unwrap();
    assert_eq!(ask(Some(Authority::File(file.path().to_owned()))).unwrap(), json!([]));
    let (_other, other_pem) = Server::start_tls(Vec::new());
    for authority in [None, Some(Authority::Pem(other_pem))] {
        let error = ask(authority).unwrap_err();
        assert_eq!(error.failure(), Failure::Unreachable);
        assert!(
            told(&error).contains("is not trusted") && told(&error).contains("--ca-file"),
            "{}",
            told(&error)
        );
    }
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn an_authority_that_cannot_be_read_is_told() {
    let terminal = Screen::default().terminal();
    let told_of = |authority: Authority| {
        let connection = Connection { authority: Some(authority), ..connection("https://cloud") };
        told(&Client::new(&connection, &terminal).unwrap_err())
    };
    assert!(told_of(Authority::File("/nonexistent/ca.pem".into())).contains("/nonexistent/ca.pem"));
    assert!(told_of(Authority::Pem("no certificate".to_owned())).contains("holds no certificate"));
}

#[test]
fn credentials_in_clear_are_warned_of() {
    let screen = Screen::default();
    let terminal = screen.terminal();
    let _client = Client::new(&connection("http://192.0.2.1"), &terminal).unwrap();
    assert_eq!(screen.text(), "warning: credentials travel unencrypted to http://192.0.2.1; use https\n");
}

#[test]
fn a_list_is_read_in_bulk_or_one_by_one() {
    let objects = [("000000000000000000000001", "b"), ("000000000000000000000002", "a")];
    let object = |(id, name): (&str, &str)| json!({ "id": id, "name": name });
    for bulk in [true, false] {
        let server = Server::serve(move |seen| match seen.target.strip_prefix("/api/v1/region") {
            Some("?expand=true") if bulk => Answer::json(200, &json!(objects.map(object))),
            Some("?expand=true") => {
                Answer::json(200, &json!(["000000000000000000000001", "gone", objects[1].0]))
            }
            Some(one) => match objects.iter().find(|(id, _)| one.ends_with(id)) {
                Some(found) => Answer::json(200, &object(*found)),
                None => Answer::refusal(404, "gone"),
            },
            None => Answer::refusal(404, "no such path"),
        });
        let terminal = Screen::default().terminal();
        let client = Client::new(&connection(&server.url()), &terminal).unwrap();
        let directory = Directory::new(&client);
        for _ in 0..2 {
            let regions = directory.list(find("region").unwrap(), &Scope::EMPTY).unwrap();
            assert_eq!(regions.iter().map(Object::name).collect::<Vec<_>>(), ["a", "b"]);
        }
        assert_eq!(server.requests().len(), if bulk { 1 } else { 4 });
    }
}

/// A controller that a member of a project sees: no region is theirs, and lists hold ids only.
fn controller_of_a_member() -> Server {
    const PROJECT: &str = "00000000000000000000000a";
    const GATEWAY: &str = "00000000000000000000000b";
    const CONNECTION: &str = "00000000000000000000000c";
    const RECORD: &str = "00000000000000000000000d";
    Server::serve(|seen| {
        let path = seen.target.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = path.trim_start_matches("/api/v1/").split('/').collect();
        let named = |id: &str, name: &str| Answer::json(200, &json!({ "id": id, "name": name }));
        match parts.as_slice() {
            ["region", ..] => Answer::refusal(403, "for operators"),
            ["project"] => Answer::json(200, &json!([PROJECT])),
            ["project", PROJECT] => named(PROJECT, "shop"),
            ["project", PROJECT, "records"] => Answer::json(200, &json!([RECORD])),
            ["record", RECORD] => named(RECORD, "www"),
            ["kawaii"] => Answer::json(200, &json!([GATEWAY])),
            ["kawaii", GATEWAY] => named(GATEWAY, "way-out"),
            ["kawaii", GATEWAY, "ipsec"] => Answer::json(200, &json!([CONNECTION])),
            ["kawaii", GATEWAY, "ipsec", CONNECTION] => named(CONNECTION, "office"),
            _ => Answer::refusal(404, "no such path"),
        }
    })
}

#[test]
fn kinds_without_a_collection_are_found_through_their_parents() {
    let server = controller_of_a_member();
    let terminal = Screen::default().terminal();
    let client = Client::new(&connection(&server.url()), &terminal).unwrap();
    let (records, connections) = (find("dns-record").unwrap(), find("ipsec-connection").unwrap());
    let directory = Directory::new(&client);
    let found = directory.list(records, &Scope::EMPTY).unwrap();
    assert_eq!(found.iter().map(Object::name).collect::<Vec<_>>(), ["www"]);
    let refused = directory.list(records, &Scope::of([("region", "paris")])).unwrap_err();
    assert_eq!(refused.failure(), Failure::Denied);
    // By id alone, before its list was read, and by name.
    for text in ["00000000000000000000000c", "office"] {
        let directory = Directory::new(&client);
        let object = directory.find(connections, text, &Scope::EMPTY).unwrap();
        assert_eq!(
            directory.path_of(connections, object.id()).unwrap(),
            "/kawaii/00000000000000000000000b/ipsec/00000000000000000000000c"
        );
    }
    let missing = directory.path_of(connections, "00000000000000000000000e").unwrap_err();
    assert_eq!(missing.failure(), Failure::NotFound);
}
