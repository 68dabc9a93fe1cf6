//! Rules for Rust files: sizes, module docs, names, and what apps must take through ports.

use std::path::Path;

use super::Finding;
use super::mask::code_only;

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "common", "helpers", "helper", "manager"];

/// Paths that would take time, tasks or the network past the ports, by the part before and the one after the last `::`.
const PAST_THE_PORTS: [(&str, &[&str]); 3] = [
    ("tokio", &["time", "spawn", "net", "task"]),
    ("std::time", &["Instant", "SystemTime"]),
    ("std", &["net::TcpStream", "net::TcpListener", "net::UdpSocket", "thread"]),
];

/// Runs whole simulated worlds side by side; inside of each, time and tasks come through ports.
const WORLDS: &str = "crates/apps/sim/src/many.rs";

/// Violations in the Rust file `text`.
pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let code = code_only(text);
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        findings
            .push(Finding::new(path, format!("has {lines} lines; split it into modules of at most {FILE_LINES_MAX}")));
    }
    let is_tests = Path::new(path).file_name().is_some_and(|name| name == "tests.rs");
    if !is_tests && !text.starts_with("//!") {
        findings.push(Finding::at(
            path,
            1,
            "does not begin with `//!`: say what the file is, its pieces and its invariant",
        ));
    }
    findings.extend(empty_names(path, &code));
    findings.extend(long_functions(path, &code));
    if path.starts_with("crates/apps/") && !in_tests(path) && path != WORLDS {
        findings.extend(past_the_ports(path, &code));
    }
    findings
}

fn in_tests(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn empty_names(path: &str, code: &str) -> Vec<Finding> {
    let stems = Path::new(path).iter().filter_map(|part| part.to_str()).map(|part| part.trim_end_matches(".rs"));
    let in_path = stems.filter(|stem| EMPTY_NAMES.contains(stem)).map(|stem| (1, stem.to_owned()));
    let words: Vec<_> = words(code).collect();
    let declared = words.windows(2).filter(|pair| pair[0].1 == "mod" && EMPTY_NAMES.contains(&pair[1].1));
    let declared = declared.map(|pair| (line_of(code, pair[1].0), pair[1].1.to_owned()));
    let finding =
        |(line, name)| Finding::at(path, line, format!("`{name}` names no idea: call the module after what it does"));
    in_path.chain(declared).map(finding).collect()
}

/// Words of code and where they begin: names, keywords and numbers.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.split(move |c| !is_word(c)).filter(|word| !word.is_empty()).map(move |word| {
        // Both are parts of `code`: the distance of their first bytes is the word's offset.
        (word.as_ptr() as usize - code.as_ptr() as usize, word)
    })
}

fn line_of(code: &str, offset: usize) -> usize {
    code[..offset].matches('\n').count() + 1
}

fn long_functions(path: &str, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let all: Vec<_> = words(code).collect();
    for pair in all.windows(2).filter(|pair| pair[0].1 == "fn") {
        let (start, name) = (pair[0].0, pair[1].1);
        // `fn(A) -> B` is a type, not a function.
        if code[start + 2..].trim_start().starts_with('(') {
            continue;
        }
        let Some(end) = body_end(&code[start..]) else { continue };
        let lines = code[start..start + end].matches('\n').count() + 1;
        if lines > FUNCTION_LINES_MAX {
            let problem = format!("fn {name} has {lines} lines; at most {FUNCTION_LINES_MAX}");
            findings.push(Finding::at(path, line_of(code, start), problem));
        }
    }
    findings
}

/// Where the body of the function that begins `code` ends; `None` if it is only declared.
fn body_end(code: &str) -> Option<usize> {
    let (mut round, mut curly) = (0_usize, 0_usize);
    for (offset, c) in code.char_indices() {
        match c {
            '(' | '[' => round += 1,
            ')' | ']' => round = round.saturating_sub(1),
            // The `;` of an array type in the signature stands inside brackets.
            ';' if round == 0 && curly == 0 => return None,
            '{' => curly += 1,
            '}' if curly == 1 => return Some(offset),
            '}' => curly = curly.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn past_the_ports(path: &str, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, statement) in statements(code) {
        let compact: String = statement.chars().filter(|c| !c.is_whitespace()).collect();
        for (prefix, names) in PAST_THE_PORTS {
            for name in names.iter().filter(|name| mentions(&compact, prefix, name)) {
                let problem = format!("uses {prefix}::{name}: apps take time, tasks and network through ports");
                findings.push(Finding::at(path, number, problem));
            }
        }
    }
    findings
}

/// Pieces of code up to a `;`, with the line each begins on, so that a `use` over several lines is one piece.
fn statements(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut offset = 0;
    code.split_inclusive(';').map(move |piece| {
        let start = offset + (piece.len() - piece.trim_start().len());
        offset += piece.len();
        (line_of(code, start.min(code.len())), piece)
    })
}

/// True if `code` (without white space) names `prefix::name`, written out or in a group such as `prefix::{a, name::b}`.
fn mentions(code: &str, prefix: &str, name: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let ends = |rest: &str| !rest.starts_with(is_name);
    code.match_indices(prefix).any(|(at, _)| {
        let begins = !code[..at].ends_with(is_name) || ["use", "pubuse"].iter().any(|word| code[..at].ends_with(word));
        let Some(rest) = code[at + prefix.len()..].strip_prefix("::") else {
            return false;
        };
        let written = rest.strip_prefix(name).is_some_and(ends);
        let grouped = rest.starts_with('{') && group(rest).iter().any(|item| item.strip_prefix(name).is_some_and(ends));
        begins && (written || grouped)
    })
}

/// The items at the top level of the group that begins `rest`.
fn group(rest: &str) -> Vec<&str> {
    let (mut depth, mut from, mut items) = (0_usize, 1, Vec::new());
    for (offset, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => {
                items.push(&rest[from..offset]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 1 => {
                items.push(&rest[from..offset]);
                from = offset + 1;
            }
            _ => {}
        }
    }
    items
}

#[cfg(test)]
mod tests;
