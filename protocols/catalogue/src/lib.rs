//! The registers of electricity meters: names, units, formats, layouts of blocks.
//!
//! It reads the tables whose text the protocol crates carry, and answers: what is this register,
//! how is it decoded, which registers does that block hold, in which order. It never talks to a meter.

#![forbid(unsafe_code)]

mod register;
mod unit;

pub use register::{Block, Catalogue, Entry, Item, LayoutFault, Register, Unknown};
pub use unit::{Quantity, Transformed, Unit};
