//! How to reach an etcd cluster.

use std::time::Duration;

use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};

/// A member that has not taken the connection by then is taken for absent.
const CONNECT: Duration = Duration::from_secs(1);

/// How to reach the cluster. It has no `Debug`, as it may hold a password.
#[derive(Clone)]
pub struct Options {
    /// Longest time a call takes, from asking to giving up.
    pub call_timeout: Duration,
    /// User and password, if the cluster asks for them.
    pub user: Option<(String, String)>,
    /// For `https://` endpoints.
    pub tls: Option<Tls>,
}

/// Certificates, in PEM.
#[derive(Clone)]
pub struct Tls {
    /// Who vouches for the servers.
    pub authority: String,
    /// Our own certificate and private key, if the servers ask for one.
    pub identity: Option<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self { call_timeout: Duration::from_secs(5), user: None, tls: None }
    }
}

impl Options {
    pub(crate) fn for_client(&self) -> ConnectOptions {
        // Silence is found by the calls themselves. This only clears connections away on which one hangs nevertheless;
        // etcd hangs up on clients that ping more often than every 5 s, or while nothing is under way.
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT)
            .with_keep_alive(Duration::from_secs(10), Duration::from_secs(2))
            .with_keep_alive_while_idle(false)
            // A server cut off from its leader ends our watches instead of letting them sleep through changes.
            .with_require_leader(true);
        if let Some((name, password)) = &self.user {
            options = options.with_user(name, password).with_auto_token_refresh(true);
        }
        if let Some(tls) = &self.tls {
            let mut settings = TlsOptions::new().ca_certificate(Certificate::from_pem(&tls.authority));
            if let Some((certificate, key)) = &tls.identity {
                settings = settings.identity(Identity::from_pem(certificate, key));
            }
            options = options.with_tls(settings);
        }
        options
    }
}
