//! Asking twice is asking once; what cannot be is refused before anything is touched.

use om_model::{OperationState, Phase, ServiceSpec};

use super::world::{DELETE, Server, configure, create, name, orders, spec};
use crate::ControlError;
use om_planning::Change;

#[tokio::test(start_paused = true)]
async fn the_same_request_under_the_same_key_is_the_same_operation() {
    let server = Server::new();
    server
        .beside(async {
            let first = server.submit_as(&orders(), create(3), Some("k1")).await.expect("accepted");
            let again = server.submit_as(&orders(), create(3), Some("k1")).await.expect("accepted");
            assert!(!first.repeated && again.repeated);
            assert_eq!(first.operation.id, again.operation.id);
            server.ended(&first.operation).await;
            let stop = server.submit_as(&orders(), Change::Stop, Some("k2")).await.expect("accepted");
            server.ended(&stop.operation).await;
            let later = server.submit_as(&orders(), Change::Stop, Some("k2")).await.expect("accepted");
            assert_eq!((later.operation.id, later.repeated), (stop.operation.id, true), "after it has ended too");
            assert_eq!(server.keys_under("operations/").await.len(), 2);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_key_used_for_another_request_is_a_conflict() {
    let server = Server::new();
    server
        .beside(async {
            server.with_service(1).await;
            server.submit_as(&orders(), Change::Stop, Some("k")).await.expect("accepted");
            for (service, change) in [(orders(), Change::Start), (name("others"), create(1)), (orders(), DELETE)] {
                let error = server.submit_as(&service, change, Some("k")).await.expect_err("another request");
                assert!(matches!(error, ControlError::Conflict { .. }), "{error}");
                assert!(error.to_string().contains("use a new key"), "{error}");
            }
            assert_eq!(server.keys_under("services/").await, ["services/orders"]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn two_at_once_under_one_key_are_one() {
    let server = Server::new();
    server
        .beside(async {
            let orders = orders();
            let twice = futures::join!(
                server.submit_as(&orders, create(1), Some("k")),
                server.submit_as(&orders, create(1), Some("k"))
            );
            let (one, other) = (twice.0.expect("accepted"), twice.1.expect("accepted"));
            assert_eq!(one.operation.id, other.operation.id);
            assert_eq!(one.operation.service_id, other.operation.service_id);
            let ended = server.ended(&one.operation).await;
            assert_eq!(ended.state, OperationState::Succeeded, "{:?}", ended.reason);
            assert_eq!(server.world.lock().deployments.len(), 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn two_creates_at_once_without_a_key_are_one_service() {
    let server = Server::new();
    server
        .beside(async {
            let twice = futures::join!(server.submit(create(1)), server.submit(create(1)));
            let (one, other) = (twice.0.expect("accepted"), twice.1.expect("accepted"));
            assert_eq!(one.operation.id, other.operation.id);
            assert_ne!(one.repeated, other.repeated);
            assert_eq!(server.ended(&one.operation).await.state, OperationState::Succeeded);
            assert_eq!(server.keys_under("operations/").await.len(), 1);
            assert_eq!(server.keys_under("service-ids/").await.len(), 1);
            let others = name("others");
            let another =
                futures::join!(server.submit_as(&others, create(1), None), server.submit_as(&others, create(2), None));
            let refused = [another.0, another.1].into_iter().filter(Result::is_err).count();
            assert_eq!(refused, 1, "another specification is a conflict");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_create_repeated_without_a_key_is_the_same_service() {
    let server = Server::new();
    server
        .beside(async {
            let first = server.submit(create(3)).await.expect("accepted");
            let meanwhile = server.submit(create(3)).await.expect("accepted");
            assert_eq!((meanwhile.operation.id, meanwhile.repeated), (first.operation.id.clone(), true));
            server.ended(&first.operation).await;
            assert_eq!(server.submit(create(3)).await.expect("accepted").operation.id, first.operation.id);
            server.carry(configure("work_mem", "8MB")).await;
            let asked_as_at_first = server.submit(create(3)).await.expect("what was asked for is there");
            assert_eq!(asked_as_at_first.operation.id, first.operation.id);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_create_with_another_specification_is_a_clear_conflict() {
    let server = Server::new();
    server
        .beside(async {
            let before = server.with_service(1).await;
            let error = server.submit(create(3)).await.expect_err("taken");
            let expected = "service orders exists with another specification \
                        (choose another name, or look at it: openmanage get orders)";
            assert_eq!(error.to_string(), expected);
            assert_eq!(server.service().await, before);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn names_that_clash_in_the_zone_are_refused_and_leave_nothing() {
    let server = Server::new();
    server
        .beside(async {
            server.with_service(2).await;
            let before = server.keys_under("").await.len();
            for clashing in ["orders-0", "orders-primary", "openmanage-manageserver"] {
                let error = server.submit_as(&name(clashing), create(1), Some(clashing)).await.expect_err(clashing);
                let ControlError::Invalid(invalid) = &error else { panic!("{error}") };
                assert_eq!(invalid.fields()[0].field, "name", "{error}");
                assert!(invalid.fields()[0].problem.contains(&format!("the DNS name {clashing}")), "{error}");
            }
            assert_eq!(server.keys_under("").await.len(), before);
            let free = server.submit_as(&name("orders-2"), create(1), None).await.expect("no member has this name");
            assert_eq!(server.ended(&free.operation).await.state, OperationState::Succeeded);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_like_the_member_of_a_new_service_keeps_it() {
    let server = Server::new();
    server
        .beside(async {
            let taken = server.submit_as(&name("orders-1"), create(1), None).await.expect("accepted");
            server.ended(&taken.operation).await;
            let error = server.submit(create(3)).await.expect_err("its member 1 would be orders-1");
            assert!(error.to_string().contains("the DNS name orders-1, which service orders-1 has"), "{error}");
            server.with_service(1).await;
        })
        .await;
}

/// Both pass the look at the records; the plan, made when each has its record, sees the other.
#[tokio::test(start_paused = true)]
async fn of_two_that_clash_and_come_at_once_at_most_one_stays() {
    let server = Server::new();
    server
        .beside(async {
            let one = async { server.submit(create(2)).await };
            let other = async { server.submit_as(&name("orders-0"), create(1), None).await };
            let (one, other) = futures::join!(one, other);
            let mut succeeded = 0;
            for accepted in [one, other].into_iter().flatten() {
                let ended = server.ended(&accepted.operation).await;
                match ended.state {
                    OperationState::Succeeded => succeeded += 1,
                    OperationState::RolledBack => {
                        assert!(ended.reason.expect("a reason").contains("needs the DNS name orders-0"));
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert!(succeeded <= 1, "both have the name orders-0");
            server.pass(std::time::Duration::from_secs(10)).await;
            assert_eq!(server.keys_under("services/").await.len(), succeeded, "the refused one left its record");
            assert_eq!(server.keys_under("service-ids/").await.len(), succeeded);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_refused_leaves_nothing() {
    let server = Server::new();
    server
        .beside(async {
            let impossible = Change::Create { spec: ServiceSpec { replicas: 1000, ..spec(1) } };
            assert!(matches!(server.submit_as(&orders(), impossible, Some("k")).await, Err(ControlError::Invalid(_))));
            for change in [Change::Stop, Change::Start, DELETE] {
                let error = server.submit_as(&orders(), change, Some("k")).await.expect_err("nothing there");
                assert!(matches!(error, ControlError::NotFound { .. }), "{error}");
            }
            assert_eq!(server.keys_under("").await, [""; 0]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_name_is_free_again_after_the_delete_and_the_new_service_is_another() {
    let server = Server::new();
    server
        .beside(async {
            let first = server.with_service(1).await;
            assert_eq!(server.carry(DELETE).await.state, OperationState::Succeeded);
            assert_eq!(server.keys_under("addresses/").await, [""; 0]);
            let second = server.with_service(1).await;
            assert_ne!(first.id, second.id);
            assert_eq!(second.phase, Phase::Active);
        })
        .await;
}
