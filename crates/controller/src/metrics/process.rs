//! What the process itself takes of its machine, as Linux tells it.

use std::fs;
use std::time::Duration;

use super::text::{Page, Samples, number};

/// Clock ticks of `/proc/self/stat` per second; fixed by the interface of the kernel.
const TICKS: f64 = 100.0;

/// Writes these families; what cannot be read is left out.
pub(super) fn write(page: &mut Page, uptime: Duration) {
    page.gauge("freehold_uptime_seconds", "Time since the start.", Samples::one(uptime.as_secs_f64()));
    if let Some(bytes) = fs::read_to_string("/proc/self/status").ok().and_then(|text| resident(&text)) {
        page.gauge("freehold_process_resident_memory_bytes", "Memory in use.", Samples::one(number(bytes)));
    }
    if let Some(seconds) = fs::read_to_string("/proc/self/stat").ok().and_then(|text| cpu(&text)) {
        page.counter("freehold_process_cpu_seconds_total", "CPU time used.", Samples::one(seconds));
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        let open = number(entries.count().try_into().unwrap_or(u64::MAX));
        page.gauge("freehold_process_open_fds", "Open file descriptors.", Samples::one(open));
    }
}

/// Bytes in memory, from `/proc/self/status`.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1_024)
}

/// Seconds in user and kernel mode, from `/proc/self/stat`. The name of the program may hold anything, so
/// fields are counted from its closing parenthesis.
fn cpu(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let kernel: f64 = fields.next()?.parse().ok()?;
    Some((user + kernel) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_kernel_are_read() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_097_152));
        assert_eq!(resident("Name:\tx\n"), None);
        assert_eq!(cpu("1 (a) b) S 1 1 1 0 -1 4 0 0 0 0 150 50 0 0 20"), Some(2.0));
        assert_eq!(cpu("garbage"), None);
    }
}
