//! What is read of an export request: the fields that become rows, and nothing else. One odd value is absent, one span
//! that cannot be read is rejected, and all else is as it was sent.

/// A request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Traces {
    pub(super) resources: Vec<Resource>,
    /// Spans that could not be read.
    pub(super) unreadable: i64,
    /// Why not the first of them.
    pub(super) reason: String,
}

/// The spans of one service.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Resource {
    pub(super) attributes: Vec<Attribute>,
    pub(super) scopes: Vec<Scope>,
}

/// The spans of one library.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scope {
    pub(super) name: String,
    pub(super) spans: Vec<Span>,
}

#[expect(clippy::struct_field_names, reason = "as in the protocol")]
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Span {
    pub(super) trace_id: Vec<u8>,
    pub(super) span_id: Vec<u8>,
    pub(super) parent_span_id: Vec<u8>,
    /// As in the protocol: see [`kind`].
    pub(super) kind: u64,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) attributes: Vec<Attribute>,
    /// The attributes of the last exception.
    pub(super) exception: Vec<Attribute>,
    pub(super) has_failed: bool,
    pub(super) status_message: String,
}

/// Kinds of spans.
pub(super) mod kind {
    pub(crate) const INTERNAL: u64 = 1;
    pub(crate) const SERVER: u64 = 2;
    pub(crate) const CLIENT: u64 = 3;
}

/// The status of a span that has failed.
pub(super) const STATUS_ERROR: u64 = 2;
/// The name of the event that has an exception.
pub(super) const EXCEPTION: &str = "exception";

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attribute {
    pub(super) key: String,
    /// Absent where it is of a kind that is not read. Of a list, the first value.
    pub(super) value: Option<Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Flag(bool),
    Whole(i64),
    Fraction(f64),
}

impl Traces {
    /// Notes a span that cannot be read.
    pub(super) fn reject(&mut self, reason: impl FnOnce() -> String) {
        if self.unreadable == 0 {
            self.reason = reason();
        }
        self.unreadable += 1;
    }
}
