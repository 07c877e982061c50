//! The figures, one file per subject.

pub(crate) mod boot;
pub(crate) mod elections;
pub(crate) mod fleet;
pub(crate) mod reads;
pub(crate) mod weight;
pub(crate) mod writes;
