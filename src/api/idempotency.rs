//! `Idempotency-Key`: a POST that comes again under the same key, because its answer was lost, is answered as it was and does
//! nothing twice (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>).
//!
//! After a crash between the deed and the remembering of its answer the request is carried out again: who must not have that
//! gives a job an `id`, or a metric a trace.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use dogwatch_store::{Begun, PastAnswer, RequestName};
use sha2::{Digest, Sha256};

use super::error::Problem;
use super::{ApiState, REQUEST_TIMEOUT};
use crate::access::Caller;

/// The name of the header, and of the one that says that an answer was given before.
const HEADER: &str = "idempotency-key";
const REPLAYED: &str = "idempotency-replayed";
/// Bytes of a key.
const MAX_KEY: usize = 255;
/// Bytes of an answer that is remembered.
const MAX_ANSWER: usize = 4 << 20;
/// When a client may ask again for what is under way.
const SOON: std::time::Duration = std::time::Duration::from_secs(1);

/// Answers what was answered before.
pub(super) async fn remembered(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(HEADER) {
        return next.run(request).await;
    }
    answer(&state, request, next).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(state: &ApiState, request: Request, next: Next) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let key = parts.headers.get(HEADER).and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    if key.is_empty() || key.len() > MAX_KEY {
        let reason = format!("Idempotency-Key: write 1 to {MAX_KEY} visible characters");
        return Err(Problem::new(StatusCode::BAD_REQUEST, reason));
    }
    let bytes = to_bytes(body, state.max_body_bytes).await.map_err(|_| {
        let reason = format!("the body is larger than {} bytes", state.max_body_bytes);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
    })?;
    let mut hash = Sha256::new();
    hash.update(parts.uri.to_string());
    hash.update([0]);
    hash.update(&bytes);
    let caller = parts.extensions.get::<Caller>().and_then(|caller| caller.key).unwrap_or_default();
    let name = RequestName { caller, key, request_sha256: hash.finalize().to_vec() };
    let now = state.clock.now();
    // No request is under way for longer.
    let lost = now - TimeDelta::from_std(REQUEST_TIMEOUT * 2).unwrap_or(TimeDelta::minutes(1));
    match state.store.begin_request(&name, lost, now).await? {
        Begun::New => {}
        Begun::Answered(past) => return Ok(replayed(past)),
        Begun::UnderWay => {
            let reason = "the same request is under way; ask again";
            return Err(Problem::new(StatusCode::CONFLICT, reason).retry_after(SOON));
        }
        Begun::Another => {
            let reason = "Idempotency-Key: it is that of another request; write another";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, reason));
        }
    }
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, MAX_ANSWER).await.map_err(|_| super::error::bug())?;
    // What went wrong on our side may go well the next time.
    let is_final = !parts.status.is_server_error() && parts.status != StatusCode::TOO_MANY_REQUESTS;
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let past = PastAnswer {
        status: i16::try_from(parts.status.as_u16()).unwrap_or(200),
        content_type: kind.map(str::to_owned),
        body: bytes.to_vec(),
    };
    state.store.end_request(&name, is_final.then_some(&past)).await?;
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn replayed(past: PastAnswer) -> Response {
    let status = u16::try_from(past.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let mut response = (status.unwrap_or(StatusCode::OK), past.body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    if let Some(kind) = past.content_type.and_then(|kind| HeaderValue::from_str(&kind).ok()) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
