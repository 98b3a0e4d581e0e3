//! See `src/fuzzing.rs`.

use chrono::DateTime;
use dogwatch_store::TracedBatch;

use super::attributes::Owners;
use super::decode::{Body, Format};
use super::spans::{self, Found};
use crate::fuzzing::variant;

/// Bytes that a body may unpack to.
const MAX_BYTES: usize = 1 << 20;

/// An export: protobuf or JSON, packed or not.
///
/// # Panics
/// When a promise is broken.
pub fn otlp(data: &[u8]) {
    let Some((variant, bytes)) = variant(data, 4) else { return };
    let format = if variant % 2 == 0 { Format::Protobuf } else { Format::Json };
    let body = Body { bytes: bytes.to_vec().into(), is_gzip: variant >= 2, format };
    let Ok(traces) = body.traces(MAX_BYTES) else { return };
    let owners = Owners::new(&["tenant.id".to_owned()], &["user.id".to_owned()]);
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default();
    let found = spans::sort(&traces, &owners, &std::sync::Arc::default(), now);
    let is_text = |text: &str| !text.contains('\0');
    assert!(found.requests.iter().all(|request| is_text(&request.service) && is_text(&request.endpoint)));
    assert!(found.requests.iter().all(|request| request.response_time_ms >= 0.0));
    let Found { requests, calls, .. } = found;
    TracedBatch::new(requests, calls);
}
