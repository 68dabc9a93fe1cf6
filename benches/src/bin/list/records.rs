//! Ten thousand services, written as the control code writes them.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use futures::future::try_join_all;
use om_controldb::records::Kind;
use om_controldb::{ControlDb, Records};
use om_model::{
    Binding, ByteSize, MemberName, MemberRecord, Phase, Resources, ServiceId, ServiceName, ServiceRecord, ServiceSpec,
    Timestamp, VolumeId, VolumeRecord, VolumeRole, VolumeSizes,
};
use om_sqlite::SqliteDb;

/// Services that are written at once: the store puts many writes into one transaction.
const AT_ONCE: usize = 50;
const MEMBERS: u16 = 3;
const GIB: u64 = 1 << 30;

macro_rules! kind {
    ($name:ident, $value:ty, $folder:literal) => {
        /// Records of the control code, by the folder it keeps them in. The listing would not show them elsewhere.
        pub(crate) struct $name;

        impl Kind for $name {
            type Value = $value;
            const FOLDER: &'static str = $folder;
        }
    };
}
kind!(Services, ServiceRecord, "services/");
kind!(ServiceIds, ServiceName, "service-ids/");
kind!(Members, MemberRecord, "members/");
kind!(Volumes, VolumeRecord, "volumes/");

/// The name of service `number`.
pub(crate) fn name(number: usize) -> String {
    format!("orders-{number:05}")
}

/// Writes so many services into the database, which no server may have open.
pub(crate) async fn fill(database: &Path, count: usize) -> Result<()> {
    let db: Arc<dyn ControlDb> = Arc::new(SqliteDb::open(database)?);
    let numbers: Vec<usize> = (0..count).collect();
    for some in numbers.chunks(AT_ONCE) {
        try_join_all(some.iter().map(|number| write(&db, *number))).await?;
    }
    Ok(())
}

async fn write(db: &Arc<dyn ControlDb>, number: usize) -> Result<()> {
    let (name, id): (ServiceName, ServiceId) = (name(number).parse()?, format!("{number:032x}").parse()?);
    let service = service(&name, &id)?;
    Records::<ServiceIds>::new(db.clone()).create(id.as_str(), &name).await?;
    Records::<Services>::new(db.clone()).create(name.as_str(), &service).await?;
    for index in 0..MEMBERS {
        let member = MemberName::of(&name, index);
        let [_, high, middle, low] = u32::try_from(number * 4 + usize::from(index))?.to_be_bytes();
        let record = MemberRecord {
            name: member.clone(),
            service: id.clone(),
            service_name: name.clone(),
            index,
            address: Some(IpAddr::V4(Ipv4Addr::new(10, high, middle, low))),
            replacement: 0,
            binding: Binding::default(),
        };
        Records::<Members>::new(db.clone()).create(&format!("{id}/{member}"), &record).await?;
        let volume = VolumeRecord {
            id: VolumeId { service: id.clone(), member, role: VolumeRole::Data },
            service_name: name.clone(),
            engine: service.spec.engine.clone(),
            size: ByteSize::bytes(100 * GIB),
            provider: "local".into(),
            formatted: true,
            created: service.created,
            kept_since: None,
        };
        Records::<Volumes>::new(db.clone()).create(&volume.id.to_string(), &volume).await?;
    }
    Ok(())
}

fn service(name: &ServiceName, id: &ServiceId) -> Result<ServiceRecord> {
    let spec = ServiceSpec {
        engine: "postgresql".into(),
        version: "15".into(),
        image: None,
        replicas: MEMBERS,
        resources: Resources { memory: ByteSize::bytes(GIB), cpu_millis: None },
        volumes: VolumeSizes { data: ByteSize::bytes(100 * GIB), journal: None },
        settings: [("max_connections".to_owned(), "200".to_owned())].into(),
        options: [("synchronous".to_owned(), "on".to_owned())].into(),
        places: Vec::new(),
    };
    Ok(ServiceRecord {
        name: name.clone(),
        id: id.clone(),
        primary: Some(MemberName::of(name, 0)),
        spec,
        phase: Phase::Stopped,
        recoveries: Vec::new(),
        queue: Vec::new(),
        origin: id.as_str().parse()?,
        configuration: 1,
        created: Timestamp::from_millis(1_790_000_000_000),
    })
}
