//! Tests of what a Docker says of its Swarm, and of errors.

use super::*;

fn info(state: Option<LocalNodeState>, manager: bool) -> SwarmInfo {
    SwarmInfo { local_node_state: state, control_available: Some(manager), ..SwarmInfo::default() }
}

#[test]
fn only_a_manager_is_good_enough_and_the_others_are_told_what_to_do() {
    membership(&info(Some(LocalNodeState::ACTIVE), true)).unwrap();
    let refused = |state, words: &str| {
        let error = membership(&info(state, false)).unwrap_err();
        assert!(error.next.as_deref().unwrap_or_default().contains(words), "{error}");
        error.kind
    };
    assert_eq!(refused(Some(LocalNodeState::INACTIVE), "docker swarm init"), ErrorKind::Refused);
    assert_eq!(refused(None, "docker swarm init"), ErrorKind::Refused);
    assert_eq!(refused(Some(LocalNodeState::ACTIVE), "docker node promote"), ErrorKind::Refused);
    assert_eq!(refused(Some(LocalNodeState::LOCKED), "docker swarm unlock"), ErrorKind::Refused);
    assert_eq!(refused(Some(LocalNodeState::PENDING), "wait"), ErrorKind::Unavailable);
    assert_eq!(refused(Some(LocalNodeState::ERROR), "managers must run"), ErrorKind::Unavailable);
}

fn answered(status_code: u16, message: &str) -> Error {
    Error::DockerResponseServerError { status_code, message: message.to_owned() }
}

#[test]
fn errors_have_kinds_and_advice() {
    let lost =
        failed("list", "services", answered(500, "rpc error: code = Unknown desc = The swarm does not have a leader."));
    assert!(lost.kind == ErrorKind::Unavailable && lost.next.as_deref() == Some(NO_LEADER), "{lost}");
    let worker =
        failed("list", "services", answered(503, "This node is not a swarm manager. Worker nodes can't be used"));
    assert!(worker.kind == ErrorKind::Unavailable && worker.next.as_deref() == Some(NOT_A_MANAGER), "{worker}");
    assert_eq!(failed("x", "y", answered(404, "service x not found")).kind, ErrorKind::NotFound);
    let slow = failed("x", "y", answered(500, "rpc error: code = DeadlineExceeded desc = context deadline exceeded"));
    assert_eq!(slow.kind, ErrorKind::TimedOut);
    assert!(out_of_sequence(&answered(500, "rpc error: code = Unknown desc = update out of sequence")));
    assert!(!out_of_sequence(&answered(500, "something else")));
}
