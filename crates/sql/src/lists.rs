//! Lists whose length says nothing: `IN (1, 2, 3)`, `ARRAY[1, 2, 3]` and `VALUES (1, 2), (3, 4)` are kept with one
//! element, when the others are like it; so are parts that the same word joins: `a = 1 OR a = 2 OR a = 3`,
//! `WHEN 1 THEN 2 WHEN 3 THEN 4` and `UNION SELECT 1 UNION SELECT 2`. Works while the text is written, so that a list of a megabyte needs no memory.

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

    /// Ends the present element, and takes it back when it is like the one before; says whether it did.
    fn end(&mut self, output: &mut Output) -> bool {
        // What was taken back since may lie before the beginning of this element.
        let Some(present) = output.tokens.get(self.start.tokens..) else { return false };
        match self.kept {
            Some((start, end)) if output.tokens[start.tokens..end.tokens] == *present => {
                output.cut(end);
                true
            }
            _ => {
                self.kept = Some((self.start, output.mark()));
                false
            }
        }
    }
}

/// A word that joins parts which are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joint {
    Or,
    When,
    Union,
}

impl Joint {
    const ALL: [Self; 3] = [Self::Or, Self::When, Self::Union];

    fn of(word: &str) -> Option<Self> {
        match word {
            "or" => Some(Self::Or),
            "when" => Some(Self::When),
            "union" => Some(Self::Union),
            _ => None,
        }
    }

    /// Whether this keyword ends the last part of such a chain.
    fn ends_at(self, word: &str) -> bool {
        match self {
            Self::Or => matches!(
                word,
                "group"
                    | "order"
                    | "having"
                    | "limit"
                    | "offset"
                    | "fetch"
                    | "for"
                    | "returning"
                    | "window"
                    | "union"
                    | "when"
                    | "then"
                    | "else"
                    | "end"
                    | "where"
                    | "set"
                    | "from"
                    | "join"
                    | "left"
                    | "inner"
            ),
            Self::When => matches!(word, "else" | "end"),
            Self::Union => matches!(word, "order" | "limit"),
        }
    }
}

/// The chains of one level, by [`Joint::ALL`].
type Chains = [Option<Elements>; Joint::ALL.len()];

/// The levels that are open.
#[derive(Debug)]
pub(crate) struct Lists {
    levels: Vec<Level>,
    /// Those of the statement, and of each parenthesis that is open.
    chains: Vec<Chains>,
    /// Bytes of tokens before each parenthesis or bracket that is open.
    opened: Vec<usize>,
    /// Open ones beyond [`MAX_DEPTH`].
    deeper: usize,
}

impl Default for Lists {
    fn default() -> Self {
        Self { levels: Vec::new(), chains: vec![Chains::default()], opened: Vec::new(), deeper: 0 }
    }
}

impl Lists {
    /// Before a keyword is written: it may end parts of chains.
    pub(crate) fn before_word(&mut self, word: &str, output: &mut Output) {
        if self.deeper > 0 {
            return;
        }
        let Some(chains) = self.chains.last_mut() else { return };
        for (joint, chain) in Joint::ALL.into_iter().zip(chains) {
            if let Some(elements) = chain
                && (joint.ends_at(word) || Joint::of(word) == Some(joint))
            {
                elements.end(output);
                if joint.ends_at(word) {
                    *chain = None;
                }
            }
        }
    }

    /// After a keyword was written: it may begin a part of a chain.
    pub(crate) fn after_word(&mut self, word: &str, output: &Output) {
        let (0, Some(joint), Some(chains)) = (self.deeper, Joint::of(word), self.chains.last_mut()) else {
            return;
        };
        if let Some(index) = Joint::ALL.iter().position(|known| *known == joint) {
            match &mut chains[index] {
                Some(elements) => elements.start = output.mark(),
                chain => *chain = Some(Elements::begin(output)),
            }
        }
    }

    /// The statement is over; another may follow.
    pub(crate) fn end_statement(&mut self, output: &mut Output) {
        if self.deeper == 0 && self.chains.len() == 1 {
            self.end_chains(output);
            self.chains.push(Chains::default());
        }
    }

    /// Ends the chains of the innermost level.
    fn end_chains(&mut self, output: &mut Output) {
        let mut is_cut = false;
        for mut elements in self.chains.pop().into_iter().flatten().flatten() {
            is_cut |= elements.end(output);
        }
        if is_cut {
            output.text.truncate(output.text.trim_end().len());
        }
    }

    /// An opening parenthesis or bracket has been written.
    pub(crate) fn open(&mut self, is_list: bool, output: &Output) {
        if self.levels.len() >= MAX_DEPTH {
            self.deeper += 1;
            return;
        }
        self.chains.push(Chains::default());
        self.opened.push(output.tokens.len());
        if is_list {
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
            return;
        }
        // More may be closed than was opened.
        if self.opened.pop().is_some() {
            self.end_chains(output);
        }
        if let Some(Level::List(mut elements)) = self.levels.pop() {
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

    /// The text is over, perhaps in the middle of a list. What is open then was cut off by its sender, at a place that the
    /// lengths of literals decide: the fingerprint is that of what stands before.
    pub(crate) fn finish(&mut self, output: &mut Output) {
        let first_open = self.opened.first().copied();
        while !self.chains.is_empty() {
            self.end_chains(output);
        }
        while let Some(level) = self.levels.pop() {
            if let Level::List(mut elements) | Level::Rows(mut elements) = level {
                elements.end(output);
            }
        }
        if let Some(first_open) = first_open.filter(|first| *first <= output.tokens.len()) {
            output.tokens.truncate(first_open);
            output.tokens.push('…');
        }
    }
}
