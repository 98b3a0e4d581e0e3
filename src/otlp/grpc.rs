//! OTLP over gRPC, which is what Python's distribution of OpenTelemetry sends unless it is told otherwise. The message is
//! taken as bytes: [`super::decode`] looks at it before anything is made of it.

use std::future::{Ready, ready};
use std::pin::Pin;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Request, Response};
use prost::Message;
use prost::bytes::{Buf, BufMut};
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::decode::{self, Format};
use super::fault::Fault;
use super::{Receiver, response};
use crate::access::Caller;

/// What of the traces service is called.
pub(super) const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Sent by the same exporters to the same address; see [`super::http`].
pub(super) const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
pub(super) const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

pub(super) async fn traces(
    State(receiver): State<Receiver>,
    request: Request<Body>,
) -> Response<tonic::body::Body> {
    grpc(&receiver).unary(Traces(receiver.clone()), request).await
}

/// The answer to what is not kept: an empty message, which says that all is well.
pub(super) async fn not_kept(
    State(receiver): State<Receiver>,
    request: Request<Body>,
) -> Response<tonic::body::Body> {
    receiver.refusals.count_ignored();
    grpc(&receiver).unary(NotKept, request).await
}

fn grpc(receiver: &Receiver) -> Grpc<BytesCodec> {
    Grpc::new(BytesCodec)
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(receiver.max_body_bytes)
}

struct Traces(Receiver);

impl UnaryService<Bytes> for Traces {
    type Response = Vec<u8>;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Vec<u8>>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let receiver = self.0.clone();
        Box::pin(async move {
            let (_, extensions, bytes) = request.into_parts();
            // It comes unpacked.
            let body = decode::Body { bytes, is_gzip: false, format: Format::Protobuf };
            let taken = receiver.take_traces(body, extensions.get::<Caller>()).await;
            let taken = taken.map_err(|refused| status(receiver.refuse(refused.into())))?;
            Ok(tonic::Response::new(response(taken).encode_to_vec()))
        })
    }
}

struct NotKept;

impl UnaryService<Bytes> for NotKept {
    type Response = Vec<u8>;
    type Future = Ready<Result<tonic::Response<Vec<u8>>, Status>>;

    fn call(&mut self, _: tonic::Request<Bytes>) -> Self::Future {
        ready(Ok(tonic::Response::new(Vec::new())))
    }
}

/// An exporter comes again after `RESOURCE_EXHAUSTED` only when it is told when.
pub(super) fn status(fault: Fault) -> Status {
    let code = Code::from_i32(fault.code);
    match fault.retry_after {
        Some(pause) => {
            Status::with_error_details(code, fault.message, ErrorDetails::with_retry_info(Some(pause)))
        }
        None => Status::new(code, fault.message),
    }
}

/// Messages as bytes.
#[derive(Clone, Copy)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for BytesCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
