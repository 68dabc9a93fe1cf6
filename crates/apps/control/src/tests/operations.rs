//! Cancelling, retrying, following, deadlines.

use std::time::Duration;

use futures::StreamExt as _;
use om_model::{ByteSize, OperationState, Phase};
use om_planning::Change;

use super::world::{DELETE, Server, configure, create, member, orders};
use crate::{ControlError, Submission};

const GROW: Change = Change::Grow { data: Some(ByteSize::bytes(20 << 30)), journal: None };

#[track_caller]
fn conflict<T>(result: Result<T, ControlError>, words: &str) {
    match result {
        Err(error @ ControlError::Conflict { .. }) => assert!(error.to_string().contains(words), "{error}"),
        Err(error) => panic!("another failure: {error}"),
        Ok(_) => panic!("no conflict"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_waits_ends_at_once_when_it_is_cancelled() {
    let server = Server::new();
    server
        .beside(async {
            let service = server.with_service(1).await;
            let head = server.under_way(&service).await;
            let waits = server.submit(configure("work_mem", "8MB")).await.expect("accepted").operation;
            let cancelled = server.control.cancel(&waits.id).await.expect("it had not begun");
            assert_eq!(cancelled.state, OperationState::RolledBack);
            assert_eq!(cancelled.reason.as_deref(), Some("cancelled while it waited"));
            assert_eq!(server.service().await.queue, std::slice::from_ref(&head.id), "its place is free");
            assert_eq!(server.keys_under("pending/").await, [format!("pending/{}", head.id)]);
            server.ended(&head).await;
            assert_eq!(server.service().await.spec, service.spec, "nothing of it was done");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_operation_under_way_is_rolled_back_when_it_is_cancelled() {
    let server = Server::new();
    server
        .beside(async {
            let service = server.with_service(1).await;
            server.carry(Change::Stop).await;
            server.world.disconnect();
            let start = server.submit(Change::Start).await.expect("accepted").operation;
            server.pass(Duration::from_secs(3)).await;
            server.control.cancel(&start.id).await.expect("it has a way back");
            server.control.cancel(&start.id).await.expect("asking twice is asking once");
            let ended = server.ended(&start).await;
            assert_eq!(ended.state, OperationState::RolledBack);
            assert!(ended.reason.as_ref().is_some_and(|reason| reason.starts_with("cancelled")), "{:?}", ended.reason);
            assert_eq!(server.service().await.phase, Phase::Stopped);
            assert_eq!(server.service().await.id, service.id);
            conflict(server.control.cancel(&start.id).await, "has ended");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_create_that_is_cancelled_leaves_nothing() {
    let server = Server::new();
    server
        .beside(async {
            let create = server.submit(create(3)).await.expect("accepted").operation;
            server.control.cancel(&create.id).await.expect("it has a way back");
            assert_eq!(server.ended(&create).await.state, OperationState::RolledBack);
            server.pass(Duration::from_secs(1)).await;
            for folder in ["services/", "service-ids/", "members/", "volumes/", "addresses/", "pending/"] {
                assert_eq!(server.keys_under(folder).await, [""; 0]);
            }
            let world = server.world.lock();
            assert!(world.deployments.is_empty() && world.volumes.is_empty());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_has_no_way_back_is_not_cancelled_once_begun() {
    let server = Server::new();
    server
        .beside(async {
            server.with_service(1).await;
            // A volume that the provider does not have: growing it fails, and the operation is left where it is.
            let (id, size) = server.world.lock().volumes.pop_first().expect("a volume");
            let grow = server.carry(GROW).await;
            assert_eq!(grow.state, OperationState::NeedsAttention);
            conflict(server.control.cancel(&grow.id).await, "has ended");
            server.world.lock().volumes.insert(id, size);
            let delete = server.submit(DELETE).await.expect("accepted").operation;
            let mut follow = server.control.follow_operation(&delete.id).await.expect("there");
            while let Some(now) = follow.next().await {
                if now.expect("read").steps.iter().any(|step| step.state != om_model::StepState::Pending) {
                    break;
                }
            }
            conflict(server.control.cancel(&delete.id).await, "a delete under way has no way back");
            assert_eq!(server.ended(&delete).await.state, OperationState::Succeeded);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn only_what_needs_attention_is_retried_and_it_goes_on_where_it_stopped() {
    let server = Server::new();
    server
        .beside(async {
            server.with_service(1).await;
            let (id, size) = server.world.lock().volumes.pop_first().expect("a volume");
            let failed = server.carry(GROW).await;
            assert_eq!(failed.state, OperationState::NeedsAttention);
            let reason = failed.reason.clone().expect("a reason");
            assert!(reason.contains("there is no such volume"), "{reason}");
            assert!(reason.contains(&format!("openmanage operations retry {}", failed.id)), "{reason}");
            server.world.lock().volumes.insert(id.clone(), size);
            let again = server.control.retry(&failed.id).await.expect("it needs attention");
            assert_eq!((again.state, &again.reason), (OperationState::Running, &None));
            let ended = server.ended(&again).await;
            assert_eq!(ended.state, OperationState::Succeeded, "{:?}", ended.reason);
            assert_eq!(ended.steps[0].attempts, 2);
            assert_eq!(server.world.lock().volumes[&id], ByteSize::bytes(20 << 30));
            conflict(server.control.retry(&ended.id).await, "only an operation that needs attention can be retried");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_failed_is_taken_up_again_by_a_retry() {
    let server = Server::new();
    server
        .beside(async {
            server.with_service(1).await;
            server.world.lock().broken.insert(member(0), "no room left".into());
            let failed = server.carry(Change::Restart { member: None }).await;
            assert_eq!(failed.state, OperationState::NeedsAttention);
            let reason = failed.reason.clone().expect("a reason");
            assert!(reason.contains("orders-0 does not come up: no room left"), "{reason}");
            assert!(reason.contains("and rolling back failed"), "{reason}");
            server.world.lock().broken.clear();
            server.control.retry(&failed.id).await.expect("it needs attention");
            assert_eq!(server.ended(&failed).await.state, OperationState::RolledBack);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_operation_ends_at_its_deadline_with_the_reason() {
    let server = Server::new();
    server
        .beside(async {
            let service = server.with_service(1).await;
            server.world.lock().mounted.remove(&(service.id.clone(), member(0)));
            let deadline = Some(Duration::from_secs(30));
            let submission = Submission { service: orders(), change: Change::Start, idempotency_key: None, deadline };
            let start = server.control.submit(submission).await.expect("accepted").operation;
            let ended = server.ended(&start).await;
            let took = ended.ended.expect("ended").since(start.created);
            assert!((30..35).contains(&took.as_secs()), "{took:?}");
            assert_eq!(ended.state, OperationState::RolledBack);
            let reason = ended.reason.expect("a reason");
            assert!(
                reason.contains("the deadline passed while waiting: wait for orders-0 to accept writes"),
                "{reason}"
            );
            assert!(reason.contains("it is not mounted here"), "what it waited for: {reason}");
            assert_eq!(server.service().await.phase, Phase::Active, "it was active before");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_follows_sees_every_state_and_then_the_end() {
    let server = Server::new();
    server
        .beside(async {
            let create = server.submit(create(2)).await.expect("accepted").operation;
            let follow = server.control.follow_operation(&create.id).await.expect("there");
            let seen: Vec<_> = follow.map(|now| now.expect("read").state).collect().await;
            assert_eq!(seen.last(), Some(&OperationState::Succeeded));
            assert!(seen.contains(&OperationState::Running), "{seen:?}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn operations_are_listed_in_pages_oldest_first() {
    let server = Server::new();
    server
        .beside(async {
            server.with_service(1).await;
            server.pass(Duration::from_secs(1)).await;
            let stop = server.carry(Change::Stop).await;
            server.pass(Duration::from_secs(1)).await;
            let start = server.carry(Change::Start).await;
            let (first, more) = server.control.operations(Some(&orders()), None, 2).await.expect("read");
            assert_eq!((first.len(), more, &first[1].id), (2, true, &stop.id));
            let (rest, more) = server.control.operations(None, Some(&stop.id), 2).await.expect("read");
            assert_eq!((rest.len(), more, &rest[0].id), (1, false, &start.id));
            let others = "others".parse().expect("a name");
            assert!(server.control.operations(Some(&others), None, 2).await.expect("read").0.is_empty());
            let unknown = "0".repeat(32).parse().expect("an id");
            assert!(matches!(server.control.operation(&unknown).await, Err(ControlError::NotFound { .. })));
            assert!(matches!(server.control.cancel(&unknown).await, Err(ControlError::NotFound { .. })));
            assert!(matches!(server.control.retry(&unknown).await, Err(ControlError::NotFound { .. })));
        })
        .await;
}
