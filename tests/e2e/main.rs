//! The real program, real servers, real processes that are killed: a module per promise.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod alert_resources;
mod alerting;
mod api;
mod backtest;
mod command_line;
mod crash;
mod dashboard;
mod database_spans;
mod delivery;
mod documentation;
mod elsewhere;
mod exposition;
mod first_run;
mod health;
mod identity;
mod idle_connections;
mod instrumented_apps;
mod keys;
mod mail;
mod openapi;
mod operations;
mod otlp;
mod outbox;
mod peers;
mod query_statistics;
mod redis_refuses;
mod redis_server;
mod schedule_books;
mod settings;
mod sockets;
mod support;
mod topologies;
mod tower;
mod traces;
mod trends;
mod watchdog;
mod windows;
