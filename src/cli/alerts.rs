//! `dogwatch alerts`: what is and was wrong, and what people say of it.

use std::process::ExitCode;
use std::time::Duration;

use anstyle::AnsiColor;
use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use dogwatch_alerting::{Matcher, Severity, Status};
use dogwatch_jobs::its_like;
use dogwatch_queue::Clock;
use dogwatch_runtime::duration;
use dogwatch_store::{
    Alert, AlertFilter, AuditAction, NotificationFilter, NotificationRecord, PastEvent, Store, StoredSilence,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::remote::Remote;
use super::{Global, output, usage};
use crate::alerts::{CreatedSilence, Shown};
use crate::metrics::Page;
use crate::wiring;

/// Lines of the ledger that one alert shows.
const MAX_TOLD: u32 = 200;

#[derive(Debug, Subcommand)]
pub(super) enum Alerts {
    /// List alerts, those seen last first
    #[command(after_help = "Example: dogwatch alerts list --status active")]
    List {
        /// Only with this status; open: active or acknowledged
        #[arg(long, value_enum)]
        status: Option<Shown>,
        /// Only as bad as this: low, medium, high, critical
        #[arg(long)]
        severity: Option<Severity>,
        /// Only of this service
        #[arg(long)]
        service: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one: its history, and who was told
    Show {
        /// Its id
        id: Uuid,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say that you have seen one: it does not go further
    #[command(after_help = "Example: dogwatch alerts acknowledge 0199… --note 'looking into it'")]
    Acknowledge(Order),
    /// Say that one is over; should it still hold, it is raised again
    Resolve(Order),
    /// Do not hear of some for a while
    #[command(after_help = "Examples:\n  dogwatch alerts silence 0199… --duration 2h\n  \
                      dogwatch alerts silence --match service=shop --duration 2h --comment deploy")]
    Silence(Silence),
    /// List silences that last
    Silences {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End a silence
    Unsilence {
        /// Its id
        id: Uuid,
    },
}

#[derive(Debug, Args)]
pub(super) struct Order {
    /// The id of the alert
    id: Uuid,
    /// What you want others to know
    #[arg(long)]
    note: Option<String>,
    /// Who you are; with --url, beside the name of the key
    #[arg(long, env = "USER", default_value = "cli")]
    by: String,
}

#[derive(Debug, Args)]
pub(super) struct Silence {
    /// The id of an alert: it, and others of its type and scope
    #[arg(required_unless_present = "conditions", conflicts_with = "conditions")]
    id: Option<Uuid>,
    /// A label and its value or pattern, such as service=shop-*; can be repeated, then all have to hold
    #[arg(long = "match", value_name = "LABEL=VALUE", value_parser = condition)]
    conditions: Vec<(String, String)>,
    /// How long
    #[arg(long, default_value = "1h", value_parser = duration::parse)]
    duration: Duration,
    /// Why; without it the title of the alert
    #[arg(long)]
    comment: Option<String>,
    /// Who you are; with --url, beside the name of the key
    #[arg(long, env = "USER", default_value = "cli")]
    by: String,
}

impl Silence {
    fn length(&self) -> anyhow::Result<TimeDelta> {
        let length = TimeDelta::from_std(self.duration).ok().filter(|length| *length <= TimeDelta::days(366));
        length.ok_or_else(|| usage("--duration is longer than 366 days"))
    }

    async fn silence(self, store: &Store, now: DateTime<Utc>) -> anyhow::Result<CreatedSilence> {
        let ends_at = now + self.length()?;
        let (matcher, title) = if let Some(id) = self.id {
            let alert = store.alert(id).await?.with_context(|| absent(id))?;
            (its_like(&alert), alert.title)
        } else {
            let matcher = Matcher::of(self.conditions);
            matcher.check().map_err(|reason| usage(format!("--match: {reason}")))?;
            (matcher, String::new())
        };
        let silence = StoredSilence {
            id: Uuid::now_v7(),
            matcher,
            starts_at: now,
            ends_at,
            created_by: self.by,
            comment: self.comment.unwrap_or(title),
        };
        store.insert_silence(&silence).await?;
        Ok(CreatedSilence::of(store, vec![silence]).await?.remove(0))
    }

    async fn silence_elsewhere(self, remote: &Remote, now: DateTime<Utc>) -> anyhow::Result<CreatedSilence> {
        let ends_at = now + self.length()?;
        let Self { id, conditions, duration, comment, by } = self;
        if let Some(id) = id {
            let asked =
                json!({ "duration": format!("{}ms", duration.as_millis()), "comment": comment, "by": by });
            return remote.post(&["performance", "alerts", &id.to_string(), "silence"], &asked).await;
        }
        let comment = comment.unwrap_or_default();
        let asked =
            json!({ "match": Matcher::of(conditions), "comment": comment, "by": by, "ends_at": ends_at });
        remote.post(&["performance", "silences"], &asked).await
    }
}

fn absent(id: Uuid) -> String {
    format!("there is no alert {id}")
}

fn condition(text: &str) -> Result<(String, String), String> {
    let (label, value) = text.split_once('=').ok_or("write a label and its value, such as service=shop")?;
    Ok((label.to_owned(), value.to_owned()))
}

impl Alerts {
    pub(super) fn shows(&self) -> bool {
        matches!(self, Self::List { .. } | Self::Show { .. } | Self::Silences { .. })
    }

    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        if let Some(remote) = global.remote()? {
            return self.run_elsewhere(&remote).await;
        }
        let config = global.client_settings()?;
        let (store, now) = (wiring::store(&config)?, Clock::system().now());
        match self {
            Self::List { status, severity, service, limit, json } => {
                let filter = AlertFilter {
                    statuses: status.map_or(Vec::new(), Shown::statuses),
                    severity,
                    service,
                    limit,
                    ..AlertFilter::default()
                };
                print(&store.alerts(&filter).await?, json)?;
            }
            Self::Show { id, json } => Whole::read(&store, id).await?.print(json)?,
            Self::Acknowledge(Order { id, note, by }) => {
                let alert =
                    wiring::alerting(&config)?.acknowledge(&store, id, &by, note.as_deref(), now).await?;
                global.audit(AuditAction::AlertAcknowledged, alert.title.clone()).await;
                output::line(&format!("acknowledged: {}", alert.title));
            }
            Self::Resolve(Order { id, note, by }) => {
                let alert = wiring::alerting(&config)?.resolve(&store, id, &by, note.as_deref(), now).await?;
                global.audit(AuditAction::AlertResolved, alert.title.clone()).await;
                output::line(&format!("resolved: {}", alert.title));
            }
            Self::Silence(asked) => {
                let created = asked.silence(&store, now).await?;
                global.audit(AuditAction::SilenceCreated, created.silence.matcher.to_string()).await;
                print_created(&created);
            }
            Self::Silences { json } => print_silences(&store.silences(now).await?, json)?,
            Self::Unsilence { id } => {
                anyhow::ensure!(store.end_silence(id, now).await?, "no silence {id} lasts");
                global.audit(AuditAction::SilenceEnded, id.to_string()).await;
                output::line("ended");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Alerts {
    async fn run_elsewhere(self, remote: &Remote) -> anyhow::Result<ExitCode> {
        let act = async |Order { id, note, by }: Order, what: &str| -> anyhow::Result<Alert> {
            let path = ["performance", "alerts", &id.to_string(), what];
            remote.post(&path, &json!({ "by": by, "note": note })).await
        };
        match self {
            Self::List { status, severity, service, limit, json } => {
                let asked = Asked { status, severity, service, limit };
                print(&remote.get::<Page<_>>(&["performance", "alerts"], &asked).await?.items, json)?;
            }
            Self::Acknowledge(order) => {
                output::line(&format!("acknowledged: {}", act(order, "acknowledge").await?.title));
            }
            Self::Resolve(order) => {
                output::line(&format!("resolved: {}", act(order, "resolve").await?.title));
            }
            Self::Show { id, json } => {
                let whole: Whole = remote.get(&["performance", "alerts", &id.to_string()], &()).await?;
                whole.print(json)?;
            }
            Self::Silence(asked) => {
                print_created(&asked.silence_elsewhere(remote, Clock::system().now()).await?);
            }
            Self::Silences { json } => {
                let silences = remote.get::<Page<_>>(&["performance", "silences"], &()).await?.items;
                print_silences(&silences, json)?;
            }
            Self::Unsilence { id } => {
                remote.delete(&["performance", "silences", &id.to_string()], &()).await?;
                output::line("ended");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print_created(CreatedSilence { silence, matching_alerts }: &CreatedSilence) {
    output::line(&silence.id.to_string());
    let alerts = if *matching_alerts == 1 { "alert" } else { "alerts" };
    output::note(&format!("it matches {matching_alerts} open {alerts}"));
}

/// What the API is asked.
#[derive(Serialize)]
struct Asked {
    status: Option<Shown>,
    severity: Option<Severity>,
    service: Option<String>,
    limit: u32,
}

/// An alert with its history, and who was told.
#[derive(Serialize, Deserialize)]
struct Whole {
    #[serde(flatten)]
    alert: Alert,
    events: Vec<PastEvent>,
    notifications: Vec<NotificationRecord>,
}

impl Whole {
    async fn read(store: &Store, id: Uuid) -> anyhow::Result<Self> {
        let alert = store.alert(id).await?.with_context(|| absent(id))?;
        let told =
            NotificationFilter { alert_id: Some(id), limit: MAX_TOLD, ..NotificationFilter::default() };
        let (events, notifications) = (store.alert_events(id).await?, store.notifications(&told).await?);
        Ok(Self { alert, events, notifications })
    }

    fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            return output::json(self);
        }
        let Alert { title, severity, status, description, .. } = &self.alert;
        output::line(&format!("{title} ({severity}, {status})"));
        output::line(&format!("{description}\n"));
        let event = |event: &PastEvent| {
            vec![
                output::time(Some(event.occurred_at)),
                event.event.to_string(),
                event.value.map(|value| format!("{value:.1}")).unwrap_or_default(),
                event.actor.clone().unwrap_or_default(),
                event.note.clone().unwrap_or_default(),
            ]
        };
        let header = ["at", "event", "value", "by", "note"];
        output::table(&header, self.events.iter().map(event).collect(), "no events");
        output::line("");
        super::notifications::print(&self.notifications);
        Ok(())
    }
}

fn print_silences(silences: &[StoredSilence], json: bool) -> anyhow::Result<()> {
    if json {
        return output::json_list(&silences);
    }
    let row = |silence: &StoredSilence| {
        vec![
            output::time(Some(silence.ends_at)),
            silence.matcher.to_string(),
            silence.created_by.clone(),
            silence.comment.clone(),
            silence.id.to_string(),
        ]
    };
    let header = ["until", "match", "by", "comment", "id"];
    output::table(&header, silences.iter().map(row).collect(), "no silences");
    Ok(())
}

fn print(alerts: &[Alert], json: bool) -> anyhow::Result<()> {
    if json {
        return output::json_list(&alerts);
    }
    let header = ["seen", "severity", "status", "title", "times", "since", "id"];
    output::table(&header, alerts.iter().map(row).collect(), "no alerts");
    Ok(())
}

fn row(alert: &Alert) -> Vec<String> {
    let colour = match (alert.status, alert.severity) {
        (Status::Resolved, _) => AnsiColor::Green,
        (_, Severity::Critical | Severity::High) => AnsiColor::Red,
        (_, Severity::Medium | Severity::Low) => AnsiColor::Yellow,
    };
    let status = if alert.is_flapping { "flapping" } else { alert.status.as_str() };
    vec![
        output::time(Some(alert.last_seen_at)),
        alert.severity.to_string(),
        output::coloured(colour, status),
        output::short(&alert.title, 80),
        alert.occurrences.to_string(),
        output::time(Some(alert.first_seen_at)),
        alert.id.to_string(),
    ]
}
