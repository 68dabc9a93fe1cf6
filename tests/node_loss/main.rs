//! Node loss, on three hosts with real Docker engines, a real Swarm and real databases: what `issues` of the field promise
//! and nobody shows. Each case cuts, stops or kills something, and then three things must hold: every acknowledged row is
//! there and none twice; the storage saw one writer at a time; the service is well again.
//!
//! `OPENMANAGE_PROVIDER` chooses where volumes come from: `shared-file` (when absent) or `nbd`.

#![allow(clippy::disallowed_methods, reason = "tests run in real time, outside every port")]

mod cuts;
mod deletion;
mod moves;
mod power;
mod processes;
mod volumes;
mod work;

use std::process::ExitCode;

use om_tests::fleet::Fleet;
use om_tests::{case, runner};

fn main() -> ExitCode {
    let cases: &[runner::Case<Fleet>] = &[
        case!(power::a_service_runs_on_three_nodes),
        case!(power::a_standbys_node_loses_power),
        case!(power::the_primarys_node_loses_power),
        case!(power::writes_of_a_dead_node_arrive_after_the_move),
        case!(power::nodes_of_the_leaders_lose_power),
        case!(power::two_nodes_lose_power_and_come_back),
        case!(cuts::a_cut_below_the_budget_moves_nothing),
        case!(cuts::a_cut_of_three_seconds_restarts_nothing),
        case!(cuts::network_and_storage_cut_for_twenty_seconds),
        case!(cuts::the_network_alone_cut_for_twenty_seconds),
        case!(cuts::the_network_alone_cut_for_two_minutes),
        case!(cuts::a_node_that_is_not_heard_loses_its_member_once),
        case!(cuts::a_minute_of_lost_packets_moves_nothing),
        case!(processes::an_agent_is_killed_and_started_again),
        case!(processes::an_agent_is_stopped_for_half_a_minute),
        case!(processes::dockerd_is_killed),
        case!(processes::dockerd_is_stopped_for_half_a_minute),
        case!(processes::the_members_first_process_is_stopped_and_its_node_cut_off),
        case!(processes::all_servers_are_down_for_a_minute),
        case!(processes::a_node_loses_power_while_all_servers_are_down),
        case!(moves::a_node_is_drained_and_admitted_again),
        case!(moves::every_node_is_rebooted_in_turn),
        case!(moves::a_node_returns_with_its_old_containers),
        case!(moves::the_second_holder_dies_while_the_first_is_away),
        case!(volumes::two_nodes_ask_for_one_volume_two_hundred_times),
        case!(volumes::mount_and_unmount_storms_leave_nothing),
        case!(volumes::a_member_with_a_full_disk_moves),
        case!(volumes::a_file_system_is_repaired_before_it_is_mounted),
        // Last: it takes the service away.
        case!(deletion::a_service_is_deleted_while_a_node_is_away),
    ];
    runner::run(cases, &[])
}
