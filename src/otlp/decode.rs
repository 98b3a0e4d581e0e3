//! From bytes to spans, within bounds: of the body as it comes, of what it unpacks to, and of the memory that its parts
//! take. Two bytes of protobuf can stand for an object of hundreds; they are counted before anything is made.

use std::io::Read;

use axum::body::Bytes;
use flate2::bufread::MultiGzDecoder;

use super::message::Traces;
use super::{json, protobuf};

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Protobuf,
    Json,
}

/// A body as it came.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) is_gzip: bool,
    pub(crate) format: Format,
}

/// Why a body cannot be read. It will not be better the next time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error(
        "the body is larger than {max} bytes, unpacked; send smaller batches (OTEL_BSP_MAX_EXPORT_BATCH_SIZE)"
    )]
    TooLarge { max: usize },
    #[error("the body is no gzip: {0}")]
    Gzip(std::io::Error),
    #[error("the body is no ExportTraceServiceRequest in protobuf: {0}")]
    Protobuf(prost::DecodeError),
    #[error("the body is no ExportTraceServiceRequest in JSON: {0}")]
    Json(serde_json::Error),
    #[error("the body holds more than {max} objects; send smaller batches (OTEL_BSP_MAX_EXPORT_BATCH_SIZE)")]
    TooMany { max: usize },
    #[error("a fault on our side; the log says more")]
    Bug,
}

/// Bytes of a body for each object in it, at least. Attributes, the smallest, have some thirty.
const BYTES_FOR_EACH_OBJECT: usize = 12;
/// A small body may have smaller ones.
const FEW_OBJECTS: usize = 10_000;
/// Bytes of JSON for each comma, at least: an attribute, with two of them, has some forty.
const BYTES_FOR_EACH_COMMA: usize = 8;

impl Body {
    pub(super) fn traces(self, max_bytes: usize) -> Result<Traces, Unreadable> {
        let bytes = if self.is_gzip { unpack(&self.bytes, max_bytes)?.into() } else { self.bytes };
        if bytes.len() > max_bytes {
            return Err(Unreadable::TooLarge { max: max_bytes });
        }
        match self.format {
            Format::Protobuf => {
                let max = (bytes.len() / BYTES_FOR_EACH_OBJECT).max(FEW_OBJECTS);
                protobuf::traces(&bytes, max).map_err(|fault| match fault {
                    protobuf::Fault::Malformed(error) => Unreadable::Protobuf(error),
                    protobuf::Fault::TooMany => Unreadable::TooMany { max },
                })
            }
            Format::Json => {
                let max = (bytes.len() / BYTES_FOR_EACH_COMMA).max(FEW_OBJECTS);
                if bytes.iter().filter(|byte| **byte == b',').nth(max).is_some() {
                    return Err(Unreadable::TooMany { max });
                }
                json::traces(&bytes).map_err(Unreadable::Json)
            }
        }
    }
}

