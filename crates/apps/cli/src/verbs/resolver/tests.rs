//! Resolver entries: made, made again, and undone without a trace.

use super::*;

const ZONE: &str = "test-openmanage.com";

fn dns() -> SocketAddr {
    "127.0.0.53:53".parse().expect("an address")
}

#[test]
fn resolv_conf_is_changed_and_restored_to_the_byte() {
    let root = tempfile::tempdir().expect("a folder");
    fs::create_dir(root.path().join("etc")).expect("a folder");
    let path = root.path().join("etc/resolv.conf");
    let before = "search example.com\nnameserver 192.0.2.1\n";
    fs::write(&path, before).expect("writes");

    let made = edit(root.path(), ZONE, dns(), false).expect("fine").expect("a change");
    assert!(made.describe().contains("127.0.0.53"), "{}", made.describe());
    made.apply().expect("applies");
    let after = fs::read_to_string(&path).expect("reads");
    let first = after.lines().find(|line| line.starts_with("nameserver")).expect("a name server");
    assert_eq!(first, "nameserver 127.0.0.53");
    assert_eq!(edit(root.path(), ZONE, dns(), false).expect("fine"), None, "a second time changes nothing");

    edit(root.path(), ZONE, dns(), true).expect("fine").expect("a change").apply().expect("applies");
    assert_eq!(fs::read_to_string(&path).expect("reads"), before);
    assert_eq!(edit(root.path(), ZONE, dns(), true).expect("fine"), None);
}

#[test]
fn a_port_that_resolv_conf_cannot_name_is_refused_with_advice() {
    let root = tempfile::tempdir().expect("a folder");
    let error = edit(root.path(), ZONE, "127.0.0.1:5353".parse().expect("an address"), false).expect_err("refused");
    assert!(error.to_string().contains("--dns-listen"), "{error}");
}

#[test]
fn systemd_resolved_gets_a_drop_in_for_the_zone_only() {
    let root = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(root.path().join("run/systemd/resolve")).expect("a folder");
    let made = edit(root.path(), ZONE, dns(), false).expect("fine").expect("a change");
    assert!(made.content.as_ref().is_some_and(|text| text.contains("Domains=~test-openmanage.com\n")));
    assert!(made.path.ends_with("etc/systemd/resolved.conf.d/test-openmanage.com.conf"));
    assert!(made.describe().contains("systemctl restart systemd-resolved"));
    assert_eq!(edit(root.path(), ZONE, dns(), true).expect("fine"), None, "nothing to remove yet");
}
