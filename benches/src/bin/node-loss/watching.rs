//! What the control database says while a run goes on: by etcd's own watches, so a moment is known to a few milliseconds.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::{Either, select};
use om_controldb::{ControlDb, Kind, Records};
use om_etcd::{EtcdDb, Options};
use om_model::{MemberRecord, NodeCondition, NodeRecord};
use om_tests::fleet::CLUSTER;

/// A look is taken this often even if nothing is told.
const AGAIN_EVERY: Duration = Duration::from_millis(100);

struct Members;
struct Nodes;
struct Leaders;

impl Kind for Members {
    type Value = MemberRecord;
    const FOLDER: &'static str = "members/";
}

impl Kind for Nodes {
    type Value = NodeRecord;
    const FOLDER: &'static str = "nodes/";
}

impl Kind for Leaders {
    type Value = serde_json::Value;
    const FOLDER: &'static str = "leader/";
}

/// The records as they were at a moment.
#[derive(Clone)]
pub(crate) struct Sight {
    at: Instant,
    /// Nodes that are lost.
    pub(crate) lost: BTreeSet<String>,
    /// All members.
    pub(crate) members: Vec<MemberRecord>,
    /// The node whose server leads.
    pub(crate) leading: String,
}

/// The records from moment to moment.
#[derive(Default)]
pub(crate) struct Timeline(Mutex<Vec<Sight>>);

impl Timeline {
    /// When something first held.
    pub(crate) fn first(&self, holds: impl Fn(&Sight) -> bool) -> Option<Instant> {
        self.0.lock().expect("no panic while held").iter().find(|sight| holds(sight)).map(|sight| sight.at)
    }

    /// The last look.
    pub(crate) fn last(&self) -> Option<Sight> {
        self.0.lock().expect("no panic while held").last().cloned()
    }

    /// Looks until it is over, at the etcd members named; they must be those that stay.
    pub(crate) fn follow(&self, over: &AtomicBool, endpoints: &[String]) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            while !over.load(Ordering::Relaxed) {
                // A member that has just lost its leader ends watches: they are asked for again.
                if let Err(error) = self.follow_once(over, endpoints).await {
                    eprintln!("etcd: {error}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        });
    }

    async fn follow_once(&self, over: &AtomicBool, endpoints: &[String]) -> om_controldb::Result<()> {
        let prefix = format!("openmanage/{CLUSTER}/");
        let db: Arc<dyn ControlDb> = Arc::new(EtcdDb::connect(endpoints, &prefix, Options::default()).await?);
        let (members, nodes) = (Records::<Members>::new(db.clone()), Records::<Nodes>::new(db.clone()));
        let leading = Records::<Leaders>::new(db).get("server").await?;
        let leading = leading.and_then(|stored| stored.value["server"].as_str().map(str::to_owned)).unwrap_or_default();
        let (mut of_members, mut of_nodes) = (members.watch("").await?, nodes.watch("").await?);
        while !over.load(Ordering::Relaxed) {
            let is_lost = |node: &NodeRecord| node.condition == NodeCondition::Lost;
            let nodes = nodes.all("").await?.into_iter().map(|stored| stored.value);
            let lost = nodes.filter(is_lost).map(|node| node.id.to_string()).collect();
            let members = members.all("").await?.into_iter().map(|stored| stored.value).collect();
            let sight = Sight { at: Instant::now(), lost, members, leading: leading.clone() };
            self.0.lock().expect("no panic while held").push(sight);
            let changed = select(of_members.changed(), of_nodes.changed());
            match tokio::time::timeout(AGAIN_EVERY, changed).await {
                Err(_) => {}
                Ok(Either::Left((told, _)) | Either::Right((told, _))) => told?,
            }
        }
        Ok(())
    }
}
