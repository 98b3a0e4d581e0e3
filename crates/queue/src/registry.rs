//! Which jobs there are: name to type.
//!
//! A worker needs a [`Registry`], which can run them; who enqueues needs its [`Catalog`], which can check a name and
//! its arguments before they are stored.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use serde_path_to_error::Segment;
use strsim::levenshtein;

use crate::context;
use crate::error::QueueError;
use crate::job::{Job, JobError, Retry};

type Running = Pin<Box<dyn Future<Output = Result<Value, JobError>> + Send>>;
pub(crate) type Run<C> = Arc<dyn Fn(Value, context::Run<C>) -> Running + Send + Sync>;

/// The jobs that a worker can run, with the context `C` that they use.
pub struct Registry<C> {
    jobs: BTreeMap<&'static str, (JobInfo, Run<C>)>,
}

/// What is known of a job without running it.
#[derive(Clone, Copy, Debug)]
pub struct JobInfo {
    /// Its name.
    pub name: &'static str,
    /// What happens after a failure.
    pub retry: Retry,
    /// When an attempt is stopped.
    pub timeout: Duration,
    check: fn(&Value) -> Result<(), QueueError>,
}

/// The names of all jobs and how to check their arguments. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Catalog(Arc<BTreeMap<&'static str, JobInfo>>);

impl<C: Send + Sync + 'static> Registry<C> {
    /// Without jobs.
    pub fn new() -> Self {
        Self { jobs: BTreeMap::new() }
    }

    /// Adds a job.
    ///
    /// # Panics
    /// When two jobs have one name.
    #[must_use]
    pub fn with<J: Job<Context = C>>(mut self) -> Self {
        let info = JobInfo {
            name: J::NAME,
            retry: J::RETRY,
            timeout: J::TIMEOUT,
            check: |args| parse::<J>(args).map(drop),
        };
        let run: Run<C> = Arc::new(|args, context: context::Run<C>| {
            Box::pin(async move {
                // A failed attempt: a worker of another version may accept them.
                let job: J = parse(&args)?;
                let outcome = job.run(&context).await?;
                serde_json::to_value(outcome).map_err(JobError::discard)
            })
        });
        assert!(self.jobs.insert(J::NAME, (info, run)).is_none(), "two jobs are named `{}`", J::NAME);
        self
    }

    /// The names, and how to check arguments.
    pub fn catalog(&self) -> Catalog {
        Catalog(Arc::new(self.jobs.iter().map(|(name, (info, _))| (*name, *info)).collect()))
    }

    pub(crate) fn get(&self, name: &str) -> Option<(JobInfo, &Run<C>)> {
        self.jobs.get(name).map(|(info, run)| (*info, run))
    }

    /// The name that was probably meant.
    pub(crate) fn nearest(&self, name: &str) -> Option<&'static str> {
        nearest(name, self.jobs.keys().copied())
    }
}

impl<C: Send + Sync + 'static> Default for Registry<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> std::fmt::Debug for Registry<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.jobs.keys()).finish()
    }
}

impl Catalog {
    /// All jobs, by name.
    pub fn jobs(&self) -> impl Iterator<Item = &JobInfo> {
        self.0.values()
    }

    /// Whether there is a job of this name.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The job of this name.
    ///
    /// # Errors
    /// [`QueueError::UnknownJob`], with the name that may have been meant.
    pub fn get(&self, name: &str) -> Result<&JobInfo, QueueError> {
        self.0
            .get(name)
            .ok_or_else(|| QueueError::UnknownJob { name: name.to_owned(), hint: self.hint(name) })
    }

    /// Checks a name and its arguments.
    ///
    /// # Errors
    /// [`QueueError::UnknownJob`] or [`QueueError::Arguments`].
    pub fn check(&self, name: &str, args: &Value) -> Result<&JobInfo, QueueError> {
        let job = self.get(name)?;
        (job.check)(args)?;
        Ok(job)
    }

    fn hint(&self, name: &str) -> String {
        suggestion(name, self.0.keys().copied())
    }
}

/// The known name that was probably meant, where one is near enough.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, known) = known.into_iter().map(|known| (levenshtein(name, known), known)).min()?;
    (distance <= name.len().div_ceil(3)).then_some(known)
}

/// What to say to who has named what does not exist: which name was probably meant, or which there are.
pub fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(name, known.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if known.is_empty() => "there is none".to_owned(),
        None => format!("there are: {}", known.join(", ")),
    }
}

fn parse<J: Job>(args: &Value) -> Result<J, QueueError> {
    // A list would be taken for the values of the fields, in their order.
    let other = match args {
        Value::Object(_) => None,
        Value::Array(_) => Some("a list"),
        Value::String(_) => Some("a string"),
        Value::Null | Value::Bool(_) | Value::Number(_) => Some("no object"),
    };
    if let Some(other) = other {
        let reason = format!("it is {other}; write a JSON object, such as {{\"hours\": 48}}");
        return Err(QueueError::Arguments { job: J::NAME.to_owned(), pointer: "/".to_owned(), reason });
    }
    serde_path_to_error::deserialize(args).map_err(|error| {
        let parts: Vec<String> = error.path().iter().filter_map(name_of).collect();
        let pointer = format!("/{}", parts.join("/"));
        QueueError::Arguments { job: J::NAME.to_owned(), pointer, reason: error.inner().to_string() }
    })
}

/// A key or an index, as a JSON pointer has it.
fn name_of(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Map { key } => Some(key.replace('~', "~0").replace('/', "~1")),
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::secs;
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Clean {
        days: u32,
    }
    impl Default for Clean {
        fn default() -> Self {
            Self { days: 30 }
        }
    }
    impl Job for Clean {
        const NAME: &'static str = "cleanup_old_data";
        const RETRY: Retry = Retry::none();
        const TIMEOUT: Duration = secs(1);
        type Context = ();
        type Outcome = u32;
        async fn run(self, _: &context::Run<()>) -> Result<u32, JobError> {
            Ok(self.days)
        }
    }

    #[test]
    fn a_name_that_is_nearly_right_is_suggested() {
        let catalog = Registry::new().with::<Clean>().catalog();
        let error = catalog.check("clenup_old_data", &json!({})).unwrap_err();
        assert_eq!(
            error.to_string(),
            "job `clenup_old_data` does not exist; did you mean `cleanup_old_data`?"
        );
        let error = catalog.check("x", &json!({})).unwrap_err();
        assert_eq!(error.to_string(), "job `x` does not exist; there are: cleanup_old_data");
    }

    #[test]
    fn wrong_arguments_are_named_by_their_pointer_with_what_would_be_right() {
        let catalog = Registry::new().with::<Clean>().catalog();
        for (args, expected) in [
            (json!({"days": "ten"}), "argument /days: invalid type: string \"ten\", expected u32"),
            (json!({"day": 1}), "argument /day: unknown field `day`, expected `days`"),
            (json!({"days": -1}), "argument /days: invalid value: integer `-1`, expected u32"),
            (json!([1]), "argument /: it is a list; write a JSON object"),
            (json!(null), "argument /: it is no object; write a JSON object"),
        ] {
            let error = catalog.check("cleanup_old_data", &args).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(catalog.check("cleanup_old_data", &json!({})).is_ok());
    }

    #[test]
    #[should_panic(expected = "two jobs are named `cleanup_old_data`")]
    fn two_jobs_of_one_name_are_a_bug() {
        let _ = Registry::new().with::<Clean>().with::<Clean>();
    }
}
