//! The control database's conformance suite on a real etcd.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::BoxFuture;
use om_controldb::ControlDb;
use om_controldb::conformance::run_all;
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
