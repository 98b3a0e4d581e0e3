//! Reads an export request in JSON, as exporters write it and as people do. Each span, attribute and event is read by
//! itself: what is odd in one is absent, and harms no other. Half a surrogate pair, which an SDK leaves behind that cuts
//! text within a letter, becomes U+FFFD; a number that no field can hold is absent.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::message::{Attribute, EXCEPTION, Resource, STATUS_ERROR, Scope, Span, Traces, Value};

/// How deep a list in a list is looked into.
const MAX_DEPTH: usize = 4;

/// A list whose items are read one by one; null is an empty one.
type Items<'a> = Option<Vec<&'a RawValue>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonRequest<'a> {
    #[serde(borrow)]
    resource_spans: Items<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonResourceSpans<'a> {
    #[serde(borrow, default)]
    resource: Option<&'a RawValue>,
    #[serde(borrow, default)]
    scope_spans: Items<'a>,
}

#[derive(Deserialize)]
struct JsonResource<'a> {
    #[serde(borrow, default)]
    attributes: Items<'a>,
}

#[derive(Deserialize)]
struct JsonScopeSpans<'a> {
    #[serde(borrow, default)]
    scope: Option<&'a RawValue>,
    #[serde(borrow, default)]
    spans: Items<'a>,
}

#[derive(Deserialize)]
struct JsonScope {
    #[serde(default)]
    name: Scalar,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonSpan<'a> {
    #[serde(default)]
    trace_id: Scalar,
    #[serde(default)]
    span_id: Scalar,
    #[serde(default)]
    parent_span_id: Scalar,
    #[serde(default)]
    kind: Scalar,
    #[serde(default)]
    start_time_unix_nano: Scalar,
    #[serde(default)]
    end_time_unix_nano: Scalar,
    #[serde(borrow, default)]
    attributes: Items<'a>,
    #[serde(borrow, default)]
    events: Items<'a>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct JsonStatus {
    #[serde(default)]
    code: Scalar,
    #[serde(default)]
    message: Scalar,
}

#[derive(Deserialize)]
struct JsonEvent<'a> {
    #[serde(default)]
    name: Scalar,
    #[serde(borrow, default)]
    attributes: Items<'a>,
}

#[derive(Deserialize)]
struct JsonAttribute<'a> {
    #[serde(default)]
    key: Scalar,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct JsonValue<'a> {
    #[serde(default, rename = "stringValue")]
    text: Scalar,
    #[serde(default, rename = "boolValue")]
    flag: Scalar,
    #[serde(default, rename = "intValue")]
    whole: Scalar,
    #[serde(default, rename = "doubleValue")]
    fraction: Scalar,
    #[serde(borrow, default, rename = "arrayValue")]
    list: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct JsonList<'a> {
    #[serde(borrow, default)]
    values: Items<'a>,
}

/// Reads a request. The error is of JSON itself, or of what is around the spans.
pub(super) fn traces(bytes: &[u8]) -> serde_json::Result<Traces> {
    let text = String::from_utf8_lossy(bytes);
    let request: JsonRequest<'_> = serde_json::from_str(&text)?;
    let mut traces = Traces::default();
    for resource_spans in request.resource_spans.into_iter().flatten() {
        let Some(JsonResourceSpans { resource, scope_spans }) = optional(resource_spans)? else { continue };
        let mut into = Resource::default();
        if let Some(JsonResource { attributes: found }) = resource.and_then(lenient) {
            into.attributes = attributes(found);
        }
        for scope_spans in scope_spans.into_iter().flatten() {
            let Some(JsonScopeSpans { scope, spans }) = optional(scope_spans)? else { continue };
            let name = scope.and_then(lenient::<JsonScope>).and_then(|scope| scope.name.text());
            let mut scope = Scope { name: name.unwrap_or_default(), spans: Vec::new() };
            for raw in spans.into_iter().flatten() {
                match optional::<JsonSpan<'_>>(raw) {
                    Ok(Some(json)) => scope.spans.push(span(json)),
                    Ok(None) => {}
                    Err(error) => traces.reject(|| format!("a span cannot be read: {error}")),
                }
            }
            into.scopes.push(scope);
        }
        traces.resources.push(into);
    }
    Ok(traces)
}

/// `None` for null.
fn optional<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> serde_json::Result<Option<T>> {
    serde_json::from_str(raw.get())
}

/// `None` for what is of another form.
fn lenient<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    optional(raw).ok().flatten()
}

