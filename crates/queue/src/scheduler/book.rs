//! Schedule books: which schedules belong together.
//!
//! Programs that share a Redis and have different schedules each need a leader of their own, so each has a
//! book. The default book has no name in any key, as before there were books: programs of both kinds can run side
//! by side.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use crate::keys::check_name;

const DEFAULT: &str = "default";

/// The name of a schedule book.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Book(Arc<str>);

impl Book {
    /// A book with this name.
    ///
    /// # Errors
    /// When it is not a name: 1 to 100 letters, digits, `_`, `-` or `.`.
    pub fn new(name: &str) -> Result<Self, String> {
        check_name(name).map_err(|reason| format!("`{name}`: {reason}"))?;
        Ok(Self(name.into()))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The name, unless this is the default book.
    pub(crate) fn named(&self) -> Option<&str> {
        (*self.0 != *DEFAULT).then_some(&*self.0)
    }

    /// What the fields of its schedules begin with in `slots`. Names of schedules contain no `/`.
    pub(super) fn prefix(&self) -> String {
        self.named().map(|name| format!("{name}/")).unwrap_or_default()
    }

    /// The schedule of a field such as `BOOK/SCHEDULE:slot`, when the schedule is of this book.
    pub(super) fn schedule_of<'a>(&self, field: &'a str) -> Option<&'a str> {
        let schedule = field.strip_prefix(&self.prefix())?.strip_suffix(":slot")?;
        (!schedule.contains('/')).then_some(schedule)
    }
}

impl Default for Book {
    fn default() -> Self {
        Self(DEFAULT.into())
    }
}

impl fmt::Display for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Book {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        Self::new(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_belongs_to_one_book() {
        let (default, shop) = (Book::default(), Book::new("shop").unwrap());
        assert_eq!(default, Book::new("default").unwrap());
        assert_eq!(default.schedule_of("nightly:slot"), Some("nightly"));
        assert_eq!(default.schedule_of("shop/nightly:slot"), None);
        assert_eq!(shop.schedule_of("shop/nightly:slot"), Some("nightly"));
        assert_eq!(shop.schedule_of("nightly:slot"), None);
        assert_eq!(shop.schedule_of("shop/:epoch"), None);
    }

    #[test]
    fn a_name_has_the_form_of_a_queue_name() {
        for wrong in ["", "a/b", "a:b", "ü"] {
            assert!(Book::new(wrong).unwrap_err().starts_with(&format!("`{wrong}`: a name has")), "{wrong}");
        }
    }
}
