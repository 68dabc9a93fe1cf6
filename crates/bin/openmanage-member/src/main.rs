//! `openmanage-member`: PID 1 in every member's container. Wiring only; what it does is in `om_member`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use om_backend::member_channel::Request;
use om_container::{ContainerFiles, ContainerProcesses, stop_requested};
use om_engines::member::{CONTROL_DIR, DATA_MOUNT, SOCKET};
use om_member::{Member, Ports};
use om_membersocket::{Answer, Listener};

fn main() -> ExitCode {
    match live() {
        // The kernel keeps eight bits of it.
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Err(error) => {
            eprintln!("openmanage-member: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn live() -> anyhow::Result<i32> {
    // One thread: the program only waits, and it shares the database's memory limit.
    let tokio =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    tokio.block_on(async {
        let stop = stop_requested().context("cannot handle signals")?;
        let runtime = om_system::runtime();
        let processes = ContainerProcesses::new(runtime.tasks.clone()).context("cannot handle the end of children")?;
        let tasks = runtime.tasks.clone();
        let member = Member::new(Ports {
            files: Arc::new(ContainerFiles::default()),
            processes: Arc::new(processes),
            clock: runtime.clock.clone(),
            connect: Arc::new(move |engine| om_drivers::client_for(engine, tasks.clone())),
            say: Arc::new(|text| eprintln!("openmanage-member: {text}")),
        });
        let path = Path::new(DATA_MOUNT).join(CONTROL_DIR).join(SOCKET);
        let listener = Listener::bind(&path).with_context(|| {
            format!("cannot listen at {}: this volume was not mounted by an openmanage agent", path.display())
        })?;
        let answering = member.clone();
        let answer: Answer = Arc::new(move |request: Request| {
            let member = answering.clone();
            Box::pin(async move { member.answer(request).await })
        });
        let serving = listener.serve(runtime.tasks.clone(), answer);
        runtime.tasks.spawn("member socket", Box::pin(serving));
        Ok(member.run(stop).await)
    })
}
