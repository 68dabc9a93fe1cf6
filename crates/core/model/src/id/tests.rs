use super::*;

#[test]
fn service_names_that_make_dns_labels_are_accepted() {
    let longest = "a".repeat(SERVICE_NAME_MAX);
    for good in ["a", "orders", "orders-2", "o--x", "x9", longest.as_str()] {
        let name: ServiceName = good.parse().unwrap_or_else(|error| panic!("{good}: {error}"));
        assert_eq!(name.to_string(), good);
        assert!(MemberName::of(&name, 99).as_str().parse::<MemberName>().is_ok(), "members of {good} have labels too");
    }
}

#[test]
fn service_names_that_make_none_are_refused_with_field_and_rule() {
    let long = "a".repeat(51);
    for (bad, word) in [
        ("", "is empty"),
        ("Orders", "'O'"),
        ("orders_x", "'_'"),
        ("commandes-é", "'é'"),
        ("заказы", "'з'"),
        ("../x", "'.'"),
        ("a/b", "'/'"),
        ("a b", "' '"),
        ("a\0", "'\\0'"),
        ("9lives", "begins or ends"),
        ("-orders", "begins or ends"),
        ("orders-", "begins or ends"),
        (long.as_str(), "has 51 characters"),
    ] {
        let error = bad.parse::<ServiceName>().err().unwrap_or_else(|| panic!("{bad:?} was accepted"));
        assert_eq!(error.field, "name");
        assert!(error.problem.contains(word), "{bad:?}: {error}");
        assert!(error.accepted.starts_with("1 to 50 characters: lower-case letters"), "{error}");
    }
}

#[test]
fn a_name_of_many_bytes_is_told_its_length_in_characters() {
    let error = "é".repeat(30).parse::<ServiceName>().expect_err("60 bytes");
    assert!(error.problem.contains("has 30 characters"), "{error}");
}

#[test]
fn identities_are_32_lower_case_hexadecimal_digits() {
    let good = "0123456789abcdef0123456789abcdef";
    assert_eq!(good.parse::<ServiceId>().expect("an id").as_str(), good);
    assert_eq!(good.parse::<OperationId>().expect("an id").as_str(), good);
    for bad in [
        "",
        "0123",
        &good.to_uppercase(),
        &format!("{good}0"),
        &good.replace('0', "g"),
        "../../../../../../../../etc/passwd",
    ] {
        let error = bad.parse::<ServiceId>().expect_err(bad);
        assert_eq!((error.field.as_str(), error.accepted.as_str()), ("service id", "32 lower-case hexadecimal digits"));
        assert_eq!(bad.parse::<OperationId>().expect_err(bad).field, "operation id");
    }
}

#[test]
fn nodes_zones_and_incarnations_are_checked() {
    assert!("ip-10-0-0-1.eu_west.internal".parse::<NodeId>().is_ok());
    assert!("test-openmanage.com".parse::<ZoneName>().is_ok());
    assert!("3f2c1e0a-94bd-4f6e-9d3e-000000000001".parse::<Incarnation>().is_ok());
    for bad in ["", "a b", "a/b", &"a".repeat(254)] {
        assert_eq!(bad.parse::<NodeId>().expect_err(bad).field, "node");
    }
    for bad in ["", "a..b", "example.com.", "UPPER.com", &format!("{}.com", "a".repeat(64)), &"a.".repeat(101)] {
        assert_eq!(bad.parse::<ZoneName>().expect_err(bad).field, "zone");
    }
    for bad in ["", "a_b", &"a".repeat(65)] {
        assert_eq!(bad.parse::<Incarnation>().expect_err(bad).field, "incarnation");
    }
}

#[test]
fn reading_checks_like_parsing() {
    let name: ServiceName = serde_json::from_str("\"orders\"").expect("good");
    assert_eq!(serde_json::to_string(&name).expect("text"), "\"orders\"");
    let error = serde_json::from_str::<ServiceName>("\"../x\"").expect_err("bad");
    assert!(error.to_string().starts_with("name: "), "{error}");
}

#[test]
fn names_that_are_made_of_others() {
    let cluster: ClusterName = "test".parse().expect("a name");
    assert_eq!(cluster.default_zone().as_str(), "test-openmanage.com");
    let orders: ServiceName = "orders".parse().expect("a name");
    assert_eq!(MemberName::of(&orders, 2).as_str(), "orders-2");
    let id = |role| VolumeId {
        service: "0123456789abcdef0123456789abcdef".parse().expect("an id"),
        member: MemberName::of(&orders, 2),
        role,
    };
    assert_eq!(id(VolumeRole::Data).to_string(), "0123456789abcdef0123456789abcdef_orders-2");
    assert_eq!(id(VolumeRole::Journal).to_string(), "journal_0123456789abcdef0123456789abcdef_orders-2");
}

#[test]
fn epochs_rise_by_one() {
    assert_eq!(Epoch::NONE.next(), Epoch::new(1));
    assert!(Epoch::new(9) < Epoch::new(10), "compared as numbers");
}
