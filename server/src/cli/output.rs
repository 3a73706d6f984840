//! Output of commands: JSON for programs, aligned columns for people.

use crate::cli::error::CliError;
pub(super) use bmap_model::utc::{day, time};
use serde::Serialize;
use std::io::{ErrorKind, Write};

/// Prints a value as JSON on one line.
pub(super) fn json(value: &impl Serialize) -> Result<(), CliError> {
    text(&serde_json::to_string(value).map_err(CliError::failed)?)
}

/// Prints rows in aligned columns, the first one being the heading.
pub(super) fn table(rows: &[Vec<String>]) -> Result<(), CliError> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    text(&rows.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// Prints a text and a line end. A reader that closes the pipe, such as `head`, is no fault; `println!` would panic.
pub(super) fn text(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(gone) if gone.kind() == ErrorKind::BrokenPipe => Err(CliError::ReaderGone),
        written => written.map_err(CliError::failed),
    }
}
