//! The status file: what `freehold node status` shows without asking the node.
//!
//! Written to a temporary file and renamed, so that a reader always finds a whole one. It is a view of
//! the moment, so it is not synced, and a failure to write it costs nothing but the view.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::board::{Board, Status};
use crate::stop::Stop;

/// Changes that come within this span are written together.
const COALESCE: Duration = Duration::from_secs(1);

/// Written at least this often, so that a reader can tell a node that lives from one that hangs.
const REFRESH: Duration = Duration::from_mins(1);

/// Keeps the file up to date until told to stop.
pub(super) async fn keep(path: PathBuf, board: Arc<Board>, mut stop: Stop) {
    let mut changes = board.subscribe();
    let mut failing = false;
    while !stop.is_asked() {
        changes.mark_unchanged();
        let (status, target) = (board.status(), path.clone());
        let written = tokio::task::spawn_blocking(move || write(&target, &status)).await;
        let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
        if let Err(error) = &written
            && !failing
        {
            tracing::warn!(path = %path.display(), %error, "the status file cannot be written");
        }
        failing = written.is_err();
        let pause = async {
            sleep(COALESCE).await;
            // Whether anything changed or not, it is written.
            let _ = timeout(REFRESH, changes.changed()).await;
        };
        stop.or(pause).await;
    }
}

fn write(path: &Path, status: &Status) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(&serde_json::to_vec_pretty(status)?)?;
    std::fs::rename(&temporary, path)
}
