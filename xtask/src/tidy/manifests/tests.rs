use super::*;

const GOOD: &str = r#"
[package]
name = "om-x"
version.workspace = true

[dependencies]
serde.workspace = true # as everywhere
tokio = { workspace = true, features = ["net"] }
axum = { workspace = true, features = [
  "ws",
] }

[target.'cfg(unix)'.dependencies]
rustix.workspace = true

[dev-dependencies]
tempfile.workspace = true

[lints]
workspace = true
"#;

#[test]
fn a_manifest_of_ours_is_clean() {
    assert_eq!(check("crates/x/Cargo.toml", GOOD), []);
}

#[track_caller]
fn found(text: &str, line: usize, expected: &str) {
    let findings = check("crates/x/Cargo.toml", text);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].to_string().contains(&format!(":{line}: ")), "{}", findings[0]);
    assert!(findings[0].to_string().contains(expected), "{}", findings[0]);
}

#[test]
fn a_version_of_its_own_is_found() {
    found(&GOOD.replace("serde.workspace = true # as everywhere", "serde = \"1\""), 7, "serde = \"1\"");
}

#[test]
fn a_path_of_its_own_is_found() {
    found(&GOOD.replace("tempfile.workspace = true", "om-y = { path = \"../y\" }"), 17, "om-y");
}

#[test]
fn a_version_below_a_target_is_found() {
    found(&GOOD.replace("rustix.workspace = true", "rustix = \"1.1\""), 14, "rustix");
}

#[test]
fn missing_lints_are_found() {
    let findings = check("crates/x/Cargo.toml", &GOOD.replace("[lints]\nworkspace = true\n", ""));
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].to_string().contains("lints"), "{}", findings[0]);
}
