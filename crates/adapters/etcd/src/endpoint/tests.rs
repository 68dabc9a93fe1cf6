//! What counts as local, and what a line's end does.

use std::sync::Arc;

use etcd_client::ConnectOptions;

use super::Endpoint;

fn endpoint(url: &str) -> Endpoint {
    Endpoint::new(url, ConnectOptions::new())
}

#[test]
fn addresses_of_this_machine_are_local() {
    for local in ["http://127.0.0.1:2379", "http://127.0.0.1:2379/", "https://127.0.0.1", "http://localhost:2379"] {
        assert!(endpoint(local).is_local(), "{local}");
    }
    // The last ones are addresses set aside for documentation, which no machine has.
    for remote in ["http://etcd.example:2379", "http://192.0.2.1:2379", "http://[2001:db8::1]:2379", ""] {
        assert!(!endpoint(remote).is_local(), "{remote}");
    }
}

#[test]
fn a_line_is_given_up_once() {
    let endpoint = endpoint("http://127.0.0.1:2379");
    let first = endpoint.line();
    endpoint.hang_up(&first);
    let second = endpoint.line();
    assert!(!Arc::ptr_eq(&first, &second));
    // Somebody else found the first one silent too, later.
    endpoint.hang_up(&first);
    assert!(Arc::ptr_eq(&second, &endpoint.line()));
}
