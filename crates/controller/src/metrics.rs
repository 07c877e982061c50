//! Prometheus metrics: counters of what happened, and gauges of what is, computed when they are asked for.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;

/// Counters of requests.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, u16), Answered>>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Answered {
    pub(crate) count: u64,
    pub(crate) time: Duration,
}

impl Metrics {
    /// Counts an answer.
    pub(crate) fn answered(&self, operation: &'static str, status: StatusCode, time: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = requests.entry((operation, status.as_u16())).or_default();
        answered.count += 1;
        answered.time += time;
    }

    /// What was counted, by operation and status.
    pub(crate) fn requests(&self) -> BTreeMap<(&'static str, u16), Answered> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Everything in the text format of Prometheus, 0.0.4.
pub(crate) fn render(metrics: &Metrics, snapshot: &freehold_store::Snapshot, hub: &crate::nodes::Hub) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# TYPE freehold_nodes_connected gauge\nfreehold_nodes_connected {}", hub.connected());
    let _ = writeln!(text, "# TYPE freehold_store_revision counter\nfreehold_store_revision {}", snapshot.revision());
    for ((operation, status), answered) in metrics.requests() {
        let labels = format!("{{operation=\"{operation}\",status=\"{status}\"}}");
        let _ = writeln!(text, "freehold_requests_total{labels} {}", answered.count);
        let _ = writeln!(text, "freehold_request_seconds_total{labels} {}", answered.time.as_secs_f64());
    }
    text
}
