//! What a rule can be about: figures that are stored, by what they can be told apart, and how many become one.

use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::{Deserialize, Serialize};

/// A figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Requests that failed, in percent.
    ErrorRate,
    /// How long requests took.
    ResponseTimeMs,
    /// Requests a minute.
    RequestRate,
    /// CPU of a host, in percent of what it may use.
    CpuPercent,
    /// Memory of a host.
    MemoryPercent,
    /// How full a disk is.
    DiskPercent,
    /// How a checked service is: 0 healthy, 1 degraded, 2 unhealthy.
    ServiceHealth,
    /// How long calls of a query took.
    QueryTimeMs,
    /// Calls of a query a minute.
    QueryRate,
    /// Jobs that wait in a queue.
    QueueReady,
    /// How long the oldest of them waits.
    QueueOldestReadyMs,
    /// Dead letters of a queue.
    QueueDead,
    /// How much a figure has changed for the worse, in percent, as trend analysis found.
    TrendChangePercent,
    /// How long until a disk or a memory is full, as trend analysis foresees.
    LimitInHours,
    /// Goes up and down by the clock, to try the way from a rule to a channel.
    Canary,
}

/// Where figures are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Rollups of requests.
    Requests,
    /// Rollups of queries.
    Queries,
    /// Samples of hosts.
    Hosts,
    /// Samples of disks.
    Disks,
    /// How services are.
    Services,
    /// The queues in Redis, as they are.
    Queues,
    /// What trend analysis found.
    Trends,
    /// The clock.
    Clock,
}

/// How many values become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// Arithmetic mean.
    Mean,
    /// Median.
    P50,
    /// 90th percentile.
    P90,
    /// 95th percentile.
    P95,
    /// 99th percentile.
    P99,
    /// The greatest.
    Max,
}

/// By what figures are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Whose requests.
    Tenant,
    /// The service.
    Service,
    /// Method and route.
    Endpoint,
    /// The machine.
    Host,
    /// Where a disk is mounted.
    Mount,
    /// A query's fingerprint.
    Query,
    /// A queue of ours.
    Queue,
}

impl Metric {
    /// The figure of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        let word: StrDeserializer<'_, ValueError> = word.into_deserializer();
        Self::deserialize(word).ok()
    }

    /// The word in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ErrorRate => "error_rate",
            Self::ResponseTimeMs => "response_time_ms",
            Self::RequestRate => "request_rate",
            Self::CpuPercent => "cpu_percent",
            Self::MemoryPercent => "memory_percent",
            Self::DiskPercent => "disk_percent",
            Self::ServiceHealth => "service_health",
            Self::QueryTimeMs => "query_time_ms",
            Self::QueryRate => "query_rate",
            Self::QueueReady => "queue_ready",
            Self::QueueOldestReadyMs => "queue_oldest_ready_ms",
            Self::QueueDead => "queue_dead",
            Self::TrendChangePercent => "trend_change_percent",
            Self::LimitInHours => "limit_in_hours",
            Self::Canary => "canary",
        }
    }

    /// Where it is read from.
    pub fn source(self) -> Source {
        match self {
            Self::ErrorRate | Self::ResponseTimeMs | Self::RequestRate => Source::Requests,
            Self::QueryTimeMs | Self::QueryRate => Source::Queries,
            Self::CpuPercent | Self::MemoryPercent => Source::Hosts,
            Self::DiskPercent => Source::Disks,
            Self::ServiceHealth => Source::Services,
            Self::QueueReady | Self::QueueOldestReadyMs | Self::QueueDead => Source::Queues,
            Self::TrendChangePercent | Self::LimitInHours => Source::Trends,
            Self::Canary => Source::Clock,
        }
    }

    /// For people, behind a value; empty for a plain number.
    pub fn unit(self) -> &'static str {
        match self {
            Self::ErrorRate
            | Self::CpuPercent
            | Self::MemoryPercent
            | Self::DiskPercent
            | Self::TrendChangePercent => "%",
            Self::ResponseTimeMs | Self::QueryTimeMs | Self::QueueOldestReadyMs => "ms",
            Self::RequestRate | Self::QueryRate => "/min",
            Self::LimitInHours => "h",
            Self::ServiceHealth | Self::QueueReady | Self::QueueDead | Self::Canary => "",
        }
    }

    /// What it is called.
    pub fn words(self) -> &'static str {
        match self {
            Self::ErrorRate => "error rate",
            Self::ResponseTimeMs => "response time",
            Self::RequestRate => "requests",
            Self::CpuPercent => "CPU",
            Self::MemoryPercent => "memory",
            Self::DiskPercent => "disk",
            Self::ServiceHealth => "health",
            Self::QueryTimeMs => "query time",
            Self::QueryRate => "calls of a query",
            Self::QueueReady => "jobs wait",
            Self::QueueOldestReadyMs => "oldest waiting job",
            Self::QueueDead => "dead letters",
            Self::TrendChangePercent => "worse than before",
            Self::LimitInHours => "full in",
            Self::Canary => "canary",
        }
    }

    /// How many values become one; the first where nothing is said. Empty: it is one value.
    pub fn aggregates(self) -> &'static [Aggregate] {
        match self {
            Self::ResponseTimeMs | Self::QueryTimeMs => &[
                Aggregate::P95,
                Aggregate::Mean,
                Aggregate::P50,
                Aggregate::P90,
                Aggregate::P99,
                Aggregate::Max,
            ],
            Self::CpuPercent => &[Aggregate::Mean, Aggregate::Max],
            Self::MemoryPercent => &[Aggregate::Mean],
            _ => &[],
        }
    }
}

impl Source {
    /// By what its figures can be told apart.
    pub fn dimensions(self) -> &'static [Dimension] {
        match self {
            Self::Requests => &[Dimension::Tenant, Dimension::Service, Dimension::Endpoint],
            Self::Queries => &[Dimension::Service, Dimension::Query],
            Self::Hosts => &[Dimension::Host],
            Self::Disks => &[Dimension::Host, Dimension::Mount],
            Self::Services => &[Dimension::Service],
            Self::Queues => &[Dimension::Queue],
            Self::Trends => &[
                Dimension::Service,
                Dimension::Endpoint,
                Dimension::Query,
                Dimension::Host,
                Dimension::Mount,
            ],
            Self::Clock => &[],
        }
    }

    /// Whether rows of it can be told apart by fewer than all. Others are one figure each.
    pub fn adds_up(self) -> bool {
        matches!(self, Self::Requests | Self::Queries)
    }

    /// By what they are where nothing is said.
    pub fn default_dimensions(self) -> &'static [Dimension] {
        match self {
            Self::Requests => &[Dimension::Service],
            other => other.dimensions(),
        }
    }
}

impl Aggregate {
    /// The word in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Max => "max",
        }
    }
}

impl Dimension {
    /// The word in settings and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Service => "service",
            Self::Endpoint => "endpoint",
            Self::Host => "host",
            Self::Mount => "mount",
            Self::Query => "query",
            Self::Queue => "queue",
        }
    }
}
