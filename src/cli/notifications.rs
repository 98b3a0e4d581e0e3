//! `dogwatch notifications`: the ledger of who was told what.

use std::process::ExitCode;

use anstyle::AnsiColor;
use clap::Subcommand;
use dogwatch_store::{NotificationFilter, NotificationRecord};

use super::{Global, output};
use crate::wiring;

#[derive(Debug, Subcommand)]
pub(super) enum Notifications {
    /// List notifications, the newest first
    #[command(after_help = "Example: dogwatch notifications list --failed")]
    List {
        /// Only in this state
        #[arg(long, value_parser = ["waiting", "held", "sending", "delivered", "failed", "suppressed"])]
        state: Option<String>,
        /// Only those that were given up
        #[arg(long, conflicts_with = "state")]
        failed: bool,
        /// Only on this channel
        #[arg(long)]
        channel: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Notifications {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let Self::List { state, failed, channel, limit, json } = self;
        let state = if failed { Some("failed".to_owned()) } else { state };
        let filter = NotificationFilter { state, channel, limit, ..NotificationFilter::default() };
        let told = wiring::store(&global.client_settings()?)?.notifications(&filter).await?;
        if json {
            output::json_list(&told)?;
        } else {
            print(&told);
        }
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) fn print(told: &[NotificationRecord]) {
    let row = |told: &NotificationRecord| {
        let colour = match told.state.as_str() {
            "delivered" => AnsiColor::Green,
            "failed" => AnsiColor::Red,
            _ => AnsiColor::Yellow,
        };
        vec![
            output::time(Some(told.created_at)),
            told.channel.clone(),
            told.event.to_string(),
            output::coloured(colour, &told.state),
            output::short(&told.title, 60),
            output::time(told.delivered_at),
            output::short(told.reason.as_deref().unwrap_or_default(), 60),
        ]
    };
    let header = ["at", "channel", "event", "state", "title", "delivered", "reason"];
    output::table(&header, told.iter().map(row).collect(), "nobody was told anything");
}
