//! Creating objects over HTTP, each durable before it is answered, against one writer that commits row by row.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, StatusCode};
use rusqlite::Connection;

use crate::load::{self, Question};
use crate::measure::Pairs;
use crate::table::Figure;
use crate::{Effort, place};

const CLIENTS: usize = 64;
const LEAST: f64 = 1.0;

/// Numbers names, so that none comes twice.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Measures it.
pub(crate) fn measure(effort: Effort) -> Result<Vec<Figure>> {
    let directory = place::directory()?;
    let span = Duration::from_secs_f64(effort.seconds);
    let question = Question {
        method: Method::POST,
        path: "/api/v1/region".to_owned(),
        body: |_, _| region(),
        status: StatusCode::CREATED,
    };
    let pairs = place::runtime()?.block_on(async {
        let controller = place::controller(directory.path()).await?;
        let mut turns = Vec::new();
        for _ in 0..effort.rounds {
            let ours = load::rate(controller.address(), &question, CLIENTS, span).await?;
            let raw = tokio::task::block_in_place(|| raw(directory.path(), span))?;
            turns.push((ours, raw));
        }
        controller.stop().await;
        anyhow::Ok(Pairs::of(&turns))
    })?;
    Ok(vec![Figure {
        name: format!("durable creates, {CLIENTS} clients over HTTP"),
        ours: format!("{:.0}/s", pairs.ours),
        reference: format!("{:.0}/s, SQLite, one row per commit, synchronous=FULL", pairs.reference),
        ratio: Some(pairs.ratio),
        demand: "≥ 1.00",
        is_met: pairs.ratio >= LEAST,
    }])
}

/// A region with a name of its own.
fn region() -> Bytes {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Bytes::from(format!(
        r#"{{"name":"region-{number}","description":"about as long as most are","domain":"example.org"}}"#
    ))
}

/// Commits per second of one writer without anything around it, in the same directory.
fn raw(directory: &Path, span: Duration) -> Result<f64> {
    let path = directory.join("raw.sqlite");
    let connection =
        Connection::open(&path).with_context(|| format!("{} cannot be opened", path.display()))?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE IF NOT EXISTS object (id INTEGER PRIMARY KEY, document BLOB NOT NULL);",
    )?;
    let mut insert = connection.prepare("INSERT INTO object (document) VALUES (?1)")?;
    let (since, mut commits) = (Instant::now(), 0.0);
    while since.elapsed() < span {
        insert.execute([region().as_ref()])?;
        commits += 1.0;
    }
    Ok(commits / since.elapsed().as_secs_f64())
}
