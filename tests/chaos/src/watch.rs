//! Listens to what the queue says of itself: each outcome, with whether Redis has accepted it, becomes an event.

use std::collections::HashMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::event::{End, Verdict, What};
use crate::ledger::Ledger;

/// Whose events are heard.
const QUEUE: &str = "dogwatch_queue";

/// Writes outcomes into a ledger.
struct Watch {
    ledger: Arc<Ledger>,
    /// What the targets of those begin with that are heard.
    target: &'static str,
}

/// The fields of an event, as text.
#[derive(Default)]
struct Fields(HashMap<&'static str, String>);

/// From now on outcomes are written into the ledger, and the log into a file beside it.
pub(crate) fn start(folder: &Path, name: &str, ledger: Arc<Ledger>) -> Result<()> {
    let log = std::fs::File::options()
        .append(true)
        .create(true)
        .open(folder.join(name).with_added_extension("log"))?;
    let text = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(log);
    let filter = tracing_subscriber::EnvFilter::new("info");
    tracing_subscriber::registry()
        .with(Watch { ledger, target: QUEUE })
        .with(text.with_filter(filter))
        .init();
    Ok(())
}

impl<S: Subscriber> Layer<S> for Watch {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !event.metadata().target().starts_with(self.target) {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Some(what) = fields.outcome().or_else(|| fields.lead()) {
            self.ledger.write(what);
        }
    }
}

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn outcome(&self) -> Option<What> {
        let verdict = match self.get("outcome")? {
            "accepted" => Verdict::Accepted,
            "refused" => Verdict::Refused,
            "unsent" => Verdict::Unsent,
            _ => return None,
        };
        let (id, token) = (self.get("job.id")?.to_owned(), self.get("token")?.to_owned());
        let attempt = self.get("attempt")?.parse().ok()?;
        Some(What::Outcome { id, attempt, token, verdict, end: self.end() })
    }

    /// What was told together with the outcome says which it was.
    fn end(&self) -> End {
        let has = |name| self.get(name).is_some();
        let says = |words| self.get("message").is_some_and(|message| message.contains(words));
        if has("result") {
            End::Succeeded
        } else if has("retry_in_ms") {
            End::Retry
        } else if has("snooze_ms") {
            End::Snoozed
        } else if has("error") {
            End::Dead
        } else if says("was cancelled") {
            End::Cancelled
        } else if says("was not run in its time") {
            End::Expired
        } else {
            End::Released
        }
    }

    fn lead(&self) -> Option<What> {
        // Faults hit the leader of the default book.
        if self.get("book").is_some_and(|book| book != "default") {
            return None;
        }
        let epoch = self.get("epoch")?.parse().ok().filter(|epoch| *epoch > 0)?;
        Some(What::Leads { epoch })
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(say: impl FnOnce()) -> Vec<What> {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::open(folder.path(), "worker-1.1").unwrap());
        let subscriber = tracing_subscriber::registry().with(Watch { ledger, target: module_path!() });
        tracing::subscriber::with_default(subscriber, say);
        crate::ledger::read(folder.path()).unwrap().into_iter().map(|event| event.what).collect()
    }

    #[test]
    fn each_outcome_is_heard_with_its_verdict() {
        let (attempt, token) = (2_u32, "abc:1");
        let heard = heard(|| {
            macro_rules! say {
                ($($field:tt)*) => {
                    tracing::info!(job.id = "7", attempt, token, $($field)*)
                };
            }
            say!(outcome = "accepted", result = %1, "`act` succeeded");
            say!(outcome = "accepted", error = "x", retry_in_ms = 5_u128, "`act` failed");
            say!(outcome = "accepted", error = "x", "`act` is dead");
            say!(outcome = "accepted", snooze_ms = 5_u128, "`act` snoozed");
            say!(outcome = "accepted", "`act` was cancelled");
            say!(outcome = "accepted", "`act` was not run in its time");
            say!(outcome = "accepted", "`act` was given back");
            say!(outcome = "refused", "`act` lost its lease");
            tracing::info!(epoch = 3_u64, "this scheduler leads");
            tracing::info!(epoch = 0_u64, "this scheduler stands by");
            tracing::info!(target: "other", epoch = 4_u64, "this scheduler leads");
        });
        let outcome = |verdict, end| What::Outcome {
            id: "7".to_owned(),
            attempt: 2,
            token: "abc:1".to_owned(),
            verdict,
            end,
        };
        let accepted = |end| outcome(Verdict::Accepted, end);
        let expected = [
            accepted(End::Succeeded),
            accepted(End::Retry),
            accepted(End::Dead),
            accepted(End::Snoozed),
            accepted(End::Cancelled),
            accepted(End::Expired),
            accepted(End::Released),
            outcome(Verdict::Refused, End::Released),
            What::Leads { epoch: 3 },
        ];
        assert_eq!(heard, expected);
    }
}
