//! What a command answers, in the format asked for.

use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{Table, presets::NOTHING};
use serde::Serialize;

use crate::failure::Failure;

/// How things are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// As the REST API shows it.
    Json,
    /// The same as YAML.
    Yaml,
    /// Only what other commands take as argument, one a line.
    Name,
}

/// A thing that can be shown.
pub(crate) trait Show: Serialize {
    /// Headings of the table's columns.
    const COLUMNS: &'static [&'static str];

    /// One cell a column.
    fn cells(&self) -> Vec<String>;

    /// What other commands take as argument.
    fn name(&self) -> String;

    /// What is shown of one thing beside its columns: heading and text.
    fn details(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// Shows things on stdout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    pub(crate) fn format(self) -> Format {
        self.format
    }

    /// Shows one thing.
    pub(crate) fn one<T: Show>(self, item: &T) -> Result<(), Failure> {
        text(&render_one(self.format, item)?)
    }

    /// Shows many things.
    pub(crate) fn list<T: Show>(self, items: &[T]) -> Result<(), Failure> {
        text(&render_list(self.format, items)?)
    }

    /// Shows one of a stream of things: JSON on one line, YAML as a document.
    pub(crate) fn next<T: Show>(self, item: &T) -> Result<(), Failure> {
        match self.format {
            Format::Json => text(&format!("{}\n", json(serde_json::to_string(item))?)),
            Format::Yaml => text(&format!("---\n{}", yaml(item)?)),
            Format::Table | Format::Name => text(&format!("{}\n", item.cells().join("  "))),
        }
    }
}

/// Writes to stdout. Nothing may be left unwritten at the end of the process.
pub(crate) fn text(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

/// Tells people something beside the answer, on stderr.
pub(crate) fn note(line: &str) {
    // There is nobody left to tell.
    let _ = writeln!(io::stderr(), "{line}");
}

fn render_one<T: Show>(format: Format, item: &T) -> Result<String, Failure> {
    match format {
        Format::Json => Ok(json(serde_json::to_string_pretty(item))? + "\n"),
        Format::Yaml => yaml(item),
        Format::Name => Ok(item.name() + "\n"),
        Format::Table => {
            let columns = T::COLUMNS.iter().copied().zip(item.cells());
            let rows = columns.chain(item.details()).filter(|(_, text)| !text.is_empty());
            let rows = rows.map(|(heading, text)| vec![heading.to_owned(), text]).collect();
            Ok(table(None, rows))
        }
    }
}

fn render_list<T: Show>(format: Format, items: &[T]) -> Result<String, Failure> {
    match format {
        Format::Json => Ok(json(serde_json::to_string_pretty(items))? + "\n"),
        Format::Yaml => yaml(&items),
        Format::Name => Ok(items.iter().map(|item| item.name() + "\n").collect()),
        Format::Table => Ok(table(Some(T::COLUMNS), items.iter().map(Show::cells).collect())),
    }
}

fn json(result: serde_json::Result<String>) -> Result<String, Failure> {
    result.map_err(|error| Failure::local("write JSON", error))
}

fn yaml(item: &impl Serialize) -> Result<String, Failure> {
    serde_yaml_ng::to_string(item).map_err(|error| Failure::local("write YAML", error))
}

/// Columns apart by spaces, nothing at line ends: good to read and to cut.
fn table(header: Option<&[&str]>, rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    if let Some(header) = header {
        table.set_header(header.iter().copied());
    }
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned() + "\n");
    lines.collect()
}

/// All formats of some things, for snapshots.
#[cfg(test)]
pub(crate) mod snapshot {
    use super::*;

    /// Renders a list, and its first item, in every format.
    pub(crate) fn formats<T: Show>(items: &[T]) -> String {
        let mut text = String::new();
        for format in Format::value_variants() {
            text += &format!("== list as {format:?}\n{}", render_list(*format, items).unwrap());
            text += &format!("== one as {format:?}\n{}", render_one(*format, &items[0]).unwrap());
        }
        text
    }
}
