//! Node loss, on three hosts with real Docker engines, a real Swarm and real databases: what `issues` of the field promise
//! and nobody shows. Each case cuts, stops or kills something, and then three things must hold: every acknowledged row is
//! there and none twice; the storage saw one writer at a time; the service is well again.
//!
//! `OPENMANAGE_PROVIDER` chooses where volumes come from: `shared-file` (when absent) or `nbd`.

#![allow(clippy::disallowed_methods, reason = "tests run in real time, outside every port")]

mod power;

use std::process::ExitCode;

use om_tests::fleet::Fleet;
use om_tests::{case, runner};

fn main() -> ExitCode {
    let cases: [runner::Case<Fleet>; 2] =
        [case!(power::a_service_runs_on_three_nodes), case!(power::the_primarys_node_loses_power)];
    runner::run(&cases, &[])
}
