//! The functional core of the cloud: one folder per resource kind, and one line each in the registry.
//!
//! Everything here is a pure function of data. A handler takes a snapshot and a request, and gives a
//! transaction and what to answer; it starts no work, waits for nothing, and sees no host. What a node
//! must do follows from the objects (`slice`), what remains to be done by the controller from `finalize`.

pub mod access;
pub mod adapter;
pub mod agent;
pub mod antiaffinity;
pub mod balancer;
pub mod change;
pub mod compute;
pub mod cost;
pub mod crud;
pub mod domain;
pub mod edge;
pub mod environment;
pub mod file_backend;
pub mod file_share;
pub mod finalize;
pub mod gateway;
pub mod key;
pub mod kind;
pub mod password;
pub mod placed;
pub mod registry;
pub mod route;
pub(crate) mod service;
pub(crate) mod service_status;
pub mod slice;
#[cfg(test)]
mod testing;
pub mod text;

pub mod hypervisor;
pub mod image;
pub mod instance;
pub mod ipsec;
pub mod mail;
pub mod migration;
pub mod network;
pub mod pool;
pub mod project;
pub mod record;
pub mod region;
pub mod session;
pub mod subnet;
pub mod team;
pub mod token;
pub mod user;
pub mod volume;
pub mod zone;
