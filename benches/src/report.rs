//! The page that a benchmark prints, ready to be committed.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Context, Result};

use crate::machine;

/// A Markdown page about one benchmark.
pub struct Report {
    title: &'static str,
    name: &'static str,
    load: String,
    text: String,
}

impl Report {
    /// Begins the page of the benchmark `name`, before anything is measured.
    pub fn begin(name: &'static str, title: &'static str) -> Self {
        Self { title, name, load: machine::load(), text: String::new() }
    }

    /// Adds a paragraph.
    pub fn say(&mut self, paragraph: &str) {
        self.text += &format!("\n{paragraph}\n");
    }

    /// Adds a table: the first column is text, the others are numbers.
    pub fn table(&mut self, columns: &[&str], rows: &[Vec<String>]) {
        let rule = columns.iter().enumerate().map(|(index, _)| if index == 0 { "---" } else { "---:" });
        self.text += &format!("\n| {} |\n|{}|\n", columns.join(" | "), rule.collect::<Vec<_>>().join("|"));
        for row in rows {
            self.text += &format!("| {} |\n", row.join(" | "));
        }
    }

    /// Prints the page.
    ///
    /// # Errors
    /// If the machine cannot be described.
    pub fn print(self) -> Result<()> {
        let date = Command::new("date").args(["-u", "+%F %H:%M UTC"]).output().context("cannot run date")?;
        let mut page = format!("# {}\n", self.title);
        page += &self.text;
        writeln!(page, "\nMeasured on {} by `./bench {}`.", String::from_utf8_lossy(&date.stdout).trim(), self.name)?;
        writeln!(page, "Machine: {}; virtual.", machine::describe()?)?;
        writeln!(page, "Load average when it began {}, when it ended {}.", self.load, machine::load())?;
        print!("{page}");
        Ok(())
    }
}
