//! Plans that give members to nodes.

use om_model::{Epoch, Holder, MemberRecord, NodeId, Phase, Timestamp};

use crate::example::{assert_does, existing, id, member, notes, orders, planned, spec};
use crate::placement::{Site, Sites, Tenant};
use crate::{Change, Observed, Refusal};

pub(crate) fn node(name: &str) -> NodeId {
    name.parse().expect("a node")
}

/// Orders with three members, one on each of the nodes a, b and c; those in `lost` are not there.
pub(crate) fn spread(phase: Phase, lost: &str) -> Observed {
    let mut observed = existing(spec(3), phase);
    let names = ["a", "b", "c", "d"];
    let record = |index: u16| {
        let place = node(names[usize::from(index)]);
        let life = "life1".parse().expect("a life");
        let holder = Holder { node: place.clone(), incarnation: life, container: None, since: Timestamp::default() };
        let binding = om_model::Binding {
            epoch: Epoch::new(1),
            holder: Some(holder),
            assigned: Some(place),
            ..Default::default()
        };
        MemberRecord {
            name: member(index),
            service: id(),
            service_name: orders(),
            index,
            address: None,
            binding,
            replacement: 0,
        }
    };
    observed.members = (0..3).map(record).collect();
    let site = |name: &str| {
        let on = observed.members.iter().filter(|record| record.place() == Some(&node(name)));
        let tenants = on.map(|record| Tenant { service: id(), member: record.name.clone(), port: 5432 }).collect();
        Site { id: node(name), zone: None, present: !lost.contains(name), suspect: false, drained: false, tenants }
    };
    observed.sites = Sites { several: true, shared_addresses: false, nodes: names.into_iter().map(site).collect() };
    observed
}

fn recover(index: u16, from: &str, epoch: u64) -> Change {
    Change::Recover { member: member(index), from_node: node(from), epoch: Epoch::new(epoch) }
}

#[test]
fn a_create_places_its_members_apart() {
    let observed = Observed { sites: spread(Phase::Active, "a").sites, ..Observed::default() };
    let mut observed = observed;
    for site in &mut observed.sites.nodes {
        site.tenants.clear();
    }
    let plan = planned(&Change::Create { spec: spec(3) }, &observed).expect("planned");
    let first: Vec<_> = plan.steps.iter().take(3).map(|planned| planned.step.describe()).collect();
    assert_eq!(
        first,
        [
            "reserve name and address of orders-0 on node b",
            "reserve name and address of orders-1 on node c",
            "reserve name and address of orders-2 on node d",
        ]
    );
}

#[test]
fn a_create_that_no_node_can_take_is_refused() {
    let observed = Observed { sites: spread(Phase::Active, "abcd").sites, ..Observed::default() };
    let refusal = planned(&Change::Create { spec: spec(1) }, &observed).expect_err("no node");
    assert!(matches!(&refusal, Refusal::Conflict { next, .. } if next.contains("openmanage node list")), "{refusal}");
}

#[test]
fn a_recovery_starts_the_replacement_before_anything_that_may_wait() {
    assert_does(
        &planned(&recover(1, "b", 1), &spread(Phase::Active, "b")).expect("planned"),
        "give orders-1 to node d
         create container of orders-1
         start orders-1
         remove former container of orders-1
         wait for orders-1 to accept writes",
    );
}

#[test]
fn a_recovery_with_no_node_left_waits_for_one() {
    let plan = planned(&recover(0, "a", 1), &spread(Phase::Active, "abcd")).expect("planned");
    assert_eq!(plan.steps[0].step.describe(), "give orders-0 to another node");
}

#[test]
fn a_recovery_that_came_too_late_does_nothing() {
    for (change, observed, why) in [
        (recover(0, "a", 2), spread(Phase::Active, "a"), "no longer on node a"),
        (recover(0, "b", 1), spread(Phase::Active, "b"), "no longer on node b"),
        (recover(0, "a", 1), spread(Phase::Active, ""), "node a is back"),
        (recover(0, "a", 1), spread(Phase::Stopped, "a"), "stopped"),
    ] {
        let plan = planned(&change, &observed).expect("planned");
        assert!(plan.steps.is_empty() && notes(&plan, why), "{change:?}: {plan:?}");
    }
}

#[test]
fn a_move_stops_and_releases_first() {
    let plan = planned(&Change::Move { member: member(0), to: None }, &spread(Phase::Active, "")).expect("planned");
    assert_does(
        &plan,
        "stop orders-0
         release volumes and name of orders-0
         give orders-0 to node d
         create container of orders-0
         start orders-0
         remove former container of orders-0
         wait for orders-0 to follow the primary",
    );
    assert_eq!(plan.write_pause, None, "a standby accepts no writes");
    let primary = planned(&Change::Move { member: member(1), to: None }, &spread(Phase::Active, "")).expect("planned");
    assert!(primary.write_pause.is_some());
}

#[test]
fn a_stopped_member_moves_without_being_started() {
    let change = Change::Move { member: member(0), to: Some(node("c")) };
    assert_does(
        &planned(&change, &spread(Phase::Stopped, "")).expect("planned"),
        "stop orders-0
         release volumes and name of orders-0
         give orders-0 to node c
         remove former container of orders-0",
    );
}

#[test]
fn moves_that_cannot_be_are_refused() {
    let to = |name: &str| Change::Move { member: member(0), to: Some(node(name)) };
    planned(&to("c"), &spread(Phase::Active, "c")).expect_err("a lost node takes nobody");
    planned(&to("x"), &spread(Phase::Active, "")).expect_err("a node that never joined takes nobody");
    planned(&to("c"), &existing(spec(3), Phase::Active)).expect_err("one machine");
    planned(&Change::Move { member: member(0), to: None }, &spread(Phase::Active, "bcd")).expect_err("nowhere to go");
    let same = planned(&to("a"), &spread(Phase::Active, "")).expect("planned");
    assert!(same.steps.is_empty() && notes(&same, "is on node a"));
}

#[test]
fn a_start_leaves_nodes_that_were_lost_meanwhile() {
    let plan = planned(&Change::Start, &spread(Phase::Stopped, "b")).expect("planned");
    let first: Vec<_> = plan.steps.iter().take(3).map(|planned| planned.step.describe()).collect();
    assert_eq!(first, ["give orders-1 to node d", "remove former container of orders-1", "start orders-1"]);
}
