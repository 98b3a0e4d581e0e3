//! What of exports is refused, by reason: counted for `/metrics`, and logged once a minute for each service and reason, so
//! that people on this side learn why a service is missing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;
use dogwatch_queue::{LogDue, LogLimit, error_chain};
use dogwatch_store::Store;

use super::attributes::stored;

/// Why a span is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SpanReason {
    Unreadable,
    BadId,
    TooOld,
    Ahead,
    TooLong,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestReason {
    Unreadable,
    TooLarge,
    Unsupported,
    Unauthorised,
    OverQuota,
    Failed,
    Other,
    /// It was of a kind that is taken and not kept.
    IgnoredKind,
}

impl SpanReason {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Unreadable, "unreadable"),
        (Self::BadId, "bad_id"),
        (Self::TooOld, "too_old"),
        (Self::Ahead, "ahead"),
        (Self::TooLong, "too_long"),
    ];
}

impl RequestReason {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Unreadable, "unreadable"),
        (Self::TooLarge, "too_large"),
        (Self::Unsupported, "unsupported"),
        (Self::Unauthorised, "unauthorised"),
        (Self::OverQuota, "over_quota"),
        (Self::Failed, "failed"),
        (Self::Other, "other"),
        (Self::IgnoredKind, "ignored_kind"),
    ];

    fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::BAD_REQUEST => Self::Unreadable,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::Unsupported,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Unauthorised,
            StatusCode::TOO_MANY_REQUESTS => Self::OverQuota,
            status if status.is_server_error() => Self::Failed,
            _ => Self::Other,
        }
    }
}

/// Spans of one service that were rejected for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) service: String,
    pub(super) reason: SpanReason,
    pub(super) spans: u64,
    /// About the first of them.
    pub(super) message: String,
}

/// Counts since the process began, by reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalFigures {
    /// Spans that were rejected; the others of their batch were stored.
    pub spans: Vec<(&'static str, u64)>,
    /// Requests of which nothing was stored.
    pub requests: Vec<(&'static str, u64)>,
}

/// Counts and logs them, and keeps them for `doctor` and the dashboard. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Refusals(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    spans: [AtomicU64; SpanReason::ALL.len()],
    requests: [AtomicU64; RequestReason::ALL.len()],
    log: LogLimit,
}

impl Refusals {
    pub(super) fn new(store: Store) -> Self {
        let (spans, requests, log) = Default::default();
        Self(Arc::new(Inner { store, spans, requests, log }))
    }

    /// Keeps what is logged now. Nobody waits for it.
    fn keep(&self, reason: &'static str, service: &str, exports: u64, message: &str) {
        let (store, service, message) = (self.0.store.clone(), stored(service), stored(message));
        let exports = i64::try_from(exports).unwrap_or(i64::MAX);
        tokio::spawn(async move {
            if let Err(error) = store.note_export_refusal(reason, &service, exports, &message).await {
                tracing::debug!(error = error_chain(&error), "what was refused could not be noted");
            }
        });
    }

    pub(super) fn figures(&self) -> RefusalFigures {
        let read = |counts: &[AtomicU64], labels: Vec<&'static str>| {
            let counts = counts.iter().map(|count| count.load(Ordering::Relaxed));
            labels.into_iter().zip(counts).collect()
        };
        RefusalFigures {
            spans: read(&self.0.spans, SpanReason::ALL.map(|(_, label)| label).to_vec()),
            requests: read(&self.0.requests, RequestReason::ALL.map(|(_, label)| label).to_vec()),
        }
    }

    pub(super) fn count_spans(&self, rejections: &[Rejection]) {
        for Rejection { service, reason, spans, message } in rejections {
            let Some(index) = SpanReason::ALL.iter().position(|(known, _)| known == reason) else { continue };
            self.0.spans[index].fetch_add(*spans, Ordering::Relaxed);
            let label = SpanReason::ALL[index].1;
            if let Some(LogDue { count, .. }) = self.0.log.count(&format!("{label}: {service}")) {
                tracing::warn!(
                    service,
                    reason = label,
                    spans,
                    count,
                    "spans of `{service}` are rejected: {message}"
                );
                self.keep(label, service, count, message);
            }
        }
    }

    /// Counts metrics and logs, which are answered with success and not kept.
    pub(super) fn count_ignored(&self) {
        let Some((_, label)) = self.count(RequestReason::IgnoredKind) else { return };
        if let Some(LogDue { count, .. }) = self.0.log.count(label) {
            tracing::info!(
                reason = label,
                count,
                "metrics and logs of OpenTelemetry are not kept; OTEL_METRICS_EXPORTER=none and OTEL_LOGS_EXPORTER=none \
                 spare the sender the work"
            );
        }
    }

    fn count(&self, reason: RequestReason) -> Option<(RequestReason, &'static str)> {
        let index = RequestReason::ALL.iter().position(|(known, _)| *known == reason)?;
        self.0.requests[index].fetch_add(1, Ordering::Relaxed);
        Some(RequestReason::ALL[index])
    }

    /// Counts a request that is answered with this status and message.
    pub(super) fn count_request(&self, status: StatusCode, message: &str) {
        let Some((_, label)) = self.count(RequestReason::of(status)) else { return };
        if let Some(LogDue { count, .. }) = self.0.log.count(label) {
            tracing::warn!(reason = label, status = status.as_u16(), count, "exports are refused: {message}");
            self.keep(label, "", count, message);
        }
    }
}
