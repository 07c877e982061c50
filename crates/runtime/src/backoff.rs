//! Waiting longer after each failure, never in step with others.

use std::time::Duration;

/// Exponential backoff with full jitter on the upper half, so that many who failed together spread out.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits about `first` after the first failure, doubling up to `most`.
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, failures: 0 }
    }

    /// Starts over after a success.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after another failure.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        delay / 2 + (delay / 2).mul_f64(rand::random::<f64>())
    }

    fn ceiling(&self) -> Duration {
        self.first.saturating_mul(1 << self.failures.min(20)).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_most_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));
        for ceiling in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            let delay = backoff.next_delay();
            assert!(delay <= Duration::from_secs(ceiling) && delay >= Duration::from_secs(ceiling) / 2);
        }
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_secs(1));
    }
}
