//! Exit codes, and how errors are told.

use std::io::ErrorKind;

use om_client::ClientError;

/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;
const FAILED: u8 = 1;
const UNREACHABLE: u8 = 3;
const NOT_AS_ASKED: u8 = 4;

/// An operation ended otherwise than as asked.
#[derive(Debug)]
pub(crate) struct NotAsAsked(pub(crate) String);

impl std::fmt::Display for NotAsAsked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotAsAsked {}

/// Arguments that clap cannot judge.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Tells the error, if it is one, and gives the exit code.
pub(crate) fn code(result: anyhow::Result<()>) -> u8 {
    let Err(error) = result else { return 0 };
    // Whoever reads our output has heard enough (`| head`): not an error.
    if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        return 0;
    }
    crate::terminal::complain(&format!("error: {error:#}"));
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Unreachable { .. }) => UNREACHABLE,
        Some(_) => FAILED,
        None if error.is::<NotAsAsked>() => NOT_AS_ASKED,
        None if error.is::<Usage>() => USAGE,
        None => FAILED,
    }
}
