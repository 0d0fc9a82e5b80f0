//! Which registers a text means. The one place of the configuration that asks the catalogue.

use catalogue::{Catalogue, Register, Unknown};

/// Tariffs that a pattern such as `active_energy_import_t*` stands for: 尖 峰 平 谷.
const TARIFFS: u8 = 4;

/// What turns a text into registers; tests of everything else hand in one of their own.
pub(super) type Resolve<'a> = &'a dyn Fn(&str) -> Result<Vec<Register>, Unknown>;

/// By name, OBIS code, DI or pattern, out of the registers of DL/T 645-2007.
pub(super) fn dlt645_2007(text: &str) -> Result<Vec<Register>, Unknown> {
    Catalogue::dlt645_2007().find(text, TARIFFS)
}
