use super::*;

const APP: &str = "crates/apps/control/src/executor.rs";

#[track_caller]
fn found(path: &str, text: &str, line: Option<usize>, expected: &str) {
    let findings = check(path, text);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].line, line, "{}", findings[0]);
    assert!(findings[0].to_string().contains(expected), "{}", findings[0]);
}

fn function(lines: usize) -> String {
    format!("//! Doc.\n\nfn long(a: [u8; 2]) -> u8 {{\n{}}}\n", "    let _ = '{';\n".repeat(lines - 2))
}

#[test]
fn a_file_of_ours_is_clean() {
    let text = "//! Doc.\nuse std::time::Duration;\nuse tokio::sync::mpsc;\n/// tokio::spawn\nfn f() { let _ = \"tokio::time\"; }\n";
    assert_eq!(check(APP, text), []);
}

#[test]
fn a_long_file_is_found() {
    assert_eq!(check(APP, &format!("//! Doc.\n{}", "\n".repeat(399))), []);
    found(APP, &format!("//! Doc.\n{}", "\n".repeat(400)), None, "has 401 lines");
}

#[test]
fn a_missing_module_doc_is_found_but_not_asked_of_tests() {
    found(APP, "use std::fmt;\n", Some(1), "does not begin with");
    assert_eq!(check("crates/apps/control/src/executor/tests.rs", "use super::*;\n"), []);
}

#[test]
fn a_long_function_is_found() {
    assert_eq!(check(APP, &function(70)), []);
    found(APP, &function(71), Some(3), "fn long has 71 lines");
}

#[test]
fn braces_in_strings_and_comments_do_not_end_a_function() {
    let text = function(71).replace("'{';", "\"}\"; // }");
    found(APP, &text, Some(3), "fn long has 71 lines");
}

#[test]
fn declarations_and_function_types_have_no_body() {
    let text = format!(
        "//! Doc.\ntrait T {{\n    fn short(&self);\n{}}}\ntype F = fn(u8) -> u8;\n",
        "    // more\n".repeat(100)
    );
    assert_eq!(check(APP, &text), []);
}

#[test]
fn an_empty_name_is_found_in_path_and_in_code() {
    found("crates/core/model/src/utils.rs", "//! Doc.\n", Some(1), "`utils`");
    found("crates/core/model/src/common/id.rs", "//! Doc.\n", Some(1), "`common`");
    found(APP, "//! Doc.\n\npub(crate) mod helpers;\n", Some(3), "`helpers`");
    assert_eq!(check("crates/bin/openmanage/src/main.rs", "//! Doc.\nmod manager_of_none;\n"), []);
}

#[test]
fn an_app_that_goes_past_the_ports_is_found() {
    found(APP, "//! Doc.\nuse tokio::time::sleep;\n", Some(2), "tokio::time");
    found(
        APP,
        "//! Doc.\nuse tokio::{\n    sync::mpsc,\n    net::{TcpListener, UdpSocket},\n};\n",
        Some(2),
        "tokio::net",
    );
    found(APP, "//! Doc.\nuse std::time::{Duration, Instant};\n", Some(2), "std::time::Instant");
    found(APP, "//! Doc.\nfn f() {\n    let a = 1;\n    tokio::spawn(async {});\n}\n", Some(4), "tokio::spawn");
    found(APP, "//! Doc.\nuse std::time::SystemTime;\n", Some(2), "SystemTime");
    found(APP, "//! Doc.\nfn f() { std::thread::sleep(D); }\n", Some(2), "std::thread");
}

#[test]
fn what_is_banned_in_apps_is_free_in_adapters_and_in_tests() {
    let text = "//! Doc.\nuse tokio::time::sleep;\n";
    assert_eq!(check("crates/adapters/system/src/lib.rs", text), []);
    assert_eq!(check("crates/apps/server/src/http/tests.rs", text), []);
    assert_eq!(check(APP, "//! Doc.\nuse tokio::sync::{mpsc, oneshot};\nfn net() { om_tokio::spawn(); }\n"), []);
}
