//! `config`.

use om_api::ConfigureService;

use crate::args::ConfigCommand;
use crate::exit::Usage;
use crate::session::Session;
use crate::terminal::table;
use crate::verbs::{options as change_options, services};

pub(super) async fn run(session: &Session, command: ConfigCommand) -> anyhow::Result<()> {
    let (name, request, change) = match command {
        ConfigCommand::Get { name } => return get(session, &name).await,
        ConfigCommand::Set { name, settings, unset, options, unset_option, change } => {
            (name, request(settings, unset, options, unset_option)?, change)
        }
    };
    let changed = session.client.configure_service(&name, &request, &change_options(&change)).await?;
    services::changed(session, changed, &change, "configured").await
}

async fn get(session: &Session, name: &str) -> anyhow::Result<()> {
    let service = session.client.get_service(name).await?;
    let value = serde_json::json!({ "settings": service.settings, "options": service.options });
    session.terminal.show(&value, || {
        let settings = service.settings.iter().map(|(key, value)| ["setting".to_owned(), key.clone(), value.clone()]);
        let options = service.options.iter().map(|(key, value)| ["option".to_owned(), key.clone(), value.clone()]);
        let rows: Vec<_> = settings.chain(options).collect();
        if rows.is_empty() {
            "nothing was set: every value is the default".into()
        } else {
            table(["kind", "name", "value"], rows)
        }
    })
}

type Pairs = Vec<(String, String)>;

/// The request; a name that is set and unset at once is refused.
pub(super) fn request(
    settings: Pairs,
    unset: Vec<String>,
    options: Pairs,
    unset_option: Vec<String>,
) -> anyhow::Result<ConfigureService> {
    let mut request = ConfigureService::default();
    for (map, set, unset) in [(&mut request.settings, settings, unset), (&mut request.options, options, unset_option)] {
        let all =
            set.into_iter().map(|(key, value)| (key, Some(value))).chain(unset.into_iter().map(|key| (key, None)));
        for (key, value) in all {
            if map.insert(key.clone(), value).is_some() {
                return Err(Usage(format!("{key} is named twice")).into());
            }
        }
    }
    if request.settings.is_empty() && request.options.is_empty() {
        return Err(Usage(
            "nothing to change: name settings as KEY=VALUE, or --unset, --option, --unset-option".into(),
        )
        .into());
    }
    Ok(request)
}
