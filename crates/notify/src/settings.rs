//! The `[notify]` section of dogwatch.toml.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::log::LogSettings;
use crate::webhook::WebhookSettings;

/// Where alerts go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The log.
    pub log: LogSettings,
    /// HTTP receivers.
    #[serde(default)]
    pub webhooks: Vec<WebhookSettings>,
}

impl Settings {
    /// Checks what the types cannot. The error names the key in this section and what would be right.
    pub fn validate(&self) -> Result<(), (String, String)> {
        let mut names = BTreeSet::from(["log"]);
        for (index, webhook) in self.webhooks.iter().enumerate() {
            let key = |field: &str| format!("webhooks.{index}.{field}");
            if webhook.name.is_empty() || !names.insert(&webhook.name) {
                let reason = format!(
                    "`{}` is empty or the name of another channel; write a name of its own",
                    webhook.name
                );
                return Err((key("name"), reason));
            }
            webhook.validate().map_err(|reason| (key("url"), reason))?;
        }
        Ok(())
    }
}
