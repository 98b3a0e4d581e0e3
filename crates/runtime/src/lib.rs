//! What every process and crate of Dogwatch needs.

pub mod duration;
pub mod text;
pub mod time;
