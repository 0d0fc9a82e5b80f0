//! The text of the tables of registers. The crate `catalogue` reads them.

/// The registers of DL/T 645-2007, Annex A: CSV, its columns explained in `protocols/README.md`.
pub const REGISTERS_2007: &str = include_str!("../registers/2007.csv");

/// The registers of DL/T 645-1997: the same columns; identifiers of 4 digits, their axes are nibbles.
pub const REGISTERS_1997: &str = include_str!("../registers/1997.csv");
