//! The queue's promises, each on a real Redis: a namespace of its own, or an instance of its own to be killed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod connections;
mod control;
mod daylight;
mod daylight_table;
mod dead_letters;
mod debian_cron;

mod delivery;
mod drains;
mod identity;
mod leases;
mod limits;
mod order;
mod other_producers;
mod reconciler;
mod redis_faults;
mod replies;
mod results;
mod retries;
mod schedule_books;
mod schedule_changes;
mod schedule_clock;
mod schedule_upgrades;
mod scheduling;
mod support;
mod unfinished_scripts;
mod uniqueness;
mod unknown_jobs;
