//! Silences count only as far as somebody looked.

use super::*;

const STEP: Duration = Duration::from_millis(200);

fn node(name: &str) -> RosterNode {
    let address = "10.0.0.2".parse().unwrap();
    RosterNode { id: name.parse().unwrap(), address, agent: std::net::SocketAddr::new(address, 27041) }
}

fn view(watch: &Watch, now: Duration) -> PeerView {
    watch.views(now).into_iter().find(|view| view.node.as_str() == "b").expect("it is watched")
}

/// Looks for so many steps from `from`; returns when it ended.
fn look(watch: &mut Watch, from: Duration, steps: u32, sign: bool) -> Duration {
    for step in 0..steps {
        watch.look(from + STEP * step, &[node("b")]);
        if sign {
            watch.sign(from + STEP * step, &node("b").id);
        }
    }
    from + STEP * steps
}

#[test]
fn a_silence_grows_while_the_agent_looks() {
    let mut watch = Watch::new(Duration::ZERO);
    let now = look(&mut watch, Duration::ZERO, 10, true);
    assert_eq!(view(&watch, now).silent_for, STEP);
    let now = look(&mut watch, now, 10, false);
    let seen = view(&watch, now);
    assert_eq!((seen.silent_for, seen.watched_for), (STEP * 11, STEP * 20));
}

#[test]
fn an_agent_that_was_stopped_accuses_nobody() {
    let mut watch = Watch::new(Duration::ZERO);
    let now = look(&mut watch, Duration::ZERO, 10, true);
    let woken = now + Duration::from_secs(30);
    // Whichever comes first: a server's question, or its own loop.
    let asked = view(&watch, woken);
    assert_eq!((asked.silent_for, asked.watched_for), (Duration::ZERO, Duration::ZERO));
    let now = look(&mut watch, woken, 5, false);
    let seen = view(&watch, now);
    assert_eq!((seen.silent_for, seen.watched_for), (STEP * 5, STEP * 5), "from its waking on");

    let mut watch = Watch::new(Duration::ZERO);
    let now = look(&mut watch, Duration::ZERO, 10, true);
    look(&mut watch, now + Duration::from_secs(30), 1, false);
    assert_eq!(view(&watch, now + Duration::from_secs(30)).silent_for, Duration::ZERO);
}

#[test]
fn a_loop_that_hangs_while_servers_ask_accuses_nobody() {
    let mut watch = Watch::new(Duration::ZERO);
    let now = look(&mut watch, Duration::ZERO, 10, true);
    for step in 4..50 {
        assert_eq!(view(&watch, now + STEP * step).silent_for, Duration::ZERO, "asked in step {step}");
    }
}

#[test]
fn a_loop_a_little_late_goes_on_looking() {
    let mut watch = Watch::new(Duration::ZERO);
    let now = look(&mut watch, Duration::ZERO, 10, true);
    let seen = view(&watch, now + Duration::from_millis(400));
    assert_eq!(seen.watched_for, now + Duration::from_millis(400));
}

#[test]
fn a_node_is_watched_from_when_it_is_known() {
    let mut watch = Watch::new(Duration::ZERO);
    for step in 0..10 {
        watch.look(STEP * step, &[node("a")]);
    }
    watch.look(STEP * 10, &[node("b")]);
    assert_eq!(view(&watch, STEP * 11).watched_for, STEP);
    assert_eq!(watch.views(STEP * 11).len(), 1, "and one that left is forgotten");
}

/// In which of the steps from `from` on, in each of which the agent looks and somebody asks, a silence of a second is told.
fn told(watch: &mut Watch, from: Duration, steps: u32, sign: bool) -> Vec<u32> {
    let mut told = Vec::new();
    for step in 0..steps {
        let now = look(watch, from + STEP * step, 1, sign) - STEP;
        match watch.newly_silent(now, STEP * 5).as_slice() {
            [] => {}
            [one] if *one == node("b").id => told.push(step),
            others => panic!("{others:?}"),
        }
    }
    told
}

#[test]
fn every_silence_is_told_once() {
    let mut watch = Watch::new(Duration::ZERO);
    assert_eq!(told(&mut watch, Duration::ZERO, 20, true), [] as [u32; 0], "who answers is not silent");
    assert_eq!(told(&mut watch, STEP * 20, 50, false), [4], "the last sign was in the step before");
    assert_eq!(told(&mut watch, STEP * 70, 1, true), [] as [u32; 0]);
    assert_eq!(told(&mut watch, STEP * 71, 50, false), [4], "and the next one");
}

#[test]
fn after_a_pause_of_the_agents_own_a_silence_has_to_last_anew() {
    let mut watch = Watch::new(Duration::ZERO);
    let now = look(&mut watch, Duration::ZERO, 10, true);
    let woken = now + Duration::from_secs(30);
    assert_eq!(watch.newly_silent(woken, STEP * 5), [], "asked before it looks");
    assert_eq!(told(&mut watch, woken, 5, false), [] as [u32; 0]);
    assert_eq!(told(&mut watch, woken + STEP * 5, 1, true), [] as [u32; 0], "it was there all along");
    let now = look(&mut watch, woken + STEP * 6, 20, true);
    assert_eq!(told(&mut watch, now, 20, false), [4]);
    let woken = now + Duration::from_secs(30);
    assert_eq!(told(&mut watch, woken, 20, false), [5], "what was made meanwhile is ended too");
}
