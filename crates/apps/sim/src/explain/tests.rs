//! Traces are taken apart, cut and told.

use super::{Filter, readable, story};

fn trace() -> Vec<String> {
    let lines = [
        "    0.0000  n1: power on",
        "    0.0000 !server n2: Delay at db.get leader/server",
        "   50.2500 !n1: PowerOff for 3.25 s",
        "   60.5000  container 3 of orders-0-1 begins on n2",
        "   70.0000  VIOLATED: orders-0: two writers: n1, n2",
    ];
    lines.map(str::to_owned).to_vec()
}

#[test]
fn a_trace_is_shown_in_columns() {
    let text = readable(&trace(), &Filter::default());
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "      0.0000  n1            power on");
    assert_eq!(
        lines[1], "!             server n2     Delay at db.get leader/server",
        "the same time is not said twice"
    );
    assert_eq!(lines[2], "", "a while passes");
    assert!(text.contains("container 3 of orders-0-1 begins on n2"));
}

#[test]
fn a_trace_is_cut() {
    let until = readable(&trace(), &Filter { until: Some(55.0), about: None });
    assert!(until.contains("PowerOff") && !until.contains("container"), "{until}");
    let about = readable(&trace(), &Filter { until: None, about: Some("n1".to_owned()) });
    assert!(about.contains("power on") && !about.contains("leader"), "{about}");
}

#[test]
fn a_violation_is_told_with_what_led_to_it() {
    let text = story(&trace()).expect("there is one");
    assert!(text.starts_with("At 70.0000 s: orders-0: two writers: n1, n2\n"), "{text}");
    assert!(text.contains("PowerOff for 3.25 s") && !text.contains("Delay"), "{text}");
    assert_eq!(story(&trace()[..4]), None, "nothing is violated");
}
