//! The page around the table.

use crate::table::{self, Figure};

const INTRODUCTION: &str = "\
# Benchmarks

<!-- Written by `cargo xtask bench --write docs/benchmarks.md`; do not edit. -->

Every figure is taken beside its reference, in turns, in the same run and on the same machine; the medians of all
turns are told, and the ratio is the median of the ratios of each turn. The ratios hold on other machines, the
absolute figures do not. Where the reference is empty the figure is absolute.

";

/// The whole page.
pub(crate) fn page(figures: &[Figure], is_quick: bool) -> String {
    let command = if is_quick { "cargo xtask bench --quick" } else { "cargo xtask bench" };
    let machine = machine();
    format!(
        "{INTRODUCTION}{}\nMeasured with `{command} --write docs/benchmarks.md`, release profile, {machine}.\n",
        table::render(figures)
    )
}

/// What was measured on, without its name.
fn machine() -> String {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let model = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    format!("on {threads} threads of {}", model.unwrap_or_else(|| "an unknown processor".to_owned()))
}
