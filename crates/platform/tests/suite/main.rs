//! The tests of the platform file, in one program.

mod broken;
mod examples;
mod explain;
mod merging;
mod reference;
mod robust;
mod support;
