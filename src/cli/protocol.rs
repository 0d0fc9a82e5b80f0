//! Words for what meters speak, as options of the command line have them.

use crate::config::Protocol;
use catalogue::Standard;
use dlt645::{Address, Edition};

/// A standard, of which there are registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Of {
    #[value(name = "dlt645-2007")]
    Dlt645_2007,
    #[value(name = "dlt645-1997")]
    Dlt645_1997,
    #[value(name = "modbus")]
    Modbus,
}

/// What a meter is asked in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Asked {
    #[value(name = "dlt645-2007")]
    Dlt645_2007,
    #[value(name = "dlt645-1997")]
    Dlt645_1997,
    #[value(name = "modbus-rtu")]
    ModbusRtu,
    #[value(name = "modbus-tcp")]
    ModbusTcp,
}

impl Of {
    pub(super) const fn standard(self) -> Standard {
        match self {
            Self::Dlt645_2007 => Standard::Dlt645(Edition::E2007),
            Self::Dlt645_1997 => Standard::Dlt645(Edition::E1997),
            Self::Modbus => Standard::Modbus,
        }
    }
}

impl Asked {
    /// Where nothing else is said.
    pub(super) const fn of(standard: Standard) -> Self {
        match standard {
            Standard::Dlt645(Edition::E2007) => Self::Dlt645_2007,
            Standard::Dlt645(Edition::E1997) => Self::Dlt645_1997,
            Standard::Modbus => Self::ModbusRtu,
        }
    }

    pub(super) const fn standard(self) -> Standard {
        match self {
            Self::Dlt645_2007 => Standard::Dlt645(Edition::E2007),
            Self::Dlt645_1997 => Standard::Dlt645(Edition::E1997),
            Self::ModbusRtu | Self::ModbusTcp => Standard::Modbus,
        }
    }

    /// A meter that is asked so, by what is written of its address.
    ///
    /// # Errors
    /// What to write, in a sentence.
    pub(super) fn at(self, text: &str) -> Result<Protocol, String> {
        let digits = || text.parse::<Address>().map_err(|bad| format!("--address {text}: {bad}"));
        let unit = || {
            text.parse()
                .map_err(|bad| format!("--address {text}: of Modbus it is the unit id (从站地址); {bad}"))
        };
        match self {
            Self::Dlt645_2007 => digits().map(Protocol::Dlt645_2007),
            Self::Dlt645_1997 => digits().map(Protocol::Dlt645_1997),
            Self::ModbusRtu => unit().map(Protocol::ModbusRtu),
            Self::ModbusTcp => unit().map(Protocol::ModbusTcp),
        }
    }
}
