//! Rules of the house, checked over the whole tree.
//!
//! Main pieces: [`check`] collects what is to be looked at and asks each family of rules; [`layers`] who may depend on
//! whom; [`manifests`] what a crate's manifest must say; [`sources`] sizes, docs, names and bans in Rust files;
//! [`texts`] what no tracked file may mention; [`mask`] blanks comments and strings so that the scans see code only.
//!
//! **Invariant:** every rule is a pure function of text or of the dependency graph, so that a test can plant a violation.

mod layers;
mod manifests;
mod mask;
mod sources;
mod texts;

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// One violation: where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    place: String,
    line: Option<usize>,
    problem: String,
}

impl Finding {
    fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), line: None, problem: problem.into() }
    }

    fn at(place: impl Into<String>, line: usize, problem: impl Into<String>) -> Self {
        Self { place: place.into(), line: Some(line), problem: problem.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.place, self.problem),
            None => write!(f, "{}: {}", self.place, self.problem),
        }
    }
}

/// Checks every rule over the tree at `root`.
///
/// # Errors
/// If git or cargo cannot be asked, or a listed file cannot be read. Violations are not errors.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = layers::check(&layers::packages(root)?);
    let files = tracked_files(root)?;
    ensure!(!files.is_empty(), "git lists no files at {}: nothing would be checked", root.display());
    for path in &files {
        // Not text (a picture, a database): nothing that these rules speak of.
        let Ok(text) = String::from_utf8(std::fs::read(root.join(path)).with_context(|| format!("read {path}"))?)
        else {
            continue;
        };
        findings.extend(texts::check(path, &text));
        if path.ends_with(".rs") {
            findings.extend(sources::check(path, &text));
        }
        if path.ends_with("Cargo.toml") && path != "Cargo.toml" {
            findings.extend(manifests::check(path, &text));
        }
    }
    Ok(findings)
}

/// Files that are, or on the next `git add` would be, part of the repository and exist.
fn tracked_files(root: &Path) -> Result<Vec<String>> {
    let listing = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("run git ls-files")?;
    ensure!(listing.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listing.stderr));
    let listing = String::from_utf8(listing.stdout).context("git ls-files names a file that is not UTF-8")?;
    let mut files: Vec<String> = listing.split_terminator('\0').map(str::to_owned).collect();
    files.retain(|path| root.join(path).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}
