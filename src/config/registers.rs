//! Which registers a text means. The one place of the configuration that asks the catalogue.

use super::plan::Dialect;
use catalogue::{Access, Register, Unknown};

/// Tariffs that a pattern such as `active_energy_import_t*` stands for: 尖 峰 平 谷.
const TARIFFS: u8 = 4;

/// What turns a text into registers of a dialect; tests of everything else hand in one of their own.
pub(super) type Resolve<'a> = &'a dyn Fn(Dialect, &str) -> Result<Vec<Register>, NotFound>;

/// Why a text is no register that can be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum NotFound {
    #[error("{0}")]
    Unknown(#[from] Unknown),
    #[error("{0} can be written and never read; leave it out")]
    WriteOnly(String),
    #[error(
        "{0} is a load record (负荷记录), which is asked for by a count and a time; a task of present values cannot, `meterd read` fetches it once"
    )]
    LoadRecord(String),
}

/// By name, OBIS code, DI or pattern, out of the registers of the standard and of the meter's profile.
pub(super) fn known(dialect: Dialect, text: &str) -> Result<Vec<Register>, NotFound> {
    let found = dialect.catalogue().find(text, TARIFFS)?;
    match found.iter().find(|register| register.access() == Access::Write) {
        Some(register) => Err(NotFound::WriteOnly(register.name().to_string())),
        None => match found.iter().find(|register| register.is_load_record()) {
            Some(record) => Err(NotFound::LoadRecord(record.name().to_string())),
            None => Ok(found),
        },
    }
}

/// The registers of a dialect that a text means, for who asks at run time.
///
/// # Errors
/// Why there are none, in a sentence.
pub fn registers(dialect: Dialect, text: &str) -> Result<Vec<Register>, String> {
    known(dialect, text).map_err(|why| why.to_string())
}
