//! What a crate's manifest must say: versions come from the workspace, and so do the lints.

use super::Finding;

/// Violations in the manifest `text` of one crate of the workspace.
pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut section = "";
    let mut in_list = false;
    let mut inherits_lints = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.starts_with('[') && !in_list {
            section = line.trim_matches(['[', ']']);
            continue;
        }
        let from_workspace = line.contains("workspace = true");
        if section == "lints" && from_workspace {
            inherits_lints = true;
        }
        if is_dependencies(section) && !line.is_empty() && !in_list && !from_workspace {
            let problem =
                format!("`{line}`: the version stands in the root manifest; write `NAME.workspace = true` here");
            findings.push(Finding::at(path, index + 1, problem));
        }
        in_list = (in_list || line.contains("= [") || line.ends_with('[')) && !line.contains(']');
    }
    if !inherits_lints {
        findings
            .push(Finding::new(path, "does not inherit the workspace's lints: add `[lints]` with `workspace = true`"));
    }
    findings
}

fn is_dependencies(section: &str) -> bool {
    let last = section.rsplit('.').next().unwrap_or_default();
    // `[dependencies.NAME]` is the table form, which hides what comes from where.
    last.ends_with("dependencies") || section.contains("dependencies.")
}

#[cfg(test)]
mod tests;
