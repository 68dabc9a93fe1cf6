//! Command lines against a server that listens: exit codes, and what was done.

use om_api::PageQuery;
use om_client::ClientError;
use om_model::Phase;

use super::running::Running;

#[tokio::test]
async fn a_service_from_create_to_its_last_volume() {
    let server = Running::start().await;
    let client = server.client();
    assert_eq!(server.code("openmanage create postgresql orders --volume-size 1 --dry-run").await, 0);
    assert!(client.get_service("orders").await.is_err(), "a dry run makes nothing");
    assert_eq!(server.code("openmanage create postgresql orders --volume-size 1").await, 0);
    assert_eq!(client.get_service("orders").await.expect("it is there").phase, Phase::Active);
    for line in
        ["list", "list -o json", "get orders", "members orders", "config get orders", "connect orders --uri", "engines"]
    {
        assert_eq!(server.code(&format!("openmanage {line}")).await, 0, "{line}");
    }
    for line in ["logs orders", "logs orders-1 -n 1", "events", "operations list", "volume list", "cluster show"] {
        assert_eq!(server.code(&format!("openmanage {line}")).await, 0, "{line}");
    }
    assert_eq!(server.code("openmanage config set orders work_mem=8MB --option synchronous=on").await, 0);
    let service = client.get_service("orders").await.expect("it is there");
    assert_eq!((service.settings["work_mem"].as_str(), service.options["synchronous"].as_str()), ("8MB", "on"));
    assert_eq!(server.code("openmanage config set orders --unset work_mem").await, 0);
    assert_eq!(server.code("openmanage volume grow orders --data 2").await, 0);
    let service = client.get_service("orders").await.expect("it is there");
    assert!(service.settings.is_empty() && service.volumes.data.as_bytes() == 2 << 30, "{service:?}");
    assert_eq!(server.code("openmanage restart orders --member orders-2").await, 0);
    assert_eq!(server.code("openmanage stop orders").await, 0);
    assert_eq!(client.get_service("orders").await.expect("it is there").phase, Phase::Stopped);
    assert_eq!(server.code("openmanage delete orders --yes").await, 0);
    let kept = client.list_volumes().await.expect("a list").items;
    assert_eq!(kept.len(), 3);
    let names: Vec<_> = kept.into_iter().map(|volume| volume.name).collect();
    assert_eq!(server.code(&format!("openmanage volume delete --yes {}", names.join(" "))).await, 0);
    assert!(client.list_volumes().await.expect("a list").items.is_empty());
}

/// The README's two command lines, with the port of this test's server.
#[tokio::test]
async fn the_originals_command_lines() {
    let server = Running::start().await;
    let old = |line: &str| format!("/usr/bin/openmanage-service-cli {line}");
    let at = format!(
        "-server-url=openmange-manageserver.test-openmanage.com:{} -region=us-east-1 -cluster=test",
        server.port
    );
    let create = format!(
        "-op=create-service -service-type=postgresql {at} -service-name=pgcluster -replicas=3 -volume-size=100"
    );
    assert_eq!(server.code(&old(&create)).await, 0);
    let service = server.client().get_service("pgcluster").await.expect("it is there");
    assert_eq!((service.phase, service.replicas, service.volumes.data.as_bytes()), (Phase::Active, 3, 100 << 30));
    assert_eq!(server.code(&old(&create)).await, 0, "asking twice is asking once");

    let mongo = create.replace("postgresql", "mongodb").replace("pgcluster", "mongodb-replicaset");
    assert_eq!(server.code(&old(&mongo)).await, 1, "the engine is not in this release");
    assert_eq!(server.code(&old(&create.replace("-cluster=test", "-cluster=other"))).await, 2);
    let services = server.client().list_services(&PageQuery::default()).await.expect("a list").items;
    assert_eq!(services.len(), 1, "nothing else was made");

    for op in ["check-service-init", "get-service", "list-members", "get-config", "restart-service", "stop-service"] {
        assert_eq!(server.code(&old(&format!("--op {op} --service pgcluster {at}"))).await, 0, "{op}");
    }
    assert_eq!(server.code(&old("-op=list-services")).await, 0, "the server of this machine is found by itself");
    let start = "-op=start-service -service-name=pgcluster -cluster=test";
    assert_eq!(server.code(&old(start)).await, 0, "this machine's server, on whatever port");
    assert_eq!(server.code(&old("-op=upgrade-service -service-name=pgcluster")).await, 2);
    assert_eq!(server.code(&old("-op=delete-service -service-name=pgcluster")).await, 0);
    assert_eq!(server.client().list_volumes().await.expect("a list").items.len(), 3, "volumes are kept");
}

#[tokio::test]
async fn exit_codes_tell_what_kind_of_failure() {
    let server = Running::start().await;
    assert_eq!(server.code("openmanage frobnicate").await, 2);
    assert_eq!(server.code("openmanage config set orders").await, 2, "nothing to change");
    assert_eq!(server.code("openmanage get absent").await, 1);
    assert_eq!(server.code("openmanage create oracle orders").await, 1);
    assert_eq!(server.code("openmanage list --server 127.0.0.1:1").await, 3);
    let token = server.state.path().join("other.token");
    std::fs::write(&token, "wrong").expect("writes");
    assert_eq!(server.code(&format!("openmanage list --token-file {}", token.display())).await, 1);

    let member = "orders-1".parse().expect("a name");
    server.world.lock().broken.insert(member, "no room".into());
    assert_eq!(
        server.code("openmanage create postgresql orders --deadline 2").await,
        4,
        "it ends otherwise than as asked"
    );
    let error = server.client().get_service("orders").await.expect_err("rolled back");
    assert!(matches!(error, ClientError::Problem(_)), "{error}");
}
