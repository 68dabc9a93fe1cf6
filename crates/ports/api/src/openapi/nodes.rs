//! Calls on nodes.
#![allow(dead_code, reason = "descriptions: the macro reads them, nobody calls them")]

use crate::{Drain, FenceNode, JoinToken, NewJoinToken, Node, Page};

/// The cluster's nodes. Empty where server and agent are one program on one machine.
#[utoipa::path(get, path = "/v1/nodes", tag = "nodes", responses((status = 200, description = "All nodes", body = Page<Node>)))]
pub(super) fn list_nodes() {}

/// Moves every member away from the node, one operation each, and keeps members off it.
#[utoipa::path(post, path = "/v1/nodes/{node}/drain", tag = "nodes", params(("node" = String, Path, description = "Its name")),
    responses((status = 202, description = "The operations that move its members", body = Drain)))]
pub(super) fn drain_node() {}

/// Lets members be placed on the node again.
#[utoipa::path(post, path = "/v1/nodes/{node}/undrain", tag = "nodes", params(("node" = String, Path, description = "Its name")),
    responses((status = 204, description = "Done")))]
pub(super) fn undrain_node() {}

/// An operator's word that the machine is off: its members move without further proof. Refused while it answers.
#[utoipa::path(post, path = "/v1/nodes/{node}/fence", tag = "nodes", params(("node" = String, Path, description = "Its name")),
    request_body = FenceNode, responses((status = 204, description = "Noted")))]
pub(super) fn fence_node() {}

/// Takes a node that holds no member out of the cluster.
#[utoipa::path(delete, path = "/v1/nodes/{node}", tag = "nodes", params(("node" = String, Path, description = "Its name")),
    responses((status = 204, description = "Forgotten")))]
pub(super) fn forget_node() {}

/// Makes a one-time token with which an agent or a storage program joins the cluster.
#[utoipa::path(post, path = "/v1/join-tokens", tag = "nodes", request_body = NewJoinToken,
    responses((status = 200, description = "The token, shown this once", body = JoinToken)))]
pub(super) fn create_join_token() {}
