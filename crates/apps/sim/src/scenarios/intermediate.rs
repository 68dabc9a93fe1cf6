//! Intermediate state: a process ends between one step of an operation and the next, before the effect or after it.

use om_model::{ByteSize, OperationState};
use om_planning::{Change, VolumeFate};

use super::requests::setting;
use super::stage::{Stage, member, secs};
use crate::coverage::Fault::{self, CrashAfter, CrashBefore, FailAfter};
use crate::fleet::users::create;
use crate::planned::Planned;

super::scenarios! {
    create_interrupted: "The server ends after every write and call of a create: the service is there in the end, once", "Sieve intermediate-state (xtradb #896, #897; mongodb #578, #579; zookeeper #569)";
    delete_interrupted: "The server ends after every write and call of a delete: nothing is left", "Sieve intermediate-state (casskop #370: volumes left), cass-operator decommission";
    restart_interrupted: "The server ends in the middle of a restart of all members: each was restarted, all serve", "Sieve intermediate-state (cass-operator #1023)";
    configure_interrupted: "The server ends in the middle of a change of settings: every member has the new value", "Sieve intermediate-state (nifikop change-config)";
    grow_interrupted: "The server or the agent ends in the middle of a growth: every volume has the new size", "Sieve intermediate-state (rabbitmq #782 resize-pvc)";
    move_interrupted: "The server ends at every write and call of a move: the member is moved, once", "Sieve intermediate-state, dcos #581 (wrong plan after scheduler restart)";
    stop_start_interrupted: "The server ends in the middle of a stop and of a start: the service is stopped, then runs", "Sieve intermediate-state (casskop scaledown-to-zero)";
    recovery_interrupted: "The server ends at every write and call of a recovery: the member serves elsewhere", "dcos test_kill_scheduler during recovery (#581), CNPG #11346 (stuck failover)";
    mount_interrupted: "The agent ends at every call of a mount: the member serves, with one mount", "the original's crash between its mount steps (weaknesses 2 and 6)";
    release_interrupted: "The agent ends at every call of an unmount: the member moves all the same", "the original's unmount of what is not in its cache (weakness 6), Docker suite UnmountOnMountFail";
    answers_lost: "Every write and call of a create has its effect and answers nothing: it is made once", "KubeBlocks duplicate requests, Percona RN 1.20.1 (duplicate backups), dcos #740";
}

/// What a server writes and calls for most operations.
const WRITES: &[&str] = &["server db.update operations/", "server db.update services/", "server db.update members/"];

impl Stage {
    /// At the `after`th passage of the step, if it is passed so often.
    fn crash_at(&self, step: &str, fault: Fault, after: u32) {
        self.plans(Planned { after, ..Planned::next(step, fault) });
    }

    /// Nothing is planned any more; those that were not met are no failure: not each operation has so many steps.
    fn lift_some(&self, planned: u32) -> u32 {
        planned - self.fleet.env.weather.plans().lift().len() as u32
    }

    /// Carries `change` out once for each of these steps, the server ending there, before its effect and after.
    async fn interrupted(&self, steps: &[&str], passages: u32, change: impl Fn(u32) -> Change) {
        let mut number = 0;
        let mut met = 0;
        for step in steps {
            for after in 0..passages {
                let fault = if (number + after) % 2 == 0 { CrashAfter } else { CrashBefore };
                self.crash_at(step, fault, after);
                self.succeeds(change(number)).await;
                met += self.lift_some(1);
                number += 1;
                self.all_well(secs(120)).await;
            }
        }
        self.must(met * 2 > number, &format!("only {met} of {number} crashes were met")).await;
    }
}

