//! The registers of electricity meters: names, units, formats, layouts of blocks.
//!
//! It reads the tables whose text the protocol crates carry, and answers: what is this register,
//! how is it decoded, which registers does that block hold, in which order. It never talks to a meter.
//!
//! - [`Catalogue`]: one table; look-up by DI, by name, by OBIS code, by pattern.
//! - [`Register`]: one value of a meter (示数). [`Block`]: one DI for several (数据块).
//! - [`TableFaults`]: all that is wrong with a table, by line and column.
//!
//! `protocols/README.md` explains the columns of a table and how to add a register.

#![forbid(unsafe_code)]

mod axes;
mod block;
mod catalogue;
mod fault;
mod find;
mod register;
mod row;
mod table;
mod template;
mod unit;

pub use block::{Block, Item, LayoutFault};
pub use catalogue::{Catalogue, Entry};
pub use fault::{TableFault, TableFaults, Wrong};
pub use find::Unknown;
pub use register::Register;
pub use row::{Access, Edition};
pub use unit::{Quantity, Transformed, Unit};
