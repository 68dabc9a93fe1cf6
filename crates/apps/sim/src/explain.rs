//! A trace made readable: when, who, what; parts of it; and the story of a violation.

use crate::trace::FAULT;

/// So many seconds before a violation are its story.
pub const STORY: f64 = 30.0;

/// What of a trace is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Only what happened until then, in seconds.
    pub until: Option<f64>,
    /// Only lines in which this occurs.
    pub about: Option<String>,
}

/// A line of a trace, taken apart.
#[derive(Clone, Debug, PartialEq)]
struct Line<'a> {
    at: f64,
    fault: bool,
    who: &'a str,
    what: &'a str,
}

/// Whom a line is about comes first, before a colon, in one or two words.
fn take_apart(line: &str) -> Option<Line<'_>> {
    let line = line.trim_start();
    let (at, rest) = line.split_once(' ')?;
    let fault = rest.starts_with(FAULT);
    let text = rest.trim_start_matches([FAULT, ' ']);
    let named = text.split_once(": ").filter(|(who, _)| who.split(' ').count() <= 2);
    let (who, what) = named.unwrap_or(("", text));
    Some(Line { at: at.parse().ok()?, fault, who, what })
}

impl Line<'_> {
    /// The mark and the time, unless that was the same before; who; what.
    fn show(&self, before: Option<f64>) -> String {
        let mark = if self.fault { FAULT } else { ' ' };
        let at = if before == Some(self.at) { String::new() } else { format!("{:.4}", self.at) };
        format!("{mark} {at:>10}  {:<12}  {}\n", self.who, self.what)
    }
}

/// The trace in columns: what went wrong is marked; a second without anything is an empty line.
pub fn readable(trace: &[String], filter: &Filter) -> String {
    let about = |line: &&String| filter.about.as_ref().is_none_or(|word| line.contains(word));
    let lines = trace.iter().filter(about).filter_map(|line| take_apart(line));
    let mut text = String::new();
    let mut before = None;
    for line in lines.take_while(|line| filter.until.is_none_or(|until| line.at <= until)) {
        if before.is_some_and(|before| line.at - before >= 1.0) {
            text.push('\n');
        }
        text += &line.show(before);
        before = Some(line.at);
    }
    text
}

/// What went wrong in the last seconds before the first violation, and the violation in words.
pub fn story(trace: &[String]) -> Option<String> {
    let lines: Vec<Line<'_>> = trace.iter().filter_map(|line| take_apart(line)).collect();
    let end = lines.iter().find(|line| line.who == "VIOLATED")?;
    let from = end.at - STORY;
    let mut text = format!("At {:.4} s: {}\n\nWhat went wrong in the {STORY} s before:\n", end.at, end.what);
    let faults: Vec<_> = lines.iter().filter(|line| line.fault && line.at >= from && line.at <= end.at).collect();
    if faults.is_empty() {
        text += "  nothing";
        if let Some(last) = lines.iter().rfind(|line| line.fault && line.at < from) {
            text += &format!("; the last was at {:.4} s: {} {}", last.at, last.who, last.what);
        }
        text.push('\n');
    }
    let mut before = None;
    for line in faults {
        text += &line.show(before);
        before = Some(line.at);
    }
    Some(text)
}

#[cfg(test)]
mod tests;
