//! `dogwatch channels`: where alerts go.

use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use dogwatch_queue::Clock;

use super::{Global, output, unknown};
use crate::wiring;

#[derive(Debug, Subcommand)]
pub(super) enum Channels {
    /// List the configured channels
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a message that says it is a test
    #[command(after_help = "Example: dogwatch channels test ops")]
    Test {
        /// The channel
        name: String,
    },
}

impl Channels {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let config = global.client_settings()?;
        let channels = config.notify.min_severities();
        match self {
            Self::List { json: true } => {
                let items: Vec<_> = channels
                    .iter()
                    .map(|(name, least)| serde_json::json!({ "name": name, "min_severity": least }))
                    .collect();
                output::json_list(&items)?;
            }
            Self::List { json: false } => {
                let rows = channels.iter().map(|(name, least)| vec![name.clone(), least.to_string()]);
                output::table(&["channel", "from severity"], rows.collect(), "no channels");
            }
            Self::Test { name } => {
                if !channels.contains_key(&name) {
                    return Err(unknown("channel", &name, channels.keys().map(String::as_str)));
                }
                let now = Clock::system().now();
                let sent =
                    wiring::notifier(&config)?.send(&name, &dogwatch_jobs::test_message(now), now).await;
                sent.with_context(|| format!("channel {name} has not taken the test"))?;
                output::line(&format!("channel {name} has taken the test"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
