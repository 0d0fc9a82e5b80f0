//! The fields of commands. Each keeps the octets that a frame has, whatever they are, so that what was
//! parsed is emitted again; its constructors and getters speak of digits.

use super::time::{ClockTime, bcd, number};
use crate::frame::{MAX_DATA, TooLong};
use crate::{Di, Edition};
use alloc::vec::Vec;
use core::fmt;

/// PA P0 P1 P2: a level and six digits (权限和密码). Printed, even by `Debug`, it is `******`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password {
    /// PA: 00 to 09, 00 the highest; 98H and 99H say that the meter's security chip is asked instead.
    pub level: u8,
    /// P0 to P2 as in a frame, the lowest two digits first.
    pub digits: [u8; 3],
}

impl Password {
    /// A password as it is printed, up to 999999; `None` for more digits.
    pub const fn new(level: u8, printed: u32) -> Option<Self> {
        if printed > 999_999 {
            return None;
        }
        Some(Self {
            level,
            digits: [
                bcd((printed % 100) as u8),
                bcd((printed / 100 % 100) as u8),
                bcd((printed / 10_000) as u8),
            ],
        })
    }

    pub(crate) const fn from_wire([level, p0, p1, p2]: [u8; 4]) -> Self {
        Self { level, digits: [p0, p1, p2] }
    }

    pub(crate) const fn to_wire(self) -> [u8; 4] {
        let [p0, p1, p2] = self.digits;
        [self.level, p0, p1, p2]
    }
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("******")
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Password(level {:02X}, ******)", self.level)
    }
}

/// C0 to C3: who gives the command (操作者代码), as in a frame. 1997 has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Operator(pub [u8; 4]);

impl Operator {
    /// Zeros, which stand for no operator.
    pub const NONE: Self = Self([0; 4]);
}

/// Printed high octet first, as a number.
impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}", u32::from_le_bytes(self.0))
    }
}

/// The rate word Z (波特率特征字). The same octet is another rate in the other edition: 10H is 2400 baud
/// in 1997 and 4800 in 2007.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    edition: Edition,
    word: u8,
}

/// Baud and word of 2007, Annex C.
const RATES_2007: [(u32, u8); 6] =
    [(600, 0x02), (1200, 0x04), (2400, 0x08), (4800, 0x10), (9600, 0x20), (19_200, 0x40)];
/// The same of 1997. 1200 baud is the rate of the works and has no bit; some meters call it 01H.
const RATES_1997: [(u32, u8); 7] =
    [(300, 0x02), (600, 0x04), (1200, 0x00), (1200, 0x01), (2400, 0x10), (4800, 0x20), (9600, 0x40)];

impl Rate {
    /// The word for a rate; `None` for a rate that the edition does not have.
    pub fn new(edition: Edition, baud: u32) -> Option<Self> {
        let (_, word) = Self::table(edition).iter().find(|(rate, _)| *rate == baud)?;
        Some(Self { edition, word: *word })
    }

    /// Any octet: a frame may hold any.
    pub const fn from_wire(edition: Edition, word: u8) -> Self {
        Self { edition, word }
    }

    /// The octet as sent, before +33H.
    pub const fn word(self) -> u8 {
        self.word
    }

    /// Which edition's word it is.
    pub const fn edition(self) -> Edition {
        self.edition
    }

    /// The rate; `None` for a word that the edition does not define.
    pub fn baud(self) -> Option<u32> {
        Self::table(self.edition).iter().find(|(_, word)| *word == self.word).map(|(baud, _)| *baud)
    }

    const fn table(edition: Edition) -> &'static [(u32, u8)] {
        match edition {
            Edition::E1997 => &RATES_1997,
            Edition::E2007 => &RATES_2007,
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.baud() {
            Some(baud) => write!(f, "{baud} baud"),
            None => write!(f, "rate word {:02X}", self.word),
        }
    }
}

/// N: how many load records are asked for, two BCD digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Count(u8);

impl Count {
    /// 0 to 99.
    pub const fn new(count: u8) -> Option<Self> {
        if count < 100 { Some(Self(bcd(count))) } else { None }
    }

    /// Any octet: a frame may hold any.
    pub const fn from_wire(octet: u8) -> Self {
        Self(octet)
    }

    /// The octet as sent, before +33H.
    pub const fn to_wire(self) -> u8 {
        self.0
    }

    /// How many; `None` if the octet is not BCD.
    pub const fn get(self) -> Option<u8> {
        number(self.0)
    }
}

