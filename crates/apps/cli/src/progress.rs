//! Following an operation to its end.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use om_api::{Operation, OperationStep, Plan};
use om_client::Changed;
use om_model::{OperationState, StepState};

use crate::exit::NotAsAsked;
use crate::session::Session;
use crate::terminal::table;

/// Shows what came of a change: its plan, or its progress to the end. `None` if there is nothing more to tell.
pub(crate) async fn finish(session: &Session, changed: Changed, wait: bool) -> anyhow::Result<Option<Operation>> {
    let operation = match changed {
        Changed::Planned(plan) => {
            session.terminal.show(&plan, || describe(&plan))?;
            return Ok(None);
        }
        Changed::Accepted(operation) => *operation,
    };
    if wait {
        return follow(session, &operation).await.map(Some);
    }
    session.terminal.show(&operation, || {
        let Operation { id, kind, service, .. } = &operation;
        format!(
            "accepted: {kind} of {service}, operation {id}\nfollow it with: openmanage operations show {id} --follow"
        )
    })?;
    Ok(None)
}

/// Follows to the end; an end other than the one asked for is an error.
pub(crate) async fn follow(session: &Session, operation: &Operation) -> anyhow::Result<Operation> {
    let mut display = Display::new(session, operation);
    let mut changes = session.client.follow_operation(&operation.id);
    let mut last = operation.clone();
    while let Some(change) = changes.next().await {
        last = change?;
        display.update(&last);
    }
    display.end();
    match last.state {
        OperationState::Succeeded => Ok(last),
        _ => Err(NotAsAsked(what_happened(&last)).into()),
    }
}

/// How an operation ended, why, and what to do.
fn what_happened(operation: &Operation) -> String {
    let Operation { id, kind, service, .. } = operation;
    let reason = operation.reason.as_deref().unwrap_or("no reason was given");
    let (end, next) = match operation.state {
        OperationState::RolledBack => ("was rolled back", "mend the cause, then ask for it again"),
        OperationState::NeedsAttention => ("needs attention", "mend the cause, then: openmanage operations retry"),
        _ => ("has not ended", "look again with: openmanage operations show"),
    };
    let next = if next.contains("openmanage") { format!("{next} {id}") } else { next.to_owned() };
    format!("{kind} of {service} {end}: {reason}\n{next}\nstep by step: openmanage operations show {id}")
}

/// A plan in words.
fn describe(plan: &Plan) -> String {
    let rows =
        plan.steps.iter().enumerate().map(|(i, step)| [(i + 1).to_string(), step.what.clone(), step.reason.clone()]);
    let mut text = table(["#", "step", "why"], rows) + "\n";
    match plan.write_pause_ms {
        Some(ms) => text += &format!("\nwrites are expected to pause for about {ms} ms"),
        None => text += "\nwrites are not expected to pause",
    }
    for note in &plan.notes {
        text += &format!("\nnote: {note}");
    }
    text + "\nnothing was changed (dry run)"
}

/// Progress: a bar on a terminal, a line per step elsewhere.
struct Display {
    bar: Option<ProgressBar>,
    told: BTreeSet<(bool, usize)>,
    session: crate::terminal::Terminal,
}

impl Display {
    fn new(session: &Session, operation: &Operation) -> Self {
        let bar = session.terminal.is_lively().then(|| {
            let style =
                ProgressStyle::with_template("{prefix} [{bar:24}] {pos}/{len} {wide_msg}").expect("a fixed template");
            let bar = ProgressBar::new(0).with_style(style.progress_chars("=> "));
            bar.with_prefix(format!("{} {}", operation.kind, operation.service))
        });
        Self { bar, told: BTreeSet::new(), session: session.terminal }
    }

    fn update(&mut self, operation: &Operation) {
        let back = !operation.rollback.is_empty();
        let way = if back { &operation.rollback } else { &operation.steps };
        match &self.bar {
            Some(bar) => {
                bar.set_length(operation.progress.total.into());
                bar.set_position(operation.progress.done.into());
                bar.set_message(now(operation, way));
            }
            None => self.tell(operation, way, back),
        }
    }

    /// A line for every step that is newly done or failed.
    fn tell(&mut self, operation: &Operation, way: &[OperationStep], back: bool) {
        for (i, step) in way.iter().enumerate() {
            let over = matches!(step.state, StepState::Done | StepState::Failed);
            if over && self.told.insert((back, i)) {
                let undo = if back { "undo: " } else { "" };
                let error = step.error.as_deref().filter(|_| step.state == StepState::Failed);
                let error = error.map(|error| format!(": {error}")).unwrap_or_default();
                self.session.advise(&format!("[{}/{}] {undo}{}{error}", i + 1, operation.progress.total, step.what));
            }
        }
    }

    fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What is being done now.
fn now(operation: &Operation, way: &[OperationStep]) -> String {
    let running = way.iter().find(|step| step.state == StepState::Running);
    match (running, operation.state) {
        (Some(step), _) => match &step.error {
            Some(error) => format!("{} (attempt {}: {error})", step.what, step.attempts),
            None => step.what.clone(),
        },
        (None, OperationState::Queued) => "waits for earlier operations of the service".into(),
        (None, OperationState::RollingBack) => "rolling back".into(),
        (None, _) => String::new(),
    }
}
