//! Medians, pairs of measurements taken in turns, and what a process has used.

use std::time::Duration;

use anyhow::{Context, Result};

/// The middle of some values; of an even number, the higher of the two in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Medians of what was measured in turns, and of the ratios of each turn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pairs {
    pub(crate) ours: f64,
    pub(crate) reference: f64,
    pub(crate) ratio: f64,
}

impl Pairs {
    /// Of `(ours, reference)`, a pair per turn.
    pub(crate) fn of(turns: &[(f64, f64)]) -> Self {
        let column = |pick: fn(&(f64, f64)) -> f64| median(&turns.iter().map(pick).collect::<Vec<_>>());
        Self {
            ours: column(|turn| turn.0),
            reference: column(|turn| turn.1),
            ratio: column(|turn| turn.0 / turn.1),
        }
    }
}

/// Processor time that this process has used, in all threads.
pub(crate) fn processor_time() -> Result<Duration> {
    let mut total = 0_u64;
    for task in
        std::fs::read_dir("/proc/self/task").context("/proc is not there; this measurement needs Linux")?
    {
        let path = task?.path().join("schedstat");
        // A thread may end while it is looked at.
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        total += text.split_whitespace().next().and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    }
    Ok(Duration::from_nanos(total))
}

/// Resident memory of a process in bytes.
pub(crate) fn resident(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
    let line =
        text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the kernel tells no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().context("VmRSS is no number")?;
    Ok(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_no_mean() {
        assert!((median(&[1.0, 100.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn ratios_are_of_turns() {
        let pairs = Pairs::of(&[(10.0, 10.0), (5.0, 10.0), (30.0, 20.0)]);
        assert!((pairs.ratio - 1.0).abs() < f64::EPSILON);
        assert!((pairs.ours - 10.0).abs() < f64::EPSILON);
    }

    #[test]
    fn this_process_has_memory_and_time() {
        assert!(resident(std::process::id()).unwrap() > 1 << 20);
        assert!(processor_time().unwrap() > Duration::ZERO);
    }
}
