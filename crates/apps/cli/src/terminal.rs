//! What people and programs see: tables, JSON, advice, questions.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::args::Output;

/// The terminal, or what stands in for it. Results go to the standard output; progress and advice to the standard error.
#[derive(Clone, Copy)]
pub(crate) struct Terminal {
    output: Output,
    quiet: bool,
}

impl Terminal {
    pub(crate) fn new(output: Output, quiet: bool) -> Self {
        Self { output, quiet }
    }

    /// True if results are JSON.
    pub(crate) fn is_json(self) -> bool {
        self.output == Output::Json
    }

    /// Shows a result: JSON, or the text that `table` makes.
    pub(crate) fn show<T: Serialize>(self, value: &T, table: impl FnOnce() -> String) -> anyhow::Result<()> {
        match self.output {
            Output::Json => self.say(&serde_json::to_string_pretty(value)?),
            Output::Table => self.say(table().trim_end()),
        }
    }

    /// One result of many, as they come: one line of JSON, or of text.
    pub(crate) fn show_line<T: Serialize>(self, value: &T, line: impl FnOnce() -> String) -> anyhow::Result<()> {
        match self.output {
            Output::Json => self.say(&serde_json::to_string(value)?),
            Output::Table => self.say(&line()),
        }
    }

    /// A line of the result.
    pub(crate) fn say(self, text: &str) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        Ok(out.flush()?)
    }

    /// A line of advice or progress.
    pub(crate) fn advise(self, text: &str) {
        if !self.quiet {
            complain(text);
        }
    }

    /// True if progress may move on the screen.
    pub(crate) fn is_lively(self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Asks a person; yes when there is nobody to ask.
    pub(crate) fn confirm(self, question: &str) -> anyhow::Result<bool> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(true);
        }
        write!(io::stderr(), "{question} [y/N] ")?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

/// A line for people on the standard error. If that is gone, there is nobody to tell.
pub(crate) fn complain(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

/// A table.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.map(str::to_uppercase));
    for row in rows {
        table.add_row(row);
    }
    table.trim_fmt()
}

/// Pairs under one another.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
    pairs.iter().map(|(key, value)| format!("{key:width$}  {value}\n")).collect()
}

/// An absent value in a table.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".into(), |value| value.to_string())
}
