//! The volume plugin of a node's agent, asked as Docker asks it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{CLUSTER, Fleet};

/// How long an agent may take to answer. Docker itself waits longer.
const PATIENCE: Duration = Duration::from_secs(60);

impl Fleet {
    /// Asks the plugin of a node's agent to mount a volume for the container that `id` stands for.
    ///
    /// # Errors
    /// What the plugin said.
    pub fn mount(&self, at: usize, volume: &str, id: &str) -> Result<String, String> {
        let answer = self.plugin(at, "VolumeDriver.Mount", volume, id)?;
        answer["Mountpoint"].as_str().map(str::to_owned).ok_or_else(|| answer.to_string())
    }

    /// Asks it to unmount the volume again.
    ///
    /// # Errors
    /// What the plugin said.
    pub fn unmount(&self, at: usize, volume: &str, id: &str) -> Result<(), String> {
        self.plugin(at, "VolumeDriver.Unmount", volume, id).map(drop)
    }

    fn plugin(&self, at: usize, call: &str, volume: &str, id: &str) -> Result<Value, String> {
        let socket = self.hosts.nodes[at].path(&format!("/run/docker/plugins/openmanage-{CLUSTER}.sock"));
        let wrong = |error: std::io::Error| format!("{call} on {}: {error}", self.hosts.nodes[at].name);
        let mut stream = UnixStream::connect(socket).map_err(wrong)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(wrong)?;
        let body = json!({ "Name": volume, "ID": id }).to_string();
        let head =
            format!("POST /{call} HTTP/1.1\r\nHost: plugin\r\nConnection: close\r\nContent-Length: {}", body.len());
        write!(stream, "{head}\r\n\r\n{body}").map_err(wrong)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(wrong)?;
        let text = answer.split_once("\r\n\r\n").map_or("", |(_, text)| text);
        let answer: Value = serde_json::from_str(text).map_err(|error| format!("{error}: {answer}"))?;
        match answer["Err"].as_str().filter(|error| !error.is_empty()) {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer),
        }
    }
}
