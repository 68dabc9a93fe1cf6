//! The state directory: what lies where, and who may read it.
//!
//! ```text
//! controldb.sqlite   the built-in control database
//! secrets.key        the key secrets are sealed with (0600)
//! admin.token        the token of this machine's administrator (0600)
//! server.json        where the server is, for the command line
//! settings.json      how `up` was started last (0600: it may hold an etcd server's password)
//! ca.crt             the authority's certificate, where the API speaks TLS
//! openmanage.log     what a process in the background says
//! openmanage.pid     the process that serves from here, while it holds the lock on this file
//! bin/               the member program, as put into members' control folders
//! volumes/  mnt/     volumes, and where they are mounted
//! ```

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use om_backend::Runtime;
use om_cli::{SERVER_FILE, ServerFile, TOKEN_FILE, UpSettings};

/// Characters of the administrator's token.
const TOKEN_LENGTH: usize = 48;

/// The state directory of one cluster on this machine.
#[derive(Clone, Debug)]
pub(crate) struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// Opens or makes the directory, readable by its owner only. The kernel's name of it: without symbolic links. Refused
    /// if it holds other people's files: they would be shut in with ours, and removed with them by a teardown.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        fs::create_dir_all(root).with_context(|| format!("cannot make the state directory {}", root.display()))?;
        let state = Self::at(root)?;
        if !state.is_ours() && !state.is_empty()? {
            bail!("{} is no state directory of openmanage, and is not empty: name another", state.root.display());
        }
        fs::set_permissions(&state.root, Permissions::from_mode(0o700))
            .with_context(|| format!("cannot protect the state directory {}", state.root.display()))?;
        Ok(state)
    }

    /// The directory as it is, if it is one of ours; nothing is made or changed.
    pub(crate) fn existing(root: &Path) -> Result<Option<Self>> {
        if !root.exists() {
            return Ok(None);
        }
        let state = Self::at(root)?;
        Ok(state.is_ours().then_some(state))
    }

    fn at(root: &Path) -> Result<Self> {
        Ok(Self { root: root.canonicalize().with_context(|| format!("cannot use {}", root.display()))? })
    }

    /// The first file that a start makes is the process's; a start in the background makes its log even earlier.
    fn is_ours(&self) -> bool {
        [self.process(), self.log(), self.token_file()].iter().any(|file| file.exists())
    }

    /// True if it holds nothing but what a file system of its own begins with.
    fn is_empty(&self) -> Result<bool> {
        let mut entries = fs::read_dir(&self.root).with_context(|| format!("cannot list {}", self.root.display()))?;
        Ok(!entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != "lost+found")))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("controldb.sqlite")
    }

    pub(crate) fn seal_key(&self) -> PathBuf {
        self.root.join("secrets.key")
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.root.join(TOKEN_FILE)
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    pub(crate) fn mounts(&self) -> PathBuf {
        self.root.join("mnt")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("openmanage.log")
    }

    pub(crate) fn process(&self) -> PathBuf {
        self.root.join("openmanage.pid")
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.root.join("ca.crt")
    }

    /// The administrator's token, made when first asked for.
    pub(crate) fn token(&self, runtime: &Runtime) -> Result<String> {
        let path = self.token_file();
        if !path.exists() {
            self.write(&path, runtime.new_password(TOKEN_LENGTH).as_bytes(), 0o600)?;
        }
        let token = fs::read_to_string(&path).with_context(|| format!("cannot read the token {}", path.display()))?;
        Ok(token.trim().to_owned())
    }

    /// Tells the command line of this machine where the server is.
    pub(crate) fn announce(&self, server: &ServerFile) -> Result<()> {
        self.write(&self.root.join(SERVER_FILE), &serde_json::to_vec_pretty(server)?, 0o600)
    }

    /// True if [`Self::announce`] was ever called here.
    pub(crate) fn announced(&self) -> bool {
        self.root.join(SERVER_FILE).exists()
    }

    fn settings_file(&self) -> PathBuf {
        self.root.join("settings.json")
    }

    /// How `up` was started last; none if it never came so far as to serve.
    pub(crate) fn settings(&self) -> Result<Option<UpSettings>> {
        let path = self.settings_file();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let settings: UpSettings =
            serde_json::from_slice(&text).with_context(|| format!("{} is not as it was written", path.display()))?;
        Ok(Some(UpSettings { state: self.root.clone(), ..settings }))
    }

    /// Keeps them, before anything is made that a later start with others, or a teardown without them, would orphan.
    pub(crate) fn keep_settings(&self, settings: &UpSettings) -> Result<()> {
        self.write(&self.settings_file(), &serde_json::to_vec_pretty(settings)?, 0o600)
    }

    /// The member program, copied here so that what containers run does not depend on where this program was built.
    pub(crate) fn member_program(&self) -> Result<PathBuf> {
        let found = find_member_program()?;
        let program = fs::read(&found).with_context(|| format!("cannot read {}", found.display()))?;
        let folder = self.root.join("bin");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let path = folder.join("openmanage-member");
        if fs::read(&path).is_ok_and(|there| there == program) {
            return Ok(path);
        }
        self.write(&path, &program, 0o755)?;
        Ok(path)
    }

    /// Writes a file whole: to a temporary name with its mode from the start, synced, renamed.
    pub(crate) fn write(&self, path: &Path, content: &[u8], mode: u32) -> Result<()> {
        let temporary = path.with_extension("new");
        let written = (|| {
            let _ = fs::remove_file(&temporary);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&temporary, path)?;
            fs::File::open(&self.root)?.sync_all()
        })();
        written.with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Beside this program, where a package or the build puts it.
fn find_member_program() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this program's own path")?;
    let folder = own.parent().unwrap_or(Path::new("/"));
    let mut candidates: Vec<PathBuf> = std::env::var_os("OPENMANAGE_MEMBER").map(PathBuf::from).into_iter().collect();
    candidates.push(folder.join("../x86_64-unknown-linux-gnu/member/openmanage-member"));
    candidates.push(folder.join("openmanage-member"));
    candidates.push(PathBuf::from("/usr/lib/openmanage/openmanage-member"));
    for candidate in &candidates {
        if fs::read(candidate).is_ok_and(|program| is_static(&program)) {
            return Ok(candidate.clone());
        }
    }
    let tried: Vec<_> = candidates.iter().map(|path| path.display().to_string()).collect();
    bail!(
        "there is no statically linked openmanage-member at {} (build it: ./quickstart does, or name it in \
         OPENMANAGE_MEMBER)",
        tried.join(", ")
    )
}

/// A program that needs the dynamic linker names it near its start; it could not run in an image that knows nothing of us.
fn is_static(program: &[u8]) -> bool {
    let head = &program[..program.len().min(4096)];
    program.starts_with(b"\x7fELF") && !head.windows(8).any(|window| window == b"ld-linux")
}

#[cfg(test)]
mod tests;
