//! Conversions: times, progress, and what must not be on the wire.

use om_model::{OperationKind, OperationState};

use super::*;

fn step(state: StepState) -> StepRecord<Step> {
    StepRecord { step: Step::MakeSecrets, state, began: None, ended: None, attempts: 1, error: None }
}

fn operation(steps: Vec<StepRecord<Step>>, rollback: Vec<StepRecord<Step>>) -> Stored<Change, Step> {
    Stored {
        id: "0".repeat(32).parse().expect("an id"),
        kind: OperationKind::Stop,
        service: "orders".parse().expect("a name"),
        service_id: "1".repeat(32).parse().expect("an id"),
        parameters: Change::Stop,
        state: OperationState::Running,
        steps,
        rollback,
        planned: true,
        cancel_requested: false,
        reason: None,
        owner_generation: 3,
        created: Timestamp::from_millis(1_700_000_000_123),
        deadline: Timestamp::from_millis(1_700_000_600_123),
        ended: None,
    }
}

#[test]
fn times_are_rfc_3339() {
    assert_eq!(rfc3339(Timestamp::from_millis(1_700_000_000_123)), "2023-11-14T22:13:20.123Z");
    assert_eq!(rfc3339(Timestamp::from_millis(1_700_000_000_100)), "2023-11-14T22:13:20.100Z");
    assert!(rfc3339(Timestamp::from_millis(u64::MAX)).starts_with("9999-"));
}

#[test]
fn progress_counts_the_way_it_is_going() {
    let forward = Operation::from(&operation(vec![step(StepState::Done), step(StepState::Running)], vec![]));
    assert_eq!(forward.progress, Progress { done: 1, total: 2 });
    assert_eq!(forward.steps[0].what, "generate passwords and certificates");
    let back = Operation::from(&operation(vec![step(StepState::Undone)], vec![step(StepState::Done)]));
    assert_eq!(back.progress, Progress { done: 1, total: 1 });
}

#[test]
fn an_operation_reads_back_as_it_was_written() {
    let wire = Operation::from(&operation(vec![step(StepState::Done)], vec![]));
    let text = serde_json::to_string(&wire).expect("writes");
    assert_eq!(serde_json::from_str::<Operation>(&text).expect("reads"), wire);
    assert!(!text.contains("owner_generation"), "inner bookkeeping is not for clients: {text}");
}
