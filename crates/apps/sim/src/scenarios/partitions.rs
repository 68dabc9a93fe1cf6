//! Ways between machines are cut, in both directions or in one; packets are lost.

use om_planning::{Change, VolumeFate};

use super::stage::{Stage, secs};

super::scenarios! {
    holder_cut_off: "A holder reaches the storage and the clients but no other node: its member moves, and the former primary writes nothing that counts", "CNPG self_fencing (will terminate an isolated primary), Patroni Jepsen #3194";
    holder_cut_off_from_all: "A holder reaches nobody and returns after its member has moved: it does not go on as a primary", "CNPG self_fencing (will not restart an isolated primary), the original's zombies (weakness 4)";
    cut_off_and_back: "A holder is cut off and back within less than the budget, again and again: nothing moves, nothing is started again", "Patroni #2040 (false positives), k/k node flapping";
    holder_mute: "Nobody hears a holder any more, which hears everybody: its member moves", "jepsen one-way partition";
    holder_deaf: "A holder hears nobody any more, while everybody hears it: its member moves", "jepsen one-way partition";
    two_nodes_parted: "Two nodes do not reach each other, the third reaches both: nothing moves", "Jepsen majorities-ring, Patroni #3194";
    nobody_reaches_anybody: "Every way between nodes is cut for a minute: nothing moves, and all is well afterwards", "Jepsen partition-random-halves";
    storage_cut_off: "A holder does not reach the storage for a minute: nothing moves; rows wait, and go on", "Patroni #1826 (unhealthy but alive), CNPG disk_space";
    packets_lost: "A third of a holder's packets is lost for two minutes: nothing moves", "Patroni #2040 (false positives under load)";
    clients_cut_off: "Clients do not reach the holder, the cluster does: nothing moves", "Vitess #12624";
    configured_while_cut_off: "A setting is changed while a standby's node is cut off: the change ends, and every member has it in the end", "dcos test_config_update_while_partitioned";
    deleted_while_cut_off: "The service is deleted while a holder is cut off: nothing of it is left once the node is back", "Sieve recreate (cassandra-operator #402), kept volumes of CNPG pvc_deletion";
    drained_while_cut_off: "A node is drained while it is cut off: its members move, once", "CNPG drain_node, dcos #1978 (replace blocked by a dead agent)";
}

async fn holder_cut_off(stage: Stage) {
    stage.create(2).await;
    let holder = stage.holder(0).await;
    stage.cut_off(&holder);
    stage.serves_elsewhere(0, &holder, secs(60)).await;
    stage.rows_go_on(secs(20)).await;
    stage.wait(secs(30)).await;
    let serving = holder.containers().iter().filter(|container| container.serves()).count();
    stage.must(serving == 0, "the former primary still serves").await;
    let before = stage.picture().await;
    stage.mend();
    stage.wait(secs(60)).await;
    stage.untouched(&before).await;
}

async fn holder_cut_off_from_all(stage: Stage) {
    stage.create(2).await;
    let holder = stage.holder(0).await;
    stage.cut_off_from_all(&holder);
    stage.serves_elsewhere(0, &holder, secs(60)).await;
    let before = stage.picture().await;
    stage.wait(secs(20)).await;
    stage.mend();
    stage.wait(secs(2)).await;
    let serving = holder.containers().iter().filter(|container| container.serves()).count();
    stage.must(serving == 0, "the former primary serves again").await;
    stage.wait(secs(60)).await;
    stage.untouched(&before).await;
    stage.must(holder.containers().is_empty(), "the former primary's container is still there").await;
}

async fn cut_off_and_back(stage: Stage) {
    stage.create(2).await;
    let (before, holder) = (stage.picture().await, stage.holder(0).await);
    for _ in 0..12 {
        stage.cut_off(&holder);
        stage.wait(secs(2)).await;
        stage.mend();
        stage.wait(secs(3)).await;
    }
    stage.rows_go_on(secs(20)).await;
    stage.not_restarted(&before).await;
}

async fn holder_mute(stage: Stage) {
    stage.create(2).await;
    let holder = stage.holder(0).await;
    stage.mute(&holder);
    stage.serves_elsewhere(0, &holder, secs(60)).await;
    stage.rows_go_on(secs(20)).await;
}

