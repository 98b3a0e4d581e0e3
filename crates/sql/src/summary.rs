//! What a statement does, in a few words: its commands and their targets, after OpenTelemetry's `db.query.summary`.

use crate::words::Lower;

/// Bytes of a summary, after the convention.
const MAX_SUMMARY: usize = 255;
/// Levels of parentheses that are looked at.
const MAX_DEPTH: usize = 200;

/// What follows a command, if not a name: it is skipped on the way to the target.
const BEFORE_TARGET: [&str; 8] =
    ["only", "lateral", "if", "not", "exists", "concurrently", "all", "recursive"];
/// Kinds of things that are made, changed and dropped.
const THINGS: [&str; 6] = ["table", "index", "view", "database", "function", "procedure"];
/// What ends a list of tables.
const AFTER_TABLES: [&str; 17] = [
    "where",
    "group",
    "order",
    "having",
    "limit",
    "set",
    "union",
    "intersect",
    "except",
    "window",
    "for",
    "offset",
    "fetch",
    "returning",
    "values",
    "select",
    "minus",
];

/// One level of parentheses.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    /// A statement: its FROM is followed by tables, that of `extract(year FROM …)` is not.
    is_query: bool,
    /// In a list of tables, where a comma is followed by another.
    in_tables: bool,
}

/// What the next name is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expected {
    #[default]
    Nothing,
    Target,
    /// Of a target that has begun: `schema.` and more.
    Rest,
}

#[derive(Debug)]
pub(crate) struct Summary {
    text: String,
    /// No further part fits.
    is_full: bool,
    levels: Vec<Level>,
    deeper: usize,
    expected: Expected,
    /// The first word of the statement.
    verb: Lower,
    /// The last token where it was a keyword; else nothing.
    before: Lower,
    /// The last token was a parenthesis, or there was none.
    may_begin: bool,
    /// The last token was a name that belongs to a target.
    in_target: bool,
}

impl Default for Summary {
    fn default() -> Self {
        Self {
            text: String::new(),
            is_full: false,
            levels: vec![Level::default()],
            deeper: 0,
            expected: Expected::Nothing,
            verb: Lower::default(),
            before: Lower::default(),
            may_begin: true,
            in_target: false,
        }
    }
}

impl Summary {
    pub(crate) fn keyword(&mut self, text: &str, lower: Lower) {
        let word = lower.as_str();
        let is_first = self.verb.as_str().is_empty();
        if is_first {
            self.verb = lower;
        }
        if self.expected == Expected::Rest || (self.expected == Expected::Target && self.is_target(lower)) {
            return self.name(text);
        }
        if word == "select" {
            self.command(text);
            self.level().is_query = true;
        } else if self.is_command(lower, is_first) {
            self.command(text);
            self.level().is_query = matches!(word, "insert" | "update" | "delete" | "merge" | "replace");
            if matches!(word, "update" | "call" | "exec" | "execute" | "truncate" | "lock" | "copy") {
                self.expected = Expected::Target;
            }
        } else if is_first && word != "with" {
            self.command(text);
        } else if THINGS.contains(&word)
            && self.verb.is_any(&["create", "alter", "drop"])
            && self.expected == Expected::Nothing
        {
            if !self.in_definition() {
                self.push(text);
                self.expected = Expected::Target;
            }
        } else if self.precedes_tables(word) {
            self.expected = Expected::Target;
            self.level().in_tables = word != "into";
        } else if AFTER_TABLES.contains(&word) {
            self.level().in_tables = false;
            self.expected = Expected::Nothing;
        }
        self.went_past(lower);
    }

    pub(crate) fn name(&mut self, text: &str) {
        let text = unquoted(text);
        match self.expected {
            Expected::Target => self.push(text),
            Expected::Rest => self.append(text),
            Expected::Nothing => {}
        }
        let is_part = self.expected != Expected::Nothing;
        if self.verb.as_str().is_empty() {
            // Not one of our words, but the first is what is done.
            self.verb = Lower::of("?");
            self.push(text);
        }
        self.expected = Expected::Nothing;
        self.went_past(Lower::default());
        self.in_target = is_part;
    }

    pub(crate) fn symbol(&mut self, symbol: u8) {
        match symbol {
            b'.' if self.in_target => {
                self.append(".");
                self.expected = Expected::Rest;
                return;
            }
            b'(' => self.open(),
            b')' => self.close(),
            b',' if self.level().in_tables => self.expected = Expected::Target,
            b';' => {
                let text = std::mem::take(&mut self.text);
                *self = Self { text, ..Self::default() };
                return;
            }
            _ => self.expected = Expected::Nothing,
        }
        self.went_past(Lower::default());
        self.may_begin = matches!(symbol, b'(' | b')');
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// A keyword that stands where a name is expected, and is one: `FROM table`.
    fn is_target(&self, lower: Lower) -> bool {
        let is_kind = lower.as_str() == "table" && self.verb.is_any(&["truncate", "lock"]);
        !is_kind
            && !BEFORE_TARGET.contains(&lower.as_str())
            && !lower.is_any(&["select", "values", "into", "from"])
    }

    /// A command other than SELECT, which is one wherever it stands. `FOR UPDATE` and `ON DELETE` are none.
    fn is_command(&self, lower: Lower, is_first: bool) -> bool {
        let changes = lower.is_any(&["insert", "update", "delete", "merge"]);
        let begins = is_first || self.may_begin || self.before.is_any(&["explain", "analyze", "as"]);
        (changes && begins)
            || (is_first && lower.is_any(&["replace", "truncate", "call", "exec", "execute", "lock", "copy"]))
    }

    /// Inside of a definition, `PRIMARY KEY … INDEX` and the like are parts.
    fn in_definition(&self) -> bool {
        self.text.split(' ').count() > 1
    }

    fn precedes_tables(&self, word: &str) -> bool {
        let is_query = self.levels.last().is_some_and(|level| level.is_query) && self.deeper == 0;
        match word {
            // IS DISTINCT FROM
            "from" => is_query && self.before.as_str() != "distinct",
            "join" | "into" => is_query,
            "using" => self.verb.is_any(&["merge", "delete"]),
            _ => false,
        }
    }

    fn open(&mut self) {
        self.expected = Expected::Nothing;
        if self.levels.len() < MAX_DEPTH {
            self.levels.push(Level::default());
        } else {
            self.deeper += 1;
        }
    }

    fn close(&mut self) {
        self.expected = Expected::Nothing;
        if self.deeper > 0 {
            self.deeper -= 1;
        } else if self.levels.len() > 1 {
            self.levels.pop();
        }
    }

    fn level(&mut self) -> &mut Level {
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    fn command(&mut self, text: &str) {
        self.push(text);
        self.expected = Expected::Nothing;
    }

    fn push(&mut self, part: &str) {
        let space = usize::from(!self.text.is_empty());
        self.is_full |= self.text.len() + space + part.len() > MAX_SUMMARY;
        if space > 0 && !self.is_full {
            self.text.push(' ');
        }
        self.append(part);
    }

    fn append(&mut self, part: &str) {
        self.is_full |= self.text.len() + part.len() > MAX_SUMMARY;
        if !self.is_full {
            self.text.push_str(part);
        }
    }

    fn went_past(&mut self, keyword: Lower) {
        self.before = keyword;
        self.may_begin = false;
        self.in_target = false;
    }
}

fn unquoted(name: &str) -> &str {
    let bytes = name.as_bytes();
    if bytes.len() > 2 && matches!(bytes[0], b'"' | b'`' | b'[') { &name[1..name.len() - 1] } else { name }
}
