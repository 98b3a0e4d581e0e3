//! Lists whose length says nothing: `IN (1, 2, 3)`, `ARRAY[1, 2, 3]` and `VALUES (1, 2), (3, 4)` are kept with one
//! element, when the others are like it. Works while the text is written, so that a list of a megabyte needs no memory.

/// What has been written: the text for people, and the tokens that the fingerprint is made of.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) text: String,
    pub(crate) tokens: String,
}

/// A place in the output.
#[derive(Clone, Copy, Debug)]
struct Mark {
    text: usize,
    tokens: usize,
}

impl Output {
    fn mark(&self) -> Mark {
        Mark { text: self.text.len(), tokens: self.tokens.len() }
    }

    fn cut(&mut self, mark: Mark) {
        self.text.truncate(mark.text);
        self.tokens.truncate(mark.tokens);
    }
}

/// Levels that are looked at. What is deeper is written as it is.
const MAX_DEPTH: usize = 200;

#[derive(Debug)]
enum Level {
    /// In parentheses or brackets, but no list of ours.
    Plain,
    /// `IN (…)` or `[…]`: elements have commas between them.
    List(Elements),
    /// Behind `VALUES`: elements are in parentheses.
    Rows(Elements),
}

#[derive(Debug)]
struct Elements {
    /// Where the present element begins.
    start: Mark,
    /// The last that was kept: its beginning and its end.
    kept: Option<(Mark, Mark)>,
}

impl Elements {
    fn begin(output: &Output) -> Self {
        Self { start: output.mark(), kept: None }
    }

    /// Ends the present element, and takes it back when it is like the one before.
    fn end(&mut self, output: &mut Output) {
        let present = &output.tokens[self.start.tokens..];
        match self.kept {
            Some((start, end)) if output.tokens[start.tokens..end.tokens] == *present => output.cut(end),
            _ => self.kept = Some((self.start, output.mark())),
        }
    }
}

/// The levels that are open.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    levels: Vec<Level>,
    /// Open ones beyond [`MAX_DEPTH`].
    deeper: usize,
}

impl Lists {
    /// An opening parenthesis or bracket has been written.
    pub(crate) fn open(&mut self, is_list: bool, output: &Output) {
        if self.levels.len() >= MAX_DEPTH {
            self.deeper += 1;
        } else if is_list {
            self.levels.push(Level::List(Elements::begin(output)));
        } else {
            self.levels.push(Level::Plain);
        }
    }

    /// `VALUES` has been written.
    pub(crate) fn open_rows(&mut self, output: &Output) {
        if self.levels.len() < MAX_DEPTH {
            self.levels.push(Level::Rows(Elements::begin(output)));
        }
    }

    /// The list turns out to be a subquery.
    pub(crate) fn is_no_list(&mut self, output: &Output) {
        if let (0, Some(level @ Level::List(_))) = (self.deeper, self.levels.last_mut())
            && let Level::List(elements) = level
            && elements.kept.is_none()
            && elements.start.tokens == output.tokens.len()
        {
            *level = Level::Plain;
        }
    }

    /// Before a comma is written.
    pub(crate) fn comma(&mut self, output: &mut Output) {
        if let (0, Some(Level::List(elements))) = (self.deeper, self.levels.last_mut()) {
            elements.end(output);
        }
    }

    /// After a comma has been written.
    pub(crate) fn after_comma(&mut self, output: &Output) {
        if let (0, Some(Level::List(elements) | Level::Rows(elements))) =
            (self.deeper, self.levels.last_mut())
        {
            elements.start = output.mark();
        }
    }

    /// Before a closing parenthesis or bracket is written.
    pub(crate) fn close(&mut self, output: &mut Output) {
        if self.deeper > 0 {
            self.deeper -= 1;
        } else if let Some(Level::List(mut elements)) = self.levels.pop() {
            elements.end(output);
        }
    }

    /// After a closing parenthesis has been written.
    pub(crate) fn after_close(&mut self, output: &mut Output) {
        if let (0, Some(Level::Rows(elements))) = (self.deeper, self.levels.last_mut()) {
            elements.end(output);
        }
    }

    /// Before anything else than a comma, an opening parenthesis or `ROW` is written: rows are over.
    pub(crate) fn end_rows(&mut self) {
        if let (0, Some(Level::Rows(_))) = (self.deeper, self.levels.last()) {
            self.levels.pop();
        }
    }

    /// The text is over, perhaps in the middle of a list.
    pub(crate) fn finish(&mut self, output: &mut Output) {
        while let Some(level) = self.levels.pop() {
            if let Level::List(mut elements) | Level::Rows(mut elements) = level {
                // What inner levels have taken back may lie before the beginning of this element.
                if elements.start.tokens <= output.tokens.len() {
                    elements.end(output);
                }
            }
        }
    }
}
