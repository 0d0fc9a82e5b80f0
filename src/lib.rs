//! meterd.
pub mod bus;
pub mod clock;
pub mod command;
pub mod config;
pub mod mqtt;
pub mod planner;
pub mod reading;
pub mod schedule;
pub mod simulator;
pub mod store;
pub mod telemetry;
