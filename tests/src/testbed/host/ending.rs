//! The end of a host's file systems at the loss of its power.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Ends every file system on a loop device that is mounted in a host and not on the machine, without a flush of its
/// journal. Yields those that are not done after two seconds, as they wait for a storage that is away.
pub(super) fn end_file_systems(pid: u32) -> Vec<Child> {
    let mut seen = on_loop_devices("self").into_iter().map(|(device, _)| device).collect::<Vec<_>>();
    let mut running = Vec::new();
    for (device, target) in on_loop_devices(&pid.to_string()) {
        if seen.contains(&device) {
            continue;
        }
        seen.push(device);
        let mut command = Command::new("xfs_io");
        // Then thaw: a file system that is frozen when its last mount goes would stay for ever.
        command.args(["-r", "-x", "-c", "shutdown", "-c", "thaw"]).arg(format!("/proc/{pid}/root{target}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        running.push(command.spawn().expect("xfs_io can be run: apt-get install xfsprogs"));
    }
    for _ in 0..200 {
        running.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        if running.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    running
}

/// Device number and mount point of what a process has mounted from loop devices.
fn on_loop_devices(process: &str) -> Vec<(String, String)> {
    let table = std::fs::read_to_string(format!("/proc/{process}/mountinfo")).unwrap_or_default();
    let fields = table.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    // The major number of loop devices is 7.
    let on_loop = fields.filter(|fields| fields.get(2).is_some_and(|device| device.starts_with("7:")));
    on_loop.filter_map(|fields| Some((fields.get(2)?.to_string(), fields.get(4)?.replace("\\040", " ")))).collect()
}
