//! OTLP over HTTP, as the specification says: the answer is of the format of the request, errors are a
//! `google.rpc.Status`, and only what a later try may mend is answered with 429 or 503.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::StreamExt;
use prost::Message;
use serde::Serialize;

use super::decode::{self, Format, Unreadable};
use super::fault::Fault;
use super::{Receiver, Refused, grpc, response};
use crate::access::Caller;
use crate::body_budget::{Share, bounded_exporter};

/// The routes of both protocols, to be merged with others. Exporters that send traces send metrics and logs too, to the same
/// address, and would log an error for each: these are answered with success, and not kept.
pub fn router<S>(receiver: Receiver) -> Router<S> {
    let budget = receiver.budget.clone();
    Router::new()
        .route("/v1/traces", post(traces))
        .route("/v1/metrics", post(not_kept))
        .route("/v1/logs", post(not_kept))
        // The library for gRPC reads a whole message before we see it.
        .route(grpc::TRACES, post(grpc::traces).layer(from_fn_with_state(budget, bounded_exporter)))
        .route(grpc::METRICS, post(grpc::not_kept))
        .route(grpc::LOGS, post(grpc::not_kept))
        .with_state(receiver)
}

/// A body that is too large is read to its end if it is not so many times too large.
const DRAINED: usize = 4;

/// `google.rpc.Status`
#[derive(Clone, PartialEq, Message, Serialize)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

async fn traces(State(receiver): State<Receiver>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let format = match format(&parts.headers) {
        Ok(format) => format,
        Err(fault) => return answer(receiver.refuse(fault), Format::Json),
    };
    let taken = async {
        let is_gzip = is_gzip(&parts.headers)?;
        let (bytes, _room) = read(body, &receiver).await?;
        let body = decode::Body { bytes: bytes.into(), is_gzip, format };
        receiver.take_traces(body, parts.extensions.get::<Caller>()).await.map_err(Fault::from)
    };
    match taken.await {
        Ok(taken) => message(format, StatusCode::OK, &response(taken)),
        Err(fault) => answer(receiver.refuse(fault), format),
    }
}

/// The answer to an exporter that does not come in, in the words of its protocol.
pub fn refusal(
    headers: &HeaderMap,
    code: StatusCode,
    message: String,
    retry_after: Option<Duration>,
) -> Response {
    let fault = Fault::of_guard(code, message, retry_after);
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if kind.starts_with(b"application/grpc") {
        return grpc::status(fault).into_http::<Body>();
    }
    answer(fault, format(headers).unwrap_or(Format::Json))
}

/// An empty message of whatever kind.
#[derive(Clone, PartialEq, Message, Serialize)]
struct Empty {}

async fn not_kept(State(receiver): State<Receiver>, headers: HeaderMap) -> Response {
    receiver.refusals.count_ignored();
    match format(&headers) {
        Ok(format) => message(format, StatusCode::OK, &Empty {}),
        Err(fault) => answer(fault, Format::Json),
    }
}

fn format(headers: &HeaderMap) -> Result<Format, Fault> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/x-protobuf" => Ok(Format::Protobuf),
        "application/json" => Ok(Format::Json),
        _ => Err(unsupported(format!(
            "Content-Type `{kind}`: send application/x-protobuf or application/json"
        ))),
    }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Fault> {
    match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"" | b"identity") => Ok(false),
        Some(b"gzip" | b"x-gzip") => Ok(true),
        Some(other) => Err(unsupported(format!(
            "Content-Encoding `{}`: send gzip or none",
            String::from_utf8_lossy(other)
        ))),
    }
}

/// The body, and its share of the memory for reading.
async fn read(body: Body, receiver: &Receiver) -> Result<(Vec<u8>, Vec<Share>), Fault> {
    let (mut bytes, mut room, mut fault, mut length) = (Vec::new(), Vec::new(), None, 0);
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            Fault::of_sender(StatusCode::BAD_REQUEST, format!("the body ended early: {error}"))
        })?;
        length += chunk.len();
        if length > receiver.max_body_bytes * DRAINED {
            break;
        }
        // A client that is still writing would not see the answer: what cannot be taken is read, and forgotten.
        if fault.is_some() {
            continue;
        }
        match receiver.room_for(chunk.len()) {
            _ if length > receiver.max_body_bytes => {
                fault = Some(Refused::from(Unreadable::TooLarge { max: receiver.max_body_bytes }));
            }
            Err(refused) => fault = Some(refused),
            Ok(more) => {
                room.push(more);
                bytes.extend_from_slice(&chunk);
            }
        }
        if fault.is_some() {
            (bytes, room) = Default::default();
        }
    }
    match fault {
        Some(refused) => Err(refused.into()),
        None => Ok((bytes, room)),
    }
}

fn unsupported(message: String) -> Fault {
    Fault::of_sender(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
}

fn answer(fault: Fault, format: Format) -> Response {
    let mut response = message(format, fault.http, &Status { code: fault.code, message: fault.message });
    let headers = response.headers_mut();
    if let Some(pause) = fault.retry_after {
        headers.insert(header::RETRY_AFTER, pause.as_secs().into());
    }
    if fault.http == StatusCode::PAYLOAD_TOO_LARGE {
        // The rest of the body is not read, so the connection cannot carry another request.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
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
