//! The life of a member: bring the server up, watch it, end it.
//!
//! **Invariant:** one verb of the engine is under way at a time. Requests that need one wait for their turn; the status
//! is told at any time, and the node's lease is enforced at any time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::channel::{mpsc, oneshot};
use futures::future::{BoxFuture, Either, Shared, select};
use futures::{FutureExt, StreamExt, select_biased};
use om_backend::member_channel::{MemberPhase, Reply, Request};
use om_engines::member::{CONFIG_FILE, CONTROL_DIR, DATA_MOUNT, mount_of};
use om_engines::{Engine, Health, MemberConfig, catalog};

use crate::board::Board;
use crate::carry::Carrier;
use crate::lease::Lease;
use crate::ports::Ports;
use crate::room::nearly_full;

/// How often the server is looked at.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How long after a failed start the next is tried; doubled each time up to the second.
const TRY_AGAIN_AFTER: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// Asked to stop.
type Stop = Shared<BoxFuture<'static, ()>>;

/// A request that waits for its turn, and who waits for the reply, if anybody does.
struct Waiting {
    request: Request,
    reply: Option<oneshot::Sender<Reply>>,
}

/// The member.
pub struct Member {
    ports: Ports,
    board: Board,
    lease: Lease,
    waiting: mpsc::UnboundedSender<Waiting>,
    turns: Mutex<Option<mpsc::UnboundedReceiver<Waiting>>>,
}

/// A member whose server was brought up, and what it was brought up with.
struct Present<'a> {
    engine: &'static dyn Engine,
    config: MemberConfig,
    carrier: Carrier<'a>,
}

/// Why watching the server ended.
enum Watched {
    /// The container is to stop.
    Stop,
    /// The server ended by itself, with this code.
    Died(i32),
    /// The server is to be brought up again.
    Again,
}

impl Member {
    /// A member that has not begun to live.
    pub fn new(ports: Ports) -> Arc<Self> {
        let (waiting, turns) = mpsc::unbounded();
        let board = Board::new(ports.say.clone());
        Arc::new(Self { ports, board, lease: Lease::default(), waiting, turns: Mutex::new(Some(turns)) })
    }

    /// Answers a request on the member socket.
    pub async fn answer(&self, request: Request) -> Reply {
        let running = self.board.read().phase == MemberPhase::Running;
        match request {
            Request::Status => {}
            Request::RestartServer if !running => {
                return Reply::Failed(format!("cannot restart the server now: {}", self.board.read().detail));
            }
            // Taken up once the server runs; whoever asks sees from the status which configuration that is.
            Request::Reload if !running => {
                let _ = self.waiting.unbounded_send(Waiting { request, reply: None });
            }
            Request::Reload | Request::RestartServer => {
                let (reply, replied) = oneshot::channel();
                let _ = self.waiting.unbounded_send(Waiting { request, reply: Some(reply) });
                return replied.await.unwrap_or_else(|_| Reply::Failed("the member is stopping".into()));
            }
        }
        Reply::Status(self.board.read())
    }

    /// Lives until `stop` asks to end (then 0) or the server ends by itself (then its code); once. The value is what
    /// the program exits with.
    pub async fn run(&self, stop: BoxFuture<'static, ()>) -> i32 {
        let taken = self.turns.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(turns) = taken else {
            (self.ports.say)("the member lives already (a defect)");
            return 1;
        };
        let life = std::pin::pin!(self.live(turns, stop.shared()));
        let enforcing = std::pin::pin!(self.lease.enforce(&self.ports, &self.board));
        match select(life, enforcing).await {
            Either::Left((code, _)) => code,
            // Enforcing has no end; without it nothing may run on.
            Either::Right(_) => 1,
        }
    }

    async fn live(&self, mut turns: mpsc::UnboundedReceiver<Waiting>, stop: Stop) -> i32 {
        loop {
            let mut present = match self.bring_up(&stop).await {
                Ok(present) => present,
                Err(interrupted) => return self.end(interrupted.as_ref()).await,
            };
            match self.watch(&mut present, &mut turns, &stop).await {
                Watched::Stop => return self.end(Some(&present)).await,
                Watched::Died(code) => {
                    self.board
                        .tell(format!("the database server ended by itself with code {code}; the container ends"));
                    // Never 0: that would look like a stop that somebody asked for.
                    return code.max(1);
                }
                Watched::Again => {}
            }
        }
    }