async fn create_interrupted(stage: Stage) {
    stage.create(2).await;
    let steps = [
        "server db.create requests/",
        "server db.create pending/",
        "server db.create operations/",
        "server db.create services/",
        "server db.create service-ids/",
        "server db.create members/",
        "server db.create addresses/",
        "server db.create secrets/",
        "server db.create volumes/",
        "server orchestrator.create",
        "server orchestrator.start",
        "server db.update operations/",
        "server db.update services/",
        "server db.delete pending/",
    ];
    for (number, step) in (0..).zip(steps) {
        stage.succeeds(Change::Delete { volumes: VolumeFate::Delete }).await;
        stage.crash_at(step, if number % 2 == 0 { CrashAfter } else { CrashBefore }, number % 2);
        stage.succeeds(create(2)).await;
        stage.all_well(secs(120)).await;
        stage.must(stage.lift_some(1) == 1 || number % 2 == 1, &format!("{step} was not passed")).await;
        stage.must(stage.members().await.len() == 2, "not two members").await;
        stage.must(stage.fleet.storage.volumes().len() == 2, "not two volumes").await;
    }
}

async fn delete_interrupted(stage: Stage) {
    stage.create(2).await;
    let steps = [
        "server orchestrator.stop",
        "server orchestrator.remove",
        "server db.update members/",
        "server db.delete members/",
        "server db.delete addresses/",
        "server db.delete secrets/",
        "server db.delete volumes/",
        "agent volumes.delete",
        "server db.delete services/",
        "server db.delete service-ids/",
        "server db.update operations/",
        "server db.delete pending/",
    ];
    for (number, step) in (0..).zip(steps) {
        stage.crash_at(step, if number % 2 == 0 { CrashAfter } else { CrashBefore }, 0);
        stage.succeeds(Change::Delete { volumes: VolumeFate::Delete }).await;
        stage.wait(secs(10)).await;
        stage.must(stage.lift_some(1) == 1, &format!("{step} was not passed")).await;
        stage.must(stage.members().await.is_empty() && stage.service().await.is_none(), "records are left").await;
        stage.must(stage.fleet.storage.volumes().is_empty(), "volumes are left").await;
        stage.must(stage.fleet.swarm.deployments().is_empty(), "deployments are left").await;
        stage.succeeds(create(2)).await;
        stage.all_well(secs(60)).await;
    }
}

async fn restart_interrupted(stage: Stage) {
    stage.create(2).await;
    let steps = ["server orchestrator.stop", "server orchestrator.start", "server db.update operations/"];
    stage.interrupted(&steps, 2, |_| Change::Restart { member: None }).await;
}

async fn configure_interrupted(stage: Stage) {
    stage.create(2).await;
    let steps = ["server db.update services/", "agent host.write-files", "server db.update operations/"];
    stage.interrupted(&steps, 3, |number| setting("work_mem", &format!("{}MB", 8 + number))).await;
    let service = stage.service().await;
    let value = service.and_then(|service| service.spec.settings.get("work_mem").cloned());
    stage.must(value.as_deref() == Some("16MB"), &format!("the last value is {value:?}")).await;
}

async fn grow_interrupted(stage: Stage) {
    stage.create(2).await;
    let grow = |number: u32| Change::Grow { data: ByteSize::gib(2 + u64::from(number)), journal: None };
    stage.interrupted(WRITES.get(..2).unwrap_or_default(), 3, grow).await;
    for (number, step) in (0..).zip(["agent volumes.grow", "agent host.grow"]) {
        stage.crash_at(step, CrashAfter, 0);
        stage.succeeds(grow(10 + number)).await;
        stage.lift_some(1);
        stage.all_well(secs(60)).await;
    }
}

async fn move_interrupted(stage: Stage) {
    stage.create(2).await;
    let steps = [
        "server orchestrator.stop",
        "server db.update members/",
        "server orchestrator.create",
        "server orchestrator.start",
        "server orchestrator.remove",
        "server db.update operations/",
    ];
    let change = |number: u32| Change::Move { member: member((number % 2) as u16), to: None };
    stage.interrupted(&steps, 2, change).await;
}

