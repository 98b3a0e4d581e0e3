//! Token after token: what is written for people, and what the fingerprint is made of.

use xxhash_rust::xxh3::xxh3_64;

use crate::Dialect;
use crate::lexer::{Kind, Lexer, Token, is_word};
use crate::lists::{Lists, Output};
use crate::summary::Summary;
use crate::words::{Lower, is_keyword, is_value};

/// Bytes of the text that are kept.
const MAX_TEXT: usize = 8192;

/// A statement as it can be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalized {
    /// The statement without literals and comments; literals are `?`. At most 8 KiB, the end cut off.
    pub text: String,
    /// Commands and their targets, such as `SELECT orders customers`. At most 255 bytes.
    pub summary: String,
    /// The same for the same statement, whatever its literals, placeholders, white space, comments, letter case,
    /// and however long its lists. Stable: stored values keep their meaning.
    pub fingerprint: u64,
}

/// Normalises SQL of any size. Never fails, and takes time in proportion to the length.
pub fn normalize(sql: &str, dialect: Dialect) -> Normalized {
    let mut normalizer = Normalizer::new(sql, dialect);
    let mut lexer = Lexer::new(sql, dialect);
    while let Some(token) = lexer.next() {
        normalizer.take(token, &lexer);
        // What follows `COPY … FROM STDIN;` are rows.
        if normalizer.verb.as_str() == "copy" && !normalizer.has_begun {
            break;
        }
    }
    normalizer.finish()
}

/// The last token that was neither space nor comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Previous {
    Nothing,
    /// A keyword that is no value.
    Keyword,
    Text,
    Number,
    /// Another value: a name, a placeholder, a keyword such as NULL.
    Value,
    Symbol(u8),
}

/// Which names are made by a machine, and are masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Masked {
    None,
    /// `SAVEPOINT x123`: the first name.
    First,
    /// `IDENTIFIED BY tiger`: a password.
    All,
}

struct Normalizer {
    dialect: Dialect,
    output: Output,
    lists: Lists,
    summary: Summary,
    previous: Previous,
    /// The keyword or name that `previous` is.
    word: Lower,
    masked: Masked,
    /// The first word of the statement.
    verb: Lower,
    /// Something has been written since the statement began.
    has_begun: bool,
    /// Since `previous`.
    has_space: bool,
    has_comment: bool,
}

impl Normalizer {
    fn new(sql: &str, dialect: Dialect) -> Self {
        let output = Output { text: String::with_capacity(sql.len().min(MAX_TEXT)), tokens: String::new() };
        Self {
            dialect,
            output,
            lists: Lists::default(),
            summary: Summary::default(),
            previous: Previous::Nothing,
            word: Lower::default(),
            masked: Masked::None,
            verb: Lower::default(),
            has_begun: false,
            has_space: false,
            has_comment: false,
        }
    }

    fn take(&mut self, token: Token<'_>, lexer: &Lexer<'_>) {
        match token.kind {
            Kind::Space => {
                self.output.text.push_str(token.text);
                self.has_space = true;
                return;
            }
            Kind::Comment => {
                self.has_comment = true;
                return;
            }
            _ => self.keep_words_apart(token),
        }
        let is_row = matches!(token.text, "," | "(") || token.text.eq_ignore_ascii_case("row");
        if !is_row {
            self.lists.end_rows();
        }
        match token.kind {
            Kind::Word => self.take_word(token.text, lexer),
            Kind::Quoted => self.take_name(token.text),
            Kind::Ambiguous if self.expects_name(lexer) => self.take_name(token.text),
            Kind::Text | Kind::Ambiguous => self.take_text(),
            Kind::Number => self.mask(Previous::Number),
            Kind::Placeholder => self.take_placeholder(token.text),
            Kind::Symbol => self.take_symbol(token.text, lexer),
            Kind::Space | Kind::Comment => {}
        }
        self.has_space = false;
        self.has_comment = false;
    }

