//! Tests of the inventory.

use std::collections::HashMap;

use bollard::models::{NodeDescription, NodeSpec, NodeStatus};

use super::*;

fn node(host: &str, state: NodeState, availability: NodeSpecAvailabilityEnum, labels: &[(&str, &str)]) -> Node {
    let labels: HashMap<String, String> =
        labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Node {
        description: Some(NodeDescription { hostname: Some(host.to_owned()), ..NodeDescription::default() }),
        spec: Some(NodeSpec { labels: Some(labels), availability: Some(availability), ..NodeSpec::default() }),
        status: Some(NodeStatus { state: Some(state), ..NodeStatus::default() }),
        ..Node::default()
    }
}

#[test]
fn a_node_has_a_zone_and_may_be_closed() {
    let labels = [("zone", "rack-1"), ("openmanage.zone", "a")];
    let found = inventory(vec![
        node("two", NodeState::READY, NodeSpecAvailabilityEnum::DRAIN, &labels[..1]),
        node("one", NodeState::READY, NodeSpecAvailabilityEnum::ACTIVE, &labels),
        node("not a host name", NodeState::READY, NodeSpecAvailabilityEnum::ACTIVE, &[]),
    ]);
    let [one, two] = &found[..] else { panic!("two nodes, sorted: {found:?}") };
    assert_eq!((one.zone.as_deref(), one.schedulable, one.ready), (Some("a"), true, true));
    assert_eq!((two.zone.as_deref(), two.schedulable, two.ready), (Some("rack-1"), false, true));
}

#[test]
fn a_node_that_joined_again_is_there_once() {
    let (new, old) = (NodeState::READY, NodeState::DOWN);
    for states in [[new, old], [old, new]] {
        let found = inventory(states.map(|state| node("one", state, NodeSpecAvailabilityEnum::ACTIVE, &[])).into());
        assert!(found.len() == 1 && found[0].ready, "{found:?}");
    }
}
