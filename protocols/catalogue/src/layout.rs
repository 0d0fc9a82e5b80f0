//! Layouts of records: which fields follow each other in one reply, and how often.

use crate::bits::BitSpec;
use crate::{Quantity, Unit};
use dlt645::format::Format;
use std::fmt;

/// What some meters put behind each item of a frozen record.
pub(crate) const MARK: u8 = 0xAA;
/// Total and 63 tariffs.
const MOST_TARIFFS: usize = 64;

/// The fields of a record in wire order.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    pub(crate) name: Box<str>,
    pub(crate) specs: Box<[Spec]>,
}

/// One field of a layout.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Spec {
    pub(crate) name: Box<str>,
    pub(crate) zh: Box<str>,
    pub(crate) quantity: Quantity,
    pub(crate) unit: Option<Unit>,
    pub(crate) format: Format,
    /// Of one of them.
    pub(crate) octets: usize,
    pub(crate) times: Times,
    pub(crate) bits: Box<[BitSpec]>,
}

/// How often a field is in its record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Times {
    Once,
    /// As often as the length says, this often at most.
    UpTo(u16),
    /// The total and each tariff; the same number for all such fields of a record.
    Tariffs,
    /// No field: the octet AA.
    Mark,
}

/// Which of several of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Nth {
    Only,
    /// Counted from 1.
    Of(u16),
    /// 0 is the total.
    Tariff(u8),
}

/// One field's octets.
pub(crate) struct Piece<'a> {
    pub(crate) spec: &'static Spec,
    pub(crate) nth: Nth,
    pub(crate) octets: &'a [u8],
}

impl Layout {
    /// Octets of the longest record; of one with tariffs, that with none.
    pub(crate) fn octets(&self) -> usize {
        self.specs.iter().map(|spec| spec.octets * spec.most()).sum()
    }

    /// How often the repeated fields are in so many octets; None if no number fits.
    fn times(&self, octets: usize) -> Option<usize> {
        let sum = |wanted: fn(Times) -> bool| -> usize {
            self.specs.iter().filter(|spec| wanted(spec.times)).map(|spec| spec.octets).sum()
        };
        let fixed = sum(|times| matches!(times, Times::Once | Times::Mark));
        let each = sum(|times| matches!(times, Times::UpTo(_) | Times::Tariffs));
        let rest = octets.checked_sub(fixed)?;
        if each == 0 {
            return (rest == 0).then_some(0);
        }
        let most = self.specs.iter().map(|spec| match spec.times {
            Times::UpTo(most) => usize::from(most),
            Times::Tariffs => MOST_TARIFFS,
            Times::Once | Times::Mark => 0,
        });
        let most = most.max().unwrap_or(0);
        Some(rest / each).filter(|n| rest.is_multiple_of(each) && (1..=most).contains(n))
    }

    /// Cuts a record; None if its length is not of this layout, or a mark is missing.
    pub(crate) fn cut<'a>(&'static self, octets: &'a [u8]) -> Option<Vec<Piece<'a>>> {
        let times = self.times(octets.len())?;
        let mut pieces = Vec::new();
        let mut rest = octets;
        for spec in &self.specs {
            let count = if matches!(spec.times, Times::UpTo(_) | Times::Tariffs) { times } else { 1 };
            for n in 0..count {
                let (octets, behind) = rest.split_at_checked(spec.octets)?;
                rest = behind;
                let nth = match spec.times {
                    Times::Once => Nth::Only,
                    Times::UpTo(_) => Nth::Of(n as u16 + 1),
                    Times::Tariffs => Nth::Tariff(n as u8),
                    Times::Mark if octets == [MARK] => continue,
                    Times::Mark => return None,
                };
                pieces.push(Piece { spec, nth, octets });
            }
        }
        rest.is_empty().then_some(pieces)
    }
}

impl Spec {
    fn most(&self) -> usize {
        match self.times {
            Times::Once | Times::Mark | Times::Tariffs => 1,
            Times::UpTo(most) => usize::from(most),
        }
    }
}

/// Behind the name: nothing, `_3`, `_t3`.
impl fmt::Display for Nth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only | Self::Tariff(0) => Ok(()),
            Self::Of(n) => write!(f, "_{n}"),
            Self::Tariff(n) => write!(f, "_t{n}"),
        }
    }
}
