//! Several requests for one service: ordered, not mixed.

use om_model::OperationState;
use om_planning::Change;

use super::world::{DELETE, Server, configure, create, name, orders};
use crate::ControlError;

#[tokio::test(start_paused = true)]
async fn a_delete_of_what_is_being_created_waits_for_it() {
    let server = Server::new();
    server
        .beside(async {
            let create = server.submit(create(3)).await.expect("accepted").operation;
            let delete = server.submit(DELETE).await.expect("accepted").operation;
            assert_eq!(server.service().await.queue, [create.id.clone(), delete.id.clone()]);
            let (create, delete) = (server.ended(&create).await, server.ended(&delete).await);
            assert_eq!((create.state, delete.state), (OperationState::Succeeded, OperationState::Succeeded));
            let began = delete.steps[0].began.expect("begun");
            assert!(create.ended.expect("ended") <= began, "not before the create had ended");
            assert!(server.control.service(&orders()).await.is_err());
            assert!(server.world.lock().deployments.is_empty());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn two_changes_of_configuration_at_once_both_happen_one_after_the_other() {
    let server = Server::new();
    server
        .beside(async {
            server.with_service(3).await;
            let (one, other) = futures::join!(
                server.submit(configure("work_mem", "8MB")),
                server.submit(configure("max_connections", "300"))
            );
            let mut both = [
                server.ended(&one.expect("accepted").operation).await,
                server.ended(&other.expect("accepted").operation).await,
            ];
            both.sort_by_key(|operation| operation.steps[0].began);
            assert!(both.iter().all(|operation| operation.state == OperationState::Succeeded));
            assert!(both[0].ended.expect("ended") <= both[1].steps[0].began.expect("begun"), "mixed");
            let service = server.service().await;
            let settings: Vec<_> =
                service.spec.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(settings, ["max_connections=300", "work_mem=8MB"], "neither undid the other");
            assert_eq!(service.configuration, 3);
            let mounted: Vec<_> =
                server.world.lock().mounted.values().map(|grant| grant.config.settings.clone()).collect();
            assert!(mounted.iter().all(|settings| *settings == service.spec.settings), "{mounted:?}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_waiting_operation_is_planned_for_what_is_when_its_turn_comes() {
    let server = Server::new();
    server
        .beside(async {
            server.with_service(1).await;
            let stop = server.submit(Change::Stop).await.expect("accepted").operation;
            let restart = server.submit(Change::Restart { member: None }).await.expect("it is active still").operation;
            assert_eq!(server.ended(&stop).await.state, OperationState::Succeeded);
            let restart = server.ended(&restart).await;
            assert_eq!(restart.state, OperationState::RolledBack);
            assert!(restart.reason.expect("a reason").contains("start it first: openmanage start orders"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn no_more_than_32_wait_and_the_next_leaves_nothing() {
    let server = Server::new();
    server
        .beside(async {
            server.with_service(1).await;
            // The first cannot mount: it stays under way.
            server.world.disconnect();
            let mut accepted = Vec::new();
            for _ in 0..32 {
                accepted.push(server.submit(Change::Restart { member: None }).await.expect("there is room").operation);
            }
            let before = server.keys_under("operations/").await.len();
            let error = server.submit(Change::Stop).await.expect_err("full");
            assert_eq!(error.to_string(), "32 operations wait for service orders (wait for some to end)");
            assert!(matches!(error, ControlError::Conflict { .. }));
            assert_eq!(server.keys_under("operations/").await.len(), before);
            assert_eq!(server.keys_under("pending/").await.len(), 32);
            server.submit_as(&name("others"), create(1), None).await.expect("another service has its own queue");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn services_do_not_wait_for_one_another() {
    let server = Server::new();
    server
        .beside(async {
            let orders = server.with_service(1).await;
            let waits = server.under_way(&orders).await;
            let other = server.submit_as(&name("others"), create(1), None).await.expect("accepted").operation;
            assert_eq!(server.ended(&other).await.state, OperationState::Succeeded);
            let waits = server.control.operation(&waits.id).await.expect("there");
            assert_eq!(waits.state, OperationState::Running);
        })
        .await;
}
