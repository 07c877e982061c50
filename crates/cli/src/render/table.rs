//! Tables: plain columns, two spaces apart, as wide as their content. Pure.

use anstyle::AnsiColor;
use unicode_width::UnicodeWidthStr;

use super::{Surroundings, time::age};
use crate::kind::{Cell, Column, Kind};
use crate::object::Object;

/// How a cell looks beside its text. The text alone says everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    #[default]
    Plain,
    Good,
    Changing,
    Bad,
}

impl Style {
    /// How a state looks.
    pub fn of_state(state: &str) -> Self {
        match state {
            "Running" | "Ready" => Self::Good,
            "Crashed" | "No State" | "Failed" => Self::Bad,
            "Paused" | "Shutdown" | "Blocked" | "PM Suspended" | "Fetching" => Self::Changing,
            _ => Self::Plain,
        }
    }

    const fn ansi(self) -> anstyle::Style {
        let color = match self {
            Self::Plain => None,
            Self::Good => Some(anstyle::Color::Ansi(AnsiColor::Green)),
            Self::Changing => Some(anstyle::Color::Ansi(AnsiColor::Yellow)),
            Self::Bad => Some(anstyle::Color::Ansi(AnsiColor::Red)),
        };
        anstyle::Style::new().fg_color(color)
    }
}

/// One cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableCell {
    pub text: String,
    pub style: Style,
}

impl<T: Into<String>> From<T> for TableCell {
    fn from(text: T) -> Self {
        Self { text: text.into(), style: Style::Plain }
    }
}

/// A table under construction.
#[derive(Debug, Clone, Default)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<TableCell>>,
}

impl Table {
    /// A table with these heads.
    pub fn new(head: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<TableCell>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The lines, styled; nothing at all without rows.
    pub fn render(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| {
                let cells =
                    self.rows.iter().filter_map(|row| row.get(column)).map(|cell| shown(&cell.text).width());
                cells.chain([self.head[column].width()]).max().unwrap_or_default()
            })
            .collect();
        let bold = anstyle::Style::new().bold();
        let head: Vec<_> = self.head.iter().map(|title| (title.as_str(), bold)).collect();
        let mut text = line(&head, &widths);
        for row in &self.rows {
            let cells: Vec<_> = row.iter().map(|cell| (shown(&cell.text), cell.style.ansi())).collect();
            text += &line(&cells, &widths);
        }
        text
    }
}

/// A cell without content is a dash, so that columns can be counted.
fn shown(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn line(cells: &[(&str, anstyle::Style)], widths: &[usize]) -> String {
    let padded = |((text, style), width): (&(&str, anstyle::Style), &usize)| {
        format!("{style}{text}{style:#}{}", " ".repeat(width.saturating_sub(text.width()) + 2))
    };
    let cells: String = cells.iter().zip(widths).map(padded).collect();
    cells.trim_end_matches(' ').to_owned() + "\n"
}

/// The columns of a kind that are shown.
pub fn columns_of(kind: &'static Kind, wide: bool) -> impl Iterator<Item = &'static Column> {
    kind.columns.iter().filter(move |column| wide || !column.wide)
}

/// The table of some objects of a kind.
pub fn objects_table(kind: &'static Kind, objects: &[Object], wide: bool, around: &Surroundings) -> String {
    let mut table = Table::new(columns_of(kind, wide).map(|column| column.title));
    for object in objects {
        table.row(columns_of(kind, wide).map(|column| cell(kind, column, object, around)));
    }
    table.render()
}

fn cell(kind: &Kind, column: &Column, object: &Object, around: &Surroundings) -> TableCell {
    let value = |key: &str| kind.field(key).map(|field| (field, object.at(field.wire)));
    let count = |key: &str| value(key).and_then(|(_, value)| value.as_array()).map_or(0, Vec::len);
    match column.cell {
        Cell::Id => object.id().into(),
        Cell::Age => object.created_at().map(|at| age(around.now.since(at))).unwrap_or_default().into(),
        Cell::State => {
            let state = around.states.get(object.id()).cloned().unwrap_or_default();
            TableCell { style: Style::of_state(&state), text: state }
        }
        Cell::Count(key) => count(key).to_string().into(),
        Cell::Sum(keys) => keys.iter().copied().map(count).sum::<usize>().to_string().into(),
        Cell::Brief(key) => value(key)
            .map(|(field, value)| field.shape.brief(value, &|kind, id| around.names.get(kind, id)))
            .unwrap_or_default()
            .into(),
        Cell::Field(key) => value(key)
            .map(|(field, value)| field.show(value, &|kind, id| around.names.get(kind, id)))
            .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
            .unwrap_or_default()
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_empty_cells_are_dashes() {
        let mut table = Table::new(["NAME", "STATE"]);
        table.row(["é-web", "Running"]);
        table.row(["database", ""]);
        assert_eq!(
            anstream::adapter::strip_str(&table.render()).to_string(),
            "NAME      STATE\né-web     Running\ndatabase  -\n"
        );
        assert_eq!(Table::new(["NAME"]).render(), "");
    }
}
