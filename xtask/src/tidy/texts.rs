//! What no tracked file may mention: paths of one machine, and hosts of package registries.

use super::Finding;

/// Places on the machine of whoever wrote the file. Written in two halves, so that this file passes its own rule.
const MACHINE_PATHS: [(&str, &str); 4] = [("/wo", "rk/"), ("/tmp", "/w/"), ("/ro", "ot/"), ("/ho", "me/")];

/// Hosts of package registries: which one is used is the machine's configuration, not ours.
const REGISTRY_HOSTS: [(&str, &str); 10] = [
    ("index.crates", ".io"),
    ("static.crates", ".io"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("registry.npmjs", ".org"),
    ("proxy.golang", ".org"),
    ("repo.maven.apache", ".org"),
    ("repo1.maven", ".org"),
    ("deb.debian", ".org"),
    ("registry-1.docker", ".io"),
];

/// Violations in the file `text`.
pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    // Written by cargo.
    if path == "Cargo.lock" {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for (first, second) in MACHINE_PATHS {
            if mentions(line, &format!("{first}{second}")) {
                let problem = format!("names {first}{second}: a path of one machine; make it relative or configurable");
                findings.push(Finding::at(path, index + 1, problem));
            }
        }
        for (first, second) in REGISTRY_HOSTS {
            if line.contains(&format!("{first}{second}")) {
                let problem = format!("names {first}{second}: leave the registry to the machine's configuration");
                findings.push(Finding::at(path, index + 1, problem));
            }
        }
    }
    findings
}

/// True if `path` stands in `line` as the beginning of a path, not in the middle of a longer one.
fn mentions(line: &str, path: &str) -> bool {
    let inside = |before: &str| before.ends_with(|c: char| c.is_alphanumeric() || "._-~}*".contains(c));
    line.match_indices(path).any(|(at, _)| !inside(&line[..at]))
}

#[cfg(test)]
mod tests;
