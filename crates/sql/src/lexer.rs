//! Splits SQL of any dialect, whole or cut off anywhere, into tokens. Never fails, and reads each byte once.
//!
//! What is not closed (a string, a name, a comment) reaches to the end, as a literal: the rest of the text may belong
//! to it.

use crate::dialect::{Backslash, Dialect, DoubleQuotes};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword or a name without quotes.
    Word,
    /// A name in quotes, with them.
    Quoted,
    /// In double quotes, of a dialect that takes it for a name where it expects one and for text elsewhere.
    Ambiguous,
    /// A string, or what cannot be told from one.
    Text,
    /// A number.
    Number,
    /// `?`, `$1`, `:name`, `@p0`, `%s`, `%(name)s`
    Placeholder,
    /// One character, or `::`, `:=`.
    Symbol,
    /// White space.
    Space,
    /// A comment.
    Comment,
}

/// A part of the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
}

/// The tokens of a text, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Lexer<'a> {
    rest: &'a str,
    dialect: Dialect,
    /// The byte before `rest`; 0 at the beginning.
    before: u8,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(sql: &'a str, dialect: Dialect) -> Self {
        Self { rest: sql, dialect, before: 0 }
    }

    /// The next token that is neither space nor comment, without going there.
    pub(crate) fn peek_past_space(&self) -> Option<Token<'a>> {
        self.clone().find(|token| !matches!(token.kind, Kind::Space | Kind::Comment))
    }

    /// The next byte; 0 at the end.
    pub(crate) fn next_byte(&self) -> u8 {
        at(self.rest.as_bytes(), 0)
    }

    fn read(&self) -> (Kind, usize) {
        let bytes = self.rest.as_bytes();
        let all = bytes.len();
        let (first, second) = (at(bytes, 0), at(bytes, 1));
        match first {
            0..=b' ' => (Kind::Space, run(bytes, |byte| byte <= b' ')),
            b'-' if second == b'-'
                && (!self.dialect.dash_comments_need_a_space() || at(bytes, 2) <= b' ') =>
            {
                (Kind::Comment, line(bytes))
            }
            b'#' if self.dialect.has_hash_comments() => (Kind::Comment, line(bytes)),
            b'/' if second == b'*' => (Kind::Comment, block(bytes, self.dialect.nests_comments())),
            b'\'' => (Kind::Text, text(bytes, 0, self.dialect.backslash())),
            b'"' => self.double_quoted(bytes),
            b'`' => closed(bytes, b'`', Kind::Quoted),
            b'[' if self.dialect.has_brackets() => closed(bytes, b']', Kind::Quoted),
            b'$' => dollar(bytes),
            b'?' => (Kind::Placeholder, 1 + run(&bytes[1..], |byte| byte.is_ascii_digit())),
            b':' if second == b':' || second == b'=' => (Kind::Symbol, 2),
            b'@' if second == b'@' => (Kind::Word, 2 + run(&bytes[2..], is_word)),
            b':' | b'@' if is_word(second) => (Kind::Placeholder, 1 + run(&bytes[1..], is_word)),
            b'%' => percent(bytes),
            b'0'..=b'9' => (Kind::Number, uuid(bytes).unwrap_or_else(|| number(bytes))),
            // Not the dot in `table.1st_column`, where a digit may begin a name.
            b'.' if second.is_ascii_digit()
                && !is_word(self.before)
                && !matches!(self.before, b'"' | b'`' | b']') =>
            {
                (Kind::Number, number(bytes))
            }
            b'#' if self.dialect.has_hash_in_names() && is_word(second) => {
                (Kind::Word, 1 + self.word(&bytes[1..]))
            }
            _ if is_word(first) => self.word_or_prefix(bytes),
            _ => (Kind::Symbol, 1.min(all)),
        }
    }

    fn double_quoted(&self, bytes: &[u8]) -> (Kind, usize) {
        match self.dialect.double_quotes() {
            DoubleQuotes::Name => closed(bytes, b'"', Kind::Quoted),
            DoubleQuotes::Text => (Kind::Text, text(bytes, 0, self.dialect.backslash())),
            DoubleQuotes::Either => {
                let length = text(bytes, 0, self.dialect.backslash());
                let is_closed = length > 1 && bytes.get(length - 1) == Some(&b'"');
                (if is_closed { Kind::Ambiguous } else { Kind::Text }, length)
            }
        }
    }

    fn word_or_prefix(&self, bytes: &[u8]) -> (Kind, usize) {
        if let Some(length) = uuid(bytes) {
            return (Kind::Text, length);
        }
        let length = self.word(bytes);
        let quote = at(bytes, length);
        if length > 3 || !matches!(quote, b'\'' | b'"' | b'&') {
            return (Kind::Word, length);
        }
        let prefix = &bytes[..length];
        let is = |letters: &[&str]| letters.iter().any(|word| prefix.eq_ignore_ascii_case(word.as_bytes()));
        match quote {
            b'\'' if is(&["e"]) => (Kind::Text, text(bytes, length, Backslash::Escape)),
            b'\'' if self.dialect.has_q_quotes() && is(&["q", "nq"]) => (Kind::Text, q_quoted(bytes, length)),
            b'\'' if is(&["b", "x", "n", "r", "br", "rb"]) => {
                (Kind::Text, text(bytes, length, self.dialect.backslash()))
            }
            // U&'d\0061t\+000061'
            b'&' if is(&["u"]) && at(bytes, length + 1) == b'\'' => {
                (Kind::Text, text(bytes, length + 1, self.dialect.backslash()))
            }
            _ => (Kind::Word, length),
        }
    }

    fn word(&self, bytes: &[u8]) -> usize {
        let hash = self.dialect.has_hash_in_names();
        run(bytes, |byte| is_word(byte) || byte == b'$' || (hash && matches!(byte, b'#' | b'@')))
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let (kind, length) = self.read();
        // All delimiters are ASCII, so that a token ends at a character's end.
        let (text, rest) = self.rest.split_at(length);
        self.before = text.as_bytes()[length - 1];
        self.rest = rest;
        Some(Token { kind, text })
    }
}

