//! The worst moments: between a claim and its fence, between a word given and its being written down.

use std::time::Duration;

use om_planning::Change;

use super::stage::{SOON, Stage, member, secs};
use crate::fleet::{Mishap, Size};

/// Five machines, so that two can be lost at once; and less patience than a lease lasts, so that a claim is won long before its
/// former holder has to stop.
const HASTY: Size = Size { machines: 5, budget: Duration::from_millis(700), lease: Duration::from_secs(6) };

super::scenarios! {
    Some(HASTY);
    two_holders_lost: "A holder is cut off and writes on; the next is lost after its claim and before its fence; the third fences both", "design section 5, planted fault 1";
    voters_begin_anew: "The agents that promised a holder its lease begin anew as it falls silent: nobody takes its volume before that lease has ended", "design section 5, the lease";
    a_ghost_of_what_was_given_up: "A container is started where a member has just been given up, while the word of that is on its way: it gets nothing", "design section 5 (proof a)";
}

async fn two_holders_lost(stage: Stage) {
    stage.create(2).await;
    let holder = stage.holder(0).await;
    let fleet = &stage.fleet;
    fleet.env.beside(fleet.clone().befall(Mishap::Chased, holder.clone(), Duration::ZERO));
    stage.cut_off(&holder);
    stage.serves_elsewhere(0, &holder, secs(120)).await;
    stage.rows_go_on(secs(60)).await;
    stage.mend();
    stage.all_well(SOON).await;
}

async fn voters_begin_anew(stage: Stage) {
    stage.create(2).await;
    let holder = stage.holder(0).await;
    let fleet = &stage.fleet;
    fleet.env.beside(fleet.clone().befall(Mishap::Amnesia, holder.clone(), secs(30)));
    stage.serves_elsewhere(0, &holder, secs(120)).await;
    stage.rows_go_on(secs(60)).await;
    stage.mend();
    stage.all_well(SOON).await;
}

async fn a_ghost_of_what_was_given_up(stage: Stage) {
    stage.create(2).await;
    for _ in 0..3 {
        let (fleet, holder) = (&stage.fleet, stage.holder(1).await);
        fleet.env.beside(fleet.clone().befall(Mishap::Haunted, holder.clone(), Duration::ZERO));
        let moved = stage.begins(Change::Move { member: member(1), to: None }).await;
        stage.ends(&moved).await;
        stage.all_well(SOON).await;
    }
}
