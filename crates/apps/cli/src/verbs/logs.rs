//! `logs`.

use anyhow::Context as _;
use futures::StreamExt as _;
use futures::stream::select_all;
use om_api::{Code, LogQuery};

use crate::args::LogsArgs;
use crate::session::Session;

pub(super) async fn run(session: &Session, args: LogsArgs) -> anyhow::Result<()> {
    let (service, members) = whose(session, &args.name).await?;
    let query = LogQuery { tail: Some(args.tail), follow: args.follow };
    let width = members.iter().map(String::len).max().unwrap_or_default();
    let several = members.len() > 1;
    let mut streams = Vec::new();
    for member in members {
        let lines = session.client.get_logs(&service, &member, &query).await;
        let lines = lines.with_context(|| format!("the output of {member}"))?;
        let prefix = if several { format!("{member:width$} | ") } else { String::new() };
        streams.push(lines.map(move |line| (prefix.clone(), line)).boxed());
    }
    let mut lines = select_all(streams);
    while let Some((prefix, line)) = lines.next().await {
        let line = line?;
        session.terminal.show_line(&line, || format!("{prefix}{}", line.text))?;
    }
    Ok(())
}

/// The service, and the members whose output is wanted: `name` is a service, or else one of its members.
async fn whose(session: &Session, name: &str) -> anyhow::Result<(String, Vec<String>)> {
    let not_found = match session.client.list_members(name).await {
        Ok(members) => return Ok((name.to_owned(), members.items.into_iter().map(|member| member.name).collect())),
        Err(error) if error.code() == Some(Code::NotFound) => error,
        Err(error) => return Err(error.into()),
    };
    match service_of(name) {
        Some(service) => Ok((service.to_owned(), vec![name.to_owned()])),
        None => Err(not_found.into()),
    }
}

/// The service that a member's name tells: `orders` of `orders-0`.
pub(crate) fn service_of(member: &str) -> Option<&str> {
    let (service, index) = member.rsplit_once('-')?;
    (!service.is_empty() && !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit())).then_some(service)
}
