//! Where a deployment stands, read off its service and the service's tasks.
//!
//! A task is one attempt to run the container on one node; Swarm keeps the last few. What a task of a node that is down
//! last said means nothing any more.

use std::collections::HashMap;

use bollard::models::{Node, NodeState, Service, Task, TaskState};
use om_backend::{Deployment, DeploymentState};
use om_model::NodeId;

use crate::service::{LABEL_DEPLOYMENT, LABEL_MEMBER, LABEL_SERVICE, LABEL_STARTED, label, pinned_to, replicas};

/// The Swarm's nodes, by the ids that tasks name them by.
pub(crate) struct Nodes(HashMap<String, Known>);

struct Known {
    name: Option<NodeId>,
    down: bool,
}

impl Nodes {
    pub(crate) fn new(nodes: Vec<Node>) -> Self {
        let known = |node: Node| {
            let state = node.status.and_then(|status| status.state);
            let down = matches!(state, Some(NodeState::DOWN | NodeState::DISCONNECTED));
            let name = node.description.and_then(|description| description.hostname?.parse().ok());
            Some((node.id?, Known { name, down }))
        };
        Self(nodes.into_iter().filter_map(known).collect())
    }

    fn of(&self, task: &Task) -> Option<&Known> {
        self.0.get(task.node_id.as_deref()?)
    }

    /// True if the task is on a node that is down, or that is no longer of this Swarm.
    pub(crate) fn lost(&self, task: &Task) -> bool {
        task.node_id.as_deref().is_some_and(|id| !id.is_empty()) && self.of(task).is_none_or(|node| node.down)
    }
}

pub(crate) fn state(task: &Task) -> Option<TaskState> {
    task.status.as_ref()?.state
}

/// True if the task has a container on a node that the Swarm reaches, or may still get one.
pub(crate) fn alive(task: &Task, nodes: &Nodes) -> bool {
    state(task).is_none_or(|state| state <= TaskState::RUNNING) && !nodes.lost(task)
}

fn runs(task: &Task, nodes: &Nodes) -> bool {
    state(task) == Some(TaskState::RUNNING) && !nodes.lost(task)
}

/// Sorts by age. Swarm leaves out a fraction's last zeros, which only the `Z` after it would make matter.
fn made_at(task: &Task) -> &str {
    task.created_at.as_deref().unwrap_or_default().trim_end_matches('Z')
}

/// The latest attempt.
pub(crate) fn latest(tasks: &[Task]) -> Option<&Task> {
    tasks.iter().max_by_key(|task| made_at(task))
}

fn container(task: &Task) -> Option<String> {
    task.status.as_ref()?.container_status.as_ref()?.container_id.clone().filter(|id| !id.is_empty())
}

/// Why the task failed or cannot start, if it did or cannot.
pub(crate) fn complaint(task: &Task) -> Option<String> {
    let status = task.status.as_ref()?;
    let said = status.err.clone().filter(|text| !text.is_empty());
    let code = status.container_status.as_ref().and_then(|container| container.exit_code).filter(|code| *code != 0);
    said.or_else(|| code.map(|code| format!("ended with exit code {code}")))
}

/// The deployment that `service` is; `tasks` are its own.
pub(crate) fn deployment(service: &Service, mut tasks: Vec<&Task>, nodes: &Nodes) -> Option<Deployment> {
    tasks.sort_by(|one, other| made_at(other).cmp(made_at(one)));
    let running = tasks.iter().find(|task| runs(task, nodes)).copied();
    // One that the Swarm is about to end is not what is to run, unless nothing is.
    let meant = |task: &&Task| task.desired_state.is_none_or(|state| state <= TaskState::RUNNING);
    let state = match replicas(service) {
        0 if running.is_some() => DeploymentState::Running,
        0 if label(service, LABEL_STARTED).is_none() => DeploymentState::Created,
        0 => DeploymentState::Stopped,
        _ if running.is_some_and(|task| meant(&task)) => DeploymentState::Running,
        _ => DeploymentState::Restarting,
    };
    let present = running.or(tasks.first().copied());
    let failed = || tasks.iter().find_map(|task| complaint(task));
    Some(Deployment {
        name: label(service, LABEL_DEPLOYMENT)?.to_owned(),
        service: label(service, LABEL_SERVICE)?.parse().ok()?,
        member: label(service, LABEL_MEMBER)?.parse().ok()?,
        state,
        node: pinned_to(service).or_else(|| nodes.of(present?)?.name.clone()),
        container: present.and_then(container),
        error: if state == DeploymentState::Running { None } else { failed() },
    })
}

#[cfg(test)]
mod tests;
