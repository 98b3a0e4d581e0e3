//! A series in a few characters.

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A block for each value, from the least to the greatest; a space where there is none. Zero is the ground when no value
/// is below it.
pub fn sparkline(values: &[Option<f64>]) -> String {
    let known = || values.iter().flatten().copied().filter(|value| value.is_finite());
    let most = known().fold(f64::NEG_INFINITY, f64::max);
    let least = known().fold(0.0_f64, f64::min);
    let block = |value: &Option<f64>| {
        let Some(value) = value.filter(|value| value.is_finite()) else { return ' ' };
        let part = if most > least { (value - least) / (most - least) } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 7")]
        let index = (part * 7.0).round() as usize;
        BLOCKS[index.min(7)]
    };
    values.iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_blocks_from_zero_to_the_greatest() {
        assert_eq!(sparkline(&[Some(0.0), Some(3.5), None, Some(7.0)]), "▁▅ █");
        assert_eq!(sparkline(&[Some(0.0), Some(0.0)]), "▁▁");
        assert_eq!(sparkline(&[Some(f64::NAN), Some(1.0)]), " █");
        assert_eq!(sparkline(&[]), "");
    }
}
