//! How many messages a channel takes in a time, such as `30/1h`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

/// How many messages in which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// So many …
    pub count: u32,
    /// … in this time.
    pub per: Duration,
}

impl Limit {
    /// Thirty an hour: more than a person reads.
    pub(crate) fn usual() -> Self {
        Self { count: 30, per: Duration::from_hours(1) }
    }

    fn parse(text: &str) -> Option<Self> {
        let (count, per) = text.split_once('/')?;
        let count = count.trim().parse().ok().filter(|count| *count > 0)?;
        let per = dogwatch_runtime::duration::parse(per).ok()?;
        (per >= Duration::from_secs(1) && per <= Duration::from_hours(24)).then_some(Self { count, per })
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        let text = String::deserialize(value)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is no limit; write messages and a time up to 24h, such as \"30/1h\""
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_in_a_time() {
        assert_eq!(Limit::parse("30/1h"), Some(Limit::usual()));
        assert_eq!(Limit::parse("2 / 30s"), Some(Limit { count: 2, per: Duration::from_secs(30) }));
        for text in ["", "30", "0/1h", "5/0s", "5/48h", "x/1h", "5/soon"] {
            assert_eq!(Limit::parse(text), None, "{text}");
        }
    }
}
