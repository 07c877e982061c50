//! Sends what waits in the outbox.
//!
//! *Expected flow:* woken by commits that touch a mail and by the time of the next try, it reads the outbox
//! anew, sends what is due, a few at a time, and notes how it went. *Guarantees:* a mail is tried until it is
//! sent or too old, across restarts; a mail server that is down loses nothing and holds up nobody; no error
//! tells what a mail says. *Caveats:* a mail that was sent just before a crash is sent again, under the same
//! `Message-ID`.

mod message;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use freehold_kinds::mail::{Mail, MailState, MailStatus};
use freehold_runtime::Supervisor;
use freehold_store::{Actor, Entity, Event, Object, Snapshot, Store, Transaction, Watch};
use freehold_types::{Id, Timestamp};
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tokio::task::JoinSet;

use crate::config::{MailPace, SmtpConfig, SmtpSecurity};

/// Mails that are sent at a time.
const AT_ONCE: usize = 4;
/// How long to rest when the outcome of a try cannot be noted.
const UNNOTED: Duration = Duration::from_secs(5);
/// The longest sleep; time that was set back is noticed after it.
const LONGEST_SLEEP: Duration = Duration::from_mins(10);

/// Why mails cannot be sent as configured.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    #[error(
        "the sender of mails, `{from}`, is no mail address; write one such as `Freehold <cloud@example.org>`"
    )]
    Sender { from: String, source: lettre::address::AddressError },
    #[error("the name of the mail server, `{host}`, cannot be used for TLS")]
    Host { host: String, source: lettre::transport::smtp::Error },
}

/// Sends single mails; clones share it.
#[derive(Debug, Clone)]
struct Mailer {
    store: Store,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Arc<Mailbox>,
    pace: MailPace,
}

/// Starts the task.
pub(crate) fn start(store: &Store, config: &SmtpConfig, supervisor: &Supervisor) -> Result<(), MailerError> {
    let from =
        config.from.parse().map_err(|source| MailerError::Sender { from: config.from.clone(), source })?;
    let mailer = Mailer {
        store: store.clone(),
        transport: transport(config)?,
        from: Arc::new(from),
        pace: config.pace,
    };
    supervisor.keep_until_stop("mailer", move || {
        let mailer = mailer.clone();
        async move { mailer.run().await }
    });
    Ok(())
}

fn transport(config: &SmtpConfig) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailerError> {
    let parameters = || {
        TlsParameters::new(config.host.clone())
            .map_err(|source| MailerError::Host { host: config.host.clone(), source })
    };
    let tls = match config.security {
        SmtpSecurity::StartTls => Tls::Required(parameters()?),
        SmtpSecurity::Tls => Tls::Wrapper(parameters()?),
        SmtpSecurity::None => Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
        .port(config.port)
        .tls(tls)
        .timeout(Some(config.pace.patience));
    if let (Some(username), Some(password)) = (&config.username, &config.password) {
        builder = builder.credentials(Credentials::new(username.clone(), password.expose().clone()));
    }
    Ok(builder.build())
}

impl Mailer {
    async fn run(&self) {
        let mut watch = self.store.watch(None);
        let mut under_way: BTreeSet<Id> = BTreeSet::new();
        let mut sending: JoinSet<Id> = JoinSet::new();
        loop {
            let (snapshot, now) = (self.store.snapshot(), Timestamp::now());
            for mail in waiting(&snapshot).filter(|mail| is_due(mail, now)) {
                if sending.len() < AT_ONCE && under_way.insert(mail.id()) {
                    let (mailer, mail) = (self.clone(), mail.clone());
                    sending.spawn(async move { mailer.attempt(&mail).await });
                }
            }
            let next = waiting(&snapshot)
                .filter(|mail| !under_way.contains(&mail.id()))
                .map(|mail| mail.status.next_attempt.unwrap_or(now).since(now))
                .min();
            // What is due and finds no place waits for one that ends.
            let sleep = if sending.len() < AT_ONCE { next.unwrap_or(LONGEST_SLEEP) } else { LONGEST_SLEEP };
            tokio::select! {
                touched = touched(&mut watch) => if !touched { return },
                Some(ended) = sending.join_next() => match ended {
                    Ok(id) => drop(under_way.remove(&id)),
                    // The task is started again, and reads everything anew.
                    Err(error) => return tracing::error!(%error, "a mail could not be handled"),
                },
                () = tokio::time::sleep(sleep.min(LONGEST_SLEEP)) => {}
            }
        }
    }

    /// Tries to send a mail, and notes how it went.
    async fn attempt(&self, mail: &Object<Mail>) -> Id {
        let outcome = self.send(mail).await;
        if let Err(failure) = &outcome {
            tracing::warn!(mail = %mail.id(), reason = %failure.reason, "a mail could not be sent");
        }
        let (id, pace) = (mail.id(), self.pace);
        let plan = move |snapshot: &Snapshot| {
            let mut transaction = Transaction::default();
            if let Some(mail) = snapshot.get::<Mail>(id) {
                transaction.observe(mail, after(mail, &outcome, &pace, Timestamp::now(), rand::random()));
            }
            Ok::<_, ()>((transaction, ()))
        };
        if let Err(error) = self.store.transact(Actor::internal("mailer", "a try to send"), plan).await {
            tracing::error!(mail = %id, %error, "the outcome of a mail cannot be noted; it may be sent again");
            tokio::time::sleep(UNNOTED).await;
        }
        id
    }

    async fn send(&self, mail: &Object<Mail>) -> Result<(), Failure> {
        let text = mail.spec.text.expose();
        let message = message::compose(mail.id(), &mail.spec, &self.from)
            .map_err(|reason| Failure { reason: message::reason(&reason, text), is_final: true })?;
        let failed = |reason: &str| Failure { reason: message::reason(reason, text), is_final: false };
        match tokio::time::timeout(self.pace.patience, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(failed(&error.to_string())),
            Err(_) => Err(failed("the mail server took too long to answer")),
        }
    }
}

/// Why a mail was not sent, in words that may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    reason: String,
    /// Whether trying again cannot help.
    is_final: bool,
}

