//! Which objects are to be worked on, and when. Pure: the clock is handed in.
//!
//! Keyed: an object that is asked for twice is worked on once, an earlier time wins, and one that is
//! being worked on is not given out again before it is finished; what was asked meanwhile comes after.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;

use tokio::time::Instant;

/// A keyed queue with times.
#[derive(Debug)]
pub(super) struct Queue<K> {
    ready: VecDeque<K>,
    /// Members of `ready`.
    queued: BTreeSet<K>,
    running: BTreeSet<K>,
    /// Asked for while running.
    again: BTreeSet<K>,
    due: BTreeMap<K, Instant>,
    by_time: BTreeSet<(Instant, K)>,
}

impl<K: Copy + Ord + Debug> Queue<K> {
    pub(super) const fn new() -> Self {
        Self {
            ready: VecDeque::new(),
            queued: BTreeSet::new(),
            running: BTreeSet::new(),
            again: BTreeSet::new(),
            due: BTreeMap::new(),
            by_time: BTreeSet::new(),
        }
    }

    /// Asks for work now. A time set for later is void.
    pub(super) fn add(&mut self, key: K) {
        self.cancel(key);
        if self.running.contains(&key) {
            self.again.insert(key);
        } else if self.queued.insert(key) {
            self.ready.push_back(key);
        }
    }

    /// Asks for work at a time, unless it is asked for earlier.
    pub(super) fn add_at(&mut self, key: K, when: Instant) {
        if self.queued.contains(&key) || self.again.contains(&key) {
            return;
        }
        if self.due.get(&key).is_none_or(|due| when < *due) {
            self.cancel(key);
            self.due.insert(key, when);
            self.by_time.insert((when, key));
        }
    }

    /// When the next time comes.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.by_time.first().map(|(when, _)| *when)
    }

    /// Asks for all whose time has come.
    pub(super) fn advance(&mut self, now: Instant) {
        while let Some((when, key)) = self.by_time.first().copied()
            && when <= now
        {
            self.add(key);
        }
    }

    /// Takes the first key that may run, and holds it as running.
    pub(super) fn next(&mut self, may_run: impl Fn(K) -> bool) -> Option<K> {
        let place = self.ready.iter().position(|key| may_run(*key))?;
        let key = self.ready.remove(place)?;
        self.queued.remove(&key);
        self.running.insert(key);
        Some(key)
    }

    /// The work on a key has ended; what was asked meanwhile is asked now. Says whether it was.
    pub(super) fn finish(&mut self, key: K) -> bool {
        self.running.remove(&key);
        let again = self.again.remove(&key);
        if again {
            self.add(key);
        }
        again
    }

    /// Takes back what was asked; running work goes on.
    pub(super) fn forget(&mut self, key: K) {
        self.cancel(key);
        self.again.remove(&key);
        if self.queued.remove(&key) {
            self.ready.retain(|queued| *queued != key);
        }
    }

    /// Whether the key waits for a time.
    pub(super) fn is_delayed(&self, key: K) -> bool {
        self.due.contains_key(&key)
    }

    /// Whether the key is to run now, or again after the present run.
    pub(super) fn is_asked(&self, key: K) -> bool {
        self.queued.contains(&key) || self.again.contains(&key)
    }

    /// Whether the key is being worked on.
    pub(super) fn is_running(&self, key: K) -> bool {
        self.running.contains(&key)
    }

    /// Whether nothing runs or is to run now.
    pub(super) fn is_idle(&self) -> bool {
        self.ready.is_empty() && self.running.is_empty()
    }

    fn cancel(&mut self, key: K) {
        if let Some(when) = self.due.remove(&key) {
            self.by_time.remove(&(when, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn duplicates_merge_and_running_keys_come_again_after() {
        let mut queue = Queue::new();
        queue.add(1);
        queue.add(1);
        assert_eq!(queue.next(|_| true), Some(1));
        assert_eq!(queue.next(|_| true), None);
        queue.add(1);
        assert_eq!(queue.next(|_| true), None, "it runs already");
        assert!(queue.finish(1));
        assert_eq!(queue.next(|_| true), Some(1));
        assert!(!queue.finish(1));
        assert!(queue.is_idle());
    }

    #[test]
    fn the_earliest_time_wins_and_asking_now_voids_it() {
        let (mut queue, now) = (Queue::new(), start());
        queue.add_at(1, now + Duration::from_secs(5));
        queue.add_at(1, now + Duration::from_secs(2));
        queue.add_at(1, now + Duration::from_secs(9));
        assert_eq!(queue.deadline(), Some(now + Duration::from_secs(2)));
        queue.advance(now + Duration::from_secs(1));
        assert!(queue.is_idle());
        queue.add(1);
        assert_eq!(queue.deadline(), None);
        assert_eq!(queue.next(|_| true), Some(1));
    }

    #[test]
    fn a_lane_that_is_full_does_not_hold_up_the_other() {
        let mut queue = Queue::new();
        queue.add(1);
        queue.add(2);
        assert_eq!(queue.next(|key| key != 1), Some(2));
        assert_eq!(queue.next(|_| true), Some(1));
    }

    proptest! {
        /// Whatever is asked, a key never runs twice at once, and the last request is followed by a run.
        #[test]
        fn no_request_is_lost(steps in proptest::collection::vec((0_u8..5, 0_u8..4), 0..200)) {
            let (mut queue, now) = (Queue::new(), start());
            let mut running = BTreeSet::new();
            let mut wanted = BTreeSet::new();
            for (key, step) in steps {
                match step {
                    0 => { queue.add(key); wanted.insert(key); }
                    1 => { queue.add_at(key, now); wanted.insert(key); }
                    2 => {
                        queue.advance(now);
                        if let Some(key) = queue.next(|_| true) {
                            prop_assert!(running.insert(key));
                            wanted.remove(&key);
                        }
                    }
                    _ => { if running.remove(&key) { queue.finish(key); } }
                }
            }
            for key in std::mem::take(&mut running) { queue.finish(key); }
            queue.advance(now);
            while let Some(key) = queue.next(|_| true) { wanted.remove(&key); queue.finish(key); }
            prop_assert!(wanted.is_empty(), "{wanted:?}");
        }
    }
}
