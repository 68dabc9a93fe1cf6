//! What should run and does not is started; what should not is left alone.

use std::time::Duration;

use om_backend::fake::FakeOrchestrator;
use om_backend::{DeploymentState, Orchestrator};
use om_model::{EventKind, OperationState, ServiceRecord};
use om_planning::Change;

use super::world::{Server, member, orders};
use crate::steps::named;

const A_WHILE: Duration = Duration::from_secs(30);

impl Server {
    fn orchestrator(&self) -> FakeOrchestrator {
        FakeOrchestrator::new(self.world.clone())
    }

    fn state(&self, service: &ServiceRecord, index: u16) -> Option<DeploymentState> {
        let name = named(&service.id, &member(index), 0);
        self.world.lock().deployments.get(&name).map(|(_, state)| *state)
    }

    /// What was repaired, in order.
    async fn repairs(&self) -> Vec<String> {
        let (events, more) = self.control.events(Some(&orders()), None, 1000).await.expect("read");
        assert!(!more);
        let repaired = events.into_iter().filter(|event| event.event.kind == EventKind::Repaired);
        repaired.map(|event| event.event.message).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_stopped_is_started_again() {
    let server = Server::new();
    server
        .beside(async {
            let service = server.with_service(2).await;
            server.orchestrator().stop(&named(&service.id, &member(1), 0)).await.expect("stopped");
            server.pass(A_WHILE).await;
            assert_eq!(server.state(&service, 1), Some(DeploymentState::Running));
            assert_eq!(server.repairs().await, ["orders-1 was started: it had stopped"], "once");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_vanished_is_made_again_as_it_was() {
    let server = Server::new();
    server
        .beside(async {
            let service = server.with_service(2).await;
            let name = named(&service.id, &member(0), 0);
            let before = server.world.lock().deployments[&name].clone();
            server.orchestrator().remove(&name).await.expect("removed");
            server.pass(A_WHILE).await;
            assert_eq!(server.world.lock().deployments.get(&name), Some(&before));
            assert_eq!(server.repairs().await, ["orders-0 was started: its container was gone"]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_stopped_service_is_left_alone() {
    let server = Server::new();
    server
        .beside(async {
            let service = server.with_service(2).await;
            assert_eq!(server.carry(Change::Stop).await.state, OperationState::Succeeded);
            server.pass(A_WHILE).await;
            for index in 0..2 {
                assert_eq!(server.state(&service, index), Some(DeploymentState::Stopped));
            }
            assert_eq!(server.repairs().await, [""; 0]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_service_with_operations_under_way_is_left_to_them() {
    let server = Server::new();
    server
        .beside(async {
            let service = server.with_service(2).await;
            let operation = server.under_way(&service).await;
            server.orchestrator().stop(&named(&service.id, &member(1), 0)).await.expect("stopped");
            server.pass(A_WHILE).await;
            assert_eq!(server.state(&service, 1), Some(DeploymentState::Stopped));
            assert_eq!(server.repairs().await, [""; 0]);
            server.ended(&operation).await;
            server.pass(A_WHILE).await;
            assert_eq!(
                server.state(&service, 1),
                Some(DeploymentState::Running),
                "afterwards it is looked after again"
            );
            assert_eq!(server.repairs().await.len(), 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_started_does_not_keep_the_others_waiting() {
    let server = Server::new();
    server
        .beside(async {
            let service = server.with_service(2).await;
            let orchestrator = server.orchestrator();
            for index in 0..2 {
                orchestrator.stop(&named(&service.id, &member(index), 0)).await.expect("stopped");
            }
            // Another node took the member 0: its claim is refused here.
            let key = crate::store::member_key(&service.id, &member(0));
            let moved = |record: &om_model::MemberRecord| {
                let mut record = record.clone();
                record.binding.holder.as_mut().expect("held").node = "node9".parse().expect("a node");
                Some(record)
            };
            server.control.store.members.change(&key, moved).await.expect("written");
            server.pass(A_WHILE).await;
            assert_eq!(server.state(&service, 0), Some(DeploymentState::Stopped));
            assert_eq!(server.state(&service, 1), Some(DeploymentState::Running));
        })
        .await;
}
