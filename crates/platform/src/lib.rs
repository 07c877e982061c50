//! The platform file.
