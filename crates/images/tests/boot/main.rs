//! The images boot by themselves under both firmwares and do what their seed says.
//!
//! Under TCG, so that these tests run everywhere. Nothing is skipped: without QEMU they fail. `./x packages`
//! installs what they need.

#[cfg(test)]
mod debian;
#[cfg(test)]
mod guest;
#[cfg(test)]
mod tiny;
