//! A response's body that tells when it ends.

use std::fmt::Display;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::context;
use crate::layer::Pending;

pin_project! {
    /// The body of a watched service's response. Its request has ended when its last part was taken, or nobody wants it.
    #[derive(Debug)]
    pub struct WatchedBody<B> {
        #[pin]
        inner: B,
        pending: Option<Pending>,
    }
}

impl<B: Body> WatchedBody<B> {
    pub(crate) fn new(inner: B, pending: Option<Pending>) -> Self {
        // One that is empty is not polled.
        let pending = pending.filter(|_| !inner.is_end_stream());
        Self { inner, pending }
    }
}

impl<B> Body for WatchedBody<B>
where
    B: Body,
    B::Error: Display,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let entered = this.pending.as_ref().map(|pending| context::enter(&pending.scope));
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        drop(entered);
        match &frame {
            Some(Err(error)) => {
                if let Some(mut pending) = this.pending.take() {
                    pending.error = Some(error.to_string());
                }
            }
            // A server that knows the length does not ask once more.
            Some(Ok(_)) if this.inner.is_end_stream() => drop(this.pending.take()),
            Some(Ok(_)) => {}
            None => drop(this.pending.take()),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: Default> Default for WatchedBody<B> {
    fn default() -> Self {
        Self { inner: B::default(), pending: None }
    }
}
