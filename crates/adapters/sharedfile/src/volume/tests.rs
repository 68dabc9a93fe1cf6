use super::*;

fn volume(folder: &Path) -> Volume {
    let service = "0123456789abcdef0123456789abcdef".parse().unwrap();
    let id = VolumeId { service, member: "orders-0".parse().unwrap(), role: om_model::VolumeRole::Data };
    fs::write(folder.join("e0.img"), "zero").unwrap();
    Volume { id, folder: folder.to_owned() }
}

#[test]
fn the_highest_number_holds_and_strange_names_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let volume = volume(folder.path());
    for name in
        ["e9.img", "e10.img", "e11.img.bak", ".new-image.12", "e.img", "e+12.img", "floor.9", "floor.10", "floor."]
    {
        fs::write(folder.path().join(name), "").unwrap();
    }
    assert_eq!(volume.present().unwrap(), (10, folder.path().join("e10.img")));
    assert_eq!(volume.floor().unwrap(), 10);
    volume.tidy().unwrap();
    for gone in ["e0.img", "e9.img", "floor.9"] {
        assert!(!folder.path().join(gone).exists(), "{gone}");
    }
    assert!(folder.path().join("e11.img.bak").exists(), "what is not ours stays");
}

#[test]
fn a_mark_of_a_revocation_that_went_no_further_ends_the_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let volume = volume(folder.path());
    volume.attach(Epoch::new(1), Cloning::Not).unwrap();
    volume.raise("floor", 2).unwrap();
    assert_eq!(volume.attach(Epoch::new(1), Cloning::Not).unwrap_err().kind, ErrorKind::Refused);
    assert_eq!(
        volume.attach(Epoch::new(2), Cloning::Not).unwrap(),
        folder.path().join("e0.img"),
        "the image is still the old one"
    );
}

#[test]
fn a_clone_made_just_before_the_volume_grew_is_enlarged_at_attach() {
    let folder = tempfile::tempdir().unwrap();
    let volume = volume(folder.path());
    volume.grow(ByteSize::bytes(8192)).unwrap();
    fs::write(folder.path().join("e3.img"), "cloned before").unwrap();
    let image = volume.attach(Epoch::new(3), Cloning::Not).unwrap();
    assert_eq!((image.ends_with("e3.img"), fs::metadata(&image).unwrap().len()), (true, 8192));
}

#[test]
fn the_loser_of_a_race_takes_the_winners_image() {
    let folder = tempfile::tempdir().unwrap();
    let volume = volume(folder.path());
    fs::write(folder.path().join("e2.img"), "the winner's, written to since").unwrap();
    // Without a reflink no clone is made, by any file system: the winner's has to do.
    volume.revoke(Epoch::new(1), Cloning::Not).unwrap();
    let (_, image) = volume.present().unwrap();
    assert_eq!(fs::read_to_string(image).unwrap(), "the winner's, written to since");
    // One that comes later still, having cloned before the winner was there.
    volume.make_clone(&folder.path().join("e0.img"), &folder.path().join("e2.img"), Cloning::ServerCopy).unwrap();
    let (_, image) = volume.present().unwrap();
    assert_eq!(fs::read_to_string(image).unwrap(), "the winner's, written to since");
    assert!(names(folder.path()).unwrap().iter().all(|name| !name.starts_with('.')), "and leaves nothing");
}

#[test]
fn each_epoch_that_attaches_has_an_image_of_its_own_and_keeps_it() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let volume = volume(folder.path());
    // Any file system copies in this way; here nothing writes meanwhile.
    let attach = |epoch| volume.attach(Epoch::new(epoch), Cloning::ServerCopy);
    let first = attach(1).unwrap();
    let mut late = OpenOptions::new().append(true).open(&first).unwrap();
    late.write_all(b", one").unwrap();
    assert_eq!(attach(1).unwrap(), first, "the same holder again");
    let second = attach(2).unwrap();
    assert!(second != first && second.ends_with("e2.img"));
    late.write_all(b", late").unwrap();
    assert_eq!(fs::read_to_string(&second).unwrap(), "zero, one", "nobody revoked epoch 1");
    assert_eq!(attach(1).unwrap_err().kind, ErrorKind::Refused);
    volume.revoke(Epoch::new(2), Cloning::ServerCopy).unwrap();
    assert!(attach(3).unwrap().ends_with("e3.img"), "what the revocation made is its own");
    let mut left: Vec<_> = names(folder.path()).unwrap();
    left.sort();
    assert_eq!(left, ["e3.img", "floor.3"], "former generations go with each attach");
}

#[test]
fn an_attach_that_is_overtaken_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let volume = volume(folder.path());
    // The successor came after this epoch's mark was looked at, and before a generation was picked.
    fs::write(folder.path().join("e3.img"), "the successor's").unwrap();
    for how in [Cloning::ServerCopy, Cloning::Not] {
        assert_eq!(volume.attach(Epoch::new(2), how).unwrap_err().kind, ErrorKind::Refused);
    }
    // A claimant that cloned and stalled names its clone late.
    volume.make_clone(&folder.path().join("e0.img"), &folder.path().join("e2.img"), Cloning::ServerCopy).unwrap();
    assert_eq!(volume.attach(Epoch::new(2), Cloning::ServerCopy).unwrap_err().kind, ErrorKind::Refused);
    assert!(volume.attach(Epoch::new(3), Cloning::ServerCopy).unwrap().ends_with("e3.img"));
    assert!(!folder.path().join("e2.img").exists());
}
