//! The trace that a job belongs to, as W3C Trace Context writes it (<https://www.w3.org/TR/trace-context/>): whoever enqueues a
//! job hands on theirs, and it stands in each line that is logged while the job runs, its SQL included. A job that was handed
//! none has one of its own, made of its identity: all of its attempts share it, and it costs nothing to keep.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: u128,
    parent_id: u64,
    flags: u8,
}

/// Others may read that somebody keeps this trace.
const SAMPLED: u8 = 1;

impl TraceContext {
    /// The beginning of a trace.
    pub fn random() -> Self {
        Self { trace_id: rand::random::<u128>().max(1), parent_id: rand::random::<u64>().max(1), flags: 0 }
    }

    /// That of a job which was handed none.
    pub(crate) fn of_job(id: &str) -> Self {
        let of_name = || Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes());
        let trace_id = Uuid::parse_str(id).unwrap_or_else(|_| of_name()).as_u128().max(1);
        #[expect(clippy::cast_possible_truncation, reason = "half of it is enough to tell jobs apart")]
        let parent_id = (trace_id as u64).max(1);
        Self { trace_id, parent_id, flags: 0 }
    }

    /// What all parts of the trace share.
    pub fn trace_id(&self) -> TraceId {
        TraceId(self.trace_id)
    }
}

/// What all parts of a trace share: 32 digits, which are made when somebody reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for TraceContext {
    type Err = String;

    /// Reads a `traceparent`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no traceparent; write one such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            )
        };
        let is_hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let parts: Vec<&str> = text.split('-').collect();
        let [version, trace_id, parent_id, flags, ..] = parts[..] else { return Err(wrong()) };
        let lengths = [version.len(), trace_id.len(), parent_id.len(), flags.len()];
        // A later version may have more behind it, and 255 is none.
        let is_version = version != "ff" && (version != "00" || parts.len() == 4);
        if lengths != [2, 32, 16, 2] || !is_version || !parts[..4].iter().all(|part| is_hex(part)) {
            return Err(wrong());
        }
        let trace_id = u128::from_str_radix(trace_id, 16).map_err(|_| wrong())?;
        let parent_id = u64::from_str_radix(parent_id, 16).map_err(|_| wrong())?;
        if trace_id == 0 || parent_id == 0 {
            return Err(wrong());
        }
        let flags = u8::from_str_radix(flags, 16).map_err(|_| wrong())? & SAMPLED;
        Ok(Self { trace_id, parent_id, flags })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.parent_id, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_it_was_written() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context: TraceContext = text.parse().unwrap();
        assert_eq!(context.to_string(), text);
        assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let later = "42-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
        assert_eq!(later.parse::<TraceContext>().unwrap(), context);
        let random = TraceContext::random();
        assert_eq!(random.to_string().parse(), Ok(random));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert!(text.parse::<TraceContext>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_job_that_was_handed_none_has_always_the_same() {
        assert_eq!(TraceContext::of_job("a"), TraceContext::of_job("a"));
        let id = "01a216a1-4f02-747a-8328-3fbfae6cba18";
        assert_eq!(TraceContext::of_job(id).trace_id().to_string(), id.replace('-', ""));
    }
}
