//! PostgreSQL over its unix socket, as the superuser (the kernel tells the server that we are root).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use om_backend::{EngineClient, ErrorKind, PortError, Result, Tasks};
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// How long the server may take over a connection or a statement.
const PATIENCE: Duration = Duration::from_secs(10);

/// This connection's statements are never logged, for they may carry passwords; and its commits never wait for a
/// standby, for they are what lets standbys in.
const OPTIONS: &str = "-c log_statement=none -c log_min_duration_statement=-1 -c log_min_error_statement=panic \
     -c synchronous_commit=local -c statement_timeout=9000 -c search_path=pg_catalog";

/// The client. It keeps one connection.
pub struct LocalPostgresql {
    socket: PathBuf,
    tasks: Arc<dyn Tasks>,
    connection: Mutex<Option<Client>>,
}

impl LocalPostgresql {
    /// A client of the server whose socket lies in `directory`; it connects when first used.
    pub fn new(directory: &str, tasks: Arc<dyn Tasks>) -> Self {
        Self { socket: PathBuf::from(directory).join(".s.PGSQL.5432"), tasks, connection: Mutex::new(None) }
    }

    async fn connect(&self) -> Result<Client> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.failed("connect to", &error))?;
        let mut config = Config::new();
        config.user("postgres").dbname("postgres").application_name("openmanage").options(OPTIONS);
        let connected = config.connect_raw(stream, NoTls).await;
        let (client, connection) = connected.map_err(|error| self.refused("connect to", &error))?;
        let driven = async move {
            // How it ended is told to whoever asks next.
            let _ = connection.await;
        };
        self.tasks.spawn("database connection", Box::pin(driven));
        Ok(client)
    }

    fn failed(&self, action: &str, error: &dyn std::fmt::Display) -> PortError {
        PortError::new(ErrorKind::Unavailable, action, self.socket.display(), error)
    }

    /// The server's own words, and whether asking again may help.
    fn refused(&self, action: &str, error: &tokio_postgres::Error) -> PortError {
        let Some(said) = error.as_db_error() else {
            return self.failed(action, error);
        };
        let state = said.code();
        // Not yet, not any more, or no room for another connection.
        let passes = [
            &SqlState::CANNOT_CONNECT_NOW,
            &SqlState::ADMIN_SHUTDOWN,
            &SqlState::CRASH_SHUTDOWN,
            &SqlState::TOO_MANY_CONNECTIONS,
            &SqlState::QUERY_CANCELED,
        ];
        let kind = if passes.contains(&state) { ErrorKind::Unavailable } else { ErrorKind::Invalid };
        let detail = said.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
        PortError::new(kind, action, "PostgreSQL", format!("{}{detail}", said.message()))
    }
}

#[async_trait]
impl EngineClient for LocalPostgresql {
    async fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        let work = async {
            let mut connection = self.connection.lock().await;
            let client = match connection.take() {
                Some(client) if !client.is_closed() => client,
                _ => self.connect().await?,
            };
            // Taken out while in use: if this future is dropped half-way, the next query gets a fresh connection.
            let answer = client.simple_query(sql).await;
            if !client.is_closed() {
                *connection = Some(client);
            }
            answer.map_err(|error| self.refused("query", &error))
        };
        let late = || {
            PortError::new(
                ErrorKind::TimedOut,
                "query",
                "PostgreSQL",
                format!("no answer within {} s", PATIENCE.as_secs()),
            )
        };
        let messages = timeout(PATIENCE, work).await.map_err(|_| late())??;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(rows.map(|row| (0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()).collect())
    }
}
