//! Waiting for what a request began, when the client asks for it (`Prefer: wait=SECONDS`, RFC 7240), and by
//! default for removals.

use std::time::Duration;

use freehold_kinds::route::{Row, Wait};
use freehold_kinds::slice;
use freehold_store::{Snapshot, Store};
use freehold_types::ApiError;
use http::HeaderMap;

/// How long a removal is waited for unless the client says otherwise.
const REMOVAL: Duration = Duration::from_mins(1);
/// The longest wait that is granted.
const LONGEST: u64 = 600;

/// How long a client waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patience(Duration);

impl Patience {
    /// Reads the header.
    ///
    /// # Errors
    /// 400 when it is not a number of seconds.
    pub(super) fn read(row: &Row, headers: &HeaderMap) -> Result<Self, ApiError> {
        let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        let wait = preferences
            .flat_map(|value| value.split([',', ';']))
            .find_map(|preference| preference.trim().strip_prefix("wait="));
        match wait {
            Some(text) => text
                .trim()
                .parse::<u64>()
                .map(|seconds| Self(Duration::from_secs(seconds.min(LONGEST))))
                .map_err(|_| {
                    ApiError::malformed(format!(
                        "`Prefer: wait={text}` must be a number of seconds, such as wait=30"
                    ))
                }),
            None if row.method == "DELETE" => Ok(Self(REMOVAL)),
            None => Ok(Self(Duration::ZERO)),
        }
    }
}

/// Waits. `false` when something that had to be gone is still there.
pub(super) async fn until(store: &Store, wait: Option<Wait>, patience: Patience) -> bool {
    let Some(wait) = wait else { return true };
    if patience.0 > Duration::ZERO {
        // When time is up, what is there now is answered.
        let _ =
            tokio::time::timeout(patience.0, store.wait_until(|snapshot| has_arrived(wait, snapshot))).await;
    }
    match wait {
        Wait::Gone(_) => has_arrived(wait, &store.snapshot()),
        Wait::Settled(_) => true,
    }
}

fn has_arrived(wait: Wait, snapshot: &Snapshot) -> bool {
    match wait {
        Wait::Gone(key) => snapshot.get_any(key).is_none(),
        // What was removed meanwhile will never settle.
        Wait::Settled(key) => snapshot.get_any(key).is_none() || slice::is_settled(key, snapshot),
    }
}
