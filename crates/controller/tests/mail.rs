//! The outbox against a mail server that speaks SMTP (RFC 5321) over a real socket.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop where it fails")]

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use freehold_controller::{ControllerConfig, MailPace, SmtpConfig, SmtpSecurity};
use freehold_kinds::mail::{Mail, MailState};
use freehold_store::{Actor, Object, Transaction};
use freehold_testkit::{Cluster, Medium};
use freehold_types::{Id, Secret, Timestamp};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A mail server. It answers recipients with what is in its list, and then with consent.
#[derive(Debug, Clone, Default)]
struct Server {
    refusals: Arc<Mutex<VecDeque<&'static str>>>,
    received: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn serve(self, listener: TcpListener) {
        let mut conversations = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            conversations.spawn(self.clone().converse(stream));
        }
    }

    async fn converse(self, stream: TcpStream) -> std::io::Result<()> {
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        writer.write_all(b"220 mail.test ready\r\n").await?;
        while let Some(line) = lines.next_line().await? {
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            let answer = match verb.as_str() {
                "EHLO" => "250-mail.test\r\n250 8BITMIME",
                "RCPT" => self.refusals.lock().unwrap().pop_front().unwrap_or("250 ok"),
                "DATA" => {
                    writer.write_all(b"354 go on\r\n").await?;
                    let mut text = String::new();
                    while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                        text.push_str(&line);
                        text.push('\n');
                    }
                    self.received.lock().unwrap().push(text);
                    "250 taken"
                }
                "QUIT" => "221 bye",
                _ => "250 ok",
            };
            writer.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
        Ok(())
    }
}

fn config(server: SocketAddr, give_up: Duration) -> ControllerConfig {
    let pace = MailPace {
        first: Duration::from_millis(50),
        most: Duration::from_millis(100),
        give_up,
        patience: Duration::from_secs(5),
    };
    let smtp = SmtpConfig::new(server.ip().to_string(), "Freehold <cloud@example.org>");
    let smtp = SmtpConfig { port: server.port(), security: SmtpSecurity::None, pace, ..smtp };
    ControllerConfig { smtp: Some(smtp), ..ControllerConfig::default() }
}

async fn queue(cluster: &Cluster, to: Option<&str>, text: &str) -> Id {
    let id = Id::generate();
    let text = Secret::new(text.to_owned());
    let mail = Mail { to: to.map(str::to_owned), subject: "News".to_owned(), text };
    let mut transaction = Transaction::default();
    transaction.create(id, mail, Timestamp::now());
    let store = cluster.controller().store();
    store.commit(transaction, Actor::internal("test", "")).await.expect("the mail is queued");
    id
}

async fn until(cluster: &Cluster, id: Id, state: MailState) -> Object<Mail> {
    let is = |mail: &Object<Mail>| mail.status.state == state;
    let snapshot =
        cluster.until("a mail comes to its end", |snapshot| snapshot.get::<Mail>(id).is_some_and(is)).await;
    snapshot.get::<Mail>(id).expect("the mail is there").clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_are_sent_once_and_refused_ones_again() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (server, mut tasks) = (Server::default(), JoinSet::new());
    let config = config(listener.local_addr().unwrap(), Duration::from_hours(1));
    tasks.spawn(server.clone().serve(listener));
    let cluster = Cluster::with(Medium::memory(), config).await;

    let path = "/user";
    let body = json!({ "name": "alice", "email": "alice@example.org", "role": "user" });
    cluster.operator().post(path, &body).await.expect(201);
    let snapshot = cluster
        .until("the welcome is sent", |snapshot| {
            snapshot.all::<Mail>().any(|mail| mail.status.state == MailState::Sent)
        })
        .await;
    let welcome = snapshot.all::<Mail>().next().expect("there is one mail");
    let received = server.received.lock().unwrap().clone();
    assert_eq!(received.len(), 1);
    assert!(received[0].contains("To: alice@example.org"), "{}", received[0]);
    assert!(received[0].contains(&format!("Message-ID: <{}@example.org>", welcome.id())));

    server.refusals.lock().unwrap().extend(["451 come back later", "451 later still"]);
    let late = queue(&cluster, Some("bob@example.org"), "a text").await;
    let late = until(&cluster, late, MailState::Sent).await;
    assert_eq!((late.status.attempts, late.status.error), (3, None));
    assert_eq!(server.received.lock().unwrap().len(), 2);

    let unaddressed = queue(&cluster, None, "for the operator").await;
    let nonsense = queue(&cluster, Some("nobody at all"), "a text").await;
    let failed = until(&cluster, nonsense, MailState::Failed).await;
    assert!(failed.status.error.is_some_and(|error| error.contains("no mail address")));
    let snapshot = cluster.snapshot();
    let kept = snapshot.get::<Mail>(unaddressed).expect("it stays");
    assert_eq!((kept.status.state, kept.status.attempts), (MailState::Queued, 0));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_repeats_the_mail_gives_nothing_away() {
    const KEY: &str = "q7VwXz2LkRt9BnMd4HsPc6JfGy8TaEu3";
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (server, mut tasks) = (Server::default(), JoinSet::new());
    let config = config(listener.local_addr().unwrap(), Duration::ZERO);
    server.refusals.lock().unwrap().push_back("550 not q7VwXz2LkRt9BnMd4HsPc6JfGy8TaEu3 please");
    tasks.spawn(server.serve(listener));
    let cluster = Cluster::with(Medium::memory(), config).await;
    let id = queue(&cluster, Some("bob@example.org"), &format!("Your key is {KEY}.\n    {KEY}\n")).await;
    let failed = until(&cluster, id, MailState::Failed).await;
    let error = failed.status.error.expect("a reason");
    assert!(!error.contains(KEY) && error.contains("refused"), "{error}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_holds_up_nobody() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let cluster = Cluster::with(Medium::memory(), config(address, Duration::from_secs(1))).await;
    let mut mails = Vec::new();
    for number in 0..20 {
        mails.push(queue(&cluster, Some("bob@example.org"), &format!("text {number}")).await);
    }
    cluster.operator().get("/user").await.expect(200);
    for id in mails {
        let failed = until(&cluster, id, MailState::Failed).await;
        assert!(failed.status.attempts > 1 && failed.status.error.is_some(), "{:?}", failed.status);
    }
    cluster.stop().await;
}
