//! Errors as problem documents (RFC 9457): what went wrong, where in the request, and what would be right.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use dogwatch_queue::{QueueError, error_chain};
use dogwatch_store::{IntakeError, StoreError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::otlp;

/// When a client may try again while Redis or Postgres is unavailable, in seconds.
const RETRY_AFTER_SECONDS: u64 = 5;

/// A problem document (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    #[serde(skip)]
    #[schema(ignore)]
    code: StatusCode,
    /// When the client may try again.
    #[serde(skip)]
    #[schema(ignore)]
    retry_after: Option<Duration>,
    /// `about:blank`: the title says it all.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: &'static str,
    /// What the status means.
    #[schema(value_type = String)]
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What went wrong, and what would be right.
    detail: String,
    /// Where in the body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<Fault>,
    /// Queues that each have a job with the id: name one of them by `?queue=`.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    #[schema(value_type = Vec<String>, required = false)]
    queues: Box<[String]>,
}

/// One fault in the request.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Fault {
    /// JSON pointer (RFC 6901) into the body.
    pointer: String,
    detail: String,
}

impl Problem {
    /// With a sentence for people.
    pub fn new(code: StatusCode, detail: impl Into<String>) -> Self {
        let title = code.canonical_reason().unwrap_or("Error");
        Self {
            code,
            retry_after: None,
            kind: "about:blank",
            title,
            status: code.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            queues: Box::default(),
        }
    }

    /// The same, when a client may try again after so long.
    #[must_use]
    pub fn retry_after(self, pause: Duration) -> Self {
        Self { retry_after: Some(pause), ..self }
    }

    /// The status.
    pub(super) fn code(&self) -> StatusCode {
        self.code
    }

    /// The sentence for people.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// In the words of OTLP.
    pub(super) fn for_exporters(self, headers: &HeaderMap) -> Response {
        otlp::refusal(headers, self.code, self.detail, self.retry_after)
    }

    /// 422: the body has the right form and a wrong value, at this JSON pointer.
    pub fn at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let fault = Fault { pointer: pointer.into(), detail: detail.into() };
        let detail =
            format!("{}: {}", if fault.pointer.is_empty() { "/" } else { &fault.pointer }, fault.detail);
        Self { errors: vec![fault], ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    /// From an error of the queue in the job at this pointer of the body.
    pub fn of_queue(pointer: &str, error: &QueueError) -> Self {
        match error {
            QueueError::UnknownJob { .. } => Self::at(format!("{pointer}/job"), error.to_string()),
            QueueError::Arguments { pointer: inner, reason, .. } => {
                Self::at(format!("{pointer}/args{}", inner.trim_end_matches('/')), reason)
            }
            QueueError::Value { field, .. } => Self::at(format!("{pointer}/{field}"), error.to_string()),
            QueueError::Ambiguous { queues, .. } => {
                let example = queues.first().map(|queue| format!(", such as ?queue={queue}"));
                let detail = format!("{error}{}", example.unwrap_or_default());
                Self { queues: queues.as_slice().into(), ..Self::new(StatusCode::CONFLICT, detail) }
            }
            error => match error.refusal() {
                Some(refusal) => Self::refused("Redis", &refusal, error),
                None if error.is_unavailable() => Self::unavailable("Redis", error),
                None => Self::internal(error),
            },
        }
    }

    /// It answers, and refuses for now.
    fn refused(what: &str, refusal: &str, error: &dyn std::error::Error) -> Self {
        tracing::warn!(error = error_chain(error), "answered 503: {what} refuses");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{what} refuses for now: {refusal}; try again later"),
        )
    }

    fn unavailable(what: &str, error: &dyn std::error::Error) -> Self {
        tracing::warn!(error = error_chain(error), "answered 503: {what} does not answer");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("{what} does not answer; try again"))
    }

    fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = error_chain(error), "answered 500");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "a fault on our side; the log says more")
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        Self::of_queue("", &error)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.is_unstorable() {
            let reason = "a text holds a zero byte, which cannot be stored; leave it out";
            return Self::new(StatusCode::UNPROCESSABLE_ENTITY, reason);
        }
        if error.is_unavailable() { Self::unavailable("Postgres", &error) } else { Self::internal(&error) }
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Store(error) if !error.is_unavailable() => Self::internal(&error),
            IntakeError::Store(error) => Self::unavailable("Postgres", &error),
            IntakeError::Full => Self::new(StatusCode::TOO_MANY_REQUESTS, format!("{error}; try again")),
            IntakeError::Stopped => Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("{error}; try again")),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (code, retry_after) = (self.code, self.retry_after);
        let mut response = (code, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/problem+json"));
        if matches!(code, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            let seconds = retry_after.map_or(RETRY_AFTER_SECONDS, |pause| pause.as_secs() + 1);
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if code == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        if code == StatusCode::PAYLOAD_TOO_LARGE {
            // The rest of the body is not read, so the connection cannot carry another request; the client is told.
            headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        }
        response
    }
}

pub(super) async fn not_found(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path()))
}

pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} does not take {method}", uri.path()))
}

/// When a handler panicked.
pub(super) fn bug() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "a fault on our side; the log says more")
}
