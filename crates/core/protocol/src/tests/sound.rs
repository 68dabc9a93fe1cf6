//! The protocol as it is: nothing is violated, and members do move.

use super::Mishap::{AgentDown, ContainerPaused, Cut, Exit, MachinePaused, PowerOff, ServersDown};
use super::*;

const MOVES_ALL_WAYS: [&str; 5] = [MOVES, MOVES_TWICE, MOVES_ON, RETURNS, GOES_ON];

#[test]
fn storage_that_cuts_off_at_once() {
    explore(protocol(Storage::AtOnce, &Mishap::ALL, 2), &MOVES_ALL_WAYS, 100_000);
}

#[test]
fn reflinked_after_the_lease_one_move() {
    let protocol = Protocol { epochs: 2, ..protocol(Storage::AfterLease, &Mishap::ALL, 2) };
    explore(protocol, &[MOVES, GOES_ON], 100_000);
}

#[test]
fn reflinked_after_the_lease_two_moves() {
    // Not MOVES_TWICE: with two of three voters away nobody can be barred and no lease be had.
    let reached = [MOVES, MOVES_ON, RETURNS, GOES_ON];
    explore(protocol(Storage::AfterLease, &[Cut, PowerOff], 2), &reached, 100_000);
}

#[test]
fn voters_restart() {
    explore(protocol(Storage::AfterLease, &[Cut, AgentDown], 2), &[MOVES, MOVES_ON, RETURNS], 100_000);
}

#[test]
fn containers_and_machines_are_paused() {
    let protocol = Protocol { epochs: 2, ..protocol(Storage::AfterLease, &[Cut, ContainerPaused, MachinePaused], 2) };
    explore(protocol, &[MOVES], 100_000);
}

#[test]
fn containers_exit_and_are_released() {
    let protocol = protocol(Storage::AfterLease, &[Exit, AgentDown, ServersDown], 3);
    explore(protocol, &[MOVES, MOVES_ON, RETURNS], 10_000);
}

#[test]
fn without_a_gate_the_agent_stops_what_is_paused() {
    let protocol = protocol(Storage::AfterLease, &[Cut, ContainerPaused], 2);
    explore(Protocol { restraint: Restraint::AgentStops, epochs: 2, ..protocol }, &[MOVES], 10_000);
}

#[test]
fn lease_alone_with_a_bound_on_writes_under_way() {
    let protocol = protocol(Storage::Timed, &[Cut], 2);
    explore(Protocol { restraint: Restraint::AgentFreezes, epochs: 2, ..protocol }, &[MOVES], 1_000);
}
