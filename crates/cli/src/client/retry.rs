//! How often, and after which pauses, a request is tried again.

use std::time::Duration;

/// Pauses that double from try to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How many tries follow the first.
    pub again: u32,
    /// The first pause.
    pub first: Duration,
    /// No pause is longer, whatever the controller asks for.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { again: 3, first: Duration::from_millis(250), longest: Duration::from_secs(10) }
    }
}

impl Retry {
    /// The pause before the next try, after `tries` repetitions; `None` when it was the last.
    pub fn pause(&self, tries: u32, asked: Option<Duration>) -> Option<Duration> {
        let pause = asked.unwrap_or_else(|| self.first.saturating_mul(2_u32.saturating_pow(tries)));
        (tries < self.again).then(|| pause.min(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        let retry = Retry { again: 4, first: Duration::from_secs(2), longest: Duration::from_secs(10) };
        let pauses: Vec<_> =
            (0..6).map(|tries| retry.pause(tries, None).map(|pause| pause.as_secs())).collect();
        assert_eq!(pauses, [Some(2), Some(4), Some(8), Some(10), None, None]);
        assert_eq!(retry.pause(0, Some(Duration::from_mins(10))), Some(retry.longest));
    }
}
