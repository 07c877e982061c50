//! Clears away what has had its time: sessions that ended, links and plans that expired, mails that were
//! handled long ago, and old lines of the change log.
//!
//! Nothing depends on it: whatever it has not removed yet does not count any more either.

use std::time::Duration;

use freehold_kinds::mail::{Mail, MailState};
use freehold_kinds::migration::Plan;
use freehold_kinds::session::Session;
use freehold_kinds::user::{Ticket, User};
use freehold_runtime::Supervisor;
use freehold_store::{Actor, CommitError, Snapshot, Store, Transaction};
use freehold_types::Timestamp;

/// When it first looks, and how often after that; up to a quarter more by chance.
const FIRST: Duration = Duration::from_mins(1);
const EVERY: Duration = Duration::from_hours(1);
/// How long mails are kept for the operator to read.
const KEEP_SENT: Duration = Duration::from_hours(7 * 24);
const KEEP_FAILED: Duration = Duration::from_hours(30 * 24);
/// Objects cleared away in one transaction, so that writers do not wait long.
const PIECE: usize = 200;

/// Starts the task.
pub(crate) fn start(store: &Store, keep_log: Duration, supervisor: &Supervisor) {
    let store = store.clone();
    supervisor.keep_until_stop("housekeeping", move || {
        let store = store.clone();
        async move { run(&store, keep_log).await }
    });
}

async fn run(store: &Store, keep_log: Duration) {
    let mut rest = FIRST;
    loop {
        tokio::time::sleep(rest + (rest / 4).mul_f64(rand::random::<f64>())).await;
        if let Err(error) = clear(store, keep_log).await {
            tracing::warn!(%error, "what is old could not be cleared away; it is tried again later");
        }
        rest = EVERY;
    }
}

async fn clear(store: &Store, keep_log: Duration) -> Result<(), CommitError> {
    let now = Timestamp::now();
    loop {
        let plan = move |snapshot: &Snapshot| {
            let transaction = outdated(snapshot, now);
            let done = transaction.is_empty();
            Ok::<_, ()>((transaction, done))
        };
        let cleared = store.transact(Actor::internal("housekeeping", "it has had its time"), plan).await?;
        if cleared.is_ok_and(|(done, _)| done) {
            break;
        }
    }
    let keep = u64::try_from(keep_log.as_millis()).unwrap_or(u64::MAX);
    store.trim_log(Timestamp::from_millis(now.as_millis().saturating_sub(keep))).await
}

/// Removes a piece of what has had its time; empty when nothing has.
fn outdated(snapshot: &Snapshot, now: Timestamp) -> Transaction {
    let mut transaction = Transaction::default();
    let sessions = snapshot.all::<Session>().filter(|session| session.spec.expires_at <= now);
    sessions.take(PIECE).for_each(|session| transaction.delete(session));
    let plans = snapshot.all::<Plan>().filter(|plan| plan.spec.expires_at <= now);
    plans.take(PIECE).for_each(|plan| transaction.delete(plan));
    let mails = snapshot.all::<Mail>().filter(|mail| {
        let age = now.since(mail.meta.created_at);
        match mail.status.state {
            MailState::Queued => false,
            MailState::Sent => age >= KEEP_SENT,
            MailState::Failed => age >= KEEP_FAILED,
        }
    });
    mails.take(PIECE).for_each(|mail| transaction.delete(mail));
    let open = |ticket: &Ticket| ticket.is_open(now);
    for user in snapshot.all::<User>() {
        let (confirmation, renewal) = (user.spec.confirmation.clone(), user.spec.renewal.clone());
        let (confirmation, renewal) = (confirmation.filter(open), renewal.filter(open));
        if (&confirmation, &renewal) != (&user.spec.confirmation, &user.spec.renewal) {
            transaction.update(user, User { confirmation, renewal, ..user.spec.clone() });
        }
    }
    transaction
}

#[cfg(test)]
mod tests {
    use freehold_kinds::mail::MailStatus;
    use freehold_kinds::registry;
    use freehold_store::{Entity, LogQuery, Memory, Object};
    use freehold_types::wire::Role;
    use freehold_types::{Id, Secret};

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn ago(days: u32) -> Timestamp {
        let days = u64::try_from((DAY * days).as_millis()).unwrap();
        Timestamp::from_millis(Timestamp::now().as_millis() - days)
    }

    async fn put<E: Entity>(store: &Store, object: Object<E>) -> Id {
        let (id, mut transaction) = (object.id(), Transaction::default());
        transaction.put(object);
        store.commit(transaction, Actor::internal("test", "")).await.unwrap();
        id
    }

    fn mail(state: MailState, days: u32) -> Object<Mail> {
        let spec = Mail { to: None, subject: "s".to_owned(), text: Secret::new("t".to_owned()) };
        let mut mail = Object::new(Id::generate(), spec, ago(days));
        mail.status = MailStatus { state, ..MailStatus::default() };
        mail
    }

    #[tokio::test]
    async fn what_has_had_its_time_goes_and_the_rest_stays() {
        let store = Store::open(Memory::default(), registry::store_registry()).unwrap();
        let (old, open) = (Ticket::issue(DAY, ago(2)).0, Ticket::issue(DAY, Timestamp::now()).0);
        let spec = User {
            name: "alice".to_owned(),
            description: None,
            email: "alice@example.org".to_owned(),
            role: Role::User,
            notifications: false,
            enabled: false,
            password: None,
            confirmation: Some(old),
            renewal: Some(open.clone()),
        };
        let user = put(&store, Object::new(Id::generate(), spec, ago(2))).await;
        for expires_at in [ago(1), Timestamp::now() + DAY] {
            put(&store, Object::new(Id::generate(), Session { user, expires_at }, ago(2))).await;
        }
        for expires_at in [ago(1), Timestamp::now() + DAY] {
            let plan = Plan { instance: user, source: user, target: user, live: true, expires_at };
            put(&store, Object::new(Id::generate(), plan, ago(1))).await;
        }
        for (state, days) in [
            (MailState::Sent, 8),
            (MailState::Sent, 6),
            (MailState::Failed, 31),
            (MailState::Failed, 29),
            (MailState::Queued, 99),
        ] {
            put(&store, mail(state, days)).await;
        }
        clear(&store, DAY).await.unwrap();
        let snapshot = store.snapshot();
        assert_eq!((snapshot.count::<Session>(), snapshot.count::<Mail>()), (1, 3));
        assert_eq!(snapshot.count::<Plan>(), 1);
        let user = snapshot.get::<User>(user).unwrap();
        assert_eq!((&user.spec.confirmation, &user.spec.renewal), (&None, &Some(open)));
        assert!(outdated(&snapshot, Timestamp::now()).is_empty());
        assert!(!store.log(LogQuery::default()).await.unwrap().is_empty());
        // Lines of this very millisecond would stay.
        tokio::time::sleep(Duration::from_millis(5)).await;
        clear(&store, Duration::ZERO).await.unwrap();
        assert!(store.log(LogQuery::default()).await.unwrap().is_empty());
    }
}
