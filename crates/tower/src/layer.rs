//! The tower layer: what each request took, to the end of its body, and what became of it.

use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::Shared;
use crate::body::WatchedBody;
use crate::context;
use crate::record::{Answered, Began, Ids, Record, Scope, What};

/// How the route of a request is found.
type RouteOf = fn(&http::Extensions) -> Option<String>;

/// See [`crate::Dogwatch::layer`].
#[derive(Clone, Debug)]
pub struct WatchLayer {
    shared: Arc<Shared>,
    route_of: RouteOf,
}

impl WatchLayer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, route_of }
    }

    /// How the route of a request, such as `/users/{id}`, is found in its extensions, where it is not axum's. A request
    /// without a route is told of with its path, in which Dogwatch replaces what looks like an id.
    #[must_use]
    pub fn route_of(self, route_of: RouteOf) -> Self {
        Self { route_of, ..self }
    }
}

impl<S> Layer<S> for WatchLayer {
    type Service = Watch<S>;

    fn layer(&self, inner: S) -> Watch<S> {
        Watch { inner, shared: Arc::clone(&self.shared), route_of: self.route_of }
    }
}

/// A service whose requests are told of.
#[derive(Clone, Debug)]
pub struct Watch<S> {
    inner: S,
    shared: Arc<Shared>,
    route_of: RouteOf,
}

impl<S, B, R> Service<Request<B>> for Watch<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Display,
    R: Body,
{
    type Response = Response<WatchedBody<R>>;
    type Error = S::Error;
    type Future = WatchFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> WatchFuture<S::Future> {
        let pending = Pending::new(Arc::clone(&self.shared), &request, self.route_of);
        let scope = Arc::clone(&pending.scope);
        let entered = context::enter(&scope);
        let inner = self.inner.call(request);
        drop(entered);
        WatchFuture { inner, pending: Some(pending) }
    }
}

pin_project! {
    /// Resolves to the response of a watched service.
    #[derive(Debug)]
    pub struct WatchFuture<F> {
        #[pin]
        inner: F,
        pending: Option<Pending>,
    }
}

impl<F, R, E> Future for WatchFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Display,
    R: Body,
{
    type Output = Result<Response<WatchedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let entered = this.pending.as_ref().map(|pending| context::enter(&pending.scope));
        let answered = ready!(this.inner.poll(cx));
        drop(entered);
        let mut pending = this.pending.take();
        Poll::Ready(match answered {
            Ok(response) => {
                if let Some(answered) = pending.as_mut().and_then(|pending| pending.answered.as_mut()) {
                    answered.status = Some(response.status());
                }
                Ok(response.map(|body| WatchedBody::new(body, pending)))
            }
            Err(error) => {
                if let Some(mut pending) = pending {
                    pending.error = Some(error.to_string());
                }
                Err(error)
            }
        })
    }
}

/// A request that is under way. Told of when it is dropped, however that comes about.
#[derive(Debug)]
pub(crate) struct Pending {
    shared: Arc<Shared>,
    pub(crate) scope: Arc<Scope>,
    began: Began,
    /// There until it is told.
    answered: Option<Box<Answered>>,
    pub(crate) error: Option<String>,
}

impl Pending {
    fn new<B>(shared: Arc<Shared>, request: &Request<B>, route_of: RouteOf) -> Self {
        let headers = request.headers();
        let captured = shared.captured.iter().filter_map(|name| {
            let value = headers.get(name)?.to_str().ok()?;
            Some((name.clone(), value.to_owned()))
        });
        let answered = Answered {
            method: request.method().clone(),
            route: route_of(request.extensions()).ok_or_else(|| request.uri().path().to_owned()),
            status: None,
            client: client_of(request.extensions()),
            headers: captured.collect(),
        };
        Self {
            scope: Arc::new(Scope::new(Ids::of_headers(headers))),
            began: Began::now(),
            answered: Some(Box::new(answered)),
            error: None,
            shared,
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let Some(answered) = self.answered.take() else { return };
        let is_server_error = answered.status.is_some_and(|status| status.is_server_error());
        let error =
            self.error.take().or_else(|| std::thread::panicking().then(|| "panic".to_owned())).or_else(
                || answered.status.filter(|_| is_server_error).map(|status| status.as_u16().to_string()),
            );
        self.shared.tell(Record {
            what: What::Request(answered),
            ids: self.scope.ids,
            began_at: self.began.at,
            took: self.began.elapsed(),
            error,
            queries: self.scope.take_queries(),
        });
    }
}

#[cfg(feature = "axum")]
fn route_of(extensions: &http::Extensions) -> Option<String> {
    extensions.get::<axum::extract::MatchedPath>().map(|path| path.as_str().to_owned())
}

#[cfg(not(feature = "axum"))]
fn route_of(_: &http::Extensions) -> Option<String> {
    None
}

#[cfg(feature = "axum")]
fn client_of(extensions: &http::Extensions) -> Option<String> {
    let info = extensions.get::<axum::extract::ConnectInfo<std::net::SocketAddr>>();
    info.map(|info| info.0.ip().to_string())
}

#[cfg(not(feature = "axum"))]
fn client_of(_: &http::Extensions) -> Option<String> {
    None
}