/// The byte there; 0 past the end.
fn at(bytes: &[u8], index: usize) -> u8 {
    bytes.get(index).copied().unwrap_or(0)
}

/// How many bytes at the beginning are such.
fn run(bytes: &[u8], such: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !such(*byte)).unwrap_or(bytes.len())
}

/// Letters, digits, `_`, and all beyond ASCII.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// To the end of the line, without its break.
fn line(bytes: &[u8]) -> usize {
    run(bytes, |byte| byte != b'\n' && byte != b'\r')
}

fn block(bytes: &[u8], nests: bool) -> usize {
    let mut depth = 1;
    let mut index = 2;
    while index < bytes.len() {
        match (bytes[index], at(bytes, index + 1)) {
            (b'*', b'/') => {
                index += 2;
                depth -= 1;
                if depth == 0 {
                    return index;
                }
            }
            (b'/', b'*') if nests => {
                index += 2;
                depth += 1;
            }
            _ => index += 1,
        }
    }
    bytes.len()
}

/// A string whose quote is at `start`, to behind its end. A quote that is doubled belongs to it.
fn text(bytes: &[u8], start: usize, backslash: Backslash) -> usize {
    let quote = bytes[start];
    let mut index = start + 1;
    while index < bytes.len() {
        let byte = bytes[index];
        if byte == quote {
            if at(bytes, index + 1) != quote {
                return index + 1;
            }
            index += 2;
        } else if byte == b'\\' && backslash == Backslash::Escape {
            // The escaped character may have several bytes; none of the others is a quote.
            index += 2;
        } else if byte == b'\\' && backslash == Backslash::Unknown && at(bytes, index + 1) == quote {
            return bytes.len();
        } else {
            index += 1;
        }
    }
    bytes.len()
}

