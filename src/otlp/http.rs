//! OTLP over HTTP, as the specification says: the answer is of the format of the request, errors are a
//! `google.rpc.Status`, and only what a later try may mend is answered with 429 or 503.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use dogwatch_queue::error_chain;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use serde::Serialize;

use super::decode::{self, Format, Unreadable};
use super::{Receiver, Refused, Taken};
use dogwatch_store::IntakeError;

/// When an exporter may try again, in seconds: soon after too much at a time, later after an outage.
const SOON: &str = "1";
const LATER: &str = "5";

/// The routes, to be merged with others.
pub fn router<S>(receiver: Receiver) -> Router<S> {
    Router::new().route("/v1/traces", post(traces)).with_state(receiver)
}

/// `google.rpc.Status`
#[derive(Clone, PartialEq, Message, Serialize)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// An error as an exporter is told.
struct Fault {
    http: StatusCode,
    /// Of gRPC.
    code: i32,
    message: String,
    retry_after: Option<&'static str>,
}

async fn traces(State(receiver): State<Receiver>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let format = match format(&parts.headers) {
        Ok(format) => format,
        Err(fault) => return fault.answer(Format::Json),
    };
    let taken = async {
        let is_gzip = is_gzip(&parts.headers)?;
        let bytes = axum::body::to_bytes(body, receiver.max_body_bytes)
            .await
            .map_err(|error| unread(&error, &receiver))?;
        receiver.take_traces(decode::Body { bytes, is_gzip, format }).await.map_err(Fault::from)
    };
    match taken.await {
        Ok(taken) => message(format, StatusCode::OK, &response(taken)),
        Err(fault) => fault.answer(format),
    }
}

fn response(Taken { rejected, reason }: Taken) -> ExportTraceServiceResponse {
    let partial_success = (rejected > 0)
        .then_some(ExportTracePartialSuccess { rejected_spans: rejected, error_message: reason });
    ExportTraceServiceResponse { partial_success }
}

fn format(headers: &HeaderMap) -> Result<Format, Fault> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/x-protobuf" => Ok(Format::Protobuf),
        "application/json" => Ok(Format::Json),
        _ => Err(Fault::unsupported(format!(
            "Content-Type `{kind}`: send application/x-protobuf or application/json"
        ))),
    }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Fault> {
    match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"" | b"identity") => Ok(false),
        Some(b"gzip" | b"x-gzip") => Ok(true),
        Some(other) => Err(Fault::unsupported(format!(
            "Content-Encoding `{}`: send gzip or none",
            String::from_utf8_lossy(other)
        ))),
    }
}

/// Why the bytes of a body did not come.
fn unread(error: &axum::Error, receiver: &Receiver) -> Fault {
    let source = std::error::Error::source(error);
    if source.is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>) {
        return Refused::from(Unreadable::TooLarge { max: receiver.max_body_bytes }).into();
    }
    Fault {
        http: StatusCode::BAD_REQUEST,
        code: INVALID_ARGUMENT,
        message: format!("the body ended early: {error}"),
        retry_after: None,
    }
}

const INVALID_ARGUMENT: i32 = 3;
const RESOURCE_EXHAUSTED: i32 = 8;
const INTERNAL: i32 = 13;
const UNAVAILABLE: i32 = 14;

impl Fault {
    fn unsupported(message: String) -> Self {
        Self { http: StatusCode::UNSUPPORTED_MEDIA_TYPE, code: INVALID_ARGUMENT, message, retry_after: None }
    }

    fn answer(self, format: Format) -> Response {
        let mut response = message(format, self.http, &Status { code: self.code, message: self.message });
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        if self.http == StatusCode::PAYLOAD_TOO_LARGE {
            // The rest of the body is not read, so the connection cannot carry another request.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        let (http, code, retry_after) = match &refused {
            Refused::Unreadable(Unreadable::TooLarge { .. } | Unreadable::TooMany { .. }) => {
                (StatusCode::PAYLOAD_TOO_LARGE, INVALID_ARGUMENT, None)
            }
            Refused::Unreadable(Unreadable::Bug) => (StatusCode::INTERNAL_SERVER_ERROR, INTERNAL, None),
            Refused::Unreadable(_) => (StatusCode::BAD_REQUEST, INVALID_ARGUMENT, None),
            Refused::Busy | Refused::Intake(IntakeError::Full) => {
                (StatusCode::TOO_MANY_REQUESTS, RESOURCE_EXHAUSTED, Some(SOON))
            }
            Refused::Intake(IntakeError::Stopped) => {
                (StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, Some(SOON))
            }
            Refused::Intake(IntakeError::Store(error)) => return Self::of_store(error),
            Refused::Store(error) => return Self::of_store(error),
        };
        Self { http, code, message, retry_after }
    }
}

impl Fault {
    fn of_store(error: &dogwatch_store::StoreError) -> Self {
        if error.is_unavailable() {
            tracing::warn!(error = error_chain(error), "answered 503: Postgres is away");
            let message = "Postgres does not answer; try again".to_owned();
            return Self {
                http: StatusCode::SERVICE_UNAVAILABLE,
                code: UNAVAILABLE,
                message,
                retry_after: Some(LATER),
            };
        }
        tracing::error!(error = error_chain(error), "answered 500");
        let message = "a fault on our side; the log says more".to_owned();
        Self { http: StatusCode::INTERNAL_SERVER_ERROR, code: INTERNAL, message, retry_after: None }
    }
}

fn message(format: Format, code: StatusCode, message: &(impl Message + Serialize)) -> Response {
    match format {
        Format::Protobuf => {
            (code, [(header::CONTENT_TYPE, "application/x-protobuf")], message.encode_to_vec())
                .into_response()
        }
        Format::Json => (code, axum::Json(message)).into_response(),
    }
}
