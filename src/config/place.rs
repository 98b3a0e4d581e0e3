//! Finds where a setting came from, so that an error can name the place.

use serde_path_to_error::{Path, Segment};
use toml::Table;
use toml::de::{DeTable, DeValue};

use super::{ConfigError, Override};

/// Everything above the defaults.
pub(super) struct Sources {
    /// The file's name; empty when there is none.
    pub(super) name: String,
    pub(super) text: String,
    pub(super) overrides: Vec<Override>,
}

impl Sources {
    pub(super) fn table(&self) -> Result<Table, ConfigError> {
        self.text.parse().map_err(|error: toml::de::Error| ConfigError {
            place: format!("{}:{}", self.name, self.line(error.span().map_or(0, |span| span.start))),
            reason: error.message().lines().collect::<Vec<_>>().join("; "),
        })
    }

    /// An error at this key: by the variable or flag that set it, else by its line, else by the file.
    pub(super) fn error(&self, key: &[String], reason: &str) -> ConfigError {
        let shown = key.join(".");
        let reason = format!("{shown}: {}", reason.lines().collect::<Vec<_>>().join("; "));
        // A variable sets a list as a whole; the error may be at one of its items.
        let is_within = |set: &&Override| {
            shown.strip_prefix(&set.key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let set_by = self.overrides.iter().rev().find(is_within);
        let place = match (set_by, self.find(key)) {
            (Some(set), _) => set.label.clone(),
            (None, Some(byte)) => format!("{}:{}", self.name, self.line(byte)),
            (None, None) => "the built-in dogwatch.toml".to_owned(),
        };
        ConfigError { place, reason }
    }

    fn line(&self, byte: usize) -> usize {
        self.text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
    }

    /// Where the key stands in the file, or the nearest table around it.
    fn find(&self, key: &[String]) -> Option<usize> {
        let root = DeTable::parse(&self.text).ok()?;
        let mut found = None;
        let mut table = Some(root.get_ref());
        let mut array = None;
        for segment in key {
            if let Some((name, value)) =
                table.and_then(|table| table.iter().find(|(name, _)| name.get_ref() == segment))
            {
                found = Some(name.span().start);
                (table, array) = inside(value.get_ref());
            } else if let Some(value) =
                array.and_then(|array: &toml::de::DeArray| array.get(segment.parse::<usize>().ok()?))
            {
                found = Some(value.span().start);
                (table, array) = inside(value.get_ref());
            } else {
                break;
            }
        }
        found
    }
}

fn inside<'a, 'i>(value: &'a DeValue<'i>) -> (Option<&'a DeTable<'i>>, Option<&'a toml::de::DeArray<'i>>) {
    match value {
        DeValue::Table(table) => (Some(table), None),
        DeValue::Array(array) => (None, Some(array)),
        _ => (None, None),
    }
}

pub(super) fn split(key: &str) -> Vec<String> {
    key.split('.').map(str::to_owned).collect()
}

/// The keys and indexes of a path.
pub(crate) fn segments(path: &Path) -> Vec<String> {
    let text = |segment: &Segment| match segment {
        Segment::Map { key } => Some(key.clone()),
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(text).collect()
}
