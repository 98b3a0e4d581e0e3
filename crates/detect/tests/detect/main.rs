//! Tests of what the crate says, on series made from a seed.

mod anomaly;
mod change;
mod common;
mod oracles;
mod robustness;
mod trend;
mod weekly;
