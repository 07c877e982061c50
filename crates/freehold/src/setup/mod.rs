//! Setting up a cloud on one machine: its controller, its nodes, and what a first user needs.

pub(crate) mod controller;
pub(crate) mod demo;
pub(crate) mod keys;
pub(crate) mod world;