fn span(json: JsonSpan<'_>) -> Span {
    let status = json.status.and_then(lenient::<JsonStatus>);
    let has_failed = status.as_ref().is_some_and(|status| {
        status.code.whole() == Some(STATUS_ERROR) || status.code.is("STATUS_CODE_ERROR")
    });
    let mut events = json.events.into_iter().flatten().filter_map(lenient::<JsonEvent<'_>>);
    let exception = events.rfind(|event| event.name.is(EXCEPTION));
    Span {
        trace_id: json.trace_id.hex(),
        span_id: json.span_id.hex(),
        parent_span_id: json.parent_span_id.hex(),
        kind: kind(&json.kind),
        start_ns: json.start_time_unix_nano.whole().unwrap_or_default(),
        end_ns: json.end_time_unix_nano.whole().unwrap_or_default(),
        attributes: attributes(json.attributes),
        exception: exception.map(|event| attributes(event.attributes)).unwrap_or_default(),
        has_failed,
        status_message: status.and_then(|status| status.message.text()).unwrap_or_default(),
    }
}

fn kind(scalar: &Scalar) -> u64 {
    const NAMES: [&str; 6] = [
        "SPAN_KIND_UNSPECIFIED",
        "SPAN_KIND_INTERNAL",
        "SPAN_KIND_SERVER",
        "SPAN_KIND_CLIENT",
        "SPAN_KIND_PRODUCER",
        "SPAN_KIND_CONSUMER",
    ];
    let named = || NAMES.iter().position(|name| scalar.is(name)).map(|kind| kind as u64);
    scalar.whole().or_else(named).unwrap_or_default()
}

fn attributes(items: Items<'_>) -> Vec<Attribute> {
    let read = |json: JsonAttribute<'_>| {
        Some(Attribute { key: json.key.text()?, value: json.value.and_then(|raw| value(raw, 0)) })
    };
    items.into_iter().flatten().filter_map(lenient).filter_map(read).collect()
}

fn value(raw: &RawValue, depth: usize) -> Option<Value> {
    let json: JsonValue<'_> = lenient(raw)?;
    if let Some(list) = json.list.filter(|_| depth < MAX_DEPTH) {
        let JsonList { values } = lenient(list)?;
        return value(values?.first()?, depth + 1);
    }
    let flag = match json.flag {
        Scalar::Flag(flag) => Some(Value::Flag(flag)),
        _ => None,
    };
    let found = json.text.text().map(Value::Text).or(flag);
    let found = found.or_else(|| json.whole.signed().map(Value::Whole));
    found.or_else(|| json.fraction.fraction().map(Value::Fraction))
}

/// A value of JSON that is neither a list nor an object; those are absent.
#[derive(Debug, Default)]
enum Scalar {
    #[default]
    Absent,
    Text(String),
    Flag(bool),
    Whole(u64),
    Negative(i64),
    Fraction(f64),
}

impl Scalar {
    fn is(&self, expected: &str) -> bool {
        matches!(self, Self::Text(text) if text == expected)
    }

    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn whole(&self) -> Option<u64> {
        match self {
            Self::Whole(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            // Some write a time in nanoseconds as a double.
            Self::Fraction(number) if number.fract() == 0.0 => format!("{number:.0}").parse().ok(),
            _ => None,
        }
    }

    fn signed(&self) -> Option<i64> {
        match self {
            Self::Whole(number) => i64::try_from(*number).ok(),
            Self::Negative(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A number that is one: NaN and infinity say nothing.
    fn fraction(&self) -> Option<f64> {
        let number = match self {
            Self::Whole(number) => *number as f64,
            Self::Negative(number) => *number as f64,
            Self::Fraction(number) => *number,
            Self::Text(text) => text.parse().ok()?,
            Self::Flag(_) | Self::Absent => return None,
        };
        number.is_finite().then_some(number)
    }

    /// The bytes of an id; none where it is not hexadecimal.
    fn hex(&self) -> Vec<u8> {
        let Self::Text(text) = self else { return Vec::new() };
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pairs = text.as_bytes().chunks(2);
        let bytes = pairs.map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        });
        bytes.collect::<Option<_>>().unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        let mut json = serde_json::Deserializer::from_str(raw.get());
        // As bytes: half a surrogate pair is no error there.
        let read = if raw.get().starts_with('"') {
            json.deserialize_bytes(ScalarVisitor)
        } else {
            json.deserialize_any(ScalarVisitor)
        };
        Ok(read.unwrap_or_default())
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Scalar, E> {
        Ok(Scalar::Text(String::from_utf8_lossy(bytes).into_owned()))
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Scalar, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Whole(number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Negative(number))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Fraction(number))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Absent)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Scalar, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Absent)
    }
}