async fn holder_deaf(stage: Stage) {
    stage.create(2).await;
    let holder = stage.holder(0).await;
    stage.deafen(&holder);
    stage.serves_elsewhere(0, &holder, secs(60)).await;
    stage.rows_go_on(secs(20)).await;
}

async fn two_nodes_parted(stage: Stage) {
    stage.create(2).await;
    let (before, one, other) = (stage.picture().await, stage.holder(0).await, stage.holder(1).await);
    stage.part(&one, &other);
    stage.wait(secs(60)).await;
    stage.not_restarted(&before).await;
    stage.rows_go_on(secs(20)).await;
}

async fn nobody_reaches_anybody(stage: Stage) {
    stage.create(2).await;
    let before = stage.picture().await;
    for machine in stage.fleet.town.machines() {
        stage.cut_off(&machine);
    }
    stage.wait(secs(60)).await;
    stage.unmoved(&before).await;
    stage.mend();
    stage.all_well(secs(120)).await;
    stage.rows_go_on(secs(20)).await;
    stage.unmoved(&before).await;
}

async fn storage_cut_off(stage: Stage) {
    stage.create(2).await;
    let (before, holder) = (stage.picture().await, stage.holder(0).await);
    stage.cut_off_from_storage(&holder);
    stage.wait(secs(60)).await;
    stage.unmoved(&before).await;
    stage.mend();
    stage.rows_go_on(secs(60)).await;
    stage.unmoved(&before).await;
}

async fn packets_lost(stage: Stage) {
    stage.create(3).await;
    let (before, holder) = (stage.picture().await, stage.holder(0).await);
    stage.fleet.net.lose(&holder.id, 300);
    stage.wait(secs(120)).await;
    stage.unmoved(&before).await;
    stage.mend();
    stage.rows_go_on(secs(30)).await;
    stage.not_restarted(&before).await;
}

async fn clients_cut_off(stage: Stage) {
    stage.create(2).await;
    let (before, holder) = (stage.picture().await, stage.holder(0).await);
    stage.fleet.net.cut(&stage.fleet.client, &holder.id, true);
    stage.wait(secs(60)).await;
    stage.untouched(&before).await;
    stage.mend();
    stage.rows_go_on(secs(20)).await;
}

async fn configured_while_cut_off(stage: Stage) {
    stage.create(3).await;
    let holder = stage.holder(2).await;
    stage.cut_off_from_all(&holder);
    let change = stage.begins(super::requests::setting("work_mem", "32MB")).await;
    stage.wait(secs(90)).await;
    stage.mend();
    stage.ends_well(&change).await;
    stage.all_well(secs(120)).await;
    let wanted = stage.service().await.map(|service| service.configuration).unwrap_or_default();
    stage
        .within(secs(60), "every member has the new configuration", || async {
            let mut all = true;
            for record in stage.members().await {
                let config = match stage.container(&record).await {
                    Some(container) => container.config().await,
                    None => None,
                };
                all &= config.is_some_and(|config| config.configuration == wanted);
            }
            all
        })
        .await;
}

async fn deleted_while_cut_off(stage: Stage) {
    stage.create(2).await;
    let holder = stage.holder(0).await;
    stage.cut_off_from_all(&holder);
    stage.wait(secs(1)).await;
    let deleted = stage.begins(Change::Delete { volumes: VolumeFate::Delete }).await;
    stage.wait(secs(60)).await;
    stage.mend();
    stage.ends_well(&deleted).await;
    stage
        .within(secs(60), "nothing of it runs", || async {
            stage.fleet.town.machines().iter().all(|machine| machine.containers().is_empty())
        })
        .await;
    stage.must(stage.fleet.storage.volumes().is_empty(), "volumes are left").await;
}

async fn drained_while_cut_off(stage: Stage) {
    stage.create(2).await;
    let holder = stage.holder(1).await;
    stage.cut_off_from_all(&holder);
    stage.wait(secs(1)).await;
    let drain = stage.drain(&holder).await;
    stage.serves_elsewhere(1, &holder, secs(120)).await;
    stage.mend();
    for operation in drain.operations {
        stage.ends_well(&operation.id).await;
    }
    stage.all_well(secs(60)).await;
    stage.must(stage.holder(1).await.id != holder.id, "it went back to the drained node").await;
    let epoch = stage.record(1).await.map(|record| record.binding.epoch.to_string());
    stage.must(epoch.as_deref() == Some("2"), &format!("it moved more than once: epoch {epoch:?}")).await;
}
