//! Each rule broken on purpose: the checker has to find the way to a violation of the right property.

use super::Mishap::{AgentDown, ContainerPaused, Cut, Exit, MachinePaused, PowerOff};
use super::*;

fn leased(mishaps: &[Mishap], at_most: u8) -> Protocol {
    Protocol { epochs: 2, ..protocol(Storage::AfterLease, mishaps, at_most) }
}

fn restrained_by(restraint: Restraint, of: Protocol) -> Protocol {
    Protocol { restraint, ..of }
}

#[test]
fn fences_only_the_last_of_two_lost_holders() {
    let of = Protocol { epochs: 3, ..leased(&[Cut, PowerOff], 2) };
    hunt(broken(Fault::FencesOnlyLast, of), ACKNOWLEDGED_KEPT);
}

#[test]
fn stray_mount_evicts_a_healthy_holder() {
    hunt(broken(Fault::StrayEvicts, leased(&[], 0)), NO_STRAY_EVICTION);
}

#[test]
fn container_exited_is_taken_as_proof() {
    hunt(broken(Fault::ExitIsProof, leased(&[Cut, Exit], 2)), ACKNOWLEDGED_KEPT);
}

#[test]
fn paused_past_its_lease_with_only_the_first_process_on_guard() {
    hunt(restrained_by(Restraint::FirstProcess, leased(&[Cut, ContainerPaused], 2)), ACKNOWLEDGED_KEPT);
}

#[test]
fn paused_past_its_lease_and_frozen_by_the_agent() {
    hunt(restrained_by(Restraint::AgentFreezes, leased(&[Cut, ContainerPaused], 2)), ACKNOWLEDGED_KEPT);
}

#[test]
fn paused_past_its_lease_with_the_agent_dead() {
    hunt(restrained_by(Restraint::AgentStops, leased(&[Cut, ContainerPaused, AgentDown], 3)), ACKNOWLEDGED_KEPT);
}

#[test]
fn machine_paused_past_its_lease_without_a_gate() {
    hunt(restrained_by(Restraint::AgentStops, leased(&[MachinePaused], 1)), ACKNOWLEDGED_KEPT);
}

#[test]
fn clock_stands_still_while_the_machine_is_paused() {
    hunt(broken(Fault::StandingClock, leased(&[MachinePaused], 1)), ACKNOWLEDGED_KEPT);
}

#[test]
fn killed_before_the_file_system_is_shut_down() {
    let of = Protocol { epochs: 2, ..protocol(Storage::Timed, &[Cut], 2) };
    hunt(broken(Fault::KillBeforeShutdown, restrained_by(Restraint::AgentFreezes, of)), ONE_WRITER);
}

#[test]
fn reflinked_before_the_lease_is_over() {
    hunt(broken(Fault::ReflinkBeforeLeaseOver, leased(&[Cut], 1)), ACKNOWLEDGED_KEPT);
}

#[test]
fn voters_answer_as_if_they_had_never_promised() {
    hunt(broken(Fault::VoterForgets, leased(&[Cut, AgentDown], 3)), ACKNOWLEDGED_KEPT);
}

#[test]
fn published_before_fenced() {
    hunt(broken(Fault::PublishBeforeFence, leased(&[Cut], 1)), NAME_FOLLOWS_HOLDER);
}

#[test]
fn youngest_fenced_first() {
    let of = Protocol { epochs: 3, ..leased(&[Cut, PowerOff], 2) };
    hunt(broken(Fault::YoungestFirst, of), ACKNOWLEDGED_KEPT);
}

#[test]
fn new_life_of_a_node_is_taken_as_proof_about_its_writes() {
    hunt(broken(Fault::AttachCutsNothing, protocol(Storage::AtOnce, &[PowerOff], 1)), ONE_WRITER);
    hunt(broken(Fault::AttachCutsNothing, protocol(Storage::AfterLease, &[PowerOff], 1)), ONE_WRITER);
}

#[test]
fn attach_opens_the_newest_generation() {
    let of = Protocol { epochs: 3, ..leased(&[Cut, PowerOff], 2) };
    hunt(broken(Fault::AttachNewest, of), ONE_WRITER);
}

#[test]
fn goes_on_as_soon_as_the_lease_is_back() {
    let of = restrained_by(Restraint::AgentStops, leased(&[Cut, AgentDown], 2));
    hunt(broken(Fault::ContinueUnconfirmed, of), ACKNOWLEDGED_KEPT);
}

#[test]
fn epoch_confirmed_before_the_lease_was_back() {
    hunt(broken(Fault::ConfirmedEarlier, leased(&[Cut, AgentDown], 2)), ACKNOWLEDGED_KEPT);
}

#[test]
fn mounted_again_after_it_was_given_up() {
    hunt(broken(Fault::MountAfterRelease, leased(&[Exit], 1)), ACKNOWLEDGED_KEPT);
}

#[test]
fn agent_forgets_what_it_gave_up() {
    hunt(broken(Fault::RestartForgets, leased(&[Exit, AgentDown], 2)), ACKNOWLEDGED_KEPT);
}
