use super::*;

#[test]
fn a_service_has_a_label_for_itself_its_primary_and_each_member() {
    let orders = "orders".parse().expect("a name");
    let labels: Vec<_> = service_labels(&orders, 2).into_iter().collect();
    assert_eq!(labels, ["orders", "orders-0", "orders-1", "orders-primary"]);
}
