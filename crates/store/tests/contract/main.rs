//! What every backend promises, and the store on top of it. Each test runs on memory and on SQLite.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and the process to be killed speaks on its output"
)]

mod copies;
mod entities;
mod faults;
mod harness;
mod history;
mod kill;
mod log;
mod races;
mod references;
mod sequences;
mod watch;
mod writes;
