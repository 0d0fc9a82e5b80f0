//! A slot while it is being read.

use super::Slot;
use crate::bus::visit::{Fate, Outcome};
use crate::reading::{Decoded, Failure, Origin, Reason, Source};
use catalogue::Register;
use jiff::SignedDuration;
use jiff::civil::DateTime;

/// What an answer means for some registers of a slot.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Got {
    /// They were in the record, or the freeze, of this time.
    Read(DateTime, Decoded),
    /// The meter does not have them.
    Gone(String),
    /// They are asked for again; why there is nothing now.
    Later(Failing),
}

/// Why there is no value now.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Failing {
    pub(super) reason: Reason,
    pub(super) detail: String,
    pub(super) raw: Option<Vec<u8>>,
}

impl Failing {
    pub(super) fn of(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), raw: None }
    }
}

/// A slot and what came of it so far.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) slot: Slot,
    source: Source,
    meter_time: Option<DateTime>,
    decoded: Decoded,
    later: bool,
    gone: Option<String>,
}

impl Held {
    pub(super) fn new(slot: Slot) -> Self {
        Self {
            slot,
            source: Source::LoadRecord,
            meter_time: None,
            decoded: Decoded::default(),
            later: false,
            gone: None,
        }
    }

    /// Where its values are taken from.
    pub(super) const fn is_from(&mut self, source: Source) {
        self.source = source;
    }

    /// Takes what came for these registers.
    pub(super) fn take(&mut self, registers: &[Register], got: Got) {
        match got {
            Got::Read(at, Decoded { readings, failures }) => {
                self.meter_time = Some(at);
                self.decoded.readings.extend(readings);
                self.decoded.failures.extend(failures);
            }
            Got::Gone(why) => {
                self.fail(registers, Failing::of(Reason::Missing, why.clone()));
                self.gone.get_or_insert(why);
            }
            Got::Later(failing) => {
                self.fail(registers, failing);
                self.later = true;
            }
        }
    }

    fn fail(&mut self, registers: &[Register], Failing { reason, detail, raw }: Failing) {
        self.decoded.failures.extend(registers.iter().map(|&register| Failure {
            register,
            reason,
            detail: detail.clone(),
            raw: raw.clone(),
        }));
    }

    /// What came of it. A slot with a value is settled when nothing of it comes later.
    pub(super) fn outcome(self, clock_offset: Option<SignedDuration>) -> Outcome {
        let Decoded { readings, failures } = self.decoded;
        let fate = match self.gone {
            _ if self.later => Fate::Later,
            Some(why) if self.meter_time.is_none() => Fate::Gone(why),
            Some(_) | None => Fate::Settled,
        };
        let origin = Origin {
            source: self.source,
            day: None,
            meter_time: self.meter_time,
            clock_offset,
            backfilled: self.slot.backfilled,
        };
        Outcome { slot: self.slot.at, origin, readings, failures, fate }
    }
}
