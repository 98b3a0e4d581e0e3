//! The channel that cannot fail: the log.

use serde::Deserialize;

use crate::message::{Event, Message, Severity};

/// `[notify.log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// Whether alerts are logged.
    pub enabled: bool,
    /// The least severity that is.
    pub min_severity: Severity,
}

pub(crate) fn write(message: &Message) {
    let Message { alert_id, fingerprint, severity, title, description, .. } = message;
    match message.event {
        Event::Raised => {
            tracing::warn!(alert.id = %alert_id, fingerprint, ?severity, description, "alert raised: {title}");
        }
        Event::Resolved => tracing::info!(alert.id = %alert_id, fingerprint, "alert resolved: {title}"),
    }
}
