//! `node`.

use om_api::{Drain, FenceNode, NewJoinToken, Node};

use crate::args::NodeCommand;
use crate::progress;
use crate::session::Session;
use crate::terminal::{or_dash, table};

pub(super) async fn run(session: &Session, command: NodeCommand) -> anyhow::Result<()> {
    match command {
        NodeCommand::List => list(session).await,
        NodeCommand::Drain { name, no_wait } => drain(session, &name, no_wait).await,
        NodeCommand::Undrain { name } => {
            session.client.undrain_node(&name).await?;
            session.terminal.advise(&format!("members may be placed on {name} again"));
            Ok(())
        }
        NodeCommand::Fence { name, force, yes } => fence(session, &name, force, yes).await,
        NodeCommand::Forget { name } => {
            session.client.forget_node(&name).await?;
            session.terminal.advise(&format!("{name} is no more a node of the cluster"));
            Ok(())
        }
        NodeCommand::Token { role, valid } => {
            let token = session.client.create_join_token(&NewJoinToken { role, valid_minutes: Some(valid) }).await?;
            session.terminal.show(&token, || token.token.clone())
        }
    }
}

async fn list(session: &Session) -> anyhow::Result<()> {
    let nodes = session.client.list_nodes().await?.items;
    if nodes.is_empty() && !session.terminal.is_json() {
        session.terminal.advise("no node has joined; make a token with: openmanage node token");
        return Ok(());
    }
    session.terminal.show(&nodes, || {
        let rows = nodes.iter().map(|node| {
            [
                node.name.clone(),
                node.address.clone(),
                or_dash(node.zone.as_ref()),
                state(node),
                node.since.clone(),
                if node.members.is_empty() { "-".into() } else { node.members.join(", ") },
                node.volumes.clone(),
                node.single_writer_by.clone(),
            ]
        });
        table(["name", "address", "zone", "state", "since", "members", "volumes", "one writer by"], rows)
    })
}

/// What a person wants to know first.
fn state(node: &Node) -> String {
    let mut words = vec![node.condition.as_str()];
    words.extend(node.drained.then_some("drained"));
    words.extend((!node.schedulable).then_some("not schedulable"));
    words.extend((!node.ready).then_some("not ready in the orchestrator"));
    words.join(", ")
}

async fn drain(session: &Session, name: &str, no_wait: bool) -> anyhow::Result<()> {
    let Drain { operations: moves, refused } = session.client.drain_node(name).await?;
    if moves.is_empty() && refused.is_empty() {
        session.terminal.advise(&format!("{name} is drained; it held no member"));
        return Ok(());
    }
    for operation in &moves {
        if !no_wait {
            progress::follow(session, operation).await?;
        }
    }
    let done = if no_wait { "to be moved away" } else { "moved away" };
    session.terminal.advise(&format!("{} member(s) of {name} {done}", moves.len()));
    let left: Vec<_> = refused.iter().map(|refused| format!("{}: {}", refused.member, refused.reason)).collect();
    anyhow::ensure!(left.is_empty(), "not all members can move; {}", left.join("; "));
    Ok(())
}

async fn fence(session: &Session, name: &str, force: bool, yes: bool) -> anyhow::Result<()> {
    let question = format!("is the machine {name} off, and does it stay off until its members have moved?");
    if !yes && !session.terminal.confirm(&question)? {
        session.terminal.advise("nothing was changed");
        return Ok(());
    }
    session.client.fence_node(name, &FenceNode { force }).await?;
    session.terminal.advise(&format!("noted; the members of {name} move"));
    Ok(())
}
