//! What every backend promises, and the store on top of it. Each test runs on memory and on SQLite.

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
