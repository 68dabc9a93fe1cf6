//! The control database's conformance suite on a real etcd.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::BoxFuture;
use om_controldb::conformance::run_all;
use om_controldb::{ControlDb, Key};
use om_etcd::{EtcdDb, Options};

use crate::server::EtcdServer;

#[tokio::test]
async fn etcd_conforms() {
    let server = EtcdServer::start();
    let (endpoints, stores) = (server.endpoints(), AtomicU32::new(0));
    let make = move || {
        let (endpoints, number) = (endpoints.clone(), stores.fetch_add(1, Ordering::SeqCst));
        let made: BoxFuture<'static, Arc<dyn ControlDb>> = Box::pin(async move {
            let prefix = format!("om/store-{number}");
            let db = EtcdDb::connect(&endpoints, &prefix, Options::default()).await.expect("connected");
            Arc::new(db) as Arc<dyn ControlDb>
        });
        made
    };
    run_all(&make).await;
}

#[tokio::test]
async fn an_erased_store_is_empty_and_its_neighbours_are_not() {
    let server = EtcdServer::start();
    let key = Key::new("services/one").expect("a good key");
    let open =
        async |prefix: &str| EtcdDb::connect(&server.endpoints(), prefix, Options::default()).await.expect("connected");
    for prefix in ["om/test", "om/test-2"] {
        open(prefix).await.create(&key, b"kept").await.expect("created");
    }
    open("om/test").await.erase().await.expect("erased");
    assert_eq!(open("om/test").await.get(&key).await.expect("read"), None);
    assert!(open("om/test-2").await.get(&key).await.expect("read").is_some());
}
