//! The worst moments: between a claim and its fence, between a word given and its being written down.

use std::time::Duration;

use om_planning::Change;

use super::stage::{SOON, Stage, member, secs};
use crate::fleet::{Mishap, Size};
use crate::planned::Planned;
use crate::weather::Fault;

/// Five machines, so that two can be lost at once; and less patience than a lease lasts, so that a claim is won long before its
/// former holder has to stop.
const HASTY: Size = Size { machines: 5, budget: Duration::from_millis(700), lease: Duration::from_secs(6) };

super::scenarios! {
    Some(HASTY);
    two_holders_lost: "A holder is cut off and writes on; the next is lost after its claim and before its fence; the third fences both", "design section 5, planted fault 1";
    voters_begin_anew: "The agents that promised a holder its lease begin anew as it falls silent: nobody takes its volume before that lease has ended", "design section 5, the lease";
    published_late: "Every word of a mount comes once more when the member has another holder, which is slow to mount: it is not published before", "design section 5 step 4";
    a_ghost_of_what_was_given_up: "A container is started where a member has just been given up, while the word of that is on its way: it gets nothing", "design section 5 (proof a)";
}

async fn two_holders_lost(stage: Stage) {
    stage.create(2).await;
    // Not where the orchestrator's leader is: another takes too long to be found.
    let (fleet, first) = (stage.fleet.clone(), stage.holder(1).await);
    stage.cut_off(&first);
    let next = loop {
        stage.wait(Duration::from_millis(5)).await;
        if let Some(next) = fleet.new_holder().await.and_then(|node| fleet.town.machine(&node)) {
            break next;
        }
    };
    fleet.power_off(&next);
    stage.serves_elsewhere(1, &next, secs(120)).await;
    fleet.power_on(&next);
    stage.mend();
    stage.all_well(SOON).await;
}

async fn voters_begin_anew(stage: Stage) {
    stage.create(2).await;
    let holder = stage.holder(1).await;
    let fleet = &stage.fleet;
    fleet.env.beside(fleet.clone().befall(Mishap::Amnesia, holder.clone(), secs(30)));
    stage.serves_elsewhere(1, &holder, secs(120)).await;
    stage.mend();
    stage.all_well(SOON).await;
}

async fn published_late(stage: Stage) {
    stage.fleet.net.echo("publish");
    stage.create(2).await;
    let late = Planned { late: secs(2), ..Planned::next("agent host.mount", Fault::Delay) };
    stage.plans(late);
    let moved = stage.begins(Change::Move { member: member(1), to: None }).await;
    stage.ends(&moved).await;
    stage.all_well(SOON).await;
}

async fn a_ghost_of_what_was_given_up(stage: Stage) {
    stage.create(2).await;
    let (fleet, holder) = (&stage.fleet, stage.holder(0).await);
    fleet.env.beside(fleet.clone().befall(Mishap::Haunted, holder, Duration::ZERO));
    let moved = stage.begins(Change::Move { member: member(0), to: None }).await;
    stage.ends(&moved).await;
    stage.all_well(SOON).await;
}
