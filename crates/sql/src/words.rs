//! Words of SQL that are no names.

/// Longest word of [`KEYWORDS`].
const LONGEST: usize = 17;

/// Reserved in at least one dialect, and seldom a name. Sorted.
const KEYWORDS: [&str; 158] = [
    "absolute",
    "add",
    "all",
    "alter",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "backward",
    "begin",
    "between",
    "by",
    "call",
    "cascade",
    "case",
    "cast",
    "check",
    "close",
    "collate",
    "column",
    "commit",
    "concurrently",
    "conflict",
    "constraint",
    "copy",
    "create",
    "cross",
    "current",
    "current_date",
    "current_time",
    "current_timestamp",
    "cursor",
    "database",
    "deallocate",
    "declare",
    "default",
    "delete",
    "desc",
    "distinct",
    "do",
    "drop",
    "else",
    "end",
    "escape",
    "except",
    "exec",
    "execute",
    "exists",
    "explain",
    "false",
    "fetch",
    "first",
    "following",
    "for",
    "foreign",
    "forward",
    "from",
    "full",
    "function",
    "grant",
    "group",
    "having",
    "identified",
    "if",
    "ignore",
    "ilike",
    "in",
    "index",
    "inner",
    "insert",
    "intersect",
    "interval",
    "into",
    "is",
    "join",
    "key",
    "last",
    "lateral",
    "left",
    "like",
    "limit",
    "lock",
    "locked",
    "merge",
    "minus",
    "move",
    "natural",
    "next",
    "no",
    "not",
    "nothing",
    "nowait",
    "null",
    "nulls",
    "of",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "over",
    "partition",
    "preceding",
    "prepare",
    "primary",
    "prior",
    "procedure",
    "range",
    "recursive",
    "references",
    "regexp",
    "relative",
    "release",
    "replace",
    "restrict",
    "returning",
    "revoke",
    "right",
    "rlike",
    "rollback",
    "row",
    "rows",
    "savepoint",
    "select",
    "set",
    "share",
    "show",
    "similar",
    "skip",
    "some",
    "start",
    "table",
    "temp",
    "temporary",
    "then",
    "to",
    "top",
    "transaction",
    "true",
    "truncate",
    "unbounded",
    "union",
    "unique",
    "update",
    "using",
    "values",
    "view",
    "when",
    "where",
    "window",
    "with",
    "within",
    "without",
    "work",
    "xor",
];

/// True when the lower-case word is no name.
pub(crate) fn is_keyword(lower: &str) -> bool {
    KEYWORDS.binary_search(&lower).is_ok()
}

/// True when a sign after this keyword is a subtraction or an addition, since the keyword is a value itself.
pub(crate) fn is_value(keyword: &str) -> bool {
    matches!(
        keyword,
        "null" | "true" | "false" | "end" | "current_date" | "current_time" | "current_timestamp"
    )
}

/// A word in lower case, where it is short enough for a keyword; else empty.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lower {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Lower {
    pub(crate) fn of(word: &str) -> Self {
        let mut bytes = [0; LONGEST];
        let Some(room) = bytes.get_mut(..word.len()) else { return Self::default() };
        room.copy_from_slice(word.as_bytes());
        room.make_ascii_lowercase();
        Self { bytes, length: word.len() }
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }

    pub(crate) fn is_any(&self, words: &[&str]) -> bool {
        words.contains(&self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_sorted_and_fit() {
        assert!(KEYWORDS.is_sorted());
        assert_eq!(KEYWORDS.iter().map(|word| word.len()).max(), Some(LONGEST));
    }
}
