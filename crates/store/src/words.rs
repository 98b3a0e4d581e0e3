//! Words that stand in columns and in JSON, as types.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::StoreError;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$word_doc])* $variant,)+
        }

        impl $name {
            /// The word in the database and in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// All words.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];
        }

        impl TryFrom<String> for $name {
            type Error = StoreError;
            fn try_from(word: String) -> Result<Self, StoreError> {
                match word.as_str() {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(StoreError::Word { what: $what, word }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// What happened to an alert.
    AlertEvent, "event" {
        /// Its condition holds, not yet long enough.
        Pending = "pending",
        /// Its condition holds.
        Raised = "raised",
        /// Its condition has come back.
        Reopened = "reopened",
        /// It comes and goes so often that it is held open.
        Flapping = "flapping",
        /// It is still active after a while.
        Reminded = "reminded",
        /// Nobody has acknowledged it.
        Escalated = "escalated",
        /// Someone has seen it.
        Acknowledged = "acknowledged",
        /// It is over.
        Resolved = "resolved",
    }
}
words! {
    /// What an API key may do.
    Scope, "scope" {
        /// Send metrics, spans and heartbeats.
        Ingest = "ingest",
        /// Look.
        Read = "read",
        /// Enqueue jobs.
        Enqueue = "enqueue",
        /// Report, acknowledge, resolve and silence alerts.
        Alerts = "alerts",
        /// Act on jobs, queues and schedules; enqueue, act on alerts, and look.
        Write = "write",
        /// Remove jobs and data, send reports to any address, change keys and settings; and everything else.
        Admin = "admin",
    }
}
words! {
    /// What somebody did.
    AuditAction, "action" {
        /// A browser signed in with a key.
        SignedIn = "signed_in",
        /// A browser was signed out by an administrator.
        SessionEnded = "session_ended",
        /// A key was shown that is unknown, revoked or has ended.
        KeyRefused = "key_refused",
        /// A key was made.
        KeyCreated = "key_created",
        /// A key was replaced by another.
        KeyRotated = "key_rotated",
        /// A key was revoked.
        KeyRevoked = "key_revoked",
        /// Settings were changed at run time.
        SettingsChanged = "settings_changed",
        /// A silence was made.
        SilenceCreated = "silence_created",
        /// A silence was ended.
        SilenceEnded = "silence_ended",
        /// An alert was acknowledged.
        AlertAcknowledged = "alert_acknowledged",
        /// An alert was resolved by a person.
        AlertResolved = "alert_resolved",
        /// A queue was paused.
        QueuePaused = "queue_paused",
        /// A queue was resumed.
        QueueResumed = "queue_resumed",
        /// All that waited in a queue was cancelled.
        QueuePurged = "queue_purged",
        /// A job was run again.
        JobRetried = "job_retried",
        /// A job was cancelled.
        JobCancelled = "job_cancelled",
        /// Dead letters were run again.
        JobsReplayed = "jobs_replayed",
        /// Dead letters were forgotten.
        JobsDiscarded = "jobs_discarded",
        /// A schedule was run ahead of its time.
        ScheduleRun = "schedule_run",
        /// A job was enqueued that removes data, or sends a report to addresses of somebody's choice.
        JobEnqueued = "job_enqueued",
        /// Old data was removed by the command line.
        DataRemoved = "data_removed",
    }
}
words! {
    /// How a service is.
    HealthState, "state of a service" {
        /// Not known yet.
        Unknown = "unknown",
        /// Well.
        Healthy = "healthy",
        /// It answers, and something is not as it should be.
        Degraded = "degraded",
        /// Failed too often in a row.
        Unhealthy = "unhealthy",
    }
}
words! {
    /// What trend analysis can find.
    FindingKind, "kind of a finding" {
        /// A figure went to another level and stayed.
        Shift = "shift",
        /// A figure was where it never is.
        Anomaly = "anomaly",
        /// A figure will meet its limit.
        Forecast = "forecast",
    }
}
words! {
    /// What became of a finding.
    FindingState, "state of a finding" {
        /// It still holds.
        Open = "open",
        /// The figure is back to what it was.
        Recovered = "recovered",
        /// Another finding about the same has taken its place.
        Superseded = "superseded",
        /// It has been so for so long that it is the new usual.
        Settled = "settled",
    }
}
words! {
    /// Which way a figure went.
    TrendDirection, "direction" {
        /// Users gain.
        Better = "better",
        /// Users lose.
        Worse = "worse",
    }
}
