//! Numbers with units, as the server's configuration file writes them.

/// Sizes in bytes and times in microseconds, by the server's unit words.
const SIZES: [(&str, f64); 6] = [
    ("B", 1.0),
    ("kB", 1024.0),
    ("8kB", 8192.0),
    ("MB", 1_048_576.0),
    ("GB", 1_073_741_824.0),
    ("TB", 1_099_511_627_776.0),
];
const TIMES: [(&str, f64); 6] = [("us", 1.0), ("ms", 1e3), ("s", 1e6), ("min", 6e7), ("h", 3.6e9), ("d", 8.64e10)];

/// True if `unit` counts time.
pub(super) fn is_time(unit: &str) -> bool {
    factor(&TIMES, unit).is_some()
}

/// `text` as a number of `base` units; `None` if it is no number or has a unit of the wrong kind.
pub(super) fn parse(text: &str, base: &str) -> Option<f64> {
    let text = text.trim();
    let split = text.rfind(|c: char| c.is_ascii_digit() || c == '.').map_or(0, |at| at + 1);
    let (number, unit) = (&text[..split], text[split..].trim());
    let number: f64 = number.parse().ok()?;
    if unit.is_empty() {
        return Some(number);
    }
    let table = if is_time(base) { &TIMES } else { &SIZES };
    // "8kB" is a base unit only; nobody writes it after a number.
    if unit == "8kB" {
        return None;
    }
    Some(number * factor(table, unit)? / factor(table, base)?)
}

fn factor(table: &[(&str, f64)], unit: &str) -> Option<f64> {
    table.iter().find(|(word, _)| *word == unit).map(|(_, factor)| *factor)
}
