//! The real host, as root, in a temporary directory.

mod scratch;

use std::process::{Command, Stdio};

use om_backend::{ErrorKind, Host, Source};
use om_host::SystemHost;

use scratch::{ALONE, Scratch, hold};

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let _alone = ALONE.lock().await;
    let scratch = Scratch::new();
    let folder = scratch.path().join("mounts");
    std::fs::create_dir(&folder).unwrap();
    let image = scratch.image(64 << 20);
    om_backend::conformance::host::suite(&SystemHost::detect().unwrap(), &folder, &image, &hold).await;
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "no mount point is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_behind_a_symbolic_link() {
    let _alone = ALONE.lock().await;
    let scratch = Scratch::new();
    let (real, link) = (scratch.path().join("real"), scratch.path().join("link"));
    std::fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let image = scratch.image(64 << 20);
    om_backend::conformance::host::suite(&SystemHost::detect().unwrap(), &link, &image, &hold).await;
    assert_eq!(std::fs::read_dir(&real).unwrap().count(), 0, "no mount point is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_grows_while_mounted() {
    let _alone = ALONE.lock().await;
    let (scratch, host) = (Scratch::new(), SystemHost::detect().unwrap());
    let (image, target) = (scratch.image(64 << 20), scratch.path().join("m"));
    host.mount(&Source::Image { path: image.clone(), format: true, direct: false }, &target).await.unwrap();
    let size = || rustix::fs::statvfs(&target).map(|found| found.f_blocks * found.f_frsize).unwrap();
    let before = size();
    std::fs::OpenOptions::new().write(true).open(&image).unwrap().set_len(256 << 20).unwrap();
    match host.grow_file_system(&target).await {
        Ok(()) => assert!(size() > before * 3, "{before} grew to {}", size()),
        // Without CAP_SYS_RESOURCE the kernel refuses; then it happens at the next mount.
        Err(error) => assert!(error.kind == ErrorKind::Refused && error.next.is_some(), "{error}"),
    }
    host.unmount(&target).await.unwrap();
    host.mount(&Source::Image { path: image, format: false, direct: false }, &target).await.unwrap();
    assert!(size() > before * 3, "{before} is {} at the next mount", size());
    host.unmount(&target).await.unwrap();
    assert!(!target.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_bound_read_only_and_a_directory_is_bound() {
    let _alone = ALONE.lock().await;
    let (scratch, host) = (Scratch::new(), SystemHost::detect().unwrap());
    let (folder, target) = (scratch.path().join("folder"), scratch.path().join("m"));
    std::fs::create_dir(&folder).unwrap();
    host.mount(&Source::Directory(folder.clone()), &target).await.unwrap();
    std::fs::write(target.join("program"), "old").unwrap();
    let program = target.join("bound");
    host.mount(&Source::ReadOnlyFile(folder.join("program")), &program).await.unwrap();
    assert_eq!(std::fs::read(&program).unwrap(), b"old");
    std::fs::write(&program, "new").expect_err("it is read-only");
    host.unmount(&program).await.unwrap();
    host.unmount(&target).await.unwrap();
    assert_eq!(std::fs::read(folder.join("program")).unwrap(), b"old");
    assert!(!folder.join("bound").exists(), "the empty file it was on is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_file_system_is_never_formatted() {
    let _alone = ALONE.lock().await;
    let (scratch, host) = (Scratch::new(), SystemHost::detect().unwrap());
    let (image, target) = (scratch.image(64 << 20), scratch.path().join("m"));
    assert!(Command::new("mkswap").arg(&image).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    let before = std::fs::read(&image).unwrap();
    let error =
        host.mount(&Source::Image { path: image.clone(), format: true, direct: false }, &target).await.unwrap_err();
    assert!(error.next.is_some() && error.kind == ErrorKind::Refused, "{error}");
    assert_eq!(std::fs::read(&image).unwrap(), before, "not a byte was touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_is_swept_and_nothing_else() {
    let (scratch, host) = (Scratch::new(), SystemHost::detect().unwrap());
    for name in ["v.e1", "v.e2", "w.e1"] {
        std::fs::create_dir(scratch.path().join(name)).unwrap();
    }
    std::fs::write(scratch.path().join("v.e2/data"), "precious").unwrap();
    host.remove_empty(&scratch.path(), "v.e").await.unwrap();
    let left = |name: &str| scratch.path().join(name).exists();
    assert_eq!((left("v.e1"), left("v.e2/data"), left("w.e1")), (false, true, true));
}
