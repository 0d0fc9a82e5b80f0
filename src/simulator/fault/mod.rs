//! Faults of a line and its meters (故障注入), by name and probability, and by seed the same again.
//!
//! Pure. What a meter is made to send is what it truly sends, and the log says so; what the line then makes of
//! it is damage, and the log does not know of it.

mod injector;
mod noise;
mod registers;

pub use injector::Tally;
pub(super) use injector::{Begins, Injector};
pub use noise::{Noise, NoiseModel};

use std::fmt;
use std::str::FromStr;

/// What can go wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LineFault {
    /// The meter does not answer.
    Silent,
    /// It answers after the reader's deadline.
    Late,
    /// It stops in the middle of its answer.
    Cut,
    /// One bit of the answer is flipped.
    Damaged,
    /// Bits are flipped.
    Noise,
    /// Octets are replaced.
    Burst,
    /// The adapter gives the request back.
    Echo,
    /// Another meter answers: alone, before or after the one that was asked.
    Stray,
    /// A second meter has the address.
    Twin,
    /// Random octets without an end.
    Babble,
    /// FE without an end.
    BabbleFe,
    /// 68 without an end.
    Babble68,
    /// The answer comes twice, or stuck to the one before it.
    Glued,
    /// The answer comes in pieces, with long pauses.
    Split,
    /// Reads of blocks are refused.
    RefuseBlocks,
    /// An active report comes instead of the answer, once.
    ActiveReport,
    /// A follow-up frame is always announced.
    EndlessFollowUp,
    /// A Modbus meter is busy.
    Busy,
    /// A Modbus meter fails while it answers.
    DeviceFailure,
    /// The port is gone, and is back later.
    Unplugged,
}

/// What a fault's probability is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Per {
    /// Each exchange.
    Exchange,
    /// Each octet of an answer.
    Octet,
}

impl LineFault {
    /// All, in the order in which they are listed.
    pub const ALL: [Self; 20] = [
        Self::Silent,
        Self::Late,
        Self::Cut,
        Self::Damaged,
        Self::Noise,
        Self::Burst,
        Self::Echo,
        Self::Stray,
        Self::Twin,
        Self::Babble,
        Self::BabbleFe,
        Self::Babble68,
        Self::Glued,
        Self::Split,
        Self::RefuseBlocks,
        Self::ActiveReport,
        Self::EndlessFollowUp,
        Self::Busy,
        Self::DeviceFailure,
        Self::Unplugged,
    ];

    /// Its name.
    pub const fn word(self) -> &'static str {
        self.described().0
    }

    /// The probability that it has unless another is stated.
    pub const fn usual(self) -> f64 {
        match self {
            Self::Noise | Self::Burst => 0.01,
            Self::Echo | Self::Twin | Self::RefuseBlocks => 1.0,
            Self::Babble | Self::BabbleFe | Self::Babble68 | Self::Unplugged => 0.01,
            Self::Silent
            | Self::Late
            | Self::Cut
            | Self::Damaged
            | Self::Stray
            | Self::Glued
            | Self::Split
            | Self::ActiveReport
            | Self::EndlessFollowUp
            | Self::Busy
            | Self::DeviceFailure => 0.1,
        }
    }

    /// What the probability is of.
    pub const fn per(self) -> Per {
        match self {
            Self::Noise | Self::Burst => Per::Octet,
            Self::Silent
            | Self::Late
            | Self::Cut
            | Self::Damaged
            | Self::Echo
            | Self::Stray
            | Self::Twin
            | Self::Babble
            | Self::BabbleFe
            | Self::Babble68
            | Self::Glued
            | Self::Split
            | Self::RefuseBlocks
            | Self::ActiveReport
            | Self::EndlessFollowUp
            | Self::Busy
            | Self::DeviceFailure
            | Self::Unplugged => Per::Exchange,
        }
    }

    /// Name, Chinese term, and what happens.
    const fn described(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Silent => ("silent", "无应答", "the meter does not answer"),
            Self::Late => ("late", "应答超时", "the answer begins 0.6 to 3 s late, past the deadline"),
            Self::Cut => ("cut", "帧截断", "the meter stops in the middle of its answer"),
            Self::Damaged => ("damaged", "校验错", "one bit of the answer is flipped"),
            Self::Noise => ("noise", "误码", "bits are flipped, each by itself"),
            Self::Burst => ("burst", "突发干扰", "whole octets are replaced"),
            Self::Echo => ("echo", "回显", "the adapter gives the request back"),
            Self::Stray => ("stray", "串扰", "another meter answers: alone, before or after"),
            Self::Twin => ("twin", "地址重复", "a second meter with the address answers too"),
            Self::Babble => ("babble", "总线霸占", "random octets for 2 to 8 s"),
            Self::BabbleFe => ("babble_fe", "总线霸占", "FE for 2 to 8 s"),
            Self::Babble68 => ("babble_68", "总线霸占", "68 for 2 to 8 s"),
            Self::Glued => ("glued", "粘包", "the answer comes twice, or behind an older one"),
            Self::Split => ("split", "断帧", "pauses of 0.1 to 2 s within the answer"),
            Self::RefuseBlocks => (
                "refuse_blocks",
                "数据块否认",
                "reads of blocks, and of several Modbus registers, are refused",
            ),
            Self::ActiveReport => ("active_report", "主动上报", "04001501 instead of the answer, once"),
            Self::EndlessFollowUp => {
                ("endless_follow_up", "后续帧不止", "one more follow-up frame is always announced")
            }
            Self::Busy => ("busy", "设备忙", "a Modbus meter is busy: exception 06"),
            Self::DeviceFailure => ("device_failure", "设备故障", "a Modbus meter fails: exception 04"),
            Self::Unplugged => ("unplugged", "拔线", "the port is gone, and back after 1 to 60 s"),
        }
    }

    /// All with their probability and one line each, as a help text.
    pub fn list() -> String {
        Self::ALL.iter().map(|fault| format!("  {fault}")).collect::<Vec<_>>().join("\n")
    }
}

