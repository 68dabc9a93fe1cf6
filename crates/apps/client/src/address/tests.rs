//! Addresses as people write them.

use super::*;

fn url(text: &str) -> String {
    text.parse::<ServerAddress>().unwrap_or_else(|error| panic!("{error}")).to_string()
}

#[test]
fn the_scheme_follows_the_host_unless_it_is_written() {
    assert_eq!(url("127.0.0.1:27040"), "http://127.0.0.1:27040");
    assert_eq!(url("localhost"), "http://localhost:27040");
    assert_eq!(url("[::1]:1"), "http://[::1]:1");
    assert_eq!(url("::1"), "http://[::1]:27040");
    assert_eq!(url("db.example.com:27040"), "https://db.example.com:27040");
    assert_eq!(url("http://db.example.com/"), "http://db.example.com:27040");
    assert_eq!(url("https://127.0.0.1:1"), "https://127.0.0.1:1");
    let address: ServerAddress = "a.test-openmanage.com:27040".parse().expect("an address");
    assert_eq!(address.clone().or_scheme(false).to_string(), "http://a.test-openmanage.com:27040");
    assert!(address.is_in_zone("test-openmanage.com"));
    assert!(!address.is_in_zone("openmanage.com"), "a zone ends at a dot");
}

#[test]
fn refusals_say_what_is_accepted() {
    for bad in
        ["", ":1", "host:0", "host:65536", "host:x", "ftp://host", "http://host/path", "http://user@host", "a b", "ü"]
    {
        let error = bad.parse::<ServerAddress>().expect_err(bad);
        assert_eq!(error.field, "server");
        assert!(error.accepted.contains("27040"));
    }
}
