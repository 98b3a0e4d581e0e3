//! Places in lists of groups, such as endpoints and queries, which stand in the order of a value: the largest first. A page
//! begins behind the place where the one before ended, so that groups that come or go elsewhere shift nothing.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A place in such a list, behind a group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GroupCursor {
    value: f64,
    /// Of groups with the same value.
    key: u64,
}

impl GroupCursor {
    pub(crate) fn new(value: f64, key: u64) -> Self {
        Self { value, key }
    }

    /// As places stand in the list.
    pub fn compare(self, other: Self) -> Ordering {
        other.value.total_cmp(&self.value).then(other.key.cmp(&self.key))
    }

    /// Whether this place comes after the other.
    pub fn is_behind(self, other: Self) -> bool {
        self.compare(other) == Ordering::Greater
    }
}

impl fmt::Display for GroupCursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:x}-{:x}", self.value.to_bits(), self.key)
    }
}

impl FromStr for GroupCursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| u64::from_str_radix(part, 16).ok();
        let parts = text.split_once('-').and_then(|(value, key)| Some((number(value)?, number(key)?)));
        let (value, key) = parts
            .ok_or_else(|| format!("`{text}` is no cursor; write the next_cursor of the page before"))?;
        Ok(Self { value: f64::from_bits(value), key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written_and_stands_behind_larger_ones() {
        let place = GroupCursor::new(0.1 + 0.2, u64::MAX);
        assert_eq!(place.to_string().parse(), Ok(place));
        for wrong in ["", "1", "x-1", "1-2-3", "-"] {
            assert!(wrong.parse::<GroupCursor>().is_err(), "{wrong}");
        }
        assert!(GroupCursor::new(1.0, 5).is_behind(GroupCursor::new(2.0, 1)));
        assert!(GroupCursor::new(1.0, 5).is_behind(GroupCursor::new(1.0, 6)));
        assert!(!place.is_behind(place));
    }
}
