//! A full disk: writes are refused with what to do, reads go on, and with room again so do writes. The disk is a small
//! tmpfs, so the test runs as root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use om_controldb::{ControlDb, ErrorKind, Key};
use om_sqlite::SqliteDb;

/// A file system of a few megabytes, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> Self {
        let options = format!("size={size},mode=0700");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "om-full-disk-test"]).arg(at).status();
        assert!(status.expect("mount runs").success(), "cannot mount a tmpfs: this test runs as root");
        Self(at.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let lazily = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(lazily.is_ok_and(|status| status.success()), "{} stays mounted", self.0.display());
    }
}

fn key(text: &str) -> Key {
    Key::new(text).expect("a good key")
}

/// Fills the file system to the last byte.
fn fill(file: &Path) {
    use std::io::Write;
    let mut filler = fs::File::create(file).expect("created");
    for size in [64 * 1024, 4096, 1] {
        while filler.write_all(&vec![0; size]).is_ok() {}
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_recovers() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = SmallDisk::mount(directory.path(), "4m");
    let (path, filler) = (directory.path().join("control.db"), directory.path().join("filler"));
    let db = SqliteDb::open(&path).expect("opened");
    let first = db.create(&key("before"), b"kept").await.expect("created");

    fill(&filler);
    let large = vec![1; 200_000];
    let error = db.create(&key("large"), &large).await.expect_err("no room");
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("no room is left") && error.to_string().contains("Free some space"), "{error}");
    assert_eq!(db.get(&key("large")).await.expect("reads go on"), None);
    assert_eq!(db.get(&key("before")).await.expect("reads go on").expect("there").revision, first);

    // Several at once share a transaction: the one that does not fit takes no neighbour with it, and each is answered.
    fs::OpenOptions::new().write(true).open(&filler).expect("there").set_len(3_600_000).expect("cut");
    let (too_large, huge) = (key("too-large"), vec![2; om_controldb::VALUE_MAX]);
    let writes = (0..12).map(|number| {
        let (db, huge, too_large) = (&db, &huge, &too_large);
        async move {
            match number % 4 {
                0 => db.create(&key(&format!("{too_large}/{number}")), huge).await,
                _ => db.create(&key(&format!("small/{number}")), b"s").await,
            }
        }
    });
    let results = futures::future::join_all(writes).await;
    assert!(results.iter().any(Result::is_err), "everything fitted: the test fills too little");
    for (number, result) in results.iter().enumerate().filter(|(number, _)| number % 4 != 0) {
        assert!(result.is_ok(), "small write {number}: {result:?}");
    }

    fs::remove_file(&filler).expect("room again");
    db.create(&key("large"), &large).await.expect("works again without a restart");
    db.update(&key("before"), &first, b"changed").await.expect("works again without a restart");
    drop(db);
    let db = SqliteDb::open(&path).expect("opened");
    assert_eq!(db.get(&key("large")).await.expect("read").expect("there").value, large);
    assert_eq!(db.list(&key("small/"), None, 100).await.expect("listed").entries.len(), 9);
    drop((db, disk));
}

#[tokio::test]
async fn opening_on_a_full_disk_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = SmallDisk::mount(directory.path(), "1m");
    fill(&directory.path().join("filler"));
    let Err(error) = SqliteDb::open(directory.path().join("control.db")) else { panic!("there was room") };
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.to_string().contains("ree some space"), "{error}");
    drop(disk);
}
