//! Spans of time for people. Pure.

use std::time::Duration;

/// A span in its largest unit: `42s`, `12m`, `5h`, `3d`, `2y`.
pub fn age(span: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    const YEAR: u64 = 365 * DAY;
    match span.as_secs() {
        seconds if seconds < 2 * MINUTE => format!("{seconds}s"),
        seconds if seconds < 2 * HOUR => format!("{}m", seconds / MINUTE),
        seconds if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        seconds if seconds < 2 * YEAR => format!("{}d", seconds / DAY),
        seconds => format!("{}y", seconds / YEAR),
    }
}

/// Reads `90`, `30s`, `5m`, `1h30m`: a bare number is seconds.
///
/// # Errors
/// How it is written.
pub fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|span| Duration::try_from(span).ok())
        .ok_or_else(|| format!("`{text}` is not a duration: write it as 30s, 5m or 1h30m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_one_unit() {
        let told: Vec<_> =
            [0, 119, 120, 7_199, 7_200, 172_800, 63_072_000].map(|s| age(Duration::from_secs(s))).into();
        assert_eq!(told, ["0s", "119s", "2m", "119m", "2h", "2d", "2y"]);
    }

    #[test]
    fn durations_are_read() {
        for (text, seconds) in [("90", 90), ("30s", 30), ("5m", 300), ("1h30m", 5400)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "soon", "-5m", "5 apples"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
