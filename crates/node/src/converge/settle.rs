//! How the loop takes in slices, events and results, and whom it wakes for them.

use std::sync::Arc;
use std::time::Duration;

use freehold_types::agent::{Desired, Detail, ObjectKey, ObjectKind, Observed, Phase, State as Wanted};
use tokio::time::Instant;

use super::object::Object;
use super::plan::{self, Job, On};
use super::work::{Finished, Progress};
use super::{Converge, needs};
use crate::host::{HostError, MachineMemory};
use crate::ledger::Update;

/// The figures of a pool follow what is made in it after this long.
const ROOM_AFTER: Duration = Duration::from_secs(2);

impl Converge {
    /// Takes an object of the ledger into account.
    pub(super) fn enter(&mut self, key: ObjectKey) {
        let Some(entry) = self.ledger.state().get(key) else { return };
        let object = Object::new(&entry.desired);
        self.board.publish(object.observed.clone());
        self.objects.insert(key, object);
    }

    /// An accepted slice is in the ledger.
    pub(super) fn updated(&mut self, update: Update) {
        if !update.dropped.is_empty() {
            let gone: Vec<ObjectKey> =
                update.dropped.iter().copied().filter(|key| !self.is_gone(*key)).collect();
            if !gone.is_empty() {
                tracing::warn!(
                    objects = ?gone,
                    "the controller does not hold these objects any more; they stay on this host as they are"
                );
            }
        }
        for key in update.dropped {
            self.queue.forget(key);
            self.objects.remove(&key);
            self.board.remove(key);
        }
        for desired in &update.put {
            match self.objects.get_mut(&desired.key) {
                Some(object) => object.renew(),
                None => self.enter(desired.key),
            }
            self.queue.add(desired.key);
        }
        // Rare next to its effect: whatever waits may wait for something that is no more.
        let waiting: Vec<ObjectKey> =
            self.objects.iter().filter(|(_, object)| object.waiting).map(|(key, _)| *key).collect();
        for key in waiting {
            self.queue.add(key);
        }
        self.board.set_held(self.ledger.state().held());
    }

    fn is_gone(&self, key: ObjectKey) -> bool {
        self.objects.get(&key).is_some_and(|object| object.observed.phase == Phase::Absent)
    }

    /// The host says that an object changed by itself.
    pub(super) fn event(&mut self, key: ObjectKey) {
        let Some(object) = self.objects.get_mut(&key) else { return };
        if self.queue.is_running(key) {
            object.event = true;
        } else if !self.queue.is_delayed(key) && !self.queue.is_asked(key) {
            self.follow_event(key);
        }
    }

    fn follow_event(&mut self, key: ObjectKey) {
        let now = Instant::now();
        let Some(object) = self.objects.get_mut(&key) else { return };
        let delay = object.event_delay(now);
        if delay.is_zero() {
            self.queue.add(key);
        } else {
            self.queue.add_at(key, now + delay);
        }
    }

    pub(super) fn progressed(&mut self, progress: Progress) {
        if let Some(object) = self.objects.get(&progress.key)
            && object.observed.phase == Phase::Working
            && object.observed.generation == progress.generation
        {
            self.show(progress.key, Some(progress.detail));
        }
    }

    /// Publishes what an object is doing, its phase apart.
    fn show(&mut self, key: ObjectKey, detail: Option<Detail>) {
        if let Some(object) = self.objects.get_mut(&key) {
            object.observed.detail = detail;
            self.board.publish(object.observed.clone());
        }
    }

    /// What is to be done for a key whose turn has come, if anything.
    pub(super) fn prepare(&mut self, key: ObjectKey) -> Option<(Job, MachineMemory)> {
        let state = self.ledger.state();
        let entry = state.get(key)?;
        let (desired, memory) = (Arc::clone(&entry.desired), entry.memory.clone());
        let standing = |key: ObjectKey| self.objects.get(&key).map(Object::standing);
        let reason = plan::waits_for(state, &desired, standing);
        let job = plan::job(state, &desired);
        let object = self.objects.get_mut(&key)?;
        object.waiting = reason.is_some();
        object.event = false;
        if let Some(reason) = reason {
            self.tell(&desired, Phase::Working, reason, None);
            // It may run all the same, and then people want to know.
            let runs = key.kind == ObjectKind::Machine && matches!(desired.state, Wanted::Present(_));
            return runs.then_some((Job { desired, on: On::Look }, memory));
        }
        match job {
            Ok(job) => {
                // A retry keeps telling of the failure until it succeeds.
                let told = &object.observed;
                let fresh = told.generation != desired.generation
                    || matches!((told.phase, &desired.state), (Phase::Absent, Wanted::Present(_)))
                    || matches!((told.phase, &desired.state), (Phase::Ready, Wanted::Absent(_)))
                    || (told.phase == Phase::Working && !told.message.is_empty());
                if fresh {
                    self.tell(&desired, Phase::Working, String::new(), None);
                }
                Some((job, memory))
            }
            Err(reason) => {
                self.fail(&desired, &HostError::Refused(reason));
                None
            }
        }
    }

