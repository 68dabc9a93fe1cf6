//! Looking from inside a host's network, by threads of this program: no process has to be started for a look.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant};

use om_tests::names;
use om_tests::testbed::Host;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Between two looks.
pub(crate) const EVERY: Duration = Duration::from_millis(20);
/// How long an address may take to answer. Short: each look is a new one.
const ANSWERS_WITHIN: Duration = Duration::from_millis(100);

/// Ends the threads that look, also when what they look at panics.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `work` on a thread that is in the network of `host`.
///
/// # Panics
/// If the host's network cannot be entered.
pub(crate) fn spawn<'scope>(scope: &'scope Scope<'scope, '_>, host: &Host, work: impl FnOnce() + Send + 'scope) {
    let space = File::open(format!("/proc/{}/ns/net", host.pid())).expect("the host has a network");
    scope.spawn(move || {
        // Of this thread alone.
        move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).expect("it can be entered");
        work();
    });
}

/// When something answered.
#[derive(Default)]
pub(crate) struct Answers(Mutex<Vec<Instant>>);

impl Answers {
    /// Asks until it is over.
    fn ask(&self, over: &AtomicBool, mut answers: impl FnMut() -> bool) {
        while !over.load(Ordering::Relaxed) {
            if answers() {
                self.0.lock().expect("no panic while held").push(Instant::now());
            }
            std::thread::sleep(EVERY);
        }
    }

    /// Looks whether a name server has an address for `name`.
    pub(crate) fn of_name(&self, over: &AtomicBool, server: &str, name: &str) {
        self.ask(over, || names::answers(server, name) > 0);
    }

    /// Looks whether there is a kernel at an address: one that refuses is there too.
    pub(crate) fn of_address(&self, over: &AtomicBool, address: SocketAddr) {
        self.ask(over, || match TcpStream::connect_timeout(&address, ANSWERS_WITHIN) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        });
    }

    /// The first answer since `moment`.
    pub(crate) fn first_since(&self, moment: Instant) -> Option<Instant> {
        self.0.lock().expect("no panic while held").iter().copied().find(|at| *at >= moment)
    }
}
