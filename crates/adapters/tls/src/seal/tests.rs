//! The seal holds: against other keys, other records, changed bytes, loose modes and races.

use std::collections::HashSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;

fn seal_in(folder: &tempfile::TempDir) -> KeyFileSeal {
    KeyFileSeal::open_or_create(&folder.path().join("key")).expect("a key")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn opens_what_it_sealed_also_after_a_restart() {
    let folder = folder();
    let sealed = seal_in(&folder).seal("secrets/a", b"hunter2").expect("sealed");
    assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
    assert_eq!(seal_in(&folder).open("secrets/a", &sealed).expect("opened"), b"hunter2");
    let empty = seal_in(&folder).seal("", b"").expect("sealed");
    assert_eq!(seal_in(&folder).open("", &empty).expect("opened"), b"");
}

#[test]
fn never_seals_alike() {
    let folder = folder();
    let seal = seal_in(&folder);
    let sealed: HashSet<_> = (0..100).map(|_| seal.seal("a", b"same").expect("sealed")).collect();
    assert_eq!(sealed.len(), 100);
}

#[test]
fn refuses_another_key_and_another_context() {
    let (one, other) = (folder(), folder());
    let sealed = seal_in(&one).seal("secrets/a", b"hunter2").expect("sealed");
    let wrong_key = seal_in(&other).open("secrets/a", &sealed).expect_err("another key");
    let wrong_context = seal_in(&one).open("secrets/b", &sealed).expect_err("another record");
    assert_eq!((wrong_key.kind, wrong_context.kind), (ErrorKind::Invalid, ErrorKind::Invalid));
    assert!(wrong_key.to_string().contains("secrets/a") && wrong_key.next.is_some(), "{wrong_key}");
}

#[test]
fn refuses_every_flipped_bit_and_every_cut() {
    let folder = folder();
    let seal = seal_in(&folder);
    let sealed = seal.seal("a", b"hunter2").expect("sealed");
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(seal.open("a", &changed).expect_err("changed").kind, ErrorKind::Invalid, "bit {bit}");
    }
    for length in 0..sealed.len() {
        assert!(seal.open("a", &sealed[..length]).is_err(), "cut to {length}");
    }
}

#[test]
fn the_key_file_has_mode_0600_and_32_bytes_and_nothing_else_is_left() {
    let folder = folder();
    let _ = seal_in(&folder);
    let metadata = fs::metadata(folder.path().join("key")).expect("made");
    assert_eq!((metadata.permissions().mode() & 0o7777, metadata.len()), (0o600, 32));
    assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 1);
}

#[test]
fn refuses_a_key_file_that_others_can_read_and_says_what_to_do() {
    let folder = folder();
    let path = folder.path().join("key");
    let _ = seal_in(&folder);
    for mode in [0o640, 0o604, 0o660, 0o602] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("changed");
        let error = KeyFileSeal::open_or_create(&path).expect_err("loose").to_string();
        assert!(error.contains(&format!("chmod 600 {}", path.display())), "{error}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o400)).expect("changed");
    KeyFileSeal::open_or_create(&path).expect("stricter is fine");
}

#[test]
fn refuses_a_key_file_of_another_length_and_keeps_it() {
    let folder = folder();
    let path = folder.path().join("key");
    for length in [0, 31, 33, 100_000] {
        let _ = fs::remove_file(&path);
        fs::write(&path, vec![7; length]).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("changed");
        assert_eq!(KeyFileSeal::open_or_create(&path).expect_err("no key").kind, ErrorKind::Refused);
        assert_eq!(fs::read(&path).expect("there").len(), length);
    }
    let missing = KeyFileSeal::open_or_create(&folder.path().join("no/such/key")).expect_err("no folder");
    assert!(missing.to_string().contains("no/such/key"), "{missing}");
}

#[test]
fn many_at_once_make_one_key() {
    let folder = folder();
    let barrier = std::sync::Barrier::new(16);
    let seals: Vec<_> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    seal_in(&folder)
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().expect("no panic")).collect()
    });
    let sealed = seals[0].seal("a", b"hunter2").expect("sealed");
    assert!(seals.iter().all(|seal| seal.open("a", &sealed).is_ok()));
    assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 1);
}
