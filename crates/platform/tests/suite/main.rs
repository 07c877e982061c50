//! The tests of the platform file, in one program.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::format_push_string, clippy::format_collect, reason = "the texts of tests are small")]

mod broken;
mod examples;
mod explain;
mod merging;
mod reference;
mod robust;
mod support;
