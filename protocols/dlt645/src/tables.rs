//! The text of the tables; the catalogue reads them.

/// The registers of DL/T 645-2007: `registers/2007.csv`.
pub const REGISTERS_2007: &str = include_str!("../registers/2007.csv");
/// The fields of its records: `registers/layouts-2007.csv`.
pub const LAYOUTS_2007: &str = include_str!("../registers/layouts-2007.csv");
/// The bits of its words: `registers/bits-2007.csv`.
pub const BITS_2007: &str = include_str!("../registers/bits-2007.csv");

/// The registers of DL/T 645-1997: the same columns; identifiers of 4 digits, their axes are nibbles.
pub const REGISTERS_1997: &str = include_str!("../registers/1997.csv");
