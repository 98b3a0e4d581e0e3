//! What has changed, what is where it never is, and what will meet its limit: the parts of `analyze_performance_trends`.
//!
//! `collect` reads the figures of each step of five minutes into the past of each series; `watch` lets a detector look at
//! each new one; `judge` compares a whole past and says what becomes of findings; `cause` asks what a change comes from and
//! which belong together; `words` says it in a sentence. All decisions about figures are `dogwatch-detect`'s.

mod cause;
mod collect;
mod figure;
mod judge;
mod run;
mod watch;
mod words;

pub use self::run::{Analysis, analyze};
pub use self::words::{TrendTold, told};
