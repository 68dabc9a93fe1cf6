//! Where things are. Names in paths are percent-encoded here, so that no name can reach another path.

/// `GET`: alive.
pub const HEALTHZ: &str = "/healthz";
/// `GET`: figures for Prometheus.
pub const METRICS: &str = "/metrics";
/// `GET`: this API's own description.
pub const OPENAPI: &str = "/v1/openapi.json";
/// `GET`, `POST`.
pub const SERVICES: &str = "/v1/services";
/// `GET`.
pub const OPERATIONS: &str = "/v1/operations";
/// `GET`.
pub const EVENTS: &str = "/v1/events";
/// `GET`.
pub const VOLUMES: &str = "/v1/volumes";
/// `GET`.
pub const ENGINES: &str = "/v1/engines";
/// `GET`.
pub const CLUSTER: &str = "/v1/cluster";

/// `GET`.
pub const NODES: &str = "/v1/nodes";
/// `POST`.
pub const JOIN_TOKENS: &str = "/v1/join-tokens";

/// The node `name`.
pub fn node(name: &str) -> String {
    format!("{NODES}/{}", encoded(name))
}

/// Something of the node `name`: `drain`, `undrain`, `fence`.
pub fn of_node(name: &str, what: &str) -> String {
    format!("{NODES}/{}/{what}", encoded(name))
}

/// The service `name`.
pub fn service(name: &str) -> String {
    format!("{SERVICES}/{}", encoded(name))
}

/// Something of the service `name`: `members`, `stop`, `connection`.
pub fn of_service(name: &str, what: &str) -> String {
    format!("{SERVICES}/{}/{what}", encoded(name))
}

/// The output of a member.
pub fn logs(service: &str, member: &str) -> String {
    format!("{SERVICES}/{}/members/{}/logs", encoded(service), encoded(member))
}

/// The operation `id`.
pub fn operation(id: &str) -> String {
    format!("{OPERATIONS}/{}", encoded(id))
}

/// Something of the operation `id`: `events`, `cancel`, `retry`.
pub fn of_operation(id: &str, what: &str) -> String {
    format!("{OPERATIONS}/{}/{what}", encoded(id))
}

/// The volume `name`.
pub fn volume(name: &str) -> String {
    format!("{VOLUMES}/{}", encoded(name))
}

/// Percent-encodes all but unreserved characters (RFC 3986 §2.3). Lone dots are encoded too: `..` would climb.
pub fn encoded(part: &str) -> String {
    use std::fmt::Write as _;
    let dots_only = part.bytes().all(|byte| byte == b'.');
    let mut text = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) || (byte == b'.' && !dots_only) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("a String takes every write");
        }
    }
    text
}

#[cfg(test)]
mod tests;
