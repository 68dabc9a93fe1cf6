//! Tests of the reading of mountinfo.

use super::*;

const SAMPLE: &[u8] = b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n\
29 1 0:26 / /var/with\\040space\\134x rw shared:7 master:4 propagate_from:2 - tmpfs none rw\n\
30 1 7:3 / /plain rw - ext4 /dev/loop3 rw\n";

#[test]
fn fields_escapes_and_groups_are_read() {
    let found = parse(SAMPLE).unwrap();
    assert_eq!(found.len(), 3);
    assert_eq!(
        found[1],
        Entry {
            id: 29,
            root: PathBuf::from("/"),
            target: PathBuf::from("/var/with space\\x"),
            device: (0, 26),
            kind: "tmpfs".to_owned(),
            groups: vec![7, 4]
        }
    );
    assert_eq!((found[0].root.as_path(), found[0].target.as_path()), (Path::new("/mnt1"), Path::new("/mnt2")));
    assert_eq!((found[2].kind.as_str(), found[2].groups.len()), ("ext4", 0));
}

#[test]
fn a_torn_line_is_an_error() {
    assert!(parse(b"36 35 98:0 /mnt1\n").is_err());
    assert!(parse(b"36 35 98 /mnt1 /mnt2 rw - ext3 x rw\n").is_err());
}

#[test]
fn only_mounts_that_outlive_ours_hold() {
    let found = parse(SAMPLE).unwrap();
    let (slave, plain) = (&found[1], &found[2]);
    let ours = |id, groups: &[u32]| [Entry { id, groups: groups.to_vec(), ..plain.clone() }];
    assert!(keeps(plain, (7, 3), &ours(99, &[7])));
    assert!(keeps(slave, (0, 26), &[]));
    assert!(!keeps(slave, (0, 26), &ours(99, &[4])), "a slave of ours goes with ours");
    assert!(!keeps(plain, (7, 3), &ours(30, &[])), "it is our own, seen by a neighbour");
    assert!(!keeps(plain, (7, 4), &[]), "another file system");
}

#[test]
fn the_kernel_is_understood() {
    let mounts = own().unwrap();
    assert!(mounts.iter().any(|entry| entry.target == Path::new("/") && !entry.kind.is_empty()));
    assert!(below(Path::new("/proc")).unwrap().iter().any(|entry| entry.kind == "proc"));
}
