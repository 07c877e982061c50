//! The text format of Prometheus, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Labels and their values, in the order in which they are shown.
type Labels = Vec<(&'static str, String)>;

/// The samples of one family. Equal labels are one series: their values are added, since a series that
/// stands twice would spoil the whole page.
#[derive(Debug, Default)]
pub(super) struct Samples(BTreeMap<Labels, f64>);

impl Samples {
    /// One sample without labels.
    pub(super) fn one(value: f64) -> Self {
        let mut samples = Self::default();
        samples.add(&[], value);
        samples
    }

    /// Adds to a series.
    pub(super) fn add(&mut self, labels: &[(&'static str, &str)], value: f64) {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        *self.0.entry(labels).or_default() += value;
    }
}

/// A page that is being written.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// A family of gauges.
    pub(super) fn gauge(&mut self, name: &str, help: &str, samples: Samples) {
        self.family(name, "gauge", help, samples);
    }

    /// A family of counters.
    pub(super) fn counter(&mut self, name: &str, help: &str, samples: Samples) {
        self.family(name, "counter", help, samples);
    }

    fn family(&mut self, name: &str, kind: &str, help: &str, samples: Samples) {
        self.head(name, kind, help);
        for (labels, value) in samples.0 {
            self.sample(name, &labels, value);
        }
    }

    /// What stands before the samples of a family.
    pub(super) fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One line.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&'static str, String)], value: f64) {
        self.0.push_str(name);
        for (position, (label, text)) in labels.iter().enumerate() {
            self.0.push(if position == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    /// The page.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// A count as a sample; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "samples are floating-point numbers")]
pub(super) const fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_equal_series_are_one() {
        let mut samples = Samples::default();
        samples.add(&[("name", "a\"b\\c\nd"), ("kind", "x")], 1.0);
        samples.add(&[("name", "a\"b\\c\nd"), ("kind", "x")], 1.5);
        let mut page = Page::default();
        page.gauge("things", "Things.", samples);
        page.counter("total", "All.", Samples::one(number(7)));
        assert_eq!(
            page.into_text(),
            "# HELP things Things.\n# TYPE things gauge\nthings{name=\"a\\\"b\\\\c\\nd\",kind=\"x\"} 2.5\n\
             # HELP total All.\n# TYPE total counter\ntotal 7\n"
        );
    }
}