/// Waits for a commit that touches a mail. `false` when the store has closed.
async fn touched(watch: &mut Watch) -> bool {
    while let Some(event) = watch.next().await {
        match event {
            Event::Reset(_) => return true,
            Event::Commit(commit, _) if commit.changes.iter().any(|change| change.key.kind == Mail::KIND) => {
                return true;
            }
            Event::Commit(..) => {}
        }
    }
    false
}

/// The mails that are to be sent, oldest first.
fn waiting(snapshot: &Snapshot) -> impl Iterator<Item = &Object<Mail>> {
    snapshot.all::<Mail>().filter(|mail| mail.spec.to.is_some() && mail.status.state == MailState::Queued)
}

fn is_due(mail: &Object<Mail>, now: Timestamp) -> bool {
    mail.status.next_attempt.is_none_or(|next| next <= now)
}

/// What is known of a mail after a try. `luck`, from 0 to 1, spreads the tries of mails that failed together.
fn after(
    mail: &Object<Mail>,
    outcome: &Result<(), Failure>,
    pace: &MailPace,
    now: Timestamp,
    luck: f64,
) -> MailStatus {
    let attempts = mail.status.attempts.saturating_add(1);
    match outcome {
        Ok(()) => MailStatus { state: MailState::Sent, attempts, next_attempt: None, error: None },
        Err(failure) => {
            let error = Some(failure.reason.clone());
            if failure.is_final || now.since(mail.meta.created_at) >= pace.give_up {
                return MailStatus { state: MailState::Failed, attempts, next_attempt: None, error };
            }
            let wait = pace.first.saturating_mul(1 << (attempts - 1).min(20)).min(pace.most);
            let next_attempt = Some(now + wait / 2 + (wait / 2).mul_f64(luck));
            MailStatus { state: MailState::Queued, attempts, next_attempt, error }
        }
    }
}

#[cfg(test)]
mod tests {
    use freehold_types::Secret;

    use super::*;

    fn tried(mail: &mut Object<Mail>, age: Duration, outcome: &Result<(), Failure>) -> MailStatus {
        let now = mail.meta.created_at + age;
        mail.status = after(mail, outcome, &MailPace::default(), now, 1.0);
        mail.status.clone()
    }

    #[test]
    fn tries_become_rarer_until_a_mail_is_too_old() {
        let text = Secret::new("x".to_owned());
        let spec = Mail { to: Some("a@example.org".to_owned()), subject: "s".to_owned(), text };
        let created = Timestamp::from_millis(1_800_000_000_000);
        let mut mail = Object::new(Id::from_u64(1), spec, created);
        let failed = Err(Failure { reason: "down".to_owned(), is_final: false });
        for seconds in [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600] {
            let status = tried(&mut mail, Duration::ZERO, &failed);
            assert_eq!(status.state, MailState::Queued);
            assert_eq!(status.next_attempt, Some(created + Duration::from_secs(seconds)));
        }
        let status = tried(&mut mail, Duration::from_hours(72), &failed);
        assert_eq!(
            (status.state, status.attempts, status.error),
            (MailState::Failed, 12, Some("down".to_owned()))
        );
        let sent = tried(&mut mail, Duration::ZERO, &Ok(()));
        assert_eq!((sent.state, sent.next_attempt, sent.error), (MailState::Sent, None, None));
        let hopeless = Err(Failure { reason: "no address".to_owned(), is_final: true });
        assert_eq!(tried(&mut mail, Duration::ZERO, &hopeless).state, MailState::Failed);
    }
}
