//! Who gets the token: this machine's server, and nobody else.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::args::Output;
use crate::tests::environment;

fn file(url: &str) -> ServerFile {
    ServerFile {
        url: url.into(),
        cluster: "test".into(),
        zone: "test-openmanage.com".into(),
        dns: Some("127.0.0.54:53".parse().expect("an address")),
        ca: None,
    }
}

#[test]
fn the_address_and_its_scheme() {
    let own = file("http://127.0.0.1:27040");
    let url =
        |given: Option<&str>, own: Option<&ServerFile>, plain| address(given, own, plain).expect("fine").to_string();
    assert_eq!(url(None, None, false), "http://127.0.0.1:27040");
    assert_eq!(url(None, Some(&file("https://10.0.0.1:1")), false), "https://10.0.0.1:1");
    let name = "openmange-manageserver.test-openmanage.com:27040";
    assert_eq!(url(Some(name), Some(&own), false), format!("http://{name}"), "our own server speaks what it says");
    assert_eq!(url(Some(name), Some(&file("https://127.0.0.1:1")), true), format!("https://{name}"));
    assert_eq!(url(Some(name), None, true), format!("http://{name}"), "the original's way");
    assert_eq!(url(Some(name), None, false), format!("https://{name}"));
    assert!(address(Some("http://a/b"), None, false).is_err());
}

fn global(server: Option<&str>) -> Global {
    Global { server: server.map(str::to_owned), token_file: None, state: None, output: Output::Table, quiet: true }
}

#[test]
fn a_damaged_state_and_a_missing_token_file_are_told_of() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join(SERVER_FILE), "{").expect("writes");
    let error = Session::open(&global(None), environment(folder.path()), false).err().expect("damaged").to_string();
    assert!(error.contains("server.json is damaged"), "{error}");

    fs::remove_file(folder.path().join(SERVER_FILE)).expect("removes");
    let mut named = global(None);
    named.token_file = Some(folder.path().join("absent"));
    let error = Session::open(&named, environment(folder.path()), false).err().expect("missing").to_string();
    assert!(error.contains("there is no token file"), "{error}");
}

#[test]
fn tokens_are_read_without_their_line_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(TOKEN_FILE);
    assert_eq!(read_token(&path).expect("fine"), None);
    fs::write(&path, "secret\n").expect("writes");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("sets");
    assert_eq!(read_token(&path).expect("fine").as_deref(), Some("secret"));
}
