//! Who is lost, seen by how many.

use super::*;

const BUDGET: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(60);

fn node(name: &str) -> NodeId {
    name.parse().expect("a name")
}

fn roster(names: &str) -> Vec<NodeId> {
    names.chars().map(|name| node(&name.to_string())).collect()
}

/// What the agents in `up` see: nothing for three seconds from those in `gone`, and everybody else just now.
fn seen(roster: &[NodeId], up: &str, gone: &str) -> BTreeMap<NodeId, Vec<Sight>> {
    let sight = |of: &NodeId| {
        let silent = if gone.contains(of.as_str()) { Duration::from_secs(3) } else { Duration::from_millis(40) };
        Sight { node: of.clone(), silent_for: silent, watched_for: LONG }
    };
    let of = |from: NodeId| {
        let others = roster.iter().filter(|other| **other != from).map(sight).collect();
        (from, others)
    };
    up.chars().map(|name| of(node(&name.to_string()))).collect()
}

fn lost(verdict: &Verdict) -> String {
    verdict.lost.keys().map(NodeId::as_str).collect()
}

#[test]
fn one_of_three_is_lost_when_the_other_two_miss_it() {
    let roster = roster("abc");
    let verdict = judge(&roster, &seen(&roster, "bc", "a"), BUDGET);
    assert_eq!(lost(&verdict), "a");
    assert_eq!(verdict.lost[&node("a")].len(), 2, "each silence is told: {verdict:?}");
    assert_eq!(verdict.suspended, None);
}

#[test]
fn one_agents_word_is_not_enough() {
    let roster = roster("abc");
    let mut sights = seen(&roster, "bc", "a");
    sights.get_mut(&node("c")).expect("there")[0].silent_for = Duration::from_millis(1990);
    assert_eq!(judge(&roster, &sights, BUDGET), Verdict::default());
}

#[test]
fn a_silence_counts_only_as_far_as_somebody_listened() {
    let roster = roster("abc");
    let mut sights = seen(&roster, "bc", "a");
    sights.get_mut(&node("c")).expect("there")[0].watched_for = Duration::from_millis(500);
    assert_eq!(judge(&roster, &sights, BUDGET), Verdict::default());
}

#[test]
fn nobody_misses_a_node_whose_agent_alone_is_silent() {
    let roster = roster("abc");
    assert_eq!(judge(&roster, &seen(&roster, "bc", ""), BUDGET), Verdict::default());
}

#[test]
fn two_of_three_gone_suspends() {
    let roster = roster("abc");
    let verdict = judge(&roster, &seen(&roster, "c", "ab"), BUDGET);
    assert_eq!(lost(&verdict), "");
    let Some(Suspended::NoMajority { missed, answer: 1, majority: 2 }) = &verdict.suspended else {
        panic!("{verdict:?}")
    };
    assert_eq!(missed.len(), 2);
    assert!(verdict.suspended.expect("just seen").to_string().contains("openmanage node fence"));
}

#[test]
fn a_node_cut_off_that_a_server_still_reaches_outvotes_nobody() {
    // a misses b and c, and both of them miss a.
    let roster = roster("abc");
    let mut sights = seen(&roster, "bc", "a");
    sights.extend(seen(&roster, "a", "bc"));
    assert_eq!(lost(&judge(&roster, &sights, BUDGET)), "a");
}

#[test]
fn everybody_missing_everybody_moves_nothing() {
    let roster = roster("abcde");
    let verdict = judge(&roster, &seen(&roster, "abcde", "abcde"), BUDGET);
    assert_eq!(lost(&verdict), "");
    assert!(matches!(&verdict.suspended, Some(Suspended::TooMany(nodes)) if nodes.len() == 5), "{verdict:?}");
}

#[test]
fn two_of_five_may_go() {
    let roster = roster("abcde");
    assert_eq!(lost(&judge(&roster, &seen(&roster, "cde", "ab"), BUDGET)), "ab");
}

#[test]
fn who_is_not_in_the_roster_has_no_vote_and_is_not_judged() {
    let all = roster("abcx");
    let sights = seen(&all, "bx", "ax");
    assert_eq!(lost(&judge(&roster("abc"), &sights, BUDGET)), "");
}

#[test]
fn a_majority_is_of_the_roster_for_every_number_of_answers() {
    let roster = roster("abcdefg");
    for (up, expected) in [("bcd", ""), ("bcde", "a"), ("bcdef", "a"), ("bcdefg", "a")] {
        assert_eq!(lost(&judge(&roster, &seen(&roster, up, "a"), BUDGET)), expected, "{up}");
    }
}
