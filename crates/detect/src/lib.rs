//! Tells whether figures have changed. Pure functions: no I/O, no clock, no async.
//!
//! How unusual each point of a stream is ([`Detector`]), lasting shifts of a series' level ([`change_points`]), its slow
//! trend ([`trend()`]), when that meets a limit ([`time_until`]), and which shifts belong together ([`groups`]).

mod anomaly;
mod change;
mod confirm;
mod forecast;
mod group;
mod levels;
mod mann_kendall;
mod noise;
mod robust;
mod scale;
mod season;
mod segment;
mod series;
#[cfg(test)]
mod testing;
mod trend;
mod weekly;
mod whole;

pub use self::anomaly::{ALERT_SCORE, Detector, alert_score};
pub use self::change::{ChangePoint, ChangeSettings, Direction, change_points, newest_open};
pub use self::forecast::{Forecast, time_until};
pub use self::group::{Group, Member, groups};
pub use self::robust::median;
pub use self::scale::Scale;
pub use self::series::Point;
pub use self::trend::{Trend, trend};
pub use self::weekly::was_so_last_week;
