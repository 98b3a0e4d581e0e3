//! The commands: what each is called, and whether it only shows something.

use std::process::ExitCode;

use clap::Subcommand;

use super::{
    Global, alerts, analyze, audit, backtest, channels, cleanup, doctor, enqueue, jobs, keys, metrics,
    notifications, output, queues, report, rollups, rules, schedules, serve, services, shell, sign_in, up,
    workers,
};
use crate::wiring;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run everything in one process, with a Postgres and a Redis of its own where none is configured
    Up(up::Up),
    /// Run the HTTP API
    Api(serve::Api),
    /// Run jobs
    Worker(serve::Worker),
    /// Enqueue what schedules.toml says is due
    Scheduler,
    /// Bring the database to this version's schema
    Migrate,
    /// Enqueue a job
    Enqueue(enqueue::Enqueue),
    /// List jobs, show one, run it again, call it off
    #[command(subcommand)]
    Jobs(jobs::Jobs),
    /// List, pause, resume and purge queues
    #[command(subcommand)]
    Queues(queues::Queues),
    /// List workers
    #[command(subcommand)]
    Workers(workers::Workers),
    /// List, check, preview and run schedules
    #[command(subcommand)]
    Schedules(schedules::Schedules),
    /// Report what happened in the last hours
    Report(report::Report),
    /// Show all requests of the last hours in one line
    Summary(metrics::Summary),
    /// Show the endpoints of the last hours, the busiest first
    Endpoints(metrics::Endpoints),
    /// Show the slowest requests of the last hours
    SlowRequests(metrics::SlowRequests),
    /// Show the queries of the last hours that were slow, those that cost most first
    SlowQueries(metrics::SlowQueries),
    /// Find what has changed, what is unusual and what will be full
    Analyze(analyze::Analyze),
    /// Show what would have been said of a series: anomalies, and changes of its level
    Backtest(backtest::Backtest),
    /// Make rollups anew
    #[command(subcommand)]
    Rollups(rollups::Rollups),
    /// Remove what is older than it is to be kept
    Cleanup(cleanup::Cleanup),
    /// Show how the checked services are
    Services(services::Services),
    /// List alerts, show one, acknowledge, resolve, silence
    #[command(subcommand)]
    Alerts(alerts::Alerts),
    /// List rules, and try one on what is stored
    #[command(subcommand)]
    Rules(rules::Rules),
    /// List channels, and try one
    #[command(subcommand)]
    Channels(channels::Channels),
    /// Make, list, rotate and revoke API keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Print a link with which a browser of this machine signs in, once
    SignIn,
    /// List who did what, when and from where
    Audit(audit::Audit),
    /// List who was told what, and what was not delivered
    #[command(subcommand)]
    Notifications(notifications::Notifications),
    /// Evaluate all rules now
    CheckThresholds(enqueue::RunNow),
    /// Send now what waits
    SendAlerts(enqueue::RunNow),
    /// Say what is wrong, and how to mend it
    Doctor(doctor::Doctor),
    /// Print what a shell needs to complete commands and flags
    Completions(shell::Completions),
    /// Write the manual pages, one for each command
    Man(shell::Man),
}

impl Command {
    /// It shows something, and changes nothing: it can be repeated.
    pub(super) fn shows(&self) -> bool {
        match self {
            Self::Workers(_)
            | Self::Summary(_)
            | Self::Endpoints(_)
            | Self::SlowRequests(_)
            | Self::SlowQueries(_)
            | Self::Services(_)
            | Self::Report(_)
            | Self::Notifications(_)
            | Self::Audit(_)
            | Self::Doctor(_) => true,
            Self::Jobs(jobs) => jobs.shows(),
            Self::Queues(queues) => matches!(queues, queues::Queues::List { .. }),
            Self::Schedules(schedules) => schedules.shows(),
            Self::Alerts(alerts) => alerts.shows(),
            Self::Rules(rules) => matches!(rules, rules::Rules::List { .. }),
            Self::Keys(keys) => matches!(keys, keys::Keys::List { .. }),
            _ => false,
        }
    }

    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self {
            Self::Up(up) => up.run(global).await,
            Self::Api(api) => api.run(global).await,
            Self::Worker(worker) => worker.run(global).await,
            Self::Scheduler => serve::scheduler(global).await,
            Self::Migrate => migrate(global).await,
            Self::Enqueue(enqueue) => enqueue.run(global).await,
            Self::Jobs(jobs) => jobs.run(global).await,
            Self::Queues(queues) => queues.run(global).await,
            Self::Workers(workers) => workers.run(global).await,
            Self::Schedules(schedules) => schedules.run(global).await,
            Self::Report(report) => report.run(global).await,
            Self::Summary(summary) => summary.run(global).await,
            Self::Endpoints(endpoints) => endpoints.run(global).await,
            Self::SlowRequests(requests) => requests.run(global).await,
            Self::SlowQueries(queries) => queries.run(global).await,
            Self::Analyze(analyze) => analyze.run(global).await,
            Self::Backtest(backtest) => backtest.run(global),
            Self::Rollups(rollups) => rollups.run(global).await,
            Self::Cleanup(cleanup) => cleanup.run(global).await,
            Self::Services(services) => services.run(global).await,
            Self::Alerts(alerts) => alerts.run(global).await,
            Self::Rules(rules) => rules.run(global).await,
            Self::Channels(channels) => channels.run(global).await,
            Self::Keys(keys) => keys.run(global).await,
            Self::Notifications(notifications) => notifications.run(global).await,
            Self::SignIn => sign_in::run(global).await,
            Self::Audit(audit) => audit.run(global).await,
            Self::CheckThresholds(run) => run.run(global, "check_performance_thresholds").await,
            Self::SendAlerts(run) => run.run(global, "send_performance_alerts").await,
            Self::Doctor(doctor) => doctor.run(global).await,
            Self::Completions(completions) => Ok(completions.run()),
            Self::Man(man) => man.run(),
        }
    }
}

async fn migrate(global: &Global) -> anyhow::Result<ExitCode> {
    let store = wiring::store(&global.client_settings()?)?;
    match store.migrate().await? {
        0 => output::line("the database is up to date"),
        n => output::line(&format!("applied migrations: {n}")),
    }
    Ok(ExitCode::SUCCESS)
}