    /// Brings the server up, however often it takes. An error: asked to stop, with what was being brought up, if known.
    async fn bring_up(&self, stop: &Stop) -> Result<Present<'_>, Option<Present<'_>>> {
        self.board.enter(MemberPhase::Starting);
        let mut patience = TRY_AGAIN_AFTER.0;
        let mut last = None;
        loop {
            let tried = {
                let attempt = std::pin::pin!(self.attempt(&mut last));
                match select(attempt, stop.clone()).await {
                    Either::Left((tried, _)) => Some(tried),
                    Either::Right(_) => None,
                }
            };
            match (tried, last.take()) {
                (Some(Ok(())), Some(present)) => {
                    self.board.configured(present.config.configuration, false);
                    self.board.enter(MemberPhase::Running);
                    return Ok(present);
                }
                (None, known) => return Err(known),
                (Some(tried), known) => {
                    let reason = tried.err().unwrap_or_default();
                    self.board.tell(format!("{reason}; trying again"));
                    let pause = self.ports.clock.sleep(patience);
                    if let Either::Right(_) = select(pause, stop.clone()).await {
                        return Err(known);
                    }
                    patience = (patience * 2).min(TRY_AGAIN_AFTER.1);
                }
            }
        }
    }

    /// One attempt, with the configuration read afresh. What it works on is left in `present`.
    async fn attempt<'a>(&'a self, present: &mut Option<Present<'a>>) -> Result<(), String> {
        let config = self.read_config().await?;
        let engine = catalog::find(&config.engine).map_err(|error| error.to_string())?;
        let account = self.ports.files.account(engine.user()).await.map_err(|error| error.to_string())?;
        let client = (self.ports.connect)(engine.name()).map_err(|error| error.to_string())?;
        let machine = engine.start(&config);
        let carrier = Carrier { ports: &self.ports, board: &self.board, lease: &self.lease, account, client };
        present.insert(Present { engine, config, carrier }).carrier.drive(machine).await
    }

    async fn read_config(&self) -> Result<MemberConfig, String> {
        let path = format!("{DATA_MOUNT}/{CONTROL_DIR}/{CONFIG_FILE}");
        let text = self.ports.files.read(&path).await.map_err(|error| error.to_string())?;
        let text =
            text.ok_or_else(|| format!("{path} is missing: this volume was not mounted by an openmanage agent"))?;
        serde_json::from_str(&text).map_err(|error| format!("{path} is not understood: {error}"))
    }

    /// Looks at the running server, mends it, and serves requests.
    async fn watch(
        &self,
        present: &mut Present<'_>,
        turns: &mut mpsc::UnboundedReceiver<Waiting>,
        stop: &Stop,
    ) -> Watched {
        let clock = &self.ports.clock;
        let mut well_at = clock.monotonic();
        loop {
            let health = {
                let mut stop = stop.clone();
                let mut exit = self.ports.processes.server_exit().fuse();
                let mut look = std::pin::pin!(self.look(present).fuse());
                select_biased! {
                    () = stop => return Watched::Stop,
                    code = exit => return Watched::Died(code),
                    waiting = turns.next() => Err(waiting),
                    health = look => Ok(health),
                }
            };
            let health = match health {
                Ok(Some(health)) => health,
                // Since the last look everything was stopped for a while: that is not the server's fault.
                Ok(None) => {
                    well_at = clock.monotonic();
                    continue;
                }
                Err(Some(waiting)) => match self.serve(present, waiting, stop).await {
                    Some(watched) => return watched,
                    None => continue,
                },
                // The sending end lives in self.
                Err(None) => continue,
            };
            if health.healthy {
                well_at = clock.monotonic();
            } else if let Some(watched) = self.mend(present, &health, &mut well_at, stop).await {
                return watched;
            }
        }
    }

    /// One look at the server, then a rest; nothing if the lease was over meanwhile.
    async fn look(&self, present: &Present<'_>) -> Option<Health> {
        let changes = self.lease.changes();
        let probe = present.engine.probe(&present.config);
        let mut health = present.carrier.drive(probe).await.unwrap_or_else(|reason| Health {
            role: None,
            healthy: false,
            detail: format!("the database server does not answer: {reason}"),
            lag_bytes: None,
        });
        for (role, _) in present.config.volumes.each() {
            // A file system that cannot be looked at is not a reason to doubt the server.
            let room = self.ports.files.room(mount_of(role)).await.ok().flatten();
            if let Some(warning) = room.and_then(|room| nearly_full(&present.config.service, role, room)) {
                health.detail = format!("{}; {warning}", health.detail);
            }
        }
        if self.lease.changes() == changes {
            self.board.found(&health);
            self.ports.clock.sleep(PROBE_EVERY).await;
        }
        (self.lease.changes() == changes).then_some(health)
    }

    /// Mends the server if the engine has a way to.
    async fn mend(
        &self,
        present: &Present<'_>,
        health: &Health,
        well_at: &mut Duration,
        stop: &Stop,
    ) -> Option<Watched> {
        let unhealthy_for = self.ports.clock.monotonic().saturating_sub(*well_at);
        let machine = present.engine.mend(&present.config, health, unhealthy_for)?;
        self.board.enter(MemberPhase::Mending);
        let mending = std::pin::pin!(present.carrier.drive(machine));
        let mended = match select(mending, stop.clone()).await {
            Either::Left((mended, _)) => mended,
            Either::Right(_) => return Some(Watched::Stop),
        };
        // Whatever came of it is given time to show.
        *well_at = self.ports.clock.monotonic();
        if let Err(reason) = mended {
            self.board.tell(format!("mending failed: {reason}"));
            if !self.ports.processes.server_running() {
                return Some(Watched::Again);
            }
        }
        self.board.enter(MemberPhase::Running);
        None
    }

    /// Carries a request out; something if watching ends with it.
    async fn serve(&self, present: &mut Present<'_>, waiting: Waiting, stop: &Stop) -> Option<Watched> {
        let verb = match waiting.request {
            Request::Status => return None,
            Request::Reload => self.reload(present).boxed(),
            Request::RestartServer => {
                // Answered before it is done: whoever asks watches the number of starts.
                self.board.enter(MemberPhase::Stopping);
                self.board.tell("restarting the database server, as asked");
                answer(waiting.reply, Reply::Status(self.board.read()));
                let stopping = std::pin::pin!(present.carrier.drive(present.engine.stop(&present.config)));
                return match select(stopping, stop.clone()).await {
                    Either::Left((stopped, _)) => {
                        if let Err(reason) = stopped {
                            self.board.tell(reason);
                        }
                        Some(Watched::Again)
                    }
                    Either::Right(_) => Some(Watched::Stop),
                };
            }
        };
        match select(verb, stop.clone()).await {
            Either::Left((Ok(()), _)) => answer(waiting.reply, Reply::Status(self.board.read())),
            Either::Left((Err(reason), _)) => {
                self.board.tell(format!("cannot take up the changed configuration: {reason}"));
                answer(waiting.reply, Reply::Failed(reason));
            }
            Either::Right(_) => return Some(Watched::Stop),
        }
        None
    }

    async fn reload(&self, present: &mut Present<'_>) -> Result<(), String> {
        let config = self.read_config().await?;
        if config.engine != present.config.engine {
            return Err(format!("the engine cannot change from {} to {}", present.config.engine, config.engine));
        }
        let restart_pending = present.carrier.drive(present.engine.reload(&config)).await?;
        self.board.configured(config.configuration, restart_pending);
        present.config = config;
        Ok(())
    }

    /// Ends the server, if one runs; the program's exit code.
    async fn end(&self, present: Option<&Present<'_>>) -> i32 {
        self.board.enter(MemberPhase::Stopping);
        self.board.tell("stopping, as asked");
        let Some(present) = present.filter(|_| self.ports.processes.server_running()) else { return 0 };
        match present.carrier.drive(present.engine.stop(&present.config)).await {
            Ok(()) => 0,
            Err(reason) => {
                self.board.tell(reason);
                1
            }
        }
    }
}

/// Tells whoever still waits.
fn answer(to: Option<oneshot::Sender<Reply>>, reply: Reply) {
    if let Some(to) = to {
        let _ = to.send(reply);
    }
}
