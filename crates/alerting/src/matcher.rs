//! Conditions on labels: who a route, a silence or an inhibition is about.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is known of an alert: `alert_type`, `severity`, `service`, `endpoint`, `tenant`, `host` and the labels of its rule.
pub type Labels = BTreeMap<String, String>;

/// Bounds of what is compared with every alert.
const MAX_CONDITIONS: usize = 20;
const MAX_PATTERNS: usize = 50;
const MAX_LABEL_BYTES: usize = 100;
const MAX_PATTERN_BYTES: usize = 1000;
const MAX_STARS: usize = 10;

/// Conditions all of which have to hold: `{ severity = ["high", "critical"], service = "shop-*" }`. In a pattern `*`
/// stands for anything. A label that an alert does not have is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Matcher(BTreeMap<String, Patterns>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
enum Patterns {
    One(String),
    Any(Vec<String>),
    /// This very value, whatever is in it.
    Exact {
        exact: String,
    },
}

impl Matcher {
    /// Of exact conditions, such as `service=shop`.
    pub fn of(conditions: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(conditions.into_iter().map(|(label, pattern)| (label, Patterns::One(pattern))).collect())
    }

    /// Checks what people write: names of labels, and patterns. A mistyped operator would match other alerts than
    /// meant, or all of them.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn check(&self) -> Result<(), String> {
        if self.0.len() > MAX_CONDITIONS {
            return Err(format!("has {} conditions, and {MAX_CONDITIONS} are the most", self.0.len()));
        }
        for (label, patterns) in &self.0 {
            let patterns = match patterns {
                Patterns::One(pattern) => std::slice::from_ref(pattern),
                Patterns::Any(patterns) => patterns,
                Patterns::Exact { exact } => std::slice::from_ref(exact),
            };
            if label.ends_with(['!', '~', '='])
                || patterns.iter().any(|pattern| pattern.starts_with(['=', '~']))
            {
                return Err(format!(
                    "`{}`: `!=`, `=~` and `!~` are not supported; write LABEL=VALUE, where * stands for anything",
                    label.escape_debug()
                ));
            }
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            if label.is_empty() || label.len() > MAX_LABEL_BYTES || !label.chars().all(fits) {
                return Err(format!(
                    "`{}` is not the name of a label; it has 1 to {MAX_LABEL_BYTES} letters, digits, `_`, `-` or `.`",
                    label.escape_debug()
                ));
            }
            if patterns.is_empty() || patterns.len() > MAX_PATTERNS {
                return Err(format!("`{label}` has {} values; write 1 to {MAX_PATTERNS}", patterns.len()));
            }
            let is_odd = |pattern: &&String| {
                pattern.len() > MAX_PATTERN_BYTES
                    || pattern.matches('*').count() > MAX_STARS
                    || pattern.chars().any(char::is_control)
            };
            if let Some(odd) = patterns.iter().find(is_odd) {
                return Err(format!(
                    "the value `{}` of `{label}` is too long, has more than {MAX_STARS} `*`, or a control character",
                    odd.escape_debug().take(80).collect::<String>()
                ));
            }
        }
        Ok(())
    }

    /// True when it has no condition: it is about everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// With one more condition, in the place of one on the same label: it has this very value, which is no pattern.
    #[must_use]
    pub fn and(mut self, label: &str, value: &str) -> Self {
        let value = value.to_owned();
        let is_pattern = value.contains('*');
        let patterns = if is_pattern { Patterns::Exact { exact: value } } else { Patterns::One(value) };
        self.0.insert(label.to_owned(), patterns);
        self
    }

    /// The only value that this label may have; absent: there are others.
    pub fn exactly(&self, label: &str) -> Option<&str> {
        match self.0.get(label)? {
            Patterns::One(value) if !value.contains('*') => Some(value),
            Patterns::Exact { exact } => Some(exact),
            _ => None,
        }
    }

    /// Whether it has a condition on this label.
    pub fn names(&self, label: &str) -> bool {
        self.0.contains_key(label)
    }

    /// Whether these labels meet all conditions.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|(label, patterns)| {
            let value = labels.get(label).map_or("", String::as_str);
            match patterns {
                Patterns::One(pattern) => is_like(value, pattern),
                Patterns::Any(patterns) => patterns.iter().any(|pattern| is_like(value, pattern)),
                Patterns::Exact { exact } => value == exact,
            }
        })
    }
}

impl std::fmt::Display for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let condition = |(label, patterns): (&String, &Patterns)| match patterns {
            Patterns::One(pattern) | Patterns::Exact { exact: pattern } => format!("{label}={pattern}"),
            Patterns::Any(patterns) => format!("{label}={}", patterns.join("|")),
        };
        f.write_str(&self.0.iter().map(condition).collect::<Vec<_>>().join(", "))
    }
}

/// Whether a text is like a pattern, in which `*` stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(mut left) = text.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    // The first place for each part leaves most room for the next.
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.len() >= tail.len() && left.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (text, pattern, expected) in [
            ("shop", "shop", true),
            ("shop", "sho", false),
            ("shop-eu", "shop-*", true),
            ("shop", "*", true),
            ("", "*", true),
            ("GET /users/{id}", "GET *", true),
            ("GET /users/{id}", "*/users/*", true),
            ("aba", "ab*ba", false),
            ("abcba", "ab*ba", true),
            ("axbxc", "a*b*c", true),
            ("axbx", "a*b*c", false),
        ] {
            assert_eq!(is_like(text, pattern), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn all_conditions_have_to_hold_and_what_is_absent_is_empty() {
        let labels = Labels::from([("service".to_owned(), "shop".to_owned())]);
        let matches = |text: &str| toml::from_str::<Matcher>(text).unwrap().matches(&labels);
        assert!(matches(""));
        assert!(matches("service = ['pay', 'sh*']"));
        assert!(!matches("service = 'shop'\nteam = 'a'"));
        assert!(matches("team = ''"));
    }

    #[test]
    fn a_value_with_a_star_can_be_meant_as_it_is() {
        let matcher = Matcher::default().and("tenant", "a*");
        let of = |tenant: &str| Labels::from([("tenant".to_owned(), tenant.to_owned())]);
        assert!(matcher.matches(&of("a*")) && !matcher.matches(&of("acme")));
        assert_eq!(matcher.exactly("tenant"), Some("a*"));
        let stored = toml::to_string(&matcher).unwrap();
        assert_eq!(toml::from_str::<Matcher>(&stored).unwrap(), matcher);
    }

    #[test]
    fn mistyped_operators_and_odd_names_are_refused() {
        let of = |label: &str, value: &str| Matcher::of([(label.to_owned(), value.to_owned())]).check();
        assert_eq!(of("service", "shop-*"), Ok(()));
        assert_eq!(of("team.name_x-1", ""), Ok(()));
        for (label, value) in
            [("service!", "shop"), ("service", "~shop.*"), ("service!", "~x"), ("service", "=shop")]
        {
            let error = of(label, value).unwrap_err();
            assert!(error.contains("`!=`, `=~` and `!~` are not supported"), "{label}={value}: {error}");
        }
        for (label, value) in [("", "x"), ("a b", "x"), ("service", "a\u{1b}b"), ("service", "***********")] {
            assert!(of(label, value).is_err(), "{label}={value}");
        }
        let many = (0..=MAX_CONDITIONS).map(|n| (format!("l{n}"), "x".to_owned()));
        assert!(Matcher::of(many).check().is_err());
    }
}
