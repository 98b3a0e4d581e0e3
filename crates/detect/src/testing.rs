//! Noise for tests; `benches/detect/peers/oracles.py` has the same generator.

/// The same numbers from the same seed, evenly distributed from -0.5 to 0.5.
pub(crate) fn pseudo_random(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = (state * 1_103_515_245 + 12_345) % (1 << 31);
        state as f64 / f64::from(1u32 << 31) - 0.5
    };
    (0..count).map(|_| next()).collect()
}

/// Those, each added to the `correlation`th part of the one before.
pub(crate) fn autocorrelated(count: usize, seed: u64, correlation: f64) -> Vec<f64> {
    let mut state = 0.0;
    let follow = |innovation| {
        state = correlation * state + innovation;
        state
    };
    pseudo_random(count, seed).into_iter().map(follow).collect()
}
