//! The machine's runtime keeps the promises of its ports.

use super::*;

#[test]
fn clocks_go_forward_and_the_wall_clock_is_of_this_century() {
    let clock = MachineClock;
    let (wall, before) = (clock.now(), clock.monotonic());
    std::thread::sleep(Duration::from_millis(5));
    assert!(clock.monotonic() >= before + Duration::from_millis(5));
    assert!(wall.as_millis() > 1_577_836_800_000, "{wall:?} is before 2020");
}

#[test]
fn boottime_counts_from_boot() {
    let uptime = std::fs::read_to_string("/proc/uptime").expect("Linux");
    let seconds: f64 = uptime.split(' ').next().expect("a field").parse().expect("a number");
    assert!((MachineClock.monotonic().as_secs_f64() - seconds).abs() < 60.0);
}

#[tokio::test]
async fn sleeps_and_tasks_run() {
    let runtime = runtime();
    let (sender, receiver) = futures::channel::oneshot::channel();
    let clock = runtime.clock.clone();
    runtime.tasks.spawn("panics", Box::pin(async { panic!("a task's own trouble") }));
    runtime.tasks.spawn(
        "sleeps",
        Box::pin(async move {
            let before = clock.monotonic();
            clock.sleep(Duration::from_millis(10)).await;
            let _ = sender.send(clock.monotonic().saturating_sub(before));
        }),
    );
    assert!(receiver.await.expect("the task ends") >= Duration::from_millis(10));
}

#[test]
fn entropy_fills_the_whole_buffer_differently_each_time() {
    let (mut one, mut other) = ([0; 64], [0; 64]);
    MachineEntropy.fill(&mut one);
    MachineEntropy.fill(&mut other);
    assert_ne!(one, other);
    assert!(one[32..].iter().any(|byte| *byte != 0));
    assert_ne!(runtime().new_id(), runtime().new_id());
}
