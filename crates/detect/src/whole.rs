//! Whole numbers of floating-point ones.

/// An index or a count, rounded down; 0 of what is negative or no number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is what is meant"
)]
pub(crate) fn whole(value: f64) -> usize {
    value as usize
}

/// Seconds, rounded towards 0.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is what is meant")]
pub(crate) fn whole_seconds(value: f64) -> i64 {
    value as i64
}
