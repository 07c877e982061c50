//! The table of figures, as Markdown. Pure.

/// One figure beside its reference and its demand.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) ours: String,
    /// What it is compared with; empty: an absolute figure.
    pub(crate) reference: String,
    /// Ours to the reference.
    pub(crate) ratio: Option<f64>,
    pub(crate) demand: &'static str,
    pub(crate) is_met: bool,
}

/// The rows under their heads, with columns aligned.
pub(crate) fn render(figures: &[Figure]) -> String {
    let head = ["figure", "ours", "reference in the same run", "ratio", "demand", "met"].map(str::to_owned);
    let rows = figures.iter().map(|figure| {
        [
            figure.name.clone(),
            figure.ours.clone(),
            if figure.reference.is_empty() { "–".to_owned() } else { figure.reference.clone() },
            figure.ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
            figure.demand.to_owned(),
            if figure.is_met { "yes" } else { "**no**" }.to_owned(),
        ]
    });
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 6] = std::array::from_fn(width);
    let line = |cells: &[String; 6]| {
        let cells: Vec<String> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule = format!("|{}|\n", widths.map(|width| "-".repeat(width + 2)).join("|"));
    let mut text: String = rows.iter().take(1).map(&line).collect();
    text.push_str(&rule);
    text.extend(rows.iter().skip(1).map(line));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let figures = [
            Figure {
                name: "reads".to_owned(),
                ours: "10/s".to_owned(),
                reference: "20/s".to_owned(),
                ratio: Some(0.5),
                demand: "≥ 0.60",
                is_met: false,
            },
            Figure {
                name: "memory".to_owned(),
                ours: "9 MiB".to_owned(),
                reference: String::new(),
                ratio: None,
                demand: "≤ 40 MiB",
                is_met: true,
            },
        ];
        let text = render(&figures);
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
        assert!(text.contains("| 0.50  | ≥ 0.60   | **no** |"), "{text}");
        assert!(text.contains("| –     | ≤ 40 MiB | yes    |"), "{text}");
    }
}
