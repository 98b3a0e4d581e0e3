//! The command line: a file per command. Data goes to standard output, everything else to standard error.
//!
//! Exit codes: 0 fine, 1 failed, 2 wrong usage.

mod alerts;
mod analyze;
mod audit;
mod backtest;
mod channels;
mod cleanup;
mod command;
mod dead_letters;
mod doctor;
mod enqueue;
mod jobs;
mod keys;
mod metrics;
mod notifications;
pub mod output;
mod queues;
mod remote;
mod report;
mod rollups;
mod rules;
mod running;
mod schedules;
mod serve;
mod services;
mod shell;
mod sign_in;
mod up;
mod watch;
mod workers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Parser};
use dogwatch_queue::{QueueError, error_chain, suggestion};
use dogwatch_runtime::{duration, time};
use dogwatch_store::StoreError;
use secrecy::SecretString;
use toml::Value;
use url::Url;

use self::command::Command;
use self::remote::Remote;

use crate::access;
use crate::config::{Config, Override};
use crate::telemetry;

/// What is asked more often than that is a burden, and nobody reads it.
const SHORTEST_WATCH: Duration = Duration::from_millis(200);

/// A job-queue worker system whose jobs watch the performance of other services.
#[derive(Debug, Parser)]
#[command(name = "dogwatch", version, about, max_term_width = 100)]
#[command(
    after_help = "Example: `dogwatch up` in one terminal, `dogwatch jobs list` in a second one in the same folder."
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Settings; default: ./dogwatch.toml where it exists, else the built-in ones
    #[arg(long, global = true, value_name = "FILE", env = "DOGWATCH_CONFIG")]
    config: Option<PathBuf>,
    /// Which job runs when
    #[arg(long, global = true, value_name = "FILE", default_value = "schedules.toml")]
    schedules: PathBuf,
    /// Where `up` keeps its data, and where the other commands find a running `up`
    #[arg(long, global = true, value_name = "DIR", default_value = ".dogwatch", env = "DOGWATCH_DATA_DIR")]
    data_dir: PathBuf,
    /// Ask a Dogwatch elsewhere, over HTTP
    #[arg(id = "far_url", long = "url", global = true, value_name = "URL", env = "DOGWATCH_URL")]
    url: Option<Url>,
    /// An API key for it
    // The names of commands' own arguments are others.
    #[arg(
        id = "far_key",
        long = "key",
        global = true,
        value_name = "KEY",
        env = "DOGWATCH_KEY",
        hide_env_values = true,
        requires = "far_url"
    )]
    key: Option<SecretString>,
    /// Show it again and again, every so long; for commands that show something
    #[arg(long, global = true, value_name = "EVERY", num_args = 0..=1, require_equals = true,
          default_missing_value = "2s", value_parser = duration::parse)]
    watch: Option<Duration>,
}

/// Runs a command, once or again and again.
pub async fn run(cli: Cli) -> ExitCode {
    match cli.global.watch {
        None => execute(cli).await,
        Some(every) if cli.command.shows() && every >= SHORTEST_WATCH => watch::repeat(every).await,
        Some(every) => {
            let reason = if every < SHORTEST_WATCH {
                format!("--watch={every:?}: write at least {SHORTEST_WATCH:?}")
            } else {
                "--watch: this command does more than to show something".to_owned()
            };
            output::error(&reason);
            ExitCode::from(2)
        }
    }
}

async fn execute(cli: Cli) -> ExitCode {
    let Cli { global, command } = cli;
    let ended = command.run(&global).await;
    ended.unwrap_or_else(|error| {
        output::error(&error_chain(&*error));
        if is_usage(&error) { ExitCode::from(2) } else { ExitCode::FAILURE }
    })
}

/// Whether the user has to correct the command or a setting: an address that is none is one as well.
fn is_usage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Usage>()
            || matches!(cause.downcast_ref(), Some(QueueError::Url { .. }))
            || matches!(cause.downcast_ref(), Some(StoreError::Url { .. }))
    })
}

/// The user has asked for something that makes no sense: exit code 2.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