async fn stop_start_interrupted(stage: Stage) {
    stage.create(2).await;
    for (number, step) in
        (0..).zip(["server orchestrator.stop", "server db.update services/", "server db.update operations/"])
    {
        for fault in [CrashBefore, CrashAfter] {
            stage.crash_at(step, fault, number % 2);
            stage.succeeds(Change::Stop).await;
            stage.lift_some(1);
            let other = if step.ends_with("stop") { "server orchestrator.start" } else { step };
            stage.crash_at(other, fault, number % 2);
            stage.succeeds(Change::Start).await;
            stage.lift_some(1);
            stage.all_well(secs(60)).await;
        }
    }
    stage.rows_go_on(secs(20)).await;
}

async fn recovery_interrupted(stage: Stage) {
    stage.create(2).await;
    let steps = [
        "server db.update nodes/",
        "server db.create operations/",
        "server db.update services/",
        "server db.update members/",
        "server orchestrator.create",
        "server orchestrator.start",
    ];
    for (number, step) in (0..).zip(steps) {
        let holder = stage.holder(0).await;
        stage.power_off(&holder);
        stage.crash_at(step, if number % 2 == 0 { CrashAfter } else { CrashBefore }, 0);
        stage.serves_elsewhere(0, &holder, secs(120)).await;
        stage.rows_go_on(secs(20)).await;
        stage.lift().await;
        stage.power_on(&holder);
        stage.all_well(secs(120)).await;
    }
}

async fn mount_interrupted(stage: Stage) {
    stage.create(1).await;
    let steps = [
        "agent control.claim",
        "agent volumes.attach",
        "agent host.mount",
        "agent host.write-files",
        "agent host.add-address",
        "agent control.publish",
    ];
    for step in steps {
        for fault in [CrashBefore, CrashAfter] {
            let from = stage.holder(0).await;
            let moved = stage.begins(Change::Move { member: member(0), to: None }).await;
            stage
                .within(secs(60), "it is given to another node", || async {
                    stage.record(0).await.and_then(|record| record.binding.assigned).is_some_and(|to| to != from.id)
                })
                .await;
            let on = stage.record(0).await.and_then(|record| record.binding.assigned).map(|to| to.to_string());
            stage.plans(Planned { on, ..Planned::next(step, fault) });
            stage.ends_well(&moved).await;
            stage.lift_some(1);
            stage.serves_elsewhere(0, &from, secs(60)).await;
            stage.all_well(secs(60)).await;
        }
    }
    stage.rows_go_on(secs(20)).await;
}

async fn release_interrupted(stage: Stage) {
    stage.create(1).await;
    let steps = ["agent host.unmount", "agent host.remove-address", "agent volumes.detach", "agent control.released"];
    let mut met = 0;
    for step in steps {
        for fault in [CrashBefore, CrashAfter] {
            let from = stage.holder(0).await;
            stage.plans(Planned { on: Some(from.id.to_string()), ..Planned::next(step, fault) });
            stage.succeeds(Change::Move { member: member(0), to: None }).await;
            met += stage.lift_some(1);
            stage.serves_elsewhere(0, &from, secs(60)).await;
            stage.all_well(secs(60)).await;
        }
    }
    stage.must(met >= 4, &format!("only {met} crashes were met")).await;
    stage.rows_go_on(secs(20)).await;
}

async fn answers_lost(stage: Stage) {
    stage.joined().await;
    for step in [
        "db.create",
        "db.update operations/",
        "db.update services/",
        "db.delete",
        "orchestrator.create",
        "orchestrator.start",
    ] {
        stage.plans(Planned { times: 3, ..Planned::next(&format!("server {step}"), FailAfter) });
    }
    let made = stage.carries(create(2)).await;
    stage.must(made.state != OperationState::NeedsAttention, "the create needs attention").await;
    stage.fleet.env.weather.plans().lift();
    if made.state == OperationState::RolledBack {
        stage.succeeds(create(2)).await;
    }
    stage.all_well(secs(60)).await;
    stage.must(stage.members().await.len() == 2, "not two members").await;
    stage.must(stage.fleet.storage.volumes().len() == 2, "not two volumes").await;
    stage.rows_go_on(secs(20)).await;
}
