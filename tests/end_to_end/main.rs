//! End-to-end tests: every promise of the product, tried on real containers with real databases.
//!
//! Cases run in this order against one world; each makes sure of what it needs, so that a filter may choose any of them.

#![allow(clippy::disallowed_methods, reason = "tests run in real time, outside every port")]

mod configuration;
mod creation;
mod deletion;
mod failures;
mod life;
mod protocol;
mod refusals;

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
        case!(creation::no_secret_is_in_the_containers_environment_or_in_the_state_folder),
        case!(failures::a_killed_primary_comes_back_with_its_name_address_and_data),
        case!(failures::a_killed_standby_follows_again),
        case!(failures::a_second_container_cannot_mount_a_members_volume),
        case!(failures::a_killed_server_stops_no_database_and_drops_no_connection),
        case!(life::a_rolling_restart_restarts_every_member_and_keeps_the_data),
        case!(life::one_member_is_restarted_alone),
        case!(life::a_stopped_service_starts_again_with_its_data),
        case!(configuration::a_setting_that_reloads_restarts_nothing),
        case!(configuration::a_setting_that_needs_a_restart_gets_one),
        case!(configuration::volumes_grow_while_the_database_runs),
        case!(deletion::a_deleted_service_keeps_its_volumes_until_they_are_deleted),
        case!(deletion::a_service_deleted_with_its_volumes_leaves_nothing),
        case!(deletion::the_originals_command_line_creates_and_deletes),
    ];
    let finally = [
        case!(deletion::teardown_removes_services_volumes_network_and_server),
        case!(deletion::nothing_is_left_after_the_last_service_and_the_server),
    ];
    runner::run(&cases, &finally)
}
