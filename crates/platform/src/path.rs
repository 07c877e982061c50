//! Where a value stands in a platform: the keys that lead to it.

use std::fmt;

/// The keys that lead to a value; positions in lists are numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path(pub(crate) Vec<String>);

impl Path {
    /// One step further.
    pub(crate) fn then(&self, step: impl fmt::Display) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.to_string());
        Self(steps)
    }

    pub(crate) fn steps(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            let dot = if at > 0 { "." } else { "" };
            if step.contains('.') { write!(f, "{dot}\"{step}\"")? } else { write!(f, "{dot}{step}")? }
        }
        Ok(())
    }
}

/// The path of some keys.
macro_rules! path_to {
    ($($step:expr),+ $(,)?) => {
        $crate::path::Path(vec![$($step.to_string()),+])
    };
}
pub(crate) use path_to;
