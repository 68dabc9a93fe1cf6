use super::*;

async fn begin(state: &StateDir) -> Result<Serving> {
    Serving::begin(state, &*om_system::runtime().clock).await
}

fn state() -> (tempfile::TempDir, StateDir) {
    let folder = tempfile::tempdir().unwrap();
    let state = StateDir::open(folder.path()).unwrap();
    (folder, state)
}

#[tokio::test]
async fn a_state_directory_has_one_process_at_a_time() {
    let (_folder, state) = state();
    assert!(Present::of(&state).unwrap().is_none());
    let mut serving = begin(&state).await.unwrap();
    let refused = begin(&state).await.err().unwrap().to_string();
    assert!(refused.contains("runs already") && refused.contains("openmanage down"), "{refused}");
    assert!(!Present::of(&state).unwrap().unwrap().serves);
    serving.serves().unwrap();
    let present = Present::of(&state).unwrap().unwrap();
    assert!(present.serves && !present.ended().unwrap());
    assert_eq!(u32::try_from(present.pid.as_raw_nonzero().get()).unwrap(), std::process::id());
    drop(serving);
    assert!(Present::of(&state).unwrap().is_none());
    begin(&state).await.unwrap();
}

/// After a reboot the number may be a database's: nobody may take it for ours.
#[test]
fn a_number_left_by_a_crash_is_nobodys() {
    let (_folder, state) = state();
    std::fs::write(state.process(), format!("{}\nserves\n", std::process::id())).unwrap();
    assert!(Present::of(&state).unwrap().is_none());
}

#[test]
fn it_has_ended_when_the_process_has_and_not_before() {
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let pid = Pid::from_child(&child);
    let handle = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let present = Present { pid, serves: true, handle };
    assert!(!present.ended().unwrap());
    present.end().unwrap();
    child.wait().unwrap();
    assert!(present.ended().unwrap());
    present.end().unwrap();
}
