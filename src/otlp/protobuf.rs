//! Reads an export request in protobuf, field by field, and skips what is not needed: whatever it holds costs no memory.
//! Text that is not UTF-8, as when an SDK has cut it within a letter, has U+FFFD in place of the odd bytes.
//! Field numbers: opentelemetry/proto/trace/v1/trace.proto, common/v1/common.proto.

use prost::DecodeError;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::message::{Attribute, EXCEPTION, Resource, STATUS_ERROR, Scope, Span, Traces, Value};

/// How deep a list in a list is looked into.
const MAX_DEPTH: usize = 4;

/// Why nothing can be read.
#[derive(Debug, PartialEq)]
pub(super) enum Fault {
    Malformed(DecodeError),
    /// There are more objects than allowed.
    TooMany,
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

/// A field: its number and value.
enum Field<'a> {
    Number(u32, u64),
    Bytes(u32, &'a [u8]),
    Other,
}

/// The next field; `None` at the end.
fn next<'a>(bytes: &mut &'a [u8]) -> Result<Option<Field<'a>>, DecodeError> {
    if !bytes.has_remaining() {
        return Ok(None);
    }
    let (number, kind) = decode_key(bytes)?;
    let value = *bytes;
    let field = match kind {
        WireType::Varint => Field::Number(number, decode_varint(bytes)?),
        WireType::SixtyFourBit if bytes.remaining() >= 8 => Field::Number(number, bytes.get_u64_le()),
        WireType::LengthDelimited => {
            let length = usize::try_from(decode_varint(bytes)?).unwrap_or(usize::MAX);
            match bytes.split_at_checked(length) {
                Some((inside, rest)) => {
                    *bytes = rest;
                    Field::Bytes(number, inside)
                }
                // It is cut off: the library says so.
                None => {
                    return skip_field(kind, number, &mut { value }, DecodeContext::default()).map(|()| None);
                }
            }
        }
        kind => {
            skip_field(kind, number, bytes, DecodeContext::default())?;
            Field::Other
        }
    };
    Ok(Some(field))
}

/// Counts objects down.
struct Reader {
    left: usize,
    traces: Traces,
}

/// Reads a request of at most so many objects.
pub(super) fn traces(mut bytes: &[u8], max_objects: usize) -> Result<Traces, Fault> {
    let mut reader = Reader { left: max_objects, traces: Traces::default() };
    while let Some(field) = next(&mut bytes)? {
        if let Field::Bytes(1, inside) = field {
            let resource = reader.resource(inside)?;
            reader.traces.resources.push(resource);
        }
    }
    Ok(reader.traces)
}

impl Reader {
    fn count(&mut self) -> Result<(), Fault> {
        self.left = self.left.checked_sub(1).ok_or(Fault::TooMany)?;
        Ok(())
    }

    fn resource(&mut self, mut bytes: &[u8]) -> Result<Resource, Fault> {
        self.count()?;
        let mut resource = Resource::default();
        while let Some(field) = next(&mut bytes)? {
            match field {
                Field::Bytes(1, mut inside) => {
                    while let Some(field) = next(&mut inside)? {
                        if let Field::Bytes(1, attribute) = field {
                            resource.attributes.push(self.attribute(attribute)?);
                        }
                    }
                }
                Field::Bytes(2, inside) => resource.scopes.push(self.scope(inside)?),
                _ => {}
            }
        }
        Ok(resource)
    }

    fn scope(&mut self, mut bytes: &[u8]) -> Result<Scope, Fault> {
        self.count()?;
        let mut scope = Scope::default();
        while let Some(field) = next(&mut bytes)? {
            match field {
                Field::Bytes(1, mut inside) => {
                    while let Some(field) = next(&mut inside)? {
                        if let Field::Bytes(1, name) = field {
                            scope.name = text(name);
                        }
                    }
                }
                Field::Bytes(2, inside) => match self.span(inside) {
                    Ok(span) => scope.spans.push(span),
                    // The others have lengths of their own.
                    Err(Fault::Malformed(error)) => {
                        self.traces.reject(|| format!("a span is not protobuf: {error}"));
                    }
                    Err(Fault::TooMany) => return Err(Fault::TooMany),
                },
                _ => {}
            }
        }
        Ok(scope)
    }

    fn span(&mut self, mut bytes: &[u8]) -> Result<Span, Fault> {
        self.count()?;
        let mut span = Span::default();
        while let Some(field) = next(&mut bytes)? {
            match field {
                Field::Bytes(1, id) => span.trace_id = id.to_vec(),
                Field::Bytes(2, id) => span.span_id = id.to_vec(),
                Field::Bytes(4, id) => span.parent_span_id = id.to_vec(),
                Field::Number(6, kind) => span.kind = kind,
                Field::Number(7, ns) => span.start_ns = ns,
                Field::Number(8, ns) => span.end_ns = ns,
                Field::Bytes(9, attribute) => span.attributes.push(self.attribute(attribute)?),
                Field::Bytes(11, event) => {
                    if let Some(attributes) = self.exception(event)? {
                        span.exception = attributes;
                    }
                }
                Field::Bytes(15, mut status) => {
                    while let Some(field) = next(&mut status)? {
                        match field {
                            Field::Bytes(2, message) => span.status_message = text(message),
                            Field::Number(3, code) => span.has_failed = code == STATUS_ERROR,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(span)
    }

    /// The attributes of an event, when it is an exception.
    fn exception(&mut self, bytes: &[u8]) -> Result<Option<Vec<Attribute>>, Fault> {
        self.count()?;
        let (mut rest, mut is_exception) = (bytes, false);
        while let Some(field) = next(&mut rest)? {
            if let Field::Bytes(2, name) = field {
                is_exception = name == EXCEPTION.as_bytes();
            }
        }
        if !is_exception {
            return Ok(None);
        }
        let (mut rest, mut attributes) = (bytes, Vec::new());
        while let Some(field) = next(&mut rest)? {
            if let Field::Bytes(3, attribute) = field {
                attributes.push(self.attribute(attribute)?);
            }
        }
        Ok(Some(attributes))
    }

    fn attribute(&mut self, mut bytes: &[u8]) -> Result<Attribute, Fault> {
        self.count()?;
        let mut attribute = Attribute { key: String::new(), value: None };
        while let Some(field) = next(&mut bytes)? {
            match field {
                Field::Bytes(1, key) => attribute.key = text(key),
                Field::Bytes(2, inside) => attribute.value = value(inside, 0)?,
                _ => {}
            }
        }
        Ok(attribute)
    }
}

fn value(mut bytes: &[u8], depth: usize) -> Result<Option<Value>, DecodeError> {
    let mut value_ = None;
    while let Some(field) = next(&mut bytes)? {
        value_ = match field {
            Field::Bytes(1, inside) => Some(Value::Text(text(inside))),
            Field::Number(2, flag) => Some(Value::Flag(flag != 0)),
            Field::Number(3, whole) => Some(Value::Whole(whole.cast_signed())),
            Field::Number(4, fraction) => Some(Value::Fraction(f64::from_bits(fraction))),
            Field::Bytes(5, mut list) if depth < MAX_DEPTH => match next(&mut list)? {
                Some(Field::Bytes(1, first)) => value(first, depth + 1)?,
                _ => None,
            },
            _ => None,
        };
    }
    Ok(value_)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
