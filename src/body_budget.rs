//! Memory for the bodies of requests, all of them together: JSON, and OTLP by HTTP and gRPC. What arrives waits in memory
//! until it is complete, and many unfinished bodies at the same time would take all there is.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::Problem;
use crate::otlp;

/// In KiB.
const ALL_KIB: u32 = 96 << 10;
/// The largest share of one body while it is read: what the body itself takes has to fit beside it.
const LARGEST_SHARE_KIB: u32 = ALL_KIB / 4 * 3;
/// When a client may try again.
const SOON: std::time::Duration = std::time::Duration::from_secs(1);
const EXCEEDED: &str = "more arrives than can be read at a time";

/// What is left of it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BodyBudget(Arc<Semaphore>);

/// A share of it; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share(#[expect(dead_code, reason = "it is held")] OwnedSemaphorePermit);

impl Default for BodyBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ALL_KIB as usize)))
    }
}

impl BodyBudget {
    /// Room for so many bytes; `None` when there is not enough. What is larger than the largest share takes that.
    pub(crate) fn room_for(&self, bytes: usize) -> Option<Share> {
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX).min(LARGEST_SHARE_KIB);
        Arc::clone(&self.0).try_acquire_many_owned(kib).ok().map(Share)
    }
}

/// What a request holds, from the first byte of its body to its answer.
#[derive(Debug, Default)]
struct Held {
    shares: Mutex<Vec<Share>>,
    is_exceeded: AtomicBool,
}

/// Refuses a request whose body finds no room: 429.
pub(crate) async fn bounded(State(budget): State<BodyBudget>, request: Request, next: Next) -> Response {
    let refuse = |_: &HeaderMap| {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, EXCEEDED).retry_after(SOON).into_response()
    };
    within(budget, request, next, refuse).await
}

/// The same, in the words of an exporter's protocol.
pub(crate) async fn bounded_exporter(
    State(budget): State<BodyBudget>,
    request: Request,
    next: Next,
) -> Response {
    let refuse = |headers: &HeaderMap| {
        otlp::refusal(headers, StatusCode::TOO_MANY_REQUESTS, EXCEEDED.to_owned(), Some(SOON))
    };
    within(budget, request, next, refuse).await
}

async fn within(
    budget: BodyBudget,
    request: Request,
    next: Next,
    refuse: impl FnOnce(&HeaderMap) -> Response,
) -> Response {
    let (held, headers) = (Arc::new(Held::default()), request.headers().clone());
    let budgeted = {
        let held = held.clone();
        request.map(|body| Body::new(Budgeted { body, budget, held }))
    };
    let response = next.run(budgeted).await;
    if held.is_exceeded.load(Ordering::Relaxed) { refuse(&headers) } else { response }
}

/// A body that takes room as it arrives.
struct Budgeted {
    body: Body,
    budget: BodyBudget,
    held: Arc<Held>,
}

impl HttpBody for Budgeted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            let Some(share) = self.budget.room_for(data.len()) else {
                self.held.is_exceeded.store(true, Ordering::Relaxed);
                // What it held is free at once: its answer is known.
                self.held.shares.lock().unwrap_or_else(PoisonError::into_inner).clear();
                return Poll::Ready(Some(Err(axum::Error::new(EXCEEDED))));
            };
            self.held.shares.lock().unwrap_or_else(PoisonError::into_inner).push(share);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
