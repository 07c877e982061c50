//! Which calls of a simulated host fail.

use std::collections::BTreeSet;

use freehold_types::agent::ObjectKey;

/// When a failing call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before it did anything.
    Before,
    /// After it did everything.
    After,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    seen: u64,
    once: Option<(u64, When)>,
    every: Option<(u64, When)>,
    objects: BTreeSet<ObjectKey>,
}

impl Faults {
    pub(super) fn fail_call(&mut self, number: u64, when: When) {
        self.once = Some((self.seen + number, when));
    }

    pub(super) fn fail_every(&mut self, number: u64, when: When) {
        self.every = (number > 0).then_some((number, when));
    }

    pub(super) fn fail_object(&mut self, key: ObjectKey) {
        self.objects.insert(key);
    }

    /// Counts a call, and says whether it fails.
    pub(super) fn judge(&mut self, key: ObjectKey) -> Option<When> {
        self.seen += 1;
        if let Some((number, when)) = self.once
            && number == self.seen
        {
            return Some(when);
        }
        if let Some((number, when)) = self.every
            && self.seen.is_multiple_of(number)
        {
            return Some(when);
        }
        self.objects.contains(&key).then_some(When::Before)
    }
}
