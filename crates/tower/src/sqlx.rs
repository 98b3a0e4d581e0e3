//! The queries that sqlx makes: it tells of each as an event of `tracing` when it has ended, in the task that made it.

use std::sync::Arc;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::Shared;
use crate::context::current;
use crate::record::{Began, Ids, Query, Record, What};

/// Where sqlx's events come from.
const TARGET: &str = "sqlx::query";

pub(crate) fn layer<S>(shared: Arc<Shared>, system: &'static str) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let is_query = |metadata: &Metadata<'_>| metadata.target() == TARGET && metadata.is_event();
    // Without a filter of its own it would have sqlx format its events for others, and would hear everyone's.
    SqlxLayer { shared, system }.with_filter(FilterFn::new(is_query).with_max_level_hint(Level::DEBUG))
}

/// See [`crate::Dogwatch::sqlx_layer`].
#[derive(Debug)]
pub struct SqlxLayer {
    shared: Arc<Shared>,
    system: &'static str,
}

impl<S: Subscriber> Layer<S> for SqlxLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut told = Told::default();
        event.record(&mut told);
        let took = Duration::try_from_secs_f64(told.elapsed_secs).unwrap_or_default();
        let ended_at = Began::now().at;
        let scope = current();
        let ids = scope.as_ref().map_or_else(Ids::root, |scope| scope.ids.child());
        let query = Query { ids, system: self.system, text: told.text(), ended_at, took, rows: told.rows };
        match scope {
            Some(scope) => scope.add(query),
            None => self.shared.tell(Record {
                what: What::Query,
                ids,
                began_at: ended_at.checked_sub(took).unwrap_or(ended_at),
                took,
                error: None,
                queries: vec![query],
            }),
        }
    }
}

/// The fields of an event.
#[derive(Default)]
struct Told {
    summary: String,
    statement: String,
    rows: Option<u64>,
    elapsed_secs: f64,
}

impl Told {
    /// A short statement is its own summary, and is not told twice.
    fn text(&self) -> String {
        let text = if self.statement.is_empty() { &self.summary } else { &self.statement };
        text.trim().to_owned()
    }
}

impl Visit for Told {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.elapsed_secs = value;
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "rows_returned" {
            self.rows = Some(value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.statement),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