/// A name in quotes, of which the last is `end`; without an end it may be anything.
fn closed(bytes: &[u8], end: u8, kind: Kind) -> (Kind, usize) {
    let mut index = 1;
    while index < bytes.len() {
        if bytes[index] != end {
            index += 1;
        } else if at(bytes, index + 1) == end {
            index += 2;
        } else {
            return (kind, index + 1);
        }
    }
    (Kind::Text, bytes.len())
}

/// `q'[…]'`, with its letters before `quote`.
fn q_quoted(bytes: &[u8], quote: usize) -> usize {
    let end = match at(bytes, quote + 1) {
        b'[' => b']',
        b'{' => b'}',
        b'(' => b')',
        b'<' => b'>',
        other => other,
    };
    let inside = bytes.get(quote + 2..).unwrap_or_default();
    inside.windows(2).position(|pair| pair == [end, b'\'']).map_or(bytes.len(), |index| quote + 2 + index + 2)
}

/// `$1`, `$tag$ … $tag$`, `$name`.
fn dollar(bytes: &[u8]) -> (Kind, usize) {
    let name = run(&bytes[1..], is_word);
    if at(bytes, 1).is_ascii_digit() {
        return (Kind::Placeholder, 1 + run(&bytes[1..], |byte| byte.is_ascii_digit()));
    }
    if at(bytes, 1 + name) == b'$' {
        let tag = &bytes[..name + 2];
        let inside = &bytes[tag.len()..];
        return (Kind::Text, find(inside, tag).map_or(bytes.len(), |index| tag.len() + index + tag.len()));
    }
    if name == 0 { (Kind::Symbol, 1) } else { (Kind::Placeholder, 1 + name) }
}

/// Where `needle`, which begins and ends with a dollar sign, is.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(index) = bytes[from..].iter().position(|byte| *byte == b'$') {
        if bytes[from + index..].starts_with(needle) {
            return Some(from + index);
        }
        from += index + 1;
    }
    None
}

/// `%s`, `%b`, `%t` and `%(name)s` of Python's drivers; else a remainder.
fn percent(bytes: &[u8]) -> (Kind, usize) {
    let letter = if at(bytes, 1) == b'(' {
        let name = run(&bytes[2..], |byte| is_word(byte) || byte == b' ' || byte == b'-');
        if at(bytes, 2 + name) == b')' { 3 + name } else { 0 }
    } else {
        1
    };
    if letter > 0 && matches!(at(bytes, letter), b's' | b'b' | b't') && !is_word(at(bytes, letter + 1)) {
        return (Kind::Placeholder, letter + 1);
    }
    (Kind::Symbol, 1)
}

/// Also `0xff`, `1_000`, `1e-5`, and whatever is glued to it: `12abc` is masked as a whole.
fn number(bytes: &[u8]) -> usize {
    let mut is_decimal = true;
    let mut index = 0;
    while index < bytes.len() {
        let byte = bytes[index];
        let is_exponent = is_decimal && matches!(byte, b'e' | b'E');
        if is_exponent && matches!(at(bytes, index + 1), b'+' | b'-') && at(bytes, index + 2).is_ascii_digit()
        {
            index += 2;
            is_decimal = false;
        } else if is_word(byte) {
            is_decimal &= byte.is_ascii_digit() || byte == b'_' || is_exponent;
            index += 1;
        } else if byte == b'.' && at(bytes, index + 1) != b'.' {
            index += 1;
        } else {
            break;
        }
    }
    index.max(1)
}

/// A UUID without quotes, as Cassandra writes it.
fn uuid(bytes: &[u8]) -> Option<usize> {
    const LENGTH: usize = 36;
    let candidate = bytes.get(..LENGTH)?;
    let fits = |(index, byte): (usize, &u8)| match index {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    (candidate.iter().enumerate().all(fits) && !is_word(at(bytes, LENGTH))).then_some(LENGTH)
}
