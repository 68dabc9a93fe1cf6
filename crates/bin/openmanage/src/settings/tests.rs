use super::*;
use crate::state::StateDir;

fn settings() -> UpSettings {
    UpSettings {
        state: "/somewhere".into(),
        cluster: "test".parse().unwrap(),
        region: None,
        listen: vec!["127.0.0.1:27040".parse().unwrap()],
        dns_listen: Vec::new(),
        subnet: Some("10.99.0.0/24".parse().unwrap()),
        control_db: ControlDbKind::Etcd(vec!["http://127.0.0.1:2379".into()]),
        volumes: VolumeKind::Directories,
        detach: true,
    }
}

#[test]
fn what_was_kept_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateDir::open(folder.path()).unwrap();
    assert_eq!(state.settings().unwrap(), None);
    state.keep_settings(&settings()).unwrap();
    let kept = state.settings().unwrap().unwrap();
    assert_eq!(kept, UpSettings { state: state.root().to_owned(), detach: false, ..settings() });
}

#[test]
fn another_cluster_database_or_volume_kind_is_refused() {
    let kept = settings();
    let refusals = [
        (UpSettings { cluster: "other".parse().unwrap(), ..settings() }, "--cluster test"),
        (UpSettings { control_db: ControlDbKind::Sqlite, ..settings() }, "--controldb etcd"),
        (UpSettings { volumes: VolumeKind::Images, ..settings() }, "--volume-kind directories"),
    ];
    for (asked, advice) in refusals {
        let refused = settle(Some(kept.clone()), asked.clone()).unwrap_err().to_string();
        assert!(refused.contains(advice) && refused.contains("/somewhere"), "{refused}");
        assert_eq!(settle(None, asked.clone()).unwrap(), asked);
    }
}

#[test]
fn addresses_and_endpoints_may_change() {
    let asked = UpSettings {
        listen: vec!["127.0.0.1:1".parse().unwrap()],
        dns_listen: vec!["127.0.0.9:53".parse().unwrap()],
        control_db: ControlDbKind::Etcd(vec!["http://10.0.0.1:2379".into()]),
        ..settings()
    };
    assert_eq!(settle(Some(settings()), asked.clone()).unwrap(), asked);
    let open = UpSettings { subnet: None, ..asked.clone() };
    assert_eq!(settle(Some(settings()), open).unwrap(), asked, "the network's subnet is kept");
}