    /// Words that had but a comment between them.
    fn keep_words_apart(&mut self, token: Token<'_>) {
        let is_glued = self.output.text.bytes().last().is_some_and(is_word);
        if self.has_comment && is_glued && token.text.bytes().next().is_some_and(is_word) {
            self.output.text.push(' ');
        }
    }

    fn take_word(&mut self, text: &str, lexer: &Lexer<'_>) {
        let lower = Lower::of(text);
        if !is_keyword(lower.as_str()) || self.previous == Previous::Symbol(b'.') {
            // A function is the same in upper case, also where tables are not.
            let is_function = lexer.next_byte() == b'(';
            // `SET ROLE tenant_42`
            let is_role = self.verb.as_str() == "set" && self.word.as_str() == "role";
            if self.is_masked() || is_role {
                self.mask(Previous::Value);
            } else {
                let names_one = !self.has_begun && lower.is_any(&["use", "listen", "unlisten", "notify"]);
                self.take_plain_name(text, is_function);
                if names_one {
                    self.masked = Masked::First;
                }
            }
            return;
        }
        self.summary.keyword(text, lower);
        if lower.is_any(&["select", "with"]) {
            self.lists.is_no_list(&self.output);
        }
        if !self.has_begun {
            self.masked = masked_by_verb(lower, self.dialect);
            self.verb = lower;
        } else if lower.as_str() == "to" && self.verb.as_str() == "set" {
            // `SET search_path TO tenant_42`: a value, though it is written as a name.
            self.masked = Masked::All;
        } else if lower.as_str() == "by" && self.word.as_str() == "identified" {
            self.masked = Masked::All;
        }
        self.lists.before_word(lower.as_str(), &mut self.output);
        let is_literal = lower.is_any(&["null", "true", "false"])
            && !(self.previous == Previous::Keyword && self.word.is_any(&["is", "not", "default", "set"]));
        self.output.text.push_str(text);
        self.token(if is_literal { "?" } else { lower.as_str() });
        self.lists.after_word(lower.as_str(), &self.output);
        self.went_past(if is_value(lower.as_str()) { Previous::Value } else { Previous::Keyword }, lower);
        if lower.as_str() == "values" && self.masked != Masked::All {
            self.lists.open_rows(&self.output);
        }
    }

    fn take_plain_name(&mut self, text: &str, is_function: bool) {
        self.summary.name(text);
        self.output.text.push_str(text);
        if is_function || self.dialect.folds_case() {
            self.output.tokens.extend(text.chars().map(|letter| letter.to_ascii_lowercase()));
            self.output.tokens.push(' ');
        } else {
            self.token(text);
        }
        self.went_past(Previous::Value, Lower::of(text));
    }

    fn take_name(&mut self, quoted: &str) {
        if self.is_masked() {
            return self.mask(Previous::Value);
        }
        self.summary.name(quoted);
        self.output.text.push_str(quoted);
        let inner = &quoted[1..quoted.len() - 1];
        let lower = inner.to_ascii_lowercase();
        let is_plain = !inner.is_empty()
            && inner.bytes().all(|byte| is_word(byte) || byte == b'$')
            && !inner.as_bytes()[0].is_ascii_digit()
            && !is_keyword(&lower);
        match self.dialect {
            // There the name without quotes is of the other case.
            Dialect::Postgres if is_plain && lower == inner => self.token(inner),
            Dialect::Oracle if is_plain && inner.to_ascii_uppercase() == inner => self.token(&lower),
            Dialect::SqlServer | Dialect::Sqlite if is_plain => self.token(&lower),
            Dialect::MySql | Dialect::Other if is_plain => self.token(inner),
            _ => {
                self.output.tokens.push('"');
                self.output.tokens.push_str(inner);
                self.token("\"");
            }
        }
        self.went_past(Previous::Value, Lower::default());
    }

    /// Whether what stands in double quotes here can only be a name.
    fn expects_name(&self, lexer: &Lexer<'_>) -> bool {
        let is_target = self.previous == Previous::Keyword
            && self.word.is_any(&["from", "join", "into", "update", "table", "as"]);
        is_target || self.previous == Previous::Symbol(b'.') || lexer.next_byte() == b'.'
    }

