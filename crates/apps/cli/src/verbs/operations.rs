//! `operations`.

use om_api::{Operation, OperationQuery, OperationStep, Page};

use crate::args::OperationsCommand;
use crate::progress;
use crate::session::Session;
use crate::terminal::{or_dash, pairs, table};

const PAGE: usize = 1000;

pub(super) async fn run(session: &Session, command: OperationsCommand) -> anyhow::Result<()> {
    match command {
        OperationsCommand::List { service } => list(session, service).await,
        OperationsCommand::Show { id, follow } => {
            let operation = session.client.get_operation(&id).await?;
            let operation = if follow { progress::follow(session, &operation).await? } else { operation };
            session.terminal.show(&operation, || describe(&operation))
        }
        OperationsCommand::Cancel { id, no_wait } => {
            let operation = session.client.cancel_operation(&id).await?;
            end(session, operation, no_wait, true).await
        }
        OperationsCommand::Retry { id, no_wait } => {
            let operation = session.client.retry_operation(&id).await?;
            end(session, operation, no_wait, false).await
        }
    }
}

/// Follows to the end. Cancelling asks for a roll-back: that end is then as asked.
async fn end(session: &Session, operation: Operation, no_wait: bool, cancelled: bool) -> anyhow::Result<()> {
    let operation = if no_wait {
        operation
    } else {
        match progress::follow(session, &operation).await {
            Ok(operation) => operation,
            Err(error) => {
                let now = session.client.get_operation(&operation.id).await?;
                if !(cancelled && now.state == om_model::OperationState::RolledBack) {
                    return Err(error);
                }
                now
            }
        }
    };
    session.terminal.show(&operation, || describe(&operation))
}

async fn list(session: &Session, service: Option<String>) -> anyhow::Result<()> {
    let mut query = OperationQuery { service, limit: Some(PAGE), ..OperationQuery::default() };
    let mut operations: Vec<Operation> = Vec::new();
    loop {
        let Page { items, next } = session.client.list_operations(&query).await?;
        operations.extend(items);
        match next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    session.terminal.show(&operations, || {
        let rows = operations.iter().map(|operation| {
            let progress = format!("{}/{}", operation.progress.done, operation.progress.total);
            let state = word(&operation.state);
            let Operation { id, kind, service, created, .. } = operation;
            [
                id.clone(),
                kind.to_string(),
                service.clone(),
                state,
                progress,
                created.clone(),
                or_dash(operation.reason.as_ref()),
            ]
        });
        table(["id", "kind", "service", "state", "steps", "accepted", "reason"], rows)
    })
}

fn describe(operation: &Operation) -> String {
    let head = pairs(&[
        ("id", operation.id.clone()),
        ("kind", operation.kind.to_string()),
        ("service", operation.service.clone()),
        ("state", word(&operation.state)),
        ("reason", or_dash(operation.reason.as_ref())),
        ("accepted", operation.created.clone()),
        ("deadline", operation.deadline.clone()),
        ("ended", or_dash(operation.ended_at.as_ref())),
    ]);
    let mut text = head + "\n" + &steps("step", &operation.steps);
    if !operation.rollback.is_empty() {
        text += &format!("\n\n{}", steps("step back", &operation.rollback));
    }
    text
}

fn steps(title: &str, steps: &[OperationStep]) -> String {
    let rows = steps.iter().enumerate().map(|(i, step)| {
        [
            (i + 1).to_string(),
            step.what.clone(),
            word(&step.state),
            step.attempts.to_string(),
            or_dash(step.error.as_ref()),
        ]
    });
    table(["#", title, "state", "attempts", "error"], rows)
}

/// The word that the API uses for a state.
fn word(state: &impl serde::Serialize) -> String {
    serde_json::to_value(state).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}
