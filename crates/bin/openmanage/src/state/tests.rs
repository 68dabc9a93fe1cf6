use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_folder_of_other_peoples_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("theirs"), "").unwrap();
    let refused = StateDir::open(folder.path()).unwrap_err().to_string();
    assert!(refused.contains("not empty"), "{refused}");
    assert!(StateDir::existing(folder.path()).unwrap().is_none());
    assert_eq!(mode(folder.path()), 0o755);
}

#[test]
fn an_empty_or_a_missing_folder_becomes_ours_and_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("lost+found")).unwrap();
    for path in [folder.path().to_owned(), folder.path().join("lost+found/deeper")] {
        let state = StateDir::open(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        assert!(StateDir::existing(&path).unwrap().is_none(), "nothing was begun there yet");
        fs::write(state.process(), "").unwrap();
        fs::write(state.token_file(), "").unwrap();
        assert!(StateDir::existing(&path).unwrap().is_some());
        StateDir::open(&path).unwrap();
    }
}
