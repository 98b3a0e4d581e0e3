//! Everything of Dogwatch that faces a person or a process: command line, HTTP API, configuration, life and death.
//!
//! The work is done in the crates below: `dogwatch-queue` (jobs in Redis), `dogwatch-store` (Postgres),
//! `dogwatch-jobs` (one file per job), `dogwatch-notify` (channels), `dogwatch-detect` (has a figure changed).
//! A library beside the binary, so that tests can build the router in process.

pub mod access;
pub mod alerts;
pub mod api;
pub mod audit;
pub mod backtest;
pub mod body_budget;
pub mod cli;
pub mod config;
mod database_clock;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod lifecycle;
pub mod metrics;
pub mod otlp;
pub mod relay;
pub mod schedules;
pub mod services;
pub mod telemetry;
pub mod trends;
pub mod tuning;
pub mod watchdog;
pub mod wiring;
