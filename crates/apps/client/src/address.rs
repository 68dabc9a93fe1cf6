//! Where the server is, as a user writes it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use om_model::FieldError;

const ACCEPTED: &str = "http://HOST:PORT, https://HOST:PORT or HOST:PORT (port 27040 when absent)";

/// A server's address. Without a scheme, `http` is taken for this machine's loopback addresses and `https` for others,
/// so that a token never crosses a network in the clear unless somebody wrote `http://`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    https: bool,
    host: String,
    port: u16,
    explicit_scheme: bool,
}

impl ServerAddress {
    /// True for TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The host, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// True if the host is a loopback address or `localhost`.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// True if the host is a name in `zone`.
    pub fn is_in_zone(&self, zone: &str) -> bool {
        self.host.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// With this scheme, if the user gave none.
    #[must_use]
    pub fn or_scheme(mut self, https: bool) -> Self {
        if !self.explicit_scheme {
            self.https = https;
        }
        self
    }
}

impl FromStr for ServerAddress {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let refuse = |problem: &str| FieldError::new("server", format!("{text:?} {problem}"), ACCEPTED);
        let trimmed = text.trim();
        let (scheme, rest) = match trimmed.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, trimmed),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#', '@', ' ']) {
            return Err(refuse("has more than a host and a port"));
        }
        let (host, port) = split_port(rest).ok_or_else(|| refuse("has a port that is not a number from 1 to 65535"))?;
        let good = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b));
        if host.is_empty() || !good {
            return Err(refuse("has no valid host"));
        }
        let mut address =
            Self { https: false, host: host.to_ascii_lowercase(), port, explicit_scheme: scheme.is_some() };
        address.https = match scheme.as_deref() {
            None => !address.is_loopback(),
            Some("http") => false,
            Some("https") => true,
            Some(_) => return Err(refuse("has a scheme that is not known")),
        };
        Ok(address)
    }
}

/// Divides `host:port`, `[v6]:port`, `host` and bare v6 addresses. `None` if the port is not one.
fn split_port(text: &str) -> Option<(&str, u16)> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0);
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(text) => Some((host, port(text)?)),
            None => rest.is_empty().then_some((host, om_api::PORT)),
        };
    }
    match text.rsplit_once(':') {
        Some((host, _)) if host.contains(':') => Some((text, om_api::PORT)),
        Some((host, text)) => Some((host, port(text)?)),
        None => Some((text, om_api::PORT)),
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests;
