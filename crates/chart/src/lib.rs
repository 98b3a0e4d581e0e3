//! Small charts, drawn here: as SVG for pages, as PNG for mail programs, as a row of blocks for terminals.
//!
//! A PNG has no text: fonts differ, and a mail says beside the picture what it shows. Pure functions, no I/O.

mod line;
mod marked;
mod picture;
mod sparkline;

pub use self::line::{LineChart, Point};
pub use self::marked::{MarkedChart, ScoredPoint};
pub use self::sparkline::sparkline;
