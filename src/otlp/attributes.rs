//! Attributes of spans and resources: what they are called now, what they were called, and whose a request is.

use std::collections::HashMap;

use super::message::{Attribute, Value};

/// Bytes of a text that are kept.
pub(super) const MAX_TEXT: usize = 1000;

/// The text of an attribute.
pub(super) fn text(value: Option<&Value>) -> Option<&str> {
    match value? {
        Value::Text(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// The whole number of an attribute, also where an exporter writes it as text or as a fraction.
pub(super) fn number(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Whole(number) => Some(*number),
        Value::Text(text) => text.parse().ok(),
        // Below 2^53, every whole number is a double.
        Value::Fraction(number) => format!("{number:.0}").parse().ok(),
        Value::Flag(_) => None,
    }
}

/// The flag of an attribute.
pub(super) fn flag(value: Option<&Value>) -> Option<bool> {
    match value? {
        Value::Flag(flag) => Some(*flag),
        _ => None,
    }
}

/// A value that has several names, the best of which wins, in whatever order they come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best<T> {
    value: Option<T>,
    rank: usize,
}

impl<T> Default for Best<T> {
    fn default() -> Self {
        Self { value: None, rank: usize::MAX }
    }
}

impl<T> Best<T> {
    /// From a name of this rank, 0 being the best.
    pub(super) fn offer(&mut self, rank: usize, value: Option<T>) {
        if value.is_some() && rank < self.rank {
            *self = Self { value, rank };
        }
    }

    pub(super) fn get(self) -> Option<T> {
        self.value
    }
}

/// Which attributes name the tenant and the user.
#[derive(Debug)]
pub(crate) struct Owners {
    ranks: HashMap<String, (Owner, usize)>,
}

#[derive(Clone, Copy, Debug)]
enum Owner {
    Tenant,
    User,
}

/// Whose a request is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Owned<'a> {
    pub(super) tenant: Best<&'a str>,
    pub(super) user: Best<&'a str>,
}

impl Owners {
    pub(crate) fn new(tenant: &[String], user: &[String]) -> Self {
        let ranked = |names: &[String], owner| {
            names.iter().enumerate().map(|(rank, name)| (unified(name), (owner, rank))).collect::<Vec<_>>()
        };
        let mut ranks: HashMap<_, _> = ranked(user, Owner::User).into_iter().collect();
        ranks.extend(ranked(tenant, Owner::Tenant));
        Self { ranks }
    }

    /// Takes note of an attribute that names one of them. What a resource says counts less than what a span says.
    pub(super) fn look<'a>(&self, owned: &mut Owned<'a>, attribute: &'a Attribute, is_resource: bool) {
        let found = if attribute.key.contains('-') {
            self.ranks.get(unified(&attribute.key).as_str())
        } else {
            self.ranks.get(attribute.key.as_str())
        };
        let Some((kind, rank)) = found else { return };
        let rank = rank + if is_resource { self.ranks.len() } else { 0 };
        match kind {
            Owner::Tenant => owned.tenant.offer(rank, text(attribute.value.as_ref())),
            Owner::User => owned.user.offer(rank, text(attribute.value.as_ref())),
        }
    }
}

/// Python writes the names of captured headers with underscores, the conventions with dashes.
fn unified(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

/// As it is stored: bounded, and with U+FFFD in the place of control characters, of which Postgres does not take the zero byte
/// and people none.
pub(super) fn stored(text: &str) -> String {
    let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    text[..text.floor_char_boundary(MAX_TEXT)].replace(is_control, "\u{fffd}")
}
