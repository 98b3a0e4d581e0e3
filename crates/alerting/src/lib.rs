//! What an alert is and what becomes of it: [`Rule`]s and what they find, the [`Life`] of an alert, and who hears of it
//! and who does not ([`Routing`]).
//!
//! Pure functions, without input, output or a clock: jobs read figures, ask here what they mean, and write down the
//! answer in one transaction. The same functions judge stored history, so that a rule can be tried before it is saved.

mod burn_rate;
mod canary;
mod life;
mod matcher;
mod metric;
mod mute;
mod replay;
mod route;
mod rule;
mod settings;
mod severity;
mod timetable;

pub use self::burn_rate::{BurnRate, SloSettings};
pub use self::canary::CANARY;
pub use self::life::{Change, Life, Policy, Status, step};
pub use self::matcher::{Labels, Matcher};
pub use self::metric::{Aggregate, Dimension, Metric, Source};
pub use self::mute::{InhibitSettings, MaintenanceSettings, Muted, Mutes, QuietHoursSettings, Silence};
pub use self::replay::{Incident, Replay, Replayed};
pub use self::route::{Route, RouteSettings, Routing};
pub use self::rule::{Condition, Operator, Outcome, Reading, Rule, RuleSettings, Scope};
pub use self::settings::Settings;
pub use self::severity::Severity;
