//! The configuration: what is written, what is proved, and every fault between the two.
//!
//! [`load`] reads `meterd.toml` and the archives it names, collects every fault with its file, line
//! and column, and gives a [`Plan`] only if there is none. It opens no port, asks no broker and
//! writes nothing.

mod air;
mod archive;
mod bus;
mod dial_in;
mod every;
mod fault;
mod findings;
mod gateway;
mod keys;
mod load;
mod meter;
mod mqtt;
mod packet;
mod pattern;
mod plan;
mod profile;
mod raw;
mod registers;
mod shift;
mod syntax;
mod task;

pub use air::{BusLoad, TaskLoad, air_time, percent, tenths};
pub use every::{BadTime, short};
pub use fault::{Fault, Faults, Place};
pub use load::{Loaded, load, plan_from_text};
pub use packet::{BadPacket, Packet, hex, written};
pub use plan::*;
pub use profile::{BadProfile, profile};
pub use shift::{BusFate, Same, Shift};
