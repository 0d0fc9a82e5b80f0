//! meterd reads electricity meters of DL/T 645 and Modbus on RS-485 lines and publishes their readings over MQTT.
//!
//! ```text
//!   meterd.toml · meters.csv
//!        │ config        raw text ─► Plan, every fault at once
//!        ▼
//!   bus   one task a line ◄───────────────────────── command
//!   │  schedule · planner · exchange · port
//!   └──────┬──
//!          ▼ octets of one register
//!   reading        exact decimal, quality, failure by one list of words
//!          ▼
//!   store          readings and outbox in one durable file
//!          ▼
//!   mqtt           publish ─► broker ─ PUBACK ─► forget(seq)
//! ```
//!
//! Readings flow down, receipts and commands flow up; no part calls the part above it. The bus never
//! waits for the network, the network never waits for the bus.
//!
//! Dependencies point one way: `cli ─► daemon ─► bus, mqtt, simulator, telemetry ─► schedule, command,
//! store ─► config, reading, event ─► planner ─► catalogue ─► dlt645, modbus`; [`clock`] stands below all of
//! them. Neither protocol knows the other. Types of rumqttc stay in [`mqtt`], of tokio-serial and tokio-modbus in
//! [`bus`], of rusqlite in [`store`].
//!
//! - [`clock`]: time as a value; the only `now` in the program.
//! - [`planner`]: registers of a meter to the fewest exchanges. Pure.
//! - [`reading`]: what was read, with what quality, or why not. Pure.
//! - [`event`]: what happened and is no reading. Pure.
//! - [`rounds`]: what a slot of a task brought over all buses. Pure.
//! - [`config`]: the configuration, proved.
//! - [`schedule`]: what is due on one bus. Pure.
//! - [`command`]: what may be asked of a bus beside its tasks.
//! - [`store`]: the durable store.
//! - [`report`]: how complete a day is and what was consumed, from what the store knows.
//! - [`telemetry`]: log and counts.
//! - [`bus`]: the task that owns a line, and its ports.
//! - [`mqtt`]: topics, payloads, the session.
//! - [`simulator`]: virtual meters on virtual lines.
//! - [`daemon`]: starts, joins and ends all of these.
//! - [`cli`]: one file a subcommand.

pub mod bus;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod daemon;
pub mod event;
pub mod mqtt;
pub mod planner;
pub mod reading;
pub mod report;
pub mod rounds;
pub mod schedule;
pub mod simulator;
pub mod store;
pub mod telemetry;
