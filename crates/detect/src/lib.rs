//! Tells whether figures have changed. Pure functions: no I/O, no clock, no async.

mod shift;

pub use self::shift::{Sample, Shift, shift};
