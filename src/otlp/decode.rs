//! From bytes to spans, within bounds: of the body as it comes, of what it unpacks to, and of the memory that its parts
//! take. Two bytes of protobuf can stand for an object of hundreds; they are counted before anything is made.

use std::io::Read;

use axum::body::Bytes;
use flate2::bufread::MultiGzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use prost::bytes::Buf;
use prost::encoding::{WireType, decode_key, decode_varint};

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

impl Body {
    pub(crate) fn traces(self, max_bytes: usize) -> Result<ExportTraceServiceRequest, Unreadable> {
        let bytes = if self.is_gzip { unpack(&self.bytes, max_bytes)?.into() } else { self.bytes };
        if bytes.len() > max_bytes {
            return Err(Unreadable::TooLarge { max: max_bytes });
        }
        let max_objects = (bytes.len() / BYTES_FOR_EACH_OBJECT).max(FEW_OBJECTS);
        let has_too_many = match self.format {
            Format::Protobuf => {
                count_protobuf(&bytes, max_objects).map_err(Unreadable::Protobuf)? > max_objects
            }
            Format::Json => bytes.iter().filter(|byte| **byte == b'{').nth(max_objects).is_some(),
        };
        if has_too_many {
            return Err(Unreadable::TooMany { max: max_objects });
        }
        match self.format {
            Format::Protobuf => ExportTraceServiceRequest::decode(bytes).map_err(Unreadable::Protobuf),
            Format::Json => read_json(&bytes).map_err(Unreadable::Json),
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

/// A field that holds messages, and what to count in them.
struct Nested {
    field: u32,
    inside: &'static [Nested],
}

/// Lists in a request: resources, their attributes, scopes, spans, and the lists of a span.
const LISTS: &[Nested] = &[Nested {
    field: 1,
    inside: &[
        Nested { field: 1, inside: &[Nested { field: 1, inside: &[] }] },
        Nested {
            field: 2,
            inside: &[
                Nested { field: 1, inside: &[Nested { field: 3, inside: &[] }] },
                Nested {
                    field: 2,
                    inside: &[
                        Nested { field: 9, inside: &[] },
                        Nested { field: 11, inside: &[Nested { field: 3, inside: &[] }] },
                        Nested { field: 13, inside: &[Nested { field: 4, inside: &[] }] },
                    ],
                },
            ],
        },
    ],
}];

/// How many messages there are in the lists of a request; not counted much further than `most`.
fn count_protobuf(bytes: &[u8], most: usize) -> Result<usize, prost::DecodeError> {
    fn count(
        mut bytes: &[u8],
        lists: &[Nested],
        most: usize,
        found: &mut usize,
    ) -> Result<(), prost::DecodeError> {
        while bytes.has_remaining() && *found <= most {
            let (field, kind) = decode_key(&mut bytes)?;
            let list = lists.iter().find(|list| list.field == field && kind == WireType::LengthDelimited);
            let Some(list) = list else {
                prost::encoding::skip_field(
                    kind,
                    field,
                    &mut bytes,
                    prost::encoding::DecodeContext::default(),
                )?;
                continue;
            };
            let length = usize::try_from(decode_varint(&mut bytes)?).unwrap_or(usize::MAX);
            let Some((inner, rest)) = bytes.split_at_checked(length) else {
                // The decoder says it better.
                return Ok(());
            };
            *found += 1;
            count(inner, list.inside, most, found)?;
            bytes = rest;
        }
        Ok(())
    }
    let mut found = 0;
    count(bytes, LISTS, most, &mut found)?;
    Ok(found)
}

/// JSON as exporters write it, and as people do who leave a list out by writing null.
fn read_json(bytes: &[u8]) -> serde_json::Result<ExportTraceServiceRequest> {
    serde_json::from_slice(bytes).or_else(|error| {
        let mut value: serde_json::Value = serde_json::from_slice(bytes)?;
        drop_nulls(&mut value);
        serde_json::from_value(value).map_err(|_| error)
    })
}

fn drop_nulls(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
