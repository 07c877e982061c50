//! Prometheus metrics: counters of what happened, and gauges of what is, computed when they are asked for.
//!
//! Counting a request touches no lock: the table of operations never changes, its cells are atomic.

mod contract;
mod own;
mod process;
mod text;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use freehold_kinds::registry;
use freehold_store::Snapshot;
use http::StatusCode;

use text::Page;

/// Upper bounds of the buckets of durations, in seconds; beyond the last is one more.
const BOUNDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0, 60.0];
/// Classes of statuses: 1xx to 5xx.
const CLASSES: usize = 5;

/// Operations that elect a host.
const PLACING: [&str; 4] = [
    "create_project_region_instance",
    "create_project_zone_instance",
    "create_project_region_kompute",
    "create_project_zone_kompute",
];

/// Counters since the start.
#[derive(Debug)]
pub(crate) struct Metrics {
    started: Instant,
    scrapes: AtomicU64,
    /// Machines that were asked for, and refused because of their request, the quotas or the hosts.
    unplaced: AtomicU64,
    operations: BTreeMap<&'static str, [Answered; CLASSES]>,
}

/// Answers of one operation with one class of statuses.
#[derive(Debug, Default)]
struct Answered {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

impl Answered {
    fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let operations = registry::rows().map(|(_, row)| (row.operation, Default::default())).collect();
        Self { started: Instant::now(), scrapes: AtomicU64::new(0), unplaced: AtomicU64::new(0), operations }
    }
}

impl Metrics {
    /// Counts an answer.
    pub(crate) fn answered(&self, operation: &'static str, status: StatusCode, time: Duration) {
        let unplaced = matches!(status, StatusCode::UNPROCESSABLE_ENTITY | StatusCode::INSUFFICIENT_STORAGE);
        if unplaced && PLACING.contains(&operation) {
            self.unplaced.fetch_add(1, Ordering::Relaxed);
        }
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        let Some(answered) = self.operations.get(operation).and_then(|classes| classes.get(class)) else {
            return;
        };
        let seconds = time.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        if let Some(bucket) = answered.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        answered.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }
}

/// Everything in the text format of Prometheus.
pub(crate) fn render(metrics: &Metrics, snapshot: &Snapshot) -> String {
    let scrapes = metrics.scrapes.fetch_add(1, Ordering::Relaxed) + 1;
    let mut page = Page::default();
    contract::write(&mut page, snapshot, scrapes);
    own::write(&mut page, snapshot, metrics);
    process::write(&mut page, metrics.started.elapsed());
    page.into_text()
}

#[cfg(test)]
mod tests {
    use freehold_store::{Memory, Store};

    use super::*;

    #[tokio::test]
    async fn requests_are_counted_by_operation_and_class() {
        let store = Store::open(Memory::default(), registry::store_registry()).unwrap();
        let metrics = Metrics::default();
        metrics.answered("login", StatusCode::OK, Duration::from_millis(3));
        metrics.answered("login", StatusCode::OK, Duration::from_secs(100));
        metrics.answered("login", StatusCode::UNAUTHORIZED, Duration::from_micros(10));
        metrics.answered("create_project_zone_kompute", StatusCode::INSUFFICIENT_STORAGE, Duration::ZERO);
        let text = render(&metrics, &store.snapshot());
        for line in [
            "freehold_http_requests_total{operation=\"login\",status=\"2xx\"} 2",
            "freehold_http_requests_total{operation=\"login\",status=\"4xx\"} 1",
            "freehold_http_request_seconds_bucket{operation=\"login\",status=\"2xx\",le=\"0.0025\"} 0",
            "freehold_http_request_seconds_bucket{operation=\"login\",status=\"2xx\",le=\"0.005\"} 1",
            "freehold_http_request_seconds_bucket{operation=\"login\",status=\"2xx\",le=\"60\"} 1",
            "freehold_http_request_seconds_bucket{operation=\"login\",status=\"2xx\",le=\"+Inf\"} 2",
            "freehold_http_request_seconds_count{operation=\"login\",status=\"2xx\"} 2",
            "freehold_http_request_seconds_sum{operation=\"login\",status=\"2xx\"} 100.003",
            "freehold_failed_placements_total 1",
            "kowabunga_up 1",
            "kowabunga_total_scrapes 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("operation=\"logout\""), "what was not called takes no room");
    }
}
