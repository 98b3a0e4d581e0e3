//! Settings as people have changed them while Dogwatch runs: a section as the files have it, with the changes that are kept in
//! Postgres laid over it. What a change makes of a section is checked as if it stood in the file.

use dogwatch_store::SettingChange;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::settings::Settings;

/// A section of the settings that can be changed.
pub trait Section: Clone + Serialize + DeserializeOwned {
    /// Its name in dogwatch.toml.
    const NAME: &'static str;

    /// Checks what the types cannot. The error is a key of this section, and the reason.
    ///
    /// # Errors
    /// The first thing that is wrong.
    fn check(&self) -> Result<(), (&'static str, String)>;

    /// What a setting is; `None` as in [`Self::with`].
    fn value(&self, name: &str) -> Option<Value> {
        let section = serde_json::to_value(self).ok()?;
        section.pointer(&pointer::<Self>(name)?).cloned()
    }

    /// With one value in the place of another; `name` is the whole name, such as `jobs.retention_days`. `None`: it is of
    /// another section, or there is no such setting.
    ///
    /// # Errors
    /// What is wrong with the value, and what would be right.
    fn with(&self, name: &str, value: &Value) -> Option<Result<Self, String>> {
        let mut section = serde_json::to_value(self).ok()?;
        *section.pointer_mut(&pointer::<Self>(name)?)? = value.clone();
        let read = serde_json::from_value::<Self>(section);
        Some(read.map_err(|error| error.to_string()).and_then(|section| match section.check() {
            Ok(()) => Ok(section),
            Err((_, reason)) => Err(reason),
        }))
    }

    /// With all changes. One that no longer fits, such as one of a later version, is passed over: the list of settings shows
    /// that it does not count.
    #[must_use]
    fn changed(&self, changes: &[SettingChange]) -> Self {
        let mut section = self.clone();
        for SettingChange { name, value, .. } in changes {
            match value.as_ref().and_then(|value| section.with(name, value)) {
                Some(Ok(changed)) => section = changed,
                Some(Err(reason)) => {
                    tracing::debug!(name, reason, "a changed setting does not fit, and is passed over");
                }
                None => {}
            }
        }
        section
    }
}

fn pointer<S: Section>(name: &str) -> Option<String> {
    let key = name.strip_prefix(S::NAME)?.strip_prefix('.')?;
    Some(format!("/{}", key.replace('.', "/")))
}

impl Section for Settings {
    const NAME: &'static str = "jobs";

    fn check(&self) -> Result<(), (&'static str, String)> {
        self.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::settings;
    use serde_json::json;

    fn change(name: &str, value: Option<Value>) -> SettingChange {
        let changed_at = chrono::DateTime::UNIX_EPOCH;
        SettingChange { name: name.to_owned(), value, changed_by: "ann".to_owned(), changed_at }
    }

    #[test]
    fn changes_are_laid_over_the_file_and_those_that_do_not_fit_are_passed_over() {
        let file = settings();
        let changed = file.changed(&[
            change("jobs.retention_days", Some(json!(7))),
            change("jobs.thresholds.cpu_percent", Some(json!(180))),
            change("jobs.thresholds.memory_percent", None),
            change("jobs.gone", Some(json!(1))),
            change("monitoring.enabled", Some(json!(false))),
        ]);
        assert_eq!(changed.retention_days, 7);
        assert!((changed.thresholds.cpu_percent - file.thresholds.cpu_percent).abs() < f64::EPSILON);
        assert!((changed.thresholds.memory_percent - file.thresholds.memory_percent).abs() < f64::EPSILON);
    }

    #[test]
    fn what_is_wrong_with_a_value_is_told() {
        let reason = |name, value| settings().with(name, &value).unwrap().unwrap_err();
        assert_eq!(reason("jobs.retention_days", json!(0)), "`0` is not between 1 and 3650");
        assert!(reason("jobs.retention_days", json!("a week")).starts_with("invalid type: string"));
        assert!(settings().with("jobs.no_such", &json!(1)).is_none());
    }
}
