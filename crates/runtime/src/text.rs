//! Text from outside, made safe where it leaves: on a terminal, in the log, in a message. What a reader or a terminal takes
//! for more than a letter is shown as an escape.

use std::borrow::Cow;

/// Whether it is more than a letter: codes that move a cursor or set a title, and marks that turn the direction of writing.
/// Newlines and tabs are not among them.
pub fn is_odd(c: char) -> bool {
    const MARKS: [char; 5] = ['\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}'];
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || MARKS.contains(&c)
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

/// A text with its odd characters shown as escapes.
pub fn visible(text: &str) -> Cow<'_, str> {
    shown(text, is_odd)
}

/// The same in one line: newlines and tabs are shown as escapes too.
pub fn visible_line(text: &str) -> Cow<'_, str> {
    shown(text, |c| is_odd(c) || matches!(c, '\n' | '\t'))
}

fn shown(text: &str, is_shown: impl Fn(char) -> bool + Copy) -> Cow<'_, str> {
    if !text.contains(is_shown) {
        return Cow::Borrowed(text);
    }
    let show = |c: char| match c {
        c if !is_shown(c) => c.to_string(),
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        c => c.escape_unicode().to_string(),
    };
    Cow::Owned(text.chars().map(show).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_than_a_letter_is_shown() {
        for (text, expected) in [
            ("Grüße 🙂\n\tx", "Grüße 🙂\n\tx"),
            ("a\u{1b}[2Jb\r", "a\\u{1b}[2Jb\\u{d}"),
            ("\u{202e}gnp.exe", "\\u{202e}gnp.exe"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
        ] {
            assert_eq!(visible(text), expected);
        }
        assert_eq!(visible_line("a\nINFO b\t"), "a\\nINFO b\\t");
        assert!(matches!(visible_line("plain"), Cow::Borrowed(_)));
    }
}
