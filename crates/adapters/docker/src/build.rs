//! Images from the distribution's packages: no container registry, no Dockerfile, no daemon-side build.
//!
//! `mmdebstrap` installs the package into an empty root of the host's own release, from the host's own package sources,
//! and writes a tar, which is streamed into Docker's import. If it fails the stream breaks off and Docker keeps nothing.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::CreateImageOptionsBuilder;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use om_backend::{ErrorKind, PortError, Result};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::client::{connect, failed, status};

/// From the first package to the last byte, on a slow line.
const BUILD_WITHIN: Duration = Duration::from_secs(3600);
const PIECE: usize = 256 << 10;
/// Left out of images: nobody reads manuals in a container, and programs that look for translations do without.
const LEFT_OUT: [&str; 5] =
    ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*"];
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What an engine's package needs beside being installed.
struct Recipe {
    /// Where its programs are, if not in the usual places.
    programs: Option<String>,
    /// Run before the package is installed, with the new root as `$1`.
    before: Option<&'static str>,
}

fn recipe(engine: &str, version: &str) -> Recipe {
    match engine {
        "postgresql" => Recipe {
            programs: Some(format!("/usr/lib/postgresql/{version}/bin")),
            // The package would make a database cluster of its own, and every container would carry it.
            before: Some(concat!(
                r#"mkdir -p "$1/etc/postgresql-common" && "#,
                r#"echo create_main_cluster = false > "$1/etc/postgresql-common/createcluster.conf""#
            )),
        },
        _ => Recipe { programs: None, before: None },
    }
}

