//! Paths: a hostile name stays one part.

use super::*;

#[test]
fn names_stay_one_part() {
    assert_eq!(service("orders"), "/v1/services/orders");
    assert_eq!(service("../x"), "/v1/services/..%2Fx");
    assert_eq!(of_service("..", "members"), "/v1/services/%2E%2E/members");
    assert_eq!(volume("a b?c#ü"), "/v1/volumes/a%20b%3Fc%23%C3%BC");
}
