//! What is timed by hand: a future, or a block of code.

use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::context::{self, current};
use crate::record::{Began, Ids, Record, Scope, What};
use crate::{Dogwatch, Shared};

impl Dogwatch {
    /// Times a future under this name, which stands for a kind of work and not for one piece of it: `checkout`, and not
    /// `checkout of Bob`.
    ///
    /// ```
    /// # async fn run(dogwatch: dogwatch_tower::Dogwatch) {
    /// let total = dogwatch.track("checkout", async { 42 }).await;
    /// # }
    /// ```
    pub fn track<F: Future>(&self, name: impl Into<String>, future: F) -> Tracked<F> {
        Tracked { inner: future, operation: Some(self.operation(name)) }
    }

    /// Times a block of code: until what this returns is dropped.
    ///
    /// ```
    /// # fn run(dogwatch: dogwatch_tower::Dogwatch) {
    /// let mut import = dogwatch.operation("import");
    /// if let Err(error) = std::fs::read("prices.csv") {
    ///     import.fail(&error);
    /// }
    /// # }
    /// ```
    pub fn operation(&self, name: impl Into<String>) -> Operation {
        let outer = current();
        Operation {
            shared: Arc::clone(&self.shared),
            name: Some(name.into()),
            ids: outer.as_ref().map_or_else(Ids::root, |outer| outer.ids.child()),
            // Inside of a request, queries are the request's.
            own: outer.is_none().then(|| Arc::new(Scope::new(Ids::root()))),
            began: Began::now(),
            error: None,
        }
    }
}

/// Something that is timed. Told of when it is dropped.
#[derive(Debug)]
pub struct Operation {
    shared: Arc<Shared>,
    name: Option<String>,
    ids: Ids,
    own: Option<Arc<Scope>>,
    began: Began,
    error: Option<String>,
}

impl Operation {
    /// It has failed, in these words.
    pub fn fail(&mut self, error: impl Display) {
        self.error = Some(error.to_string());
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let Some(name) = self.name.take() else { return };
        self.shared.tell(Record {
            what: What::Operation(name),
            ids: self.ids,
            began_at: self.began.at,
            took: self.began.elapsed(),
            error: self.error.take().or_else(|| std::thread::panicking().then(|| "panic".to_owned())),
            queries: self.own.as_ref().map(|own| own.take_queries()).unwrap_or_default(),
        });
    }
}

pin_project! {
    /// A future that is timed; see [`Dogwatch::track`].
    #[derive(Debug)]
    pub struct Tracked<F> {
        #[pin]
        inner: F,
        operation: Option<Operation>,
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let own = this.operation.as_ref().and_then(|operation| operation.own.as_ref());
        let entered = own.map(context::enter);
        let polled = this.inner.poll(cx);
        drop(entered);
        if polled.is_ready() {
            drop(this.operation.take());
        }
        polled
    }
}