/// `silent 无应答 [0.1 per exchange]: the meter does not answer`
impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, term, what) = self.described();
        let per = match self.per() {
            Per::Exchange => "exchange",
            Per::Octet => "octet",
        };
        write!(f, "{word} {term} [{} per {per}]: {what}", self.usual())
    }
}

/// A fault and how often it happens.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Injection {
    /// Which.
    pub fault: LineFault,
    /// Its probability, more than 0 and at most 1, per exchange or per octet.
    pub rate: f64,
}

/// A text that is no fault with a probability.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadInjection {
    /// No fault is called so.
    #[error("no fault is called {0:?}; write NAME or NAME=RATE of\n{list}", list = LineFault::list())]
    Unknown(String),
    /// Its probability is none.
    #[error("{name}={rate}: a probability is more than 0 and at most 1, e.g. {name}=0.1")]
    Rate {
        /// The fault.
        name: &'static str,
        /// As written.
        rate: String,
    },
}

/// `late` or `late=0.05`.
impl FromStr for Injection {
    type Err = BadInjection;

    fn from_str(text: &str) -> Result<Self, BadInjection> {
        let (name, rate) = text.split_once('=').map_or((text, None), |(name, rate)| (name, Some(rate)));
        let fault = LineFault::ALL.into_iter().find(|fault| fault.word() == name.trim());
        let fault = fault.ok_or_else(|| BadInjection::Unknown(name.trim().to_owned()))?;
        let Some(written) = rate else { return Ok(Self { fault, rate: fault.usual() }) };
        match written.trim().parse() {
            Ok(rate) if rate > 0.0 && rate <= 1.0 => Ok(Self { fault, rate }),
            Ok(_) | Err(_) => Err(BadInjection::Rate { name: fault.word(), rate: written.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_a_name_with_or_without_a_probability() {
        for fault in LineFault::ALL {
            assert_eq!(fault.word().parse(), Ok(Injection { fault, rate: fault.usual() }));
        }
        assert_eq!("late=0.25".parse(), Ok(Injection { fault: LineFault::Late, rate: 0.25 }));
        for text in ["late=0", "late=1.5", "late=x", "late=-1", "late=NaN"] {
            assert!(matches!(text.parse::<Injection>(), Err(BadInjection::Rate { .. })), "{text}");
        }
    }

    #[test]
    fn an_unknown_name_is_told_all_that_are_known() {
        let told = "latte".parse::<Injection>().unwrap_err().to_string();
        assert!(told.starts_with("no fault is called \"latte\""), "{told}");
        assert_eq!(told.lines().count(), 1 + LineFault::ALL.len());
        assert!(told.contains("\n  noise 误码 [0.01 per octet]: bits are flipped"), "{told}");
    }

    #[test]
    fn names_are_unique() {
        let mut words: Vec<_> = LineFault::ALL.iter().map(|fault| fault.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), LineFault::ALL.len());
    }
}
