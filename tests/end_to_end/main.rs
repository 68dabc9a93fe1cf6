//! End-to-end tests: every promise of the product, tried on real containers with real databases.
//!
//! Cases run in this order against one world; each makes sure of what it needs, so that a filter may choose any of them.

#![allow(clippy::disallowed_methods, reason = "tests run in real time, outside every port")]

mod configuration;
mod creation;
mod deletion;
mod elsewhere;
mod failures;
mod following;
mod life;
mod naming;
mod options;
mod protocol;
mod refusals;
mod secrets;
mod tools;
mod volumes;

use std::process::ExitCode;

use om_tests::{case, runner};

fn main() -> ExitCode {
    let cases = [
        case!(refusals::bad_input_is_refused_by_field_before_anything_is_touched),
        case!(refusals::what_does_not_exist_is_said_to_not_exist),
        case!(protocol::malformed_requests_get_a_problem_and_change_nothing),
        case!(protocol::a_body_of_100_megabytes_is_refused_and_the_server_lives),
        case!(protocol::without_the_token_nothing_is_told),
        case!(protocol::the_servers_own_description_health_and_figures_are_there),
        case!(protocol::a_second_server_on_the_same_cluster_or_port_says_so_and_ends),
        case!(protocol::without_docker_it_is_said_what_to_do),
        case!(creation::a_service_of_three_has_one_primary_and_two_standbys),
        case!(creation::every_member_has_a_name_and_the_address_of_its_container),
        case!(creation::members_resolve_names_by_the_dns_of_their_containers),
        case!(creation::a_row_written_at_the_primary_is_read_at_every_standby),
        case!(creation::a_client_without_tls_or_password_is_turned_away),
        case!(creation::the_same_create_again_is_the_same_service_and_another_is_a_conflict),
        case!(secrets::no_secret_is_in_the_clear),
        case!(tools::completion_and_manual_pages_are_written),
        case!(tools::the_commands_of_the_readme_work),
        case!(tools::a_dry_run_shows_the_steps_and_does_none),
        case!(tools::the_member_program_is_small_static_reaps_and_restarts),
        case!(naming::the_zone_is_a_whole_one),
        case!(naming::containers_resolve_names_of_other_zones_too),
        case!(naming::a_name_answers_once_its_member_has_its_volume),
        case!(volumes::a_second_container_cannot_mount_a_members_volume),
        case!(volumes::a_volume_named_by_the_service_alone_is_a_free_members),
        case!(following::output_and_events_are_followed_as_they_come),
        case!(following::changes_of_one_service_are_ordered_and_a_repeated_request_is_one),
        case!(elsewhere::beyond_loopback_the_server_speaks_tls_and_wants_a_token),
        case!(elsewhere::in_the_background_it_is_started_and_ended_by_commands),
        case!(elsewhere::etcd_keeps_the_state_as_the_built_in_database_does),
        case!(failures::a_killed_primary_comes_back_with_its_name_address_and_data),
        case!(failures::a_killed_standby_follows_again),
        case!(failures::a_standby_whose_data_is_damaged_copies_it_anew),
        case!(failures::a_member_that_dies_while_the_server_is_away_comes_back_with_it),
        case!(failures::a_killed_server_stops_no_database_and_drops_no_connection),
        case!(life::a_rolling_restart_restarts_every_member_and_keeps_the_data),
        case!(life::one_member_is_restarted_alone),
        case!(life::a_stopped_service_starts_again_with_its_data),
        case!(configuration::a_setting_that_reloads_restarts_nothing),
        case!(configuration::a_setting_that_needs_a_restart_gets_one),
        case!(configuration::volumes_grow_while_the_database_runs),
        case!(options::the_log_is_on_the_journal_volume_if_asked),
        case!(options::a_synchronous_commit_waits_for_a_standby),
        case!(options::a_full_volume_breaks_nothing_else_and_growth_mends_it),
        case!(following::an_operation_is_followed_by_server_sent_events),
        case!(following::a_cancelled_create_leaves_nothing),
        case!(following::a_create_that_cannot_be_done_says_why_and_leaves_nothing),
        case!(following::a_server_killed_during_a_create_carries_it_to_its_end),
        case!(following::what_is_being_created_can_be_deleted),
        case!(creation::the_same_create_many_times_at_once_makes_one_service),
        case!(deletion::a_deleted_service_keeps_its_volumes_until_they_are_deleted),
        case!(deletion::a_service_deleted_with_its_volumes_leaves_nothing),
        case!(deletion::the_originals_command_line_creates_and_deletes),
    ];
    let finally = [
        case!(deletion::teardown_removes_all_of_ours_and_nothing_of_others),
        case!(deletion::nothing_is_left_after_the_last_service_and_the_server),
    ];
    runner::run(&cases, &finally)
}
