//! The engine over a world in memory: declarations, configuration, and its verbs with a crash after every action.

mod declarations;
mod verbs;
mod world;

use om_model::{ByteSize, Resources, ServiceSpec, VolumeSizes};

use crate::member::MemberConfig;

/// The member `index` of a service of three, told everything.
fn config(index: u16) -> MemberConfig {
    let peer = |i: u16| serde_json::json!({"name": format!("orders-{i}"), "host": format!("orders-{i}.test-openmanage.com"), "address": format!("10.9.0.{i}")});
    serde_json::from_value(serde_json::json!({
        "service_id": "00112233445566778899aabbccddeeff", "service": "orders", "member": format!("orders-{index}"),
        "index": index, "epoch": 1, "engine": "postgresql", "version": "15", "address": format!("10.9.0.{index}"),
        "peers": [peer(0), peer(1), peer(2)], "primary": "orders-0", "resources": {"memory": 1_u64 << 30},
        "volumes": {"data": 10_u64 << 30}, "settings": {}, "options": {}, "configuration": 1,
    }))
    .expect("a member's configuration")
}

fn spec() -> ServiceSpec {
    ServiceSpec {
        engine: "postgresql".into(),
        version: "15".into(),
        image: None,
        replicas: 3,
        resources: Resources { memory: ByteSize::bytes(1 << 30), cpu_millis: None },
        volumes: VolumeSizes { data: ByteSize::bytes(10 << 30), journal: None },
        settings: [].into(),
        options: [].into(),
        places: vec![],
    }
}