/// Which event records are cleared: all, or those of one identifier whose DI0 is FF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventScope(Di);

impl EventScope {
    /// FFFFFFFF: all that can be cleared. The records of clearing cannot.
    pub const ALL: Self = Self(Di::new(0xFFFF_FFFF));

    /// The class of this record: its identifier with FF for DI0.
    pub const fn class(di: Di) -> Self {
        Self(di.with_byte(0, 0xFF))
    }

    /// Any octets, low first: a frame may hold any.
    pub const fn from_wire(octets: [u8; 4]) -> Self {
        Self(Di::new(u32::from_le_bytes(octets)))
    }

    /// The octets as sent, before +33H.
    pub const fn to_wire(self) -> [u8; 4] {
        self.0.get().to_le_bytes()
    }

    /// The identifier as sent; `None` if all are meant.
    pub fn di(self) -> Option<Di> {
        (self != Self::ALL).then_some(self.0)
    }
}

impl fmt::Display for EventScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.di() {
            Some(di) => write!(f, "{di}"),
            None => f.write_str("all"),
        }
    }
}

/// N1: what a relay command does (State Grid).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RelayAction(pub u8);

impl RelayAction {
    /// Opens the relay (跳闸).
    pub const TRIP: Self = Self(0x1A);
    /// Lets a person close it with the meter's key (合闸允许).
    pub const PERMIT_CLOSE: Self = Self(0x1B);
    /// Closes it (直接合闸).
    pub const CLOSE: Self = Self(0x1C);
    /// Opens it, and permits closing after the delay N2.
    pub const TRIP_THEN_PERMIT: Self = Self(0x1D);
    /// Opens it, and closes it after the delay N2.
    pub const TRIP_THEN_CLOSE: Self = Self(0x1E);
    /// Alarm on (报警).
    pub const ALARM: Self = Self(0x2A);
    /// Alarm off (报警解除).
    pub const ALARM_OFF: Self = Self(0x2B);
    /// Power is kept whatever the account says (保电).
    pub const KEEP_POWER: Self = Self(0x3A);
    /// Power is kept no more (保电解除).
    pub const KEEP_POWER_OFF: Self = Self(0x3B);

    /// In words; `None` for an octet without a meaning.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x1A => "trip",
            0x1B => "permit close",
            0x1C => "close",
            0x1D => "trip, permit close after the delay",
            0x1E => "trip, close after the delay",
            0x2A => "alarm on",
            0x2B => "alarm off",
            0x3A => "keep power on",
            0x3B => "keep power off",
            _ => return None,
        })
    }
}

impl fmt::Display for RelayAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "action {:02X}", self.0),
        }
    }
}

/// N1 to N8 of a relay command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RelayOrder {
    /// In plain text, with a password of level 02.
    Plain {
        /// N1.
        action: RelayAction,
        /// N2: 00, or the delay of some meters.
        delay: u8,
        /// N3 to N8: from then on the command is void.
        until: ClockTime,
    },
    /// Sixteen encrypted octets and four of authentication (PA = 98H), which nobody here can read.
    Sealed([u8; 20]),
}

/// What the multi-function terminal puts out (多功能端子).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutputSignal(pub u8);

impl OutputSignal {
    /// The clock's second pulse (时钟秒脉冲).
    pub const SECOND_PULSE: Self = Self(0x00);
    /// The demand period (需量周期).
    pub const DEMAND_PERIOD: Self = Self(0x01);
    /// The switch between periods (时段投切).
    pub const PERIOD_SWITCH: Self = Self(0x02);
}

impl fmt::Display for OutputSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SECOND_PULSE => f.write_str("second pulse"),
            Self::DEMAND_PERIOD => f.write_str("demand period"),
            Self::PERIOD_SWITCH => f.write_str("period switch"),
            Self(other) => write!(f, "signal {other:02X}"),
        }
    }
}

/// Octets that a command carries, before +33H: so few that they fit a frame whatever stands before them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Payload(Vec<u8>);

impl Payload {
    /// What fits behind DI, password and operator. The standard ends at L = 50 for writing; meters take more.
    pub const MAX: usize = MAX_DATA - 12;

    /// Takes up to [`Payload::MAX`] octets.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn new(octets: Vec<u8>) -> Result<Self, TooLong> {
        if octets.len() > Self::MAX { Err(TooLong(octets.len())) } else { Ok(Self(octets)) }
    }
}

impl core::ops::Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