    /// Strings in a row are one.
    fn take_text(&mut self) {
        if self.previous != Previous::Text {
            self.mask(Previous::Text);
        }
    }

    fn take_placeholder(&mut self, text: &str) {
        self.output.text.push_str(text);
        self.token("?");
        self.went_past(Previous::Value, Lower::default());
    }

    fn take_symbol(&mut self, text: &str, lexer: &Lexer<'_>) {
        let symbol = text.as_bytes()[0];
        match symbol {
            b'+' | b'-' if lexer.peek_past_space().is_some_and(|next| next.kind == Kind::Number) => {
                return self.take_sign(text, symbol, lexer);
            }
            b',' => self.lists.comma(&mut self.output),
            b')' | b']' => self.lists.close(&mut self.output),
            b';' => self.lists.end_statement(&mut self.output),
            _ => {}
        }
        let is_list = match symbol {
            b'(' => self.previous == Previous::Keyword && self.word.as_str() == "in",
            // An array, not an index.
            _ => !self.is_after_value(),
        };
        self.output.text.push_str(text);
        self.token(text);
        match symbol {
            b'(' | b'[' => self.lists.open(is_list, &self.output),
            b')' => self.lists.after_close(&mut self.output),
            b',' => self.lists.after_comma(&self.output),
            _ => {}
        }
        self.summary.symbol(symbol);
        self.went_past(Previous::Symbol(symbol), Lower::default());
        if symbol == b';' {
            self.has_begun = false;
            self.masked = Masked::None;
        }
    }

    /// A sign before a number belongs to it, unless it stands behind a value. OpenTelemetry wants `99+100` as `??`, and
    /// we want it to be the same as `99 + 100`.
    fn take_sign(&mut self, text: &str, sign: u8, lexer: &Lexer<'_>) {
        if !self.is_after_value() {
            return;
        }
        let is_glued = self.previous == Previous::Number && !self.has_space && lexer.next_byte() > b' ';
        if !is_glued {
            self.output.text.push_str(text);
        }
        self.token(text);
        self.went_past(Previous::Symbol(sign), Lower::default());
    }

    fn is_after_value(&self) -> bool {
        matches!(
            self.previous,
            Previous::Value | Previous::Text | Previous::Number | Previous::Symbol(b')' | b']')
        )
    }

    fn is_masked(&mut self) -> bool {
        let is_masked = self.masked != Masked::None;
        if self.masked == Masked::First {
            self.masked = Masked::None;
        }
        is_masked
    }

    fn mask(&mut self, what: Previous) {
        self.output.text.push('?');
        self.token("?");
        self.went_past(what, Lower::default());
    }

    fn token(&mut self, token: &str) {
        self.output.tokens.push_str(token);
        self.output.tokens.push(' ');
    }

    fn went_past(&mut self, previous: Previous, word: Lower) {
        self.previous = previous;
        self.word = word;
        self.has_begun = true;
    }

    fn finish(mut self) -> Normalized {
        self.lists.finish(&mut self.output);
        let Output { text, tokens } = self.output;
        let tokens = tokens.trim_end_matches([';', ' ']);
        Normalized {
            text: bounded(text.trim()),
            summary: self.summary.finish(),
            fingerprint: xxh3_64(tokens.as_bytes()),
        }
    }
}

/// What the first word of a statement says of the names in it.
fn masked_by_verb(verb: Lower, dialect: Dialect) -> Masked {
    match verb.as_str() {
        "savepoint" | "release" | "rollback" | "deallocate" | "close" | "declare" | "prepare" | "fetch"
        | "move" => Masked::First,
        // Elsewhere it runs a procedure.
        "execute" if matches!(dialect, Dialect::Postgres | Dialect::MySql) => Masked::First,
        _ => Masked::None,
    }
}

fn bounded(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let mut kept = text[..text.floor_char_boundary(MAX_TEXT - '…'.len_utf8())].to_owned();
    kept.push('…');
    kept
}
