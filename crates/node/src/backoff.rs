//! How long to wait before trying again. Pure but for the dice.

use std::time::Duration;

/// Doubles from `first` with each failure up to `most`, then takes between half and all of it, so that
/// many who failed together do not come back together. `failures` counts from 1.
pub(crate) fn delay(failures: u32, first: Duration, most: Duration) -> Duration {
    jitter(span(failures, first, most), 0.5, 1.0)
}

/// A span scaled by a random factor.
pub(crate) fn jitter(span: Duration, least: f64, most: f64) -> Duration {
    span.mul_f64(rand::random_range(least..=most))
}

fn span(failures: u32, first: Duration, most: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    first.saturating_mul(1 << doublings).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_limit() {
        let [first, most] = [1, 300].map(Duration::from_secs);
        let spans: Vec<u64> = (0..12).map(|n| span(n, first, most).as_secs()).collect();
        assert_eq!(spans, [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(span(u32::MAX, first, most), most);
        let delay = delay(3, first, most);
        assert!(delay >= Duration::from_secs(2) && delay <= Duration::from_secs(4));
    }
}