pub(crate) fn usage(text: impl Into<String>) -> anyhow::Error {
    Usage(text.into()).into()
}

impl Global {
    /// The Dogwatch elsewhere that is asked; `None`: the one of this machine.
    fn remote(&self) -> anyhow::Result<Option<Remote>> {
        self.url.as_ref().map(|url| Remote::new(url, self.key_for(url))).transpose()
    }

    /// What is shown to a Dogwatch at this address: the key that was given, or, on this machine, what its owner can read.
    fn key_for(&self, url: &Url) -> Option<SecretString> {
        let is_here = remote::is_this_machine(url);
        self.key.clone().or_else(|| access::token_in(&self.data_dir).filter(|_| is_here))
    }

    /// Refuses to go on where another machine is meant, and the command works on its own alone.
    fn stay_here(&self) -> anyhow::Result<()> {
        self.remote()?.map_or(Ok(()), |remote| Err(remote.does_not()))
    }

    /// The settings of this machine; a wrong one is wrong usage.
    fn settings(&self, flags: Vec<Override>) -> anyhow::Result<Config> {
        self.stay_here()?;
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Config::load(self.config.as_deref(), variables, flags).map_err(|error| usage(error.to_string()))
    }

    /// The settings; addresses that are not configured are those of a running `up`.
    fn client_settings(&self) -> anyhow::Result<Config> {
        let mut config = self.settings(Vec::new())?;
        self.fill_in(&mut config);
        Ok(config)
    }

    /// The settings of a process that serves, with its log.
    fn server_settings(&self, flags: Vec<Override>) -> anyhow::Result<Config> {
        let mut config = self.settings(flags)?;
        telemetry::init(&config.log).map_err(usage)?;
        if let Some(file) = &config.exposed_file {
            tracing::warn!(
                "other users of this machine can read {file}, which holds secrets; run chmod 600 {file}"
            );
        }
        self.fill_in(&mut config);
        Ok(config)
    }

    fn fill_in(&self, config: &mut Config) {
        if config.store.url.is_some() && config.queue.url.is_some() {
            return;
        }
        if let Some(running) = running::Running::read(&self.data_dir) {
            config.store.url.get_or_insert_with(|| SecretString::from(running.database_url));
            config.queue.url.get_or_insert_with(|| SecretString::from(running.redis_url));
        }
    }
}

/// A flag as a setting.
fn flag(label: &str, key: &str, value: Option<impl Into<Value>>) -> Option<Override> {
    let value = value?.into();
    Some(Override { label: label.to_owned(), key: key.to_owned(), value })
}

/// Nothing has this name: says which was meant, or which there are.
pub(crate) fn unknown<'a>(kind: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> anyhow::Error {
    usage(format!("no {kind} is named `{name}`; {}", suggestion(name, known)))
}

/// A date is its midnight in UTC.
fn point_in_time(text: &str) -> Result<DateTime<Utc>, String> {
    let midnight = text.parse::<NaiveDate>().ok().and_then(|day| day.and_hms_opt(0, 0, 0));
    let text = midnight.map_or_else(|| text.to_owned(), |time| time.and_utc().to_rfc3339());
    time::parse(&text).map_err(|reason| format!("{reason}; a date such as 2026-11-20 is its midnight"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }

    /// clap would read one as the other, and panic.
    #[test]
    fn no_argument_of_a_command_has_the_name_of_one_of_all() {
        fn look(command: &clap::Command, of_all: &[&str]) {
            let own = command.get_arguments().filter(|argument| !argument.is_global_set());
            for argument in own {
                assert!(!of_all.contains(&argument.get_id().as_str()), "{}: {argument}", command.get_name());
            }
            command.get_subcommands().for_each(|command| look(command, of_all));
        }
        let cli = super::Cli::command();
        let of_all = cli.get_arguments().filter(|argument| argument.is_global_set());
        let of_all: Vec<&str> = of_all.map(|argument| argument.get_id().as_str()).collect();
        assert!(of_all.len() >= 5, "{of_all:?}");
        look(&cli, &of_all);
    }
}
