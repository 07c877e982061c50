//! A small HTTP server with answers good and bad.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a path is answered.
#[derive(Clone)]
pub(crate) enum Reply {
    Whole(Vec<u8>),
    /// Half of what it promises.
    Truncated(Vec<u8>),
    /// A piece at a time.
    Slow(Vec<u8>),
    /// Half of it, and then silence.
    Stuck(Vec<u8>),
    Redirect(String),
    Status(u16),
}

#[derive(Default)]
struct Paths {
    replies: BTreeMap<String, Reply>,
    requests: BTreeMap<String, usize>,
}

pub(crate) struct Server {
    address: std::net::SocketAddr,
    paths: Arc<Mutex<Paths>>,
}

impl Server {
    /// Listens until the process ends.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let paths = Arc::new(Mutex::new(Paths::default()));
        let shared = Arc::clone(&paths);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let paths = Arc::clone(&shared);
                std::thread::spawn(move || answer(stream, &paths));
            }
        });
        Self { address, paths }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Sets the answer of a path, and gives its URL.
    pub(crate) fn add(&self, path: &str, reply: Reply) -> String {
        self.paths.lock().unwrap().replies.insert(path.to_owned(), reply);
        self.url(path)
    }

    pub(crate) fn requests(&self, path: &str) -> usize {
        self.paths.lock().unwrap().requests.get(path).copied().unwrap_or_default()
    }
}

fn answer(mut stream: TcpStream, paths: &Mutex<Paths>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let request = lines.next().unwrap().unwrap();
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let path = request.split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
    let reply = {
        let mut paths = paths.lock().unwrap();
        *paths.requests.entry(path.clone()).or_default() += 1;
        paths.replies.get(&path).cloned().unwrap_or(Reply::Status(404))
    };
    let head = |status: &str, length: usize, more: &str| {
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{more}connection: close\r\n\r\n")
            .into_bytes()
    };
    // A client that goes away is what some tests are about.
    let _ = match reply {
        Reply::Whole(body) => stream.write_all(&[head("200 OK", body.len(), ""), body].concat()),
        Reply::Truncated(body) => {
            stream.write_all(&[&head("200 OK", body.len(), ""), &body[..body.len() / 2]].concat())
        }
        Reply::Slow(body) => stream.write_all(&head("200 OK", body.len(), "")).and_then(|()| {
            body.chunks(body.len() / 20).try_for_each(|part| {
                std::thread::sleep(Duration::from_millis(40));
                stream.write_all(part)
            })
        }),
        Reply::Stuck(body) => {
            let sent = stream.write_all(&[&head("200 OK", body.len(), ""), &body[..body.len() / 2]].concat());
            std::thread::sleep(Duration::from_mins(2));
            sent
        }
        Reply::Redirect(target) => {
            stream.write_all(&head("302 Found", 0, &format!("location: {target}\r\n")))
        }
        Reply::Status(status) => stream.write_all(&head(&format!("{status} No"), 0, "")),
    };
}
