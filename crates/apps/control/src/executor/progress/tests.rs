use super::*;
use crate::tests::world::{Server, create};

/// A server that was believed dead and is not: what it still wants to write is refused.
#[tokio::test(start_paused = true)]
async fn a_former_owner_changes_nothing() {
    let server = Server::new();
    let (former, present) = (server.control.clone(), server.another());
    let operation = server.submit(create(1)).await.expect("accepted").operation;
    let theirs = former.take_over(&operation).await.ok().expect("free");
    let ours = present.take_over(&operation).await.ok().expect("taken over");
    assert_eq!((theirs.owner_generation, ours.owner_generation), (1, 2));
    let before = present.operation(&operation.id).await.expect("there");
    assert!(former.advance(&theirs, |operation| operation.planned = true).await.is_err());
    assert!(former.end(&theirs, OperationState::Succeeded, None).await.is_err());
    assert_eq!(present.operation(&operation.id).await.expect("there"), before);
    let advanced = present.advance(&ours, |operation| operation.planned = true).await.ok().expect("ours");
    assert!(advanced.planned);
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_stays_as_it_ended() {
    let server = Server::new();
    let operation = server.submit(create(1)).await.expect("accepted").operation;
    let ours = server.control.take_over(&operation).await.ok().expect("free");
    let ended = server.control.end(&ours, OperationState::RolledBack, Some("why".into())).await.ok().expect("ours");
    assert_eq!((ended.state, ended.reason.as_deref()), (OperationState::RolledBack, Some("why")));
    assert!(server.control.end(&ours, OperationState::Succeeded, None).await.is_err());
    assert_eq!(server.control.operation(&operation.id).await.expect("there"), ended);
}

/// The first process stops working in the middle of a step; the next goes on where it was.
#[tokio::test(start_paused = true)]
async fn another_process_goes_on_with_what_is_under_way() {
    let server = Server::new();
    let (operation, grant) = server
        .beside(async {
            let service = server.with_service(2).await;
            let key = (service.id.clone(), crate::tests::world::member(0));
            let grant = server.world.lock().mounted.get(&key).cloned().expect("mounted");
            (server.under_way(&service).await, (key, grant))
        })
        .await;
    let next = server.another();
    let work = next.clone().run();
    let look = async {
        server.pass(std::time::Duration::from_secs(10)).await;
        let now = server.control.operation(&operation.id).await.expect("there");
        assert_eq!(now.owner_generation, operation.owner_generation + 1, "taken over");
        server.world.lock().mounted.insert(grant.0, grant.1);
        server.ended(&operation).await
    };
    let ended = match futures::future::select(Box::pin(look), Box::pin(work)).await {
        futures::future::Either::Left((ended, _)) => ended,
        futures::future::Either::Right(_) => panic!("the background work ended"),
    };
    assert_eq!(ended.state, OperationState::Succeeded, "{:?}", ended.reason);
    assert_eq!(ended.owner_generation, operation.owner_generation + 1, "the former owner does not take it back");
    assert!(ended.steps[0].attempts == 1, "steps that were done are not done again");
}
