//! UDP: one thread per listener, which waits only when there is nothing to read.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use tokio::runtime::Handle;

use crate::answer::{Outcome, Transport, cut, fail};
use crate::server::Shared;

/// The largest query that is read whole.
const QUERY_MAX: usize = 4096;

/// Room in the kernel for queries that come while the thread is busy, in bytes.
const RECEIVE_BUFFER: usize = 1 << 20;

/// A running listener; stopped, and its port free again, when dropped.
pub(crate) struct UdpService {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

struct Stop {
    asked: AtomicBool,
    /// Becomes readable when the thread is to stop waiting.
    wake: OwnedFd,
}

impl UdpService {
    /// Answers on `socket` until dropped. Forwarded queries wait on `runtime`.
    pub(crate) fn start(socket: UdpSocket, shared: Arc<Shared>, forward: bool, runtime: Handle) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        // The kernel may allow less; then bursts are shorter.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
        let stop = Arc::new(Stop {
            asked: AtomicBool::new(false),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        });
        let listener = Listener { socket: Arc::new(socket), shared, forward, runtime, stop: stop.clone() };
        let thread = std::thread::Builder::new().name("dns-udp".into()).spawn(move || listener.run())?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for UdpService {
    fn drop(&mut self) {
        self.stop.asked.store(true, Ordering::Relaxed);
        // Cannot fail: the counter is far from its end.
        let _ = rustix::io::write(&self.stop.wake, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Listener {
    socket: Arc<UdpSocket>,
    shared: Arc<Shared>,
    forward: bool,
    runtime: Handle,
    stop: Arc<Stop>,
}

impl Listener {
    fn run(&self) {
        let mut query = [0; QUERY_MAX];
        let mut reply = Vec::with_capacity(QUERY_MAX);
        while !self.stop.asked.load(Ordering::Relaxed) {
            match self.socket.recv_from(&mut query) {
                Ok((length, peer)) => self.serve(&query[..length], peer, &mut reply),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot receive DNS queries");
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }

    fn wait(&self) {
        let mut ready = [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&self.stop.wake, PollFlags::IN)];
        // An interrupted wait is only a wait cut short.
        let _ = poll(&mut ready, None);
    }

    fn serve(&self, query: &[u8], peer: SocketAddr, reply: &mut Vec<u8>) {
        match self.shared.answer(query, Transport::Udp, self.forward, reply) {
            Outcome::Reply => send(&self.socket, reply, peer),
            Outcome::Silence => {}
            Outcome::Forward(limit) => self.ask_upstream(query, limit, peer, reply),
        }
    }

    fn ask_upstream(&self, query: &[u8], limit: usize, peer: SocketAddr, reply: &mut Vec<u8>) {
        let Some(place) = self.shared.forwarder.place() else {
            fail(query, limit, reply);
            return send(&self.socket, reply, peer);
        };
        // Weak: a question that is still out does not keep the port taken after the listener has stopped.
        let (query, socket, shared) = (query.to_vec(), Arc::downgrade(&self.socket), self.shared.clone());
        self.runtime.spawn(async move {
            let mut reply = Vec::new();
            match shared.forward(&query).await {
                Some(answer) if answer.len() <= limit => reply = answer,
                Some(_) => cut(&query, limit, &mut reply),
                None => fail(&query, limit, &mut reply),
            }
            if let Some(socket) = socket.upgrade() {
                send(&socket, &reply, peer);
            }
            drop(place);
        });
    }
}

/// A reply that cannot be sent is lost like any packet: the client asks again.
fn send(socket: &UdpSocket, reply: &[u8], peer: SocketAddr) {
    if let Err(error) = socket.send_to(reply, peer) {
        tracing::debug!(%peer, %error, "DNS answer not sent");
    }
}