/// Makes the image `tag` of `package`, unless it is there. `progress` is told, in words, what happens.
///
/// # Errors
/// [`ErrorKind::NotFound`] if `mmdebstrap` is missing, [`ErrorKind::Unavailable`] if Docker or the package sources cannot
/// be reached; the detail has the last words of whoever failed. Nothing is left behind, and it can be repeated.
pub async fn build_image(
    engine: &str,
    package: &str,
    version: &str,
    tag: &str,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<()> {
    build_image_at(Path::new("/var/run/docker.sock"), engine, package, version, tag, progress).await
}

/// As [`build_image`], in the Docker behind `socket`.
///
/// # Errors
/// As there.
pub async fn build_image_at(
    socket: &Path,
    engine: &str,
    package: &str,
    version: &str,
    tag: &str,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<()> {
    let client = connect(socket).await?.with_timeout(BUILD_WITHIN);
    match client.inspect_image(tag).await {
        Ok(_) => {
            progress(&format!("{tag} is there already"));
            return Ok(());
        }
        Err(error) if status(&error) == Some(404) => {}
        Err(error) => return Err(failed("look for image", tag, error)),
    }
    let release = release()?;
    let sources = sources(&release)?;
    progress(&format!("installing {package} of {release} into a new image"));
    let recipe = recipe(engine, version);
    let mut child = start(package, &release, sources.path(), &recipe)?;
    let words = child.stderr.take().expect("it was asked for when the program was started");
    let import = import(&client, tag, &recipe, child);
    let (imported, last_words) = futures::join!(import, relay(words, progress));
    imported.map_err(|mut error| {
        if !last_words.is_empty() {
            error.detail = format!("{}; mmdebstrap said: {last_words}", error.detail);
        }
        error.advise("see that the machine reaches its package sources (apt-get update), then repeat")
    })?;
    progress(&format!("{tag} is built"));
    Ok(())
}

/// The host's release, by its code name.
fn release() -> Result<String> {
    const FILE: &str = "/etc/os-release";
    let text =
        std::fs::read_to_string(FILE).map_err(|error| PortError::new(ErrorKind::NotFound, "read", FILE, error))?;
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    name.map(|name| name.trim_matches('"').to_owned()).ok_or_else(|| {
        PortError::new(ErrorKind::NotFound, "find the code name in", FILE, "there is no VERSION_CODENAME")
            .advise("images are built on Debian and its derivatives; elsewhere name an image with --image")
    })
}

/// True for a suite of the release itself: the release, its updates, its security updates, its backports.
fn belongs(suite: &str, release: &str) -> bool {
    suite
        .strip_prefix(release)
        .is_some_and(|rest| matches!(rest, "" | "-updates" | "-security" | "-backports" | "/updates"))
}

/// The parts of one of apt's files (of either format) that name the release; other vendors' sources stay out.
fn relevant(text: &str, release: &str, one_line: bool) -> String {
    if one_line {
        let good = |line: &&str| line.starts_with("deb ") && line.split_whitespace().any(|word| belongs(word, release));
        return text.lines().filter(good).map(|line| format!("{line}\n")).collect();
    }
    let mut kept = String::new();
    for stanza in text.split("\n\n") {
        let lines: Vec<&str> = stanza.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
        let field = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let off = field("Enabled:").trim().eq_ignore_ascii_case("no");
        if !off && field("Suites:").split_whitespace().any(|suite| belongs(suite, release)) {
            kept.push_str(&lines.join("\n"));
            kept.push_str("\n\n");
        }
    }
    kept
}

/// The host's own sources of this release, as a file for `mmdebstrap`.
fn sources(release: &str) -> Result<tempfile::NamedTempFile> {
    let parts = std::fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files = vec![Path::new("/etc/apt/sources.list").to_owned()];
    files.extend(parts);
    let (mut lines, mut stanzas) = (String::new(), String::new());
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        match file.extension().and_then(std::ffi::OsStr::to_str) {
            Some("list") => lines.push_str(&relevant(&text, release, true)),
            Some("sources") => stanzas.push_str(&relevant(&text, release, false)),
            _ => {}
        }
    }
    // One format only: a host that has both says the same in both.
    let text = if stanzas.is_empty() { lines } else { stanzas };
    if text.is_empty() {
        let detail = format!("no package source of {release} is configured");
        return Err(PortError::new(ErrorKind::NotFound, "read", "/etc/apt/sources.list and sources.list.d", detail)
            .advise("configure the distribution's package sources"));
    }
    let written = tempfile::NamedTempFile::new().and_then(|file| std::fs::write(file.path(), text).map(|()| file));
    written.map_err(|error| PortError::new(ErrorKind::Exhausted, "write", "a temporary file", error))
}

fn start(package: &str, release: &str, sources: &Path, recipe: &Recipe) -> Result<Child> {
    let mut command = Command::new("mmdebstrap");
    command.args(["--mode=root", "--variant=minbase", "--format=tar"]);
    command.arg(format!("--include={package},ca-certificates"));
    command.arg(r#"--aptopt=Apt::Install-Recommends "false""#);
    command.args(LEFT_OUT.map(|path| format!("--dpkgopt=path-exclude={path}")));
    command.args(recipe.before.map(|script| format!("--essential-hook={script}")));
    // Package lists and the cache are emptied by mmdebstrap itself.
    command.arg(r#"--customize-hook=rm -rf "$1"/var/log/*"#);
    command.arg(release).arg("-").arg(sources);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.env("LC_ALL", "C").spawn().map_err(|error| {
        PortError::new(ErrorKind::NotFound, "run", "mmdebstrap", error).advise("install it: apt-get install mmdebstrap")
    })
}

/// The program's output; an error at its end if the program failed, so that half a root is never taken for a whole one.
fn tar(mut child: Child) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let output = child.stdout.take().expect("it was asked for when the program was started");
    stream::unfold(Some((child, output)), async |state| {
        let (mut child, mut output) = state?;
        let mut piece = vec![0; PIECE];
        match output.read(&mut piece).await {
            Ok(0) => {
                let failure = match child.wait().await {
                    Ok(status) if status.success() => return None,
                    Ok(status) => std::io::Error::other(format!("mmdebstrap ended with {status}")),
                    Err(error) => error,
                };
                Some((Err(failure), None))
            }
            Ok(length) => {
                piece.truncate(length);
                Some((Ok(Bytes::from(piece)), Some((child, output))))
            }
            Err(error) => Some((Err(error), None)),
        }
    })
}

async fn import(client: &Docker, tag: &str, recipe: &Recipe, child: Child) -> Result<()> {
    let (repository, version) = tag.rsplit_once(':').unwrap_or((tag, "latest"));
    let path = recipe.programs.as_ref().map_or(USUAL_PATH.to_owned(), |own| format!("{own}:{USUAL_PATH}"));
    let changes = vec![format!("ENV PATH={path}"), "ENV LANG=C.UTF-8".to_owned()];
    let options =
        CreateImageOptionsBuilder::default().from_src("-").repo(repository).tag(version).changes(changes).build();
    let body = bollard::body_try_stream(tar(child));
    let mut steps = std::pin::pin!(client.create_image(Some(options), Some(body), None));
    while let Some(step) = steps.next().await {
        step.map_err(|error| failed("import image", tag, error))?;
    }
    client.inspect_image(tag).await.map(drop).map_err(|error| failed("import image", tag, error))
}

/// Hands on what the program says of its steps; returns its last words.
async fn relay(words: impl tokio::io::AsyncRead + Unpin, progress: &(dyn Fn(&str) + Sync)) -> String {
    let mut lines = BufReader::new(words).lines();
    let mut last = std::collections::VecDeque::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(step) = line.strip_prefix("I: ") {
            progress(step);
        }
        if last.len() == 3 {
            last.pop_front();
        }
        last.push_back(line);
    }
    Vec::from(last).join("; ")
}

#[cfg(test)]
mod tests;
