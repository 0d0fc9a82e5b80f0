//! meterd.
pub mod bus;
pub mod cli;
pub mod clock;
pub mod config;
pub mod mqtt;
pub mod planner;
pub mod reading;
pub mod simulator;
pub mod store;
