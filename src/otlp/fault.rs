//! Errors as exporters are told of them: a status of HTTP, a code of gRPC, and when to come again. Only what a later try may
//! mend is `UNAVAILABLE` or `RESOURCE_EXHAUSTED`; all else an exporter gives up.

use std::time::Duration;

use axum::http::StatusCode;
use dogwatch_queue::error_chain;
use dogwatch_store::{IntakeError, StoreError};

use super::Refused;
use super::decode::Unreadable;

/// When an exporter may try again: soon after too much at a time, later after an outage.
const SOON: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(5);

const INVALID_ARGUMENT: i32 = 3;
const PERMISSION_DENIED: i32 = 7;
const RESOURCE_EXHAUSTED: i32 = 8;
const INTERNAL: i32 = 13;
const UNAVAILABLE: i32 = 14;
const UNAUTHENTICATED: i32 = 16;

/// An error as an exporter is told.
pub(super) struct Fault {
    pub(super) http: StatusCode,
    /// Of gRPC.
    pub(super) code: i32,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
}

impl Fault {
    fn new(http: StatusCode, code: i32, message: impl Into<String>) -> Self {
        Self { http, code, message: message.into(), retry_after: None }
    }

    /// The request is wrong.
    pub(super) fn of_sender(http: StatusCode, message: impl Into<String>) -> Self {
        Self::new(http, INVALID_ARGUMENT, message)
    }

    /// Who sends it may not come in, or nobody can say.
    pub(super) fn of_guard(http: StatusCode, message: String, retry_after: Option<Duration>) -> Self {
        let code = match http {
            StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
            StatusCode::FORBIDDEN => PERMISSION_DENIED,
            StatusCode::TOO_MANY_REQUESTS => RESOURCE_EXHAUSTED,
            StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
            _ => INTERNAL,
        };
        let retry_after = retry_after.or((code == UNAVAILABLE).then_some(LATER));
        Self { retry_after, ..Self::new(http, code, message) }
    }

    fn again(self, pause: Duration) -> Self {
        Self { retry_after: Some(pause), ..self }
    }

    fn of_store(error: &StoreError) -> Self {
        if error.is_unavailable() {
            tracing::warn!(error = error_chain(error), "answered 503: Postgres is away");
            let message = "Postgres does not answer; try again";
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, message).again(LATER);
        }
        tracing::error!(error = error_chain(error), "answered 500");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL, "a fault on our side; the log says more")
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        match refused {
            Refused::Unreadable(Unreadable::TooLarge { .. } | Unreadable::TooMany { .. }) => {
                Self::of_sender(StatusCode::PAYLOAD_TOO_LARGE, message)
            }
            Refused::Unreadable(Unreadable::Bug) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL, message)
            }
            Refused::Unreadable(_) => Self::of_sender(StatusCode::BAD_REQUEST, message),
            Refused::Busy | Refused::Intake(IntakeError::Full) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, RESOURCE_EXHAUSTED, message).again(SOON)
            }
            Refused::Intake(IntakeError::Stopped) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, message).again(SOON)
            }
            Refused::Intake(IntakeError::Store(error)) => Self::of_store(&error),
            Refused::Store(error) => Self::of_store(&error),
        }
    }
}