    /// Takes in how a call ended. What machines did is durable by now.
    pub(super) fn settle(&mut self, finished: Finished) {
        let Finished { job, result, .. } = finished;
        let desired = Arc::clone(&job.desired);
        let key = desired.key;
        self.queue.finish(key);
        let Some(entry) = self.ledger.state().get(key) else { return };
        let Some(object) = self.objects.get_mut(&key) else { return };
        let event = std::mem::take(&mut object.event);
        if entry.desired != desired {
            // Done for what is not wanted any more; the slice that changed it has asked for the rest.
            self.queue.add(key);
            return;
        }
        match result {
            Ok(detail) if matches!(job.on, On::Look) => self.show(key, detail),
            Ok(detail) => self.succeed(job, detail),
            // It waits still, and says for what.
            Err(_) if matches!(job.on, On::Look) => return,
            Err(error) => return self.fail(&desired, &error),
        }
        if event {
            self.event(key);
        }
    }

    fn succeed(&mut self, job: Job, detail: Option<Detail>) {
        let desired = Arc::clone(&job.desired);
        let key = desired.key;
        let present = matches!(desired.state, Wanted::Present(_));
        // Until its next start a machine may use what it does not refer to any more.
        let clings = matches!(&detail, Some(Detail::Machine(machine)) if machine.restart_needed);
        let mut loose = if clings { Vec::new() } else { self.ledger.settle(key) };
        if !present {
            loose.extend(needs(desired.state.specification()));
        }
        let pool = match &job.on {
            On::Image { pool } | On::Volume { pool } => Some(pool.key),
            On::Pool
            | On::Segment
            | On::Machine { .. }
            | On::Gateway { .. }
            | On::Balancer { .. }
            | On::Share { .. }
            | On::DnsZone
            | On::Look => None,
        };
        if let Some(object) = self.objects.get_mut(&key) {
            object.succeeded();
            object.made = present;
            let settled = present.then_some(job);
            let changed = object.settled != settled;
            object.settled = settled;
            if changed && let Some(pool) = pool {
                self.look_at_room(pool);
            }
        }
        let phase = if present { Phase::Ready } else { Phase::Absent };
        self.tell(&desired, phase, String::new(), detail);
        for target in loose {
            if self.objects.get(&target).is_some_and(|object| object.waiting) {
                self.queue.add(target);
            }
        }
    }

    /// Something was made in a pool or removed from it: its figures follow, once for many.
    fn look_at_room(&mut self, pool: ObjectKey) {
        if self.objects.get(&pool).is_some_and(|object| object.observed.phase == Phase::Ready) {
            self.queue.add_at(pool, Instant::now() + ROOM_AFTER);
        }
    }

    fn fail(&mut self, desired: &Desired, error: &HostError) {
        let refused = matches!(error, HostError::Refused(_));
        let message = error.to_string();
        tracing::warn!(object = %plan::describe(desired), refused, error = message, "could not be made as desired");
        if let Some(object) = self.objects.get_mut(&desired.key) {
            let delay = object.failed(refused);
            self.queue.add_at(desired.key, Instant::now() + delay);
        }
        self.tell(desired, Phase::Failed, message, None);
    }

    /// Publishes how far an object is, and wakes those for whom it matters. Without a detail the last
    /// known one stays, unless the object is gone.
    fn tell(&mut self, desired: &Desired, phase: Phase, message: String, detail: Option<Detail>) {
        let Some(object) = self.objects.get_mut(&desired.key) else { return };
        let kept = if phase == Phase::Absent { None } else { object.observed.detail.take() };
        let observed = Observed {
            key: desired.key,
            generation: desired.generation,
            phase,
            message,
            detail: detail.or(kept),
        };
        let moved = (observed.phase, observed.generation, &observed.message)
            != (object.observed.phase, object.observed.generation, &object.observed.message);
        object.observed = observed.clone();
        self.board.publish(observed);
        if moved {
            self.wake_users(desired.key, phase);
        }
    }

    /// Users that wait learn more; users that were made from something else are made again.
    fn wake_users(&mut self, key: ObjectKey, phase: Phase) {
        let state = self.ledger.state();
        for user in state.referrers(key) {
            let Some(object) = self.objects.get(&user) else { continue };
            let outdated = || {
                let job = state.get(user).and_then(|entry| plan::job(state, &entry.desired).ok());
                matches!(&object.settled, Some(settled) if !matches!(settled.on, On::Pool | On::Segment) && job.as_ref() != Some(settled))
            };
            if object.waiting || (phase == Phase::Ready && outdated()) {
                self.queue.add(user);
            }
        }
    }
}
