//! How load records (负荷记录, 06) are asked for, whoever asks.

use crate::bus::talk::NoReply;
use crate::reading::Reason;
use catalogue::{Catalogue, Entry, Register};
use dlt645::Di;
use dlt645::format::{Date, Time};
use dlt645::pdu::RecordTime;
use jiff::civil::DateTime;

/// Records that one exchange asks for: of all classes about six frames.
pub(crate) const AT_ONCE: u8 = 10;
/// Classes that a meter may record.
pub(crate) const CLASSES: u8 = 6;
/// DI0 of those from a time, and of the latest.
pub(crate) const FROM: u8 = 0x01;
pub(crate) const LATEST: u8 = 0x02;

/// The register of the records of a class, 0 for all, by the DI0 of which are meant.
pub(crate) fn load_record(class: u8, which: u8) -> Option<Register> {
    register(Di::new(u32::from_be_bytes([0x06, class, 0x00, which])))
}

/// The setting that says how many minutes are between the records of a class (04000A02 to 04000A07).
pub(crate) fn interval_setting(class: u8) -> Option<Register> {
    register(Di::new(0x0400_0A01 + u32::from(class)))
}

pub(crate) fn register(di: Di) -> Option<Register> {
    match Catalogue::dlt645_2007().by_di(di)? {
        Entry::Register(register) => Some(register),
        Entry::Block(_) => None,
    }
}

/// The time to begin with, as it is sent; `None` for a year that a meter's two digits do not have.
pub(crate) fn record_time(at: DateTime) -> Option<RecordTime> {
    let two = |n: i8| u8::try_from(n).ok();
    let year = u8::try_from(at.year().checked_sub(2000)?).ok()?;
    RecordTime::new([year, two(at.month())?, two(at.day())?, two(at.hour())?, two(at.minute())?])
}

/// The time of a record or a freeze; `None` for a day that no month has.
pub(crate) fn civil((date, time): (Date, Time)) -> Option<DateTime> {
    let [month, day, hour, minute] =
        [date.month, date.day, time.hour, time.minute].map(|n| i8::try_from(n).unwrap_or(i8::MAX));
    let second = time.second.map_or(0, |second| i8::try_from(second).unwrap_or(i8::MAX));
    DateTime::new(2000 + i16::from(date.year), month, day, hour, minute, second, 0).ok()
}

/// Whether the meter answered that it has no such data.
pub(crate) fn has_none(no_reply: &NoReply) -> bool {
    no_reply.reason == Reason::Refused && no_reply.word.is_some_and(|word| word.no_requested_data())
}

/// To the minute.
pub(crate) fn shown(at: DateTime) -> impl std::fmt::Display {
    at.strftime("%Y-%m-%dT%H:%M")
}
