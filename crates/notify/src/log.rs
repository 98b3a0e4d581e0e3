//! The channel that cannot fail: the log.

use dogwatch_alerting::Severity;
use serde::Deserialize;

use crate::message::{Event, Message, Told};

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
    for Told { alert_id, fingerprint, severity, event, title, description, .. } in &message.alerts {
        match event {
            Event::Resolved => tracing::info!(alert.id = %alert_id, fingerprint, "alert resolved: {title}"),
            event => {
                let event = event.words();
                tracing::warn!(alert.id = %alert_id, fingerprint, %severity, description, "alert {event}: {title}");
            }
        }
    }
    if message.omitted > 0 {
        tracing::warn!(omitted = message.omitted, "{}", message.more());
    }
}
