//! The registers of electricity meters: names, units, formats, layouts of blocks.
//!
//! It reads the tables whose text the protocol crates carry, and answers: what is this register,
//! how is it decoded, which registers does that block hold, in which order. It never talks to a meter.
//!
//! - [`Catalogue`]: one table; look-up by DI, by name, by OBIS code, by pattern.
//! - [`Identifier`]: by what a register is asked for, a DI or the registers of a Modbus meter ([`Location`]).
//! - [`Register`]: one value of a meter (示数), or a record of several [`Field`]s. [`Block`]: one DI for several
//!   registers (数据块).
//! - [`Decoded`]: one register of a whole reply, for people. [`Summary`]: a row of the table, for those who search.
//! - [`Profile`] (表型): registers of one meter model or family, found before the standard's.
//! - [`TableFaults`]: all that is wrong with a table, by line and column.
//!
//! `protocols/README.md` explains the columns of a table and how to add a register.

#![forbid(unsafe_code)]

mod axes;
mod bits;
mod block;
mod catalogue;
mod decode;
mod encode;
mod fault;
mod field;
mod find;
mod identifier;
mod layout;
mod location;
mod manner;
mod names;
mod profile;
mod register;
mod row;
mod search;
mod table;
mod template;
mod unit;

pub use bits::Bit;
pub use block::{Block, Item, LayoutFault};
pub use catalogue::{Catalogue, Entry, Tables, Text};
pub use decode::Decoded;
pub use fault::{TableFault, TableFaults, Wrong};
pub use field::Field;
pub use find::Unknown;
pub use identifier::{BadIdentifier, Identifier, Standard};
pub use location::Location;
pub use manner::{Manner, Map, TextOrder};
pub use profile::{Profile, UnknownProfile};
pub use register::Register;
pub use row::{Access, Edition};
pub use search::Summary;
pub use unit::{Quantity, Transformed, Unit};
