//! By what a register is asked for, whatever its meter speaks.

use dlt645::{BadDi, Di, Edition};
use modbus::Span;
use std::fmt;
use std::str::FromStr;

/// What decides how a register is asked for and where it is found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Standard {
    /// An edition of DL/T 645: registers have data identifiers (数据标识).
    Dlt645(Edition),
    /// Modbus: registers have addresses, which each meter model has its own way.
    Modbus,
}

/// By what a register is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identifier {
    /// A data identifier of DL/T 645 (数据标识).
    Di(Di),
    /// Registers of a Modbus meter (寄存器).
    Modbus(Span),
}

/// A text that is no identifier of any protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}; of a Modbus meter it is function, address and count, e.g. 04 0034+2")]
pub struct BadIdentifier(BadDi);

impl Standard {
    /// The word of the configuration and of profiles: `dlt645-2007`, `dlt645-1997`, `modbus`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dlt645(Edition::E1997) => "dlt645-1997",
            Self::Dlt645(Edition::E2007) => "dlt645-2007",
            Self::Modbus => "modbus",
        }
    }

    /// The edition of DL/T 645, where it is one.
    pub const fn edition(self) -> Option<Edition> {
        match self {
            Self::Dlt645(edition) => Some(edition),
            Self::Modbus => None,
        }
    }

    /// Whether it is this edition of DL/T 645.
    pub fn is(self, edition: Edition) -> bool {
        self == Self::Dlt645(edition)
    }
}

/// `DL/T 645-2007`, `Modbus`.
impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dlt645(Edition::E1997) => "DL/T 645-1997",
            Self::Dlt645(Edition::E2007) => "DL/T 645-2007",
            Self::Modbus => "Modbus",
        })
    }
}

impl From<Edition> for Standard {
    fn from(edition: Edition) -> Self {
        Self::Dlt645(edition)
    }
}

impl Identifier {
    /// The data identifier, where it is one.
    pub const fn di(self) -> Option<Di> {
        match self {
            Self::Di(di) => Some(di),
            Self::Modbus(_) => None,
        }
    }

    /// The registers of a Modbus meter, where it is those.
    pub const fn span(self) -> Option<Span> {
        match self {
            Self::Di(_) => None,
            Self::Modbus(span) => Some(span),
        }
    }

    /// What it is of.
    pub const fn standard(self) -> Standard {
        match self {
            Self::Di(di) => Standard::Dlt645(di.edition()),
            Self::Modbus(_) => Standard::Modbus,
        }
    }
}

impl From<Di> for Identifier {
    fn from(di: Di) -> Self {
        Self::Di(di)
    }
}

impl From<Span> for Identifier {
    fn from(span: Span) -> Self {
        Self::Modbus(span)
    }
}

impl PartialEq<Di> for Identifier {
    fn eq(&self, di: &Di) -> bool {
        self.di() == Some(*di)
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Di(di) => di.fmt(f),
            Self::Modbus(span) => span.fmt(f),
        }
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({self})")
    }
}

impl FromStr for Identifier {
    type Err = BadIdentifier;

    fn from_str(text: &str) -> Result<Self, BadIdentifier> {
        if let Ok(span) = text.parse::<Span>() {
            return Ok(Self::Modbus(span));
        }
        text.parse::<Di>().map(Self::Di).map_err(BadIdentifier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_read_back_from_its_text() {
        for text in ["00010000", "9010", "04 0034+2", "03 0BD3+2"] {
            let id: Identifier = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert!("0034".parse::<Identifier>().is_ok_and(|id| id.di().is_some()));
        assert!("04 0034".parse::<Identifier>().is_err());
    }
}
