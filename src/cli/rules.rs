//! `dogwatch rules`: what raises an alert, what it came to lately, and what it would have come to.

use std::process::ExitCode;
use std::time::Duration;

use anstyle::AnsiColor;
use anyhow::{Context, bail};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use clap::{Args, Subcommand};
use dogwatch_alerting::{Outcome, Replay, Replayed, Rule};
use dogwatch_queue::{Clock, Inspector};
use dogwatch_runtime::duration;
use dogwatch_store::Store;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Global, output, unknown, usage};
use crate::config::Config;
use crate::wiring;

/// Evaluations of one test: a month, minute by minute.
const MAX_STEPS: i64 = 50_000;

#[derive(Debug, Subcommand)]
pub(super) enum Rules {
    /// List the rules, and what each came to last
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell when a rule of dogwatch.toml would have fired
    Test(Test),
}

#[derive(Debug, Args)]
#[command(after_help = "Example: dogwatch rules test checkout_slow --hours 168\n\n\
    Write the rule into a copy of dogwatch.toml and name it with --config: nothing is changed.")]
pub(super) struct Test {
    /// The rule
    name: String,
    /// How far back
    #[arg(long, default_value_t = 168, value_parser = clap::value_parser!(u32).range(1..=24 * 400))]
    hours: u32,
    /// How often it is evaluated; default: as often as fits, from once a minute
    #[arg(long, value_parser = duration::parse)]
    every: Option<Duration>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Rules {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let (store, config) = wiring::store_with_changes(global.client_settings()?).await?;
        match self {
            Self::List { json } => list(&config, &store, json).await,
            Self::Test(test) => test.run(&config, &store).await,
        }
    }
}

/// As the next check goes by them.
fn current_rules(config: &Config) -> anyhow::Result<Vec<Rule>> {
    Ok(wiring::alerting(config)?.rules_by(&config.jobs.thresholds, None))
}

async fn list(config: &Config, store: &Store, json: bool) -> anyhow::Result<ExitCode> {
    let now = Clock::system().now();
    let mut items = Vec::new();
    let mut rows = Vec::new();
    for rule in current_rules(config)? {
        let last = store.rule_evaluations(&rule.name, now - TimeDelta::days(1)).await?.into_iter().next();
        let (word, colour) = match last.as_ref().map(|last| last.outcome) {
            Some(Outcome::Ok) => ("ok", AnsiColor::Green),
            Some(Outcome::Breach) => ("breach", AnsiColor::Red),
            Some(Outcome::Error) => ("error", AnsiColor::Red),
            Some(Outcome::NoData) => ("no_data", AnsiColor::Yellow),
            None => ("never", AnsiColor::Yellow),
        };
        rows.push(vec![
            rule.name.clone(),
            rule.metric().as_str().to_owned(),
            rule.threshold().map(|threshold| format!("{threshold} {}", rule.unit())).unwrap_or_default(),
            rule.severity.to_string(),
            output::coloured(colour, word),
            last.as_ref()
                .and_then(|last| last.worst_value)
                .map(|worst| format!("{worst:.1}"))
                .unwrap_or_default(),
            output::time(last.as_ref().map(|last| last.evaluated_at)),
        ]);
        items.push(serde_json::json!({
            "name": rule.name, "metric": rule.metric(), "threshold": rule.threshold(), "severity": rule.severity, "last": last,
        }));
    }
    if json {
        output::json_list(&items)?;
    } else {
        let header = ["rule", "metric", "threshold", "severity", "last", "worst", "evaluated"];
        output::table(&header, rows, "no rules");
    }
    Ok(ExitCode::SUCCESS)
}

impl Test {
    async fn run(self, config: &Config, store: &Store) -> anyhow::Result<ExitCode> {
        let alerting = wiring::alerting(config)?;
        let rules = current_rules(config)?;
        let Some(rule) = rules.iter().find(|rule| rule.name == self.name) else {
            return Err(unknown("rule", &self.name, rules.iter().map(|rule| rule.name.as_str())));
        };
        if !dogwatch_jobs::has_history(rule) {
            bail!("`{}` is about {}, of which only the present is kept", rule.name, rule.metric().as_str());
        }
        let minute = TimeDelta::minutes(1);
        let until = Clock::system().now().duration_trunc(minute)?;
        let since = until - TimeDelta::hours(self.hours.into());
        let fits = TimeDelta::minutes(i64::from(self.hours) * 60 / MAX_STEPS + 1);
        let every = self.every.map_or(Ok(fits), TimeDelta::from_std).context("--every")?;
        if every < minute || (until - since).num_seconds() / every.num_seconds() > MAX_STEPS {
            return Err(usage(format!("--every: from 1m, and at most {MAX_STEPS} evaluations")));
        }
        let inspector = wiring::inspector(&wiring::queue(config)?);
        let mut replay = Replay::new(rule, alerting.settings.policy(rule));
        replay_all(store, &inspector, rule, &mut replay, (since, until), every).await?;
        let replayed = replay.finish();
        if self.json {
            output::json(&replayed)?;
        } else {
            print(rule, &replayed, until - since);
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn replay_all(
    store: &Store,
    inspector: &Inspector,
    rule: &Rule,
    replay: &mut Replay<'_>,
    (since, until): (DateTime<Utc>, DateTime<Utc>),
    every: TimeDelta,
) -> anyhow::Result<()> {
    let steps = (until - since).num_seconds() / every.num_seconds();
    let bar = ProgressBar::new(steps.unsigned_abs());
    bar.set_style(ProgressStyle::with_template("{wide_bar} {pos} of {len} evaluations, {eta} left")?);
    let mut at = since + every;
    while at <= until {
        let readings = dogwatch_jobs::measure(store, inspector, rule, at).await?;
        replay.observe(at, &readings);
        bar.inc(1);
        at += every;
    }
    bar.finish_and_clear();
    Ok(())
}

fn print(rule: &Rule, replayed: &Replayed, length: TimeDelta) {
    let Replayed { evaluations, breaches, no_data, raised, flapped, messages, .. } = replayed;
    let month = *messages as f64 * TimeDelta::days(30).as_seconds_f64() / length.as_seconds_f64();
    output::line(&format!(
        "{}: {evaluations} evaluations, {breaches} figures beyond the threshold, {no_data} with too little data",
        rule.name
    ));
    output::line(&format!(
        "it would have been raised {raised} times, held for flapping {flapped} times: {messages} messages to each channel, {month:.0} a month"
    ));
    let row = |incident: &dogwatch_alerting::Incident| {
        let length = incident.resolved_at.map(|end| (end - incident.raised_at).num_milliseconds());
        vec![
            output::time(Some(incident.raised_at)),
            length.map_or_else(|| "still".to_owned(), output::duration_ms),
            format!("{:.1} {}", incident.worst, rule.unit()),
            output::short(&incident.scope, 60),
        ]
    };
    if !replayed.incidents.is_empty() {
        output::line("");
        output::table(&["raised", "for", "worst", "of"], replayed.incidents.iter().map(row).collect(), "");
    }
}