fn unpack(bytes: &[u8], max_bytes: usize) -> Result<Vec<u8>, Unreadable> {
    let mut unpacked = Vec::new();
    let limit = max_bytes as u64 + 1;
    MultiGzDecoder::new(bytes).take(limit).read_to_end(&mut unpacked).map_err(Unreadable::Gzip)?;
    if unpacked.len() > max_bytes {
        return Err(Unreadable::TooLarge { max: max_bytes });
    }
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message;
    use serde_json::{Value as Json, json};

    use super::super::message::{Attribute, Span, Value, kind};
    use super::*;

    const MOST: usize = 16 << 20;

    fn read(bytes: Vec<u8>, format: Format) -> Result<Traces, Unreadable> {
        Body { bytes: bytes.into(), is_gzip: false, format }.traces(MOST)
    }

    fn request(spans: &Json) -> Json {
        let name = json!([{"key": "service.name", "value": {"stringValue": "shop"}}]);
        let scopes = json!([{"scope": {"name": "test"}, "spans": spans}]);
        json!({"resourceSpans": [{"resource": {"attributes": name}, "scopeSpans": scopes}]})
    }

    fn span() -> Json {
        json!({
            "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7",
            "parentSpanId": "00f067aa0ba902b8", "name": "GET", "kind": 2,
            "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000012500000",
            "attributes": [
                {"key": "t", "value": {"stringValue": "text"}}, {"key": "b", "value": {"boolValue": true}},
                {"key": "i", "value": {"intValue": "-7"}}, {"key": "d", "value": {"doubleValue": 1.5}},
                {"key": "l", "value": {"arrayValue": {"values": [{"stringValue": "first"}, {"intValue": "2"}]}}},
                {"key": "m", "value": {"kvlistValue": {"values": [{"key": "a", "value": {"boolValue": true}}]}}},
            ],
            "events": [
                {"name": "exception", "attributes": [{"key": "exception.type", "value": {"stringValue": "E"}}]},
                {"name": "other", "attributes": [{"key": "exception.type", "value": {"stringValue": "F"}}]},
            ],
            "status": {"code": 2, "message": "failed"},
        })
    }

    fn spans(traces: &Traces) -> Vec<&Span> {
        traces.resources.iter().flat_map(|resource| &resource.scopes).flat_map(|scope| &scope.spans).collect()
    }

    #[test]
    fn both_formats_come_to_the_same() {
        let json = request(&json!([span()]));
        let message: ExportTraceServiceRequest = serde_json::from_value(json.clone()).unwrap();
        let from_json = read(json.to_string().into_bytes(), Format::Json).unwrap();
        assert_eq!(from_json, read(message.encode_to_vec(), Format::Protobuf).unwrap());
        let [span] = spans(&from_json)[..] else { panic!("{from_json:?}") };
        assert_eq!(
            (span.kind, span.has_failed, span.status_message.as_str()),
            (kind::SERVER, true, "failed")
        );
        let values: Vec<_> = span.attributes.iter().map(|attribute| attribute.value.clone()).collect();
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        let numbers = [Some(Value::Whole(-7)), Some(Value::Fraction(1.5))];
        let [whole, fraction] = numbers;
        assert_eq!(values, [text("text"), Some(Value::Flag(true)), whole, fraction, text("first"), None]);
        assert_eq!(span.exception, [Attribute { key: "exception.type".to_owned(), value: text("E") }]);
        assert_eq!((span.trace_id.len(), span.span_id.len(), span.parent_span_id.len()), (16, 8, 8));
    }

    #[test]
    fn odd_values_in_json_are_absent_or_replaced_and_harm_no_other_span() {
        let odd = [
            (r#"{"arrayValue":{}}"#, None),
            (r#"{"arrayValue":{"values":[null]}}"#, None),
            (r#"{"kvlistValue":{}}"#, None),
            (r#"{"doubleValue":"NaN"}"#, None),
            (r#"{"doubleValue":"-Infinity"}"#, None),
            (r#"{"doubleValue":"1.5"}"#, Some(Value::Fraction(1.5))),
            (r#"{"intValue":18446744073709551616}"#, None),
            (r#"{"intValue":1e21}"#, None),
            (r#"{"intValue":7}"#, Some(Value::Whole(7))),
            (r#"{"stringValue":"cut \ud83d"}"#, Some(Value::Text("cut \u{fffd}\u{fffd}\u{fffd}".to_owned()))),
            (r#"{"stringValue":5}"#, None),
            (r#"{"bytesValue":"a-b_"}"#, None),
            ("5", None),
            ("null", None),
        ];
        for (value, expected) in odd {
            let mut span = span();
            span["attributes"] =
                json!([{"key": "odd", "value": "VALUE"}, {"value": {"intValue": 1}}, null, 5]);
            span["links"] = json!([{"traceId": "a-b_", "spanId": 7}]);
            let json = request(&json!([span, self::span()])).to_string().replace("\"VALUE\"", value);
            let traces = read(json.into_bytes(), Format::Json).unwrap();
            assert_eq!((spans(&traces).len(), traces.unreadable), (2, 0), "{value}");
            let attributes = &spans(&traces)[0].attributes;
            assert_eq!(attributes[..], [Attribute { key: "odd".to_owned(), value: expected }], "{value}");
        }
        // A span that is none.
        let traces = read(request(&json!([span(), 5, null, span()])).to_string().into_bytes(), Format::Json);
        let traces = traces.unwrap();
        assert_eq!((spans(&traces).len(), traces.unreadable), (2, 1), "{}", traces.reason);
        let mut odd = request(&json!([span()]));
        odd["resourceSpans"][0]["resource"]["entityRefs"] = json!([{"type": "service"}]);
        assert_eq!(spans(&read(odd.to_string().into_bytes(), Format::Json).unwrap()).len(), 1);
    }

    #[test]
    fn text_in_protobuf_that_is_not_utf_8_is_replaced_and_a_broken_span_harms_no_other() {
        let json = request(&json!([span(), span()]));
        let message: ExportTraceServiceRequest = serde_json::from_value(json).unwrap();
        let bytes = message.encode_to_vec();
        let position = bytes.windows(4).position(|window| window == b"text").unwrap();
        let mut cut = bytes.clone();
        cut[position + 3] = 0xf0;
        let traces = read(cut, Format::Protobuf).unwrap();
        let value = Some(Value::Text("tex\u{fffd}".to_owned()));
        assert_eq!(spans(&traces)[0].attributes[0].value, value);
        // A length within the first span that goes beyond it.
        let mut broken = bytes.clone();
        broken[position - 1] = 0x7f;
        broken[position - 3] = 0x7f;
        let traces = read(broken, Format::Protobuf).unwrap();
        assert_eq!((spans(&traces).len(), traces.unreadable), (1, 1), "{}", traces.reason);
        assert!(read(bytes[..bytes.len() - 1].to_vec(), Format::Protobuf).is_err());
    }

    #[test]
    fn what_is_not_needed_costs_no_memory_and_very_many_objects_are_refused() {
        // Eight million empty values of a list within an attribute.
        let mut list = Vec::new();
        for _ in 0..8_000_000 {
            list.extend([0x0a, 0x00]);
        }
        let field = |number: u8, inside: &[u8]| {
            let mut bytes = vec![number << 3 | 2];
            prost::encoding::encode_varint(inside.len() as u64, &mut bytes);
            bytes.extend(inside);
            bytes
        };
        let value = field(5, &list);
        let attribute = [field(1, b"k"), field(2, &value)].concat();
        let traces = read(field(1, &field(1, &field(1, &attribute))), Format::Protobuf).unwrap();
        assert_eq!(traces.resources[0].attributes[0].value, None);
        let empty = [0x0a, 0x00].repeat(1_000_000);
        assert!(matches!(
            read(field(1, &field(1, &empty)), Format::Protobuf),
            Err(Unreadable::TooMany { .. })
        ));
        let zeros = format!("{{\"resourceSpans\":[{}0]}}", "0,".repeat(1_000_000));
        assert!(matches!(read(zeros.into_bytes(), Format::Json), Err(Unreadable::TooMany { .. })));
    }
}
