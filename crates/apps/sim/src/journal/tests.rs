//! Journals are read in every form, and what befell the cluster is concluded from what was seen of it.

use std::time::Duration;

use om_planning::{Change, VolumeFate};

use super::{Act, Journal, ReadError};

/// A line as the CLI gives it, so many seconds after the beginning.
fn line(at: f64, kind: &str, member: Option<&str>, operation: Option<&str>, message: &str) -> String {
    let at = jiff::Timestamp::from_millisecond(1_700_000_000_000 + (at * 1000.0) as i64).expect("a time");
    let optional = |name: &str, value: Option<&str>| value.map(|v| format!(",\"{name}\":\"{v}\"")).unwrap_or_default();
    format!(
        "{{\"cursor\":\"0\",\"at\":\"{at:.3}\",\"kind\":\"{kind}\",\"service\":\"orders\"{}{},\"message\":\"{message}\"}}",
        optional("member", member),
        optional("operation", operation),
    )
}

fn node(at: f64, message: &str) -> String {
    line(at, "node-changed", None, None, message)
}

fn acts(lines: &[String]) -> Vec<(f64, Act)> {
    let journal = Journal::read(&lines.join("\n")).expect("a journal");
    let schedule = journal.schedule();
    assert_eq!(schedule.left_out, Vec::<String>::new());
    schedule.acts.into_iter().map(|(at, act)| (at.as_secs_f64(), act)).collect()
}

#[test]
fn lines_lists_and_pages_are_read() {
    let lines = [node(0.0, "node a joined"), node(1.0, "node b joined")];
    let read = Journal::read(&lines.join("\n")).expect("lines");
    assert_eq!(read, Journal::read(&format!("[{}]", lines.join(","))).expect("a list"));
    assert_eq!(read, Journal::read(&format!("{{\"items\":[{}],\"next\":null}}", lines.join(","))).expect("a page"));
    assert_eq!(read, Journal::read(&read.text()).expect("what it writes"));
    assert!(matches!(Journal::read(""), Err(ReadError::Empty)));
    assert!(matches!(Journal::read(&format!("{}\nno event", lines[0])), Err(ReadError::Format { number: 2, .. })));
}

#[test]
fn a_node_that_came_back_in_a_new_life_had_no_power() {
    let lines = [
        line(0.0, "bound", Some("orders-0"), None, "orders-0 is held by node a (epoch 1)"),
        node(10.0, "node a is lost: silent for 3.00 s as seen from b"),
        node(29.0, "node a came back in a new life"),
        node(30.0, "node a is back"),
        node(50.0, "node a is lost: silent for 3.00 s as seen from b"),
        node(60.0, "node a is back"),
    ];
    let found = acts(&lines);
    let [(at, Act::NodeAway { node, held, power: true, length }), (_, Act::NodeAway { power: false, .. })] = &found[..]
    else {
        panic!("without power, and then cut off: {found:?}");
    };
    assert_eq!((node.as_str(), held.len()), ("a", 1));
    assert!((*at - 12.5).abs() < 0.01, "before it was noticed: {at}");
    assert!((length.as_secs_f64() - 22.0).abs() < 0.01, "until just before it was back: {length:?}");
}

#[test]
fn operations_are_concluded_from_their_steps() {
    let lines = [
        line(0.0, "operation-accepted", None, Some("1"), "create orders accepted"),
        line(1.0, "operation-step", Some("orders-0"), Some("1"), "start orders-0"),
        line(1.5, "operation-step", Some("orders-1"), Some("1"), "start orders-1"),
        line(5.0, "operation-accepted", None, Some("2"), "move orders accepted"),
        line(6.0, "operation-step", Some("orders-1"), Some("2"), "stop orders-1"),
        line(7.0, "operation-accepted", None, Some("3"), "recover orders accepted"),
        line(8.0, "operation-accepted", None, Some("4"), "delete orders accepted"),
        line(9.0, "operation-step", Some("orders-1"), Some("4"), "keep data volume of orders-1"),
    ];
    let changes = acts(&lines).into_iter().map(|(_, act)| match act {
        Act::Change(_, change) => *change,
        other => panic!("no change: {other:?}"),
    });
    match &changes.collect::<Vec<_>>()[..] {
        [Change::Create { spec }, Change::Move { member, to: None }, Change::Delete { volumes: VolumeFate::Keep }] => {
            assert_eq!((spec.replicas, member.as_str()), (2, "orders-1"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_done_again_is_named() {
    let lines = [
        node(0.0, "nodes are missed, and nothing is done"),
        line(1.0, "operation-accepted", None, Some("1"), "move orders accepted"),
    ];
    let schedule = Journal::read(&lines.join("\n")).expect("a journal").schedule();
    assert_eq!(schedule.left_out.len(), 2, "{schedule}");
    assert!(schedule.acts.is_empty() && schedule.length() > Duration::from_secs(1));
}
