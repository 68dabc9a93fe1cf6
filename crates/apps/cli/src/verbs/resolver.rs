//! The machine's resolver entry for our zone: what would be changed, and changing it.
//!
//! With systemd-resolved, a drop-in that sends our zone, and nothing else, to our DNS server. Elsewhere our DNS server
//! becomes the first name server of `/etc/resolv.conf`; names of other zones it refuses to this host, which makes the
//! resolver ask the next one.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// A change of one file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Edit {
    path: PathBuf,
    /// The new content; `None` to remove the file.
    content: Option<String>,
    summary: String,
    /// Run afterwards.
    then: Option<[&'static str; 3]>,
}

impl Edit {
    /// What it will do, for people.
    pub(super) fn describe(&self) -> String {
        let then = self.then.map(|words| format!("\nthen run: {}", words.join(" "))).unwrap_or_default();
        format!("{}: {}{then}", self.path.display(), self.summary)
    }

    /// Does it.
    pub(super) fn apply(&self) -> anyhow::Result<()> {
        let failed = || format!("cannot change {} (are you root?)", self.path.display());
        match &self.content {
            Some(content) => {
                let folder = self.path.parent().context("a file has a folder")?;
                fs::create_dir_all(folder).with_context(failed)?;
                // Written in place: in a container the file is a mount of its own and cannot be replaced.
                fs::write(&self.path, content).with_context(failed)?;
            }
            None => fs::remove_file(&self.path).with_context(failed)?,
        }
        if let Some([program, arguments @ ..]) = self.then {
            let status =
                Command::new(program).args(arguments).status().with_context(|| format!("cannot run {program}"))?;
            if !status.success() {
                bail!("`{}` failed: run it yourself", self.then.unwrap_or_default().join(" "));
            }
        }
        Ok(())
    }
}

/// The change that makes or removes the entry; `None` if it is as wanted already. `root` is `/`, or a test's folder.
pub(super) fn edit(root: &Path, zone: &str, dns: SocketAddr, remove: bool) -> anyhow::Result<Option<Edit>> {
    if root.join("run/systemd/resolve").is_dir() {
        return Ok(drop_in(root, zone, dns, remove));
    }
    let path = root.join("etc/resolv.conf");
    if dns.port() != 53 && !remove {
        bail!(
            "{} takes name servers on port 53 only, ours is on {}: start the server with --dns-listen ADDRESS:53",
            path.display(),
            dns.port()
        );
    }
    let old = fs::read_to_string(&path).unwrap_or_default();
    let without = without_entry(&old, zone);
    let new = if remove { without } else { format!("{}\nnameserver {}\n{without}", marker(zone), dns.ip()) };
    let verb = if remove { "remove" } else { "add, as the first one," };
    let summary = format!("{verb} our DNS server {} (for {zone}; for other names the next server is asked)", dns.ip());
    Ok((new != old).then_some(Edit { path, content: Some(new), summary, then: None }))
}

fn drop_in(root: &Path, zone: &str, dns: SocketAddr, remove: bool) -> Option<Edit> {
    let path = root.join(format!("etc/systemd/resolved.conf.d/{zone}.conf"));
    let then = Some(["systemctl", "restart", "systemd-resolved"]);
    let old = fs::read_to_string(&path).ok();
    if remove {
        let summary = "remove this file".to_owned();
        return old.map(|_| Edit { path, content: None, summary, then });
    }
    let content =
        format!("# Names of {zone}: written by `openmanage dns install`.\n[Resolve]\nDNS={dns}\nDomains=~{zone}\n");
    let summary = format!("send names of {zone}, and only those, to our DNS server {dns}");
    (old.as_ref() != Some(&content)).then_some(Edit { path, content: Some(content), summary, then })
}

fn marker(zone: &str) -> String {
    format!("# {zone}: the next line was written by `openmanage dns install`")
}

/// The text without our marker and the line that follows it.
fn without_entry(text: &str, zone: &str) -> String {
    let marker = marker(zone);
    let mut lines = text.lines();
    let mut kept = String::new();
    while let Some(line) = lines.next() {
        if line == marker {
            lines.next();
        } else {
            kept += line;
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests;
