//! The real program, real servers, real processes that are killed: a module per promise.

mod alerting;
mod api;
mod command_line;
mod crash;
mod first_run;
mod support;
