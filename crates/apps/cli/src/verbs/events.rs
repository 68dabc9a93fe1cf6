//! `events`.

use futures::StreamExt as _;
use om_api::{Event, EventQuery, Page};

use crate::session::Session;

const PAGE: usize = 1000;

pub(super) async fn run(session: &Session, service: Option<String>, follow: bool) -> anyhow::Result<()> {
    let mut query = EventQuery { service, limit: Some(PAGE), ..EventQuery::default() };
    loop {
        let Page { items, next } = session.client.list_events(&query).await?;
        for event in &items {
            show(session, event)?;
        }
        query.after = items.last().map(|event| event.cursor.clone()).or(query.after);
        if next.is_none() {
            break;
        }
    }
    if follow {
        let mut events = session.client.follow_events(&query);
        while let Some(event) = events.next().await {
            show(session, &event?)?;
        }
    }
    Ok(())
}

fn show(session: &Session, event: &Event) -> anyhow::Result<()> {
    session.terminal.show_line(event, || {
        let about = event.member.as_ref().or(event.service.as_ref()).map_or("-", String::as_str);
        format!("{}  {about}  {}", event.at, event.message)
    })
}
