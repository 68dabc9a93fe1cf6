//! Power-off.

use std::time::{Duration, Instant};

use om_tests::fleet::Fleet;
use om_tests::testbed::writer::Writer;

const PACE: Duration = Duration::from_millis(20);

pub(crate) fn a_service_runs_on_three_nodes(fleet: &mut Fleet) {
    let began = Instant::now();
    fleet.service();
    fleet.all_healthy();
    println!("service after {:?}", began.elapsed());
    let holders: Vec<usize> = (0..3).map(|index| fleet.holder(index)).collect();
    let mut apart = holders.clone();
    apart.sort_unstable();
    apart.dedup();
    assert_eq!(apart.len(), 3, "each member has a node of its own: {holders:?}");
    fleet.one_writer();
}

pub(crate) fn the_primarys_node_loses_power(fleet: &mut Fleet) {
    let database = fleet.service();
    fleet.all_healthy();
    let writer = Writer::begin(&fleet.hosts.client, &database, PACE);
    fleet.pass(2);
    let former = fleet.holder(0);
    let off = Instant::now();
    fleet.power_off(former);
    fleet.moved(0, former);
    println!("healthy elsewhere after {:?}", off.elapsed());
    fleet.pass(2);
    println!("first row after {:?}", writer.first_after(off).map(|at| at - off));
    let written = writer.end();
    println!("{} rows, gap {:?}", written.rows.len(), written.gap());
    fleet.show();
    written.verify(&fleet.hosts.client, &database).expect("every acknowledged row, once");
    fleet.one_writer();
    fleet.recover();
}
