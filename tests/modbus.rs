//! Modbus meters beside DL/T 645 meters: one line, one schedule, and no value on the wrong register.
#![allow(clippy::unwrap_used, reason = "what cannot be had fails the test")]

#[path = "modbus/late.rs"]
mod late;
#[path = "modbus/mixed.rs"]
mod mixed;
#[path = "modbus/pace.rs"]
mod pace;
#[path = "modbus/tries.rs"]
mod tries;
