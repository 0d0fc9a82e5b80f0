//! The configuration: what is written, what is proved, and every fault between the two.
//!
//! [`load`] reads `meterd.toml` and the archives it names, collects every fault with its file, line
//! and column, and gives a [`Plan`] only if there is none. It opens no port, asks no broker and
//! writes nothing.

mod access;
mod air;
mod archive;
mod bus;
mod commands;
mod date;
mod dial_in;
mod every;
mod exchange;
mod fault;
mod file;
mod findings;
mod gateway;
mod groups;
mod keys;
mod load;
mod meter;
mod mqtt;
mod packet;
mod pattern;
mod plan;
mod point;
mod profile;
mod protocol;
mod quiet;
mod ratio;
mod raw;
mod registers;
mod sent;
mod shift;
mod store;
mod syntax;
mod task;
mod when;

pub(crate) use access::CREDENTIALS;
pub use access::{ClientFiles, Login, PasswordAt, Tls};
pub use air::{BusLoad, TaskLoad, air_time, percent, tenths};
pub(crate) use every::written as period;
pub use every::{BadTime, short};
pub use exchange::{Exchange, Joint, NoConsumption, Shown};
pub use fault::{Fault, Faults, Place};
pub use load::{Loaded, load, load_with, plan_from_text};
pub(crate) use mqtt::{Address as BrokerAddress, broker};
pub use packet::{BadPacket, Packet, hex, written};
pub use pattern::fits;
pub use plan::*;
pub use point::{BadCapacity, BadDigits, Capacity, Class, Digits, InUse, Metering, Phase, Point};
pub(crate) use profile::profile_files;
pub use profile::{BadProfile, profile};
pub use quiet::{Busy, Settlements, quiet};
pub use registers::registers;
pub use sent::{ARCHIVE, Kept, Sent, TASKS};
pub use shift::{BusFate, Same, Shift};
pub use when::{MonthDay, OnDay, When};
