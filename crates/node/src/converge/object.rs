//! What is known of one object, and the delays that it has earned.

use std::time::Duration;

use freehold_types::agent::{Desired, Observed, Phase};
use tokio::time::Instant;

use super::plan::{Job, Standing};
use crate::backoff;

/// Delays between tries of what fails.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));

/// So many events in a row are followed at once; those after are followed with growing delays, so that a
/// machine that dies at each start does not keep the host busy.
const PROMPT_EVENTS: u32 = 3;
const EVENT_DELAYS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
const CALM: Duration = Duration::from_mins(2);

/// What is known of an object.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) observed: Observed,
    /// Ready at some time since the node started.
    pub(super) made: bool,
    /// Held back until something else changes.
    pub(super) waiting: bool,
    /// The host told of a change while the object was worked on.
    pub(super) event: bool,
    /// The job that last succeeded.
    pub(super) settled: Option<Job>,
    failures: u32,
    events: u32,
    last_event: Option<Instant>,
}

impl Object {
    pub(super) fn new(desired: &Desired) -> Self {
        let observed = Observed {
            key: desired.key,
            generation: desired.generation,
            phase: Phase::Working,
            message: String::new(),
            detail: None,
        };
        Self {
            observed,
            made: false,
            waiting: false,
            event: false,
            settled: None,
            failures: 0,
            events: 0,
            last_event: None,
        }
    }

    pub(super) fn standing(&self) -> Standing<'_> {
        Standing {
            phase: self.observed.phase,
            generation: self.observed.generation,
            made: self.made,
            message: &self.observed.message,
        }
    }

    /// The specification changed: past failures say nothing any more.
    pub(super) fn renew(&mut self) {
        (self.failures, self.events) = (0, 0);
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more failure. What the host refuses is tried at the slowest pace.
    pub(super) fn failed(&mut self, refused: bool) -> Duration {
        self.failures = self.failures.saturating_add(1);
        backoff::delay(if refused { u32::MAX } else { self.failures }, RETRY.0, RETRY.1)
    }

    /// How long to wait before following one more event.
    pub(super) fn event_delay(&mut self, now: Instant) -> Duration {
        if self.last_event.is_none_or(|last| now.duration_since(last) > CALM) {
            self.events = 0;
        }
        self.last_event = Some(now);
        self.events = self.events.saturating_add(1);
        match self.events.checked_sub(PROMPT_EVENTS) {
            None | Some(0) => Duration::ZERO,
            Some(excess) => backoff::delay(excess, EVENT_DELAYS.0, EVENT_DELAYS.1),
        }
    }
}
