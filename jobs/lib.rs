//! The jobs: one file each, and this list.
//!
//! To add one, write its file beside these and add two lines here; `docs/ADDING_A_JOB.md` has the steps.

mod alerts;
mod analyze_performance_trends;
mod cgroup;
mod changes;
mod check_performance_thresholds;
mod check_service_health;
mod cleanup_old_performance_data;
mod generate_performance_report;
mod host;
mod measure;
mod message;
mod monitor_system_resources;
mod put_together;
mod reach;
mod read_query_statistics;
mod recovery;
mod report;
mod roll_up_performance_metrics;
mod send_performance_alerts;
mod services;
mod settings;
mod target;
#[cfg(test)]
mod tests_support;
mod trends;
mod watched_database;

use dogwatch_queue::Registry;

pub use self::alerts::{Alerting, Finding, OrderError, ReportError, SCHEDULE_OVERDUE, its_like};
pub use self::analyze_performance_trends::AnalyzePerformanceTrends;
pub use self::changes::Section;
pub use self::check_performance_thresholds::CheckPerformanceThresholds;
pub use self::check_service_health::CheckServiceHealth;
pub use self::cleanup_old_performance_data::{Cleaned, CleanedTable, CleanupOldPerformanceData};
pub use self::generate_performance_report::{GeneratePerformanceReport, Period};
pub use self::host::{HostSampler, host_name};
pub use self::measure::{MeasureError, measure};
pub use self::message::{has_history, test_message};
pub use self::monitor_system_resources::MonitorSystemResources;
pub use self::read_query_statistics::ReadQueryStatistics;
pub use self::report::{Report, ReportQuestion};
pub use self::roll_up_performance_metrics::RollUpPerformanceMetrics;
pub use self::send_performance_alerts::{SendPerformanceAlerts, send_waiting};
pub use self::services::Services;
pub use self::settings::{Settings, Thresholds};
pub use self::target::ServiceTarget;
pub use self::trends::{Analysis, TrendTold, analyze, told};
pub use self::watched_database::WatchedDatabase;

/// Every job, in the order of the alphabet.
pub fn registry() -> Registry<Services> {
    Registry::new()
        .with::<AnalyzePerformanceTrends>()
        .with::<CheckPerformanceThresholds>()
        .with::<CheckServiceHealth>()
        .with::<CleanupOldPerformanceData>()
        .with::<GeneratePerformanceReport>()
        .with::<MonitorSystemResources>()
        .with::<ReadQueryStatistics>()
        .with::<RollUpPerformanceMetrics>()
        .with::<SendPerformanceAlerts>()
}
