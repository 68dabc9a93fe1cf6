//! Volumes: attached late, refused, kept, grown; storage that hangs or fails for a while.

use om_model::{ByteSize, OperationState};
use om_planning::{Change, VolumeFate};

use super::stage::{Stage, member, secs};
use crate::fleet::users::create;

super::scenarios! {
    attached_late: "A volume takes a minute to attach: the member serves then, nobody takes it over", "the original's attach wait (20 s) and lock (weakness 7), AWS attaching";
    attach_fails: "Attaching fails eight times: the container is started again until it works", "Docker volume suite RetryNotImmediatelyExists, csi-test ControllerPublish, Cinder";
    mount_fails: "Mounting fails eight times: no mount is left over, and the member serves", "Docker volume suite UnmountOnMountFail";
    revoke_fails: "The storage does not cut a former holder off at first: nobody mounts before it does", "the original's non-forced detach that hangs (weakness 3), Kubernetes multi-attach";
    detach_fails: "Detaching fails for a while: the member moves all the same, once it is proven gone", "REX-Ray #913 (volume not detached), the original's step b";
    address_fails: "The address cannot be set at first: no name answers before it is there", "the original's DNS before the volume is attached (weakness 2), lost static IP (weakness 11)";
    kept_volumes: "A service is deleted and its volumes kept; made again under its name it has new ones; the kept are deleted by name", "CNPG pvc_deletion, casskop #370, Kubernetes StatefulSet volume retention";
    volume_in_use_is_not_deleted: "Deleting a volume of a service that exists is refused", "Docker volume suite DeleteContainer, PVC protection";
    grown_in_use: "Volumes are grown while rows are written; shrinking is refused", "PSMDB pvc-resize, rabbitmq #653 (resize-pvc), CNPG disk_space (made larger)";
    storage_hangs_during_create: "The storage answers no node while a service is made: it is made once it answers, or nothing of it is left", "KubeBlocks OpsRequest stuck Creating (#10456)";
    storage_hangs_for_all: "The storage answers nobody for two minutes: nothing moves, and every row that was acknowledged is there", "EBS outage; CNPG #1808";
}

async fn attached_late(stage: Stage) {
    stage.create(2).await;
    let from = stage.holder(0).await;
    stage.delay("agent volumes.attach", secs(60));
    stage.succeeds(Change::Move { member: member(0), to: None }).await;
    stage.serves_elsewhere(0, &from, secs(30)).await;
    stage.must(epoch(&stage, 0).await == "2", "it was claimed more than once").await;
    stage.rows_go_on(secs(20)).await;
}

async fn epoch(stage: &Stage, index: u16) -> String {
    stage.record(index).await.map(|record| record.binding.epoch.to_string()).unwrap_or_default()
}

/// The member moves while the step fails so often.
async fn moves_in_spite_of(stage: &Stage, step: &str, times: u32) {
    stage.create(2).await;
    let from = stage.holder(0).await;
    stage.fails(step, times);
    stage.succeeds(Change::Move { member: member(0), to: None }).await;
    stage.serves_elsewhere(0, &from, secs(60)).await;
    stage.lift().await;
    stage.all_well(secs(60)).await;
    stage.rows_go_on(secs(20)).await;
}

async fn attach_fails(stage: Stage) {
    moves_in_spite_of(&stage, "agent volumes.attach", 8).await;
}

async fn mount_fails(stage: Stage) {
    moves_in_spite_of(&stage, "agent host.mount", 8).await;
}

async fn detach_fails(stage: Stage) {
    moves_in_spite_of(&stage, "agent volumes.detach", 5).await;
}

async fn address_fails(stage: Stage) {
    moves_in_spite_of(&stage, "agent host.add-address", 5).await;
}

async fn revoke_fails(stage: Stage) {
    stage.create(2).await;
    let holder = stage.holder(0).await;
    stage.fails("agent volumes.revoke", 6);
    stage.cut_off(&holder);
    stage.serves_elsewhere(0, &holder, secs(120)).await;
    stage.rows_go_on(secs(20)).await;
    // Leased volumes are not revoked but waited for.
    drop(stage.fleet.env.weather.plans().lift());
}

async fn kept_volumes(stage: Stage) {
    stage.create(2).await;
    let kept = stage.fleet.storage.volumes();
    stage.succeeds(Change::Delete { volumes: VolumeFate::Keep }).await;
    stage.must(stage.fleet.storage.volumes() == kept, "the volumes were not kept").await;
    let rows = kept.iter().map(|id| stage.fleet.storage.present(id).map(|content| content.rows)).collect::<Vec<_>>();
    stage.succeeds(create(2)).await;
    stage.all_well(secs(60)).await;
    stage.rows_go_on(secs(20)).await;
    let now = kept.iter().map(|id| stage.fleet.storage.present(id).map(|content| content.rows)).collect::<Vec<_>>();
    stage.must(now == rows, "the kept volumes were written").await;
    for id in kept {
        let name = id.to_string();
        let deleted = stage.told("delete volume", move |control| {
            let name = name.clone();
            async move { control.delete_volume(&name).await }
        });
        let deleted = deleted.await;
        stage.must(deleted.is_ok(), &format!("a kept volume is not deleted: {deleted:?}")).await;
    }
    stage.must(stage.fleet.storage.volumes().len() == 2, "not two volumes").await;
}

async fn volume_in_use_is_not_deleted(stage: Stage) {
    stage.create(2).await;
    let before = stage.picture().await;
    for id in stage.fleet.storage.volumes() {
        let name = id.to_string();
        let deleted = stage.told("delete volume", move |control| {
            let name = name.clone();
            async move { control.delete_volume(&name).await }
        });
        stage.must(deleted.await.is_err(), "a volume in use was deleted").await;
    }
    stage.wait(secs(10)).await;
    stage.untouched(&before).await;
}

async fn grown_in_use(stage: Stage) {
    stage.create(2).await;
    let before = stage.picture().await;
    let grow = |size| Change::Grow { data: ByteSize::gib(size), journal: None };
    stage.succeeds(grow(3)).await;
    stage.is_refused(grow(2), "a volume is made smaller").await;
    stage.succeeds(grow(5)).await;
    let service = stage.service().await;
    let size = service.map(|service| service.spec.volumes.data);
    stage.must(size == ByteSize::gib(5), &format!("the size is {size:?}")).await;
    stage.unmoved(&before).await;
    stage.rows_go_on(secs(20)).await;
}

async fn storage_hangs_during_create(stage: Stage) {
    stage.joined().await;
    stage.fleet.town.machines().iter().for_each(|machine| stage.cut_off_from_storage(machine));
    let made = stage.begins(create(2)).await;
    stage.wait(secs(100)).await;
    stage.mend();
    let made = stage.ends(&made).await;
    stage.must(made.state != OperationState::NeedsAttention, "the create needs attention").await;
    if made.state == OperationState::Succeeded {
        stage.all_well(secs(60)).await;
    }
}

async fn storage_hangs_for_all(stage: Stage) {
    stage.create(2).await;
    let before = stage.picture().await;
    stage.fleet.town.machines().iter().for_each(|machine| stage.cut_off_from_storage(machine));
    stage.wait(secs(120)).await;
    stage.unmoved(&before).await;
    stage.mend();
    stage.rows_go_on(secs(90)).await;
    stage.all_well(secs(60)).await;
    stage.unmoved(&before).await;
}
