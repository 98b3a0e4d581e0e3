//! Tests of what the crate says, on series made from a seed.

mod anomaly;
mod change;
mod common;
#[path = "../../src/testing.rs"]
mod noise;
mod oracles;
mod robustness;
mod trend;
mod weekly;
