//! Turns commits into marks: which sessions must look at which objects again.

use freehold_kinds::agent::Agent;
use freehold_kinds::slice;
use freehold_kinds::token::{Owner, Token};
use freehold_runtime::Supervisor;
use freehold_store::{AnyObject, Change, Event, Snapshot};
use freehold_types::Id;

use super::Hub;

/// Starts the task.
pub(crate) fn start(hub: &Hub, supervisor: &Supervisor) {
    let hub = hub.clone();
    supervisor.keep_until_stop("dispatcher", move || {
        let hub = hub.clone();
        async move { run(&hub).await }
    });
}

async fn run(hub: &Hub) {
    let mut watch = hub.0.store.watch(None);
    while let Some(event) = watch.next().await {
        match event {
            // What was missed is unknown, so every session starts over, which is always correct.
            Event::Reset(_) => hub.agents().into_iter().for_each(|agent| hub.end(agent)),
            Event::Commit(commit, snapshot) => {
                for change in &commit.changes {
                    mark(hub, change, &snapshot);
                }
            }
        }
    }
}

fn mark(hub: &Hub, change: &Change, snapshot: &Snapshot) {
    if let Some(agent) = revoked(change) {
        hub.end(agent);
    }
    for key in slice::affected(change, snapshot) {
        let mut agents = slice::holders(key, snapshot);
        if key == change.key
            && let Some(before) = &change.before
        {
            agents.extend(slice::named_agents(before.as_ref(), snapshot));
        }
        hub.mark(key, &agents);
    }
}

/// The agent whose key was changed or taken away, or that was removed itself.
fn revoked(change: &Change) -> Option<Id> {
    let token = |object: &dyn AnyObject| object.downcast::<Token>().map(|token| token.spec.clone());
    if change.key.kind == <Agent as freehold_store::Entity>::KIND && change.after.is_none() {
        return Some(change.key.id);
    }
    let before = token(change.before.as_deref()?)?;
    let after = change.after.as_deref().and_then(token);
    match before.owner {
        Owner::Agent(agent) if after.is_none_or(|after| after.digest != before.digest) => Some(agent),
        Owner::Agent(_) | Owner::User(_) => None,
    }
}
