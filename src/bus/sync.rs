//! What goes to all meters of a line (广播): the time (校时, 08) and the freeze of an instant (瞬时冻结, 16). Pure: whether it
//! may go out, when it has to begin so that it arrives in time, and with what in it.
//!
//! Nobody answers a broadcast. Of the time the next look at the clocks is the proof, of a freeze its stamp.

use super::freeze::Kind;
use crate::clock::{Distrust, Kernel, Trust};
use crate::config::{Busy, Settlements, quiet};
use crate::planner::Line;
use dlt645::Address;
use dlt645::pdu::{ClockTime, FreezeAt, Request};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// A clock that is off by less is let be: a broadcast is no better, with what the way to the line takes.
pub const LEAST: SignedDuration = SignedDuration::from_secs(10);
/// How late a freeze of an instant may be.
const FREEZE_LATE: SignedDuration = SignedDuration::from_secs(10);
/// What the line is given to be quiet before: the pause behind another exchange, and behind a change of its rate.
const PREPARE: SignedDuration = SignedDuration::from_millis(200);

/// What is known when something is to go out.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// The present.
    pub now: Timestamp,
    /// The gateway's zone, whose time the meters show.
    pub zone: &'a TimeZone,
    /// Whether our own clock is trusted.
    pub trusted: Result<(), Distrust>,
    /// What the kernel says of it.
    pub kernel: Kernel,
    /// How much of the kernel's word is asked for: `set` vouches for a clock that no service keeps.
    pub trust: Trust,
    /// When the same last went out on this line; kept over restarts.
    pub last: Option<Timestamp>,
}

/// Why something does not go out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// Our own clock is not trusted.
    #[error("the gateway's own clock is not trusted: {0}")]
    NotTrusted(Distrust),
    /// Nothing says that our own clock is right.
    #[error(
        "no time service keeps the gateway's own clock: run one (chrony), or say clock = \"set\" under [gateway] if \
         the clock is right"
    )]
    Unattended,
    /// A meter obeys once a day (DL/T 645-2007 clause 7.6).
    #[error("it went out at {0} already, and meters take it once a day")]
    Done(String),
    /// Meters freeze or settle.
    #[error("{0}")]
    Busy(Busy),
    /// The instant that was to be frozen is over.
    #[error("the line was free only {0} s after the instant that was to be frozen")]
    Late(i64),
    /// The year is none that meters have.
    #[error("the gateway's clock shows a year that meters do not have")]
    NoYear,
}

impl Refused {
    /// The word as it is published.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NotTrusted(_) | Self::Unattended | Self::NoYear => "clock_not_trusted",
            Self::Done(_) => "done",
            Self::Busy(busy) => busy.word(),
            Self::Late(_) => "late",
        }
    }

    /// As [`crate::event::Kind::Broadcast`] tells it.
    pub fn told(&self) -> (&'static str, String) {
        (self.word(), self.to_string())
    }
}

/// One frame that goes out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sending {
    /// When its first octet, FE or not, goes out.
    pub begin: Timestamp,
    /// When its last one arrives.
    pub arrives: Timestamp,
    /// What.
    pub request: Request,
}

/// Whether the time may be broadcast on a line now.
///
/// # Errors
/// Why not.
pub fn may_sync(given: Given<'_>, settlements: &Settlements) -> Result<(), Refused> {
    let Given { now, zone, last, .. } = given;
    is_sure(given)?;
    let local = |at: Timestamp| at.to_zoned(zone.clone()).datetime();
    // A clock that was set back leaves a last time of tomorrow.
    if let Some(last) = last.filter(|last| local(*last).date() >= local(now).date()) {
        return Err(Refused::Done(local(last).strftime("%Y-%m-%dT%H:%M").to_string()));
    }
    quiet(local(now), settlements).map_err(Refused::Busy)
}

/// Whether a freeze of the instant `slot` may be broadcast on a line now; once for each slot.
///
/// # Errors
/// Why not.
pub fn may_freeze(given: Given<'_>, slot: Timestamp) -> Result<(), Refused> {
    let Given { now, zone, last, .. } = given;
    is_sure(given)?;
    if let Some(last) = last.filter(|last| slot.duration_since(*last) <= PREPARE) {
        let last = last.to_zoned(zone.clone());
        return Err(Refused::Done(last.strftime("%Y-%m-%dT%H:%M").to_string()));
    }
    let late = now.duration_since(slot);
    if late > FREEZE_LATE { Err(Refused::Late(late.as_secs())) } else { Ok(()) }
}

/// Whether meters may be told what our clock shows: it would make theirs wrong too.
fn is_sure(Given { trusted, kernel, trust, .. }: Given<'_>) -> Result<(), Refused> {
    trusted.map_err(Refused::NotTrusted)?;
    match (kernel, trust) {
        (Kernel::Synchronised, _) | (_, Trust::Set) => Ok(()),
        (Kernel::Waiting, _) => Err(Refused::NotTrusted(Distrust::Unsynchronised)),
        (Kernel::Unattended, _) => Err(Refused::Unattended),
    }
}

/// Whether a freeze of an instant serves a meter, by what it was found to freeze by.
pub const fn is_served_by_freeze(found: Option<Kind>) -> bool {
    match found {
        None | Some(Kind::NotFrozen | Kind::Instant) => true,
        Some(Kind::Daily | Kind::Hourly | Kind::Timed) => false,
    }
}

/// The settings of a line at which its meters listen, each once with the most FE octets that one of them wants: a frame
/// goes out at each of them. Both editions have the same frame of the time.
pub fn settings(meters: impl IntoIterator<Item = (Line, u8)>) -> Vec<(Line, u8)> {
    let mut found: BTreeMap<(u32, String), (Line, u8)> = BTreeMap::new();
    for (line, preamble) in meters {
        let most = found.entry((line.baud, line.frame.to_string())).or_insert((line, preamble));
        most.1 = most.1.max(preamble);
    }
    found.into_values().collect()
}

/// The frame that sets the clocks to the next full second at which its last octet can arrive; to be sent at `begin`.
///
/// # Errors
/// [`Refused::NoYear`].
pub fn time(now: Timestamp, line: Line, preamble: u8, zone: &TimeZone) -> Result<Sending, Refused> {
    let of = |arrives: Timestamp| {
        let local = arrives.to_zoned(zone.clone()).datetime();
        let year = u8::try_from(local.year() - 2000).ok();
        let two = |part: i8| u8::try_from(part).ok();
        let parts = [
            year?,
            two(local.month())?,
            two(local.day())?,
            two(local.hour())?,
            two(local.minute())?,
            two(local.second())?,
        ];
        Some(Request::BroadcastTime { address: Address::BROADCAST, time: ClockTime::new(parts)? })
    };
    let air = air(&of(now).ok_or(Refused::NoYear)?, line, preamble);
    let earliest = now.saturating_add(PREPARE + air).unwrap_or(now);
    let second = Timestamp::from_second(earliest.as_second()).unwrap_or(earliest);
    let next = SignedDuration::from_secs(i64::from(second < earliest));
    let arrives = second.saturating_add(next).unwrap_or(second);
    let request = of(arrives).ok_or(Refused::NoYear)?;
    Ok(Sending { begin: arrives.saturating_sub(air).unwrap_or(arrives), arrives, request })
}

/// The frame that freezes the instant `slot`, or at once where that is over; to be sent at `begin`.
pub fn freeze(now: Timestamp, slot: Timestamp, line: Line, preamble: u8) -> Sending {
    let request = Request::Freeze { address: Address::BROADCAST, at: FreezeAt::INSTANT };
    let air = air(&request, line, preamble);
    let begin = slot.saturating_sub(air).unwrap_or(slot).max(now);
    Sending { begin, arrives: begin.saturating_add(air).unwrap_or(begin), request }
}

/// How long before a slot its freeze is to be prepared on a line with so many settings: the line is to be left free from
/// then on.
pub fn ahead(settings: &[(Line, u8)]) -> SignedDuration {
    let frame = Request::Freeze { address: Address::BROADCAST, at: FreezeAt::INSTANT };
    settings.iter().map(|(line, preamble)| air(&frame, *line, *preamble) + PREPARE).sum()
}

fn air(request: &Request, line: Line, preamble: u8) -> SignedDuration {
    let octets: Duration = line.octets(usize::from(preamble) + request.frame_len());
    SignedDuration::try_from(octets).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn shanghai() -> TimeZone {
        TimeZone::get("Asia/Shanghai").unwrap()
    }

    fn given<'a>(now: &str, zone: &'a TimeZone) -> Given<'a> {
        Given {
            now: at(now),
            zone,
            trusted: Ok(()),
            kernel: Kernel::Synchronised,
            trust: Trust::Auto,
            last: None,
        }
    }

    fn word(given: Given<'_>) -> Option<&'static str> {
        may_sync(given, &Settlements::Unknown).err().map(|refused| refused.word())
    }

    #[test]
    fn the_time_goes_out_at_a_quiet_time_once_a_day() {
        let zone = shanghai();
        let quiet = given("2026-11-21T10:20:00+08:00", &zone);
        assert_eq!(word(quiet), None);
        for (now, refused) in [
            ("2026-11-21T23:45:00+08:00", "near_midnight"),
            ("2026-11-21T00:05:00+08:00", "near_midnight"),
            ("2026-11-21T10:58:00+08:00", "near_hour"),
            ("2026-12-01T10:40:00+08:00", "near_settlement"),
        ] {
            assert_eq!(word(given(now, &zone)), Some(refused), "{now}");
        }
        let after = |last: &str| word(Given { last: Some(at(last)), ..quiet });
        assert_eq!(after("2026-11-20T23:20:00+08:00"), None);
        assert_eq!(after("2026-11-21T00:12:00+08:00"), Some("done"));
        assert_eq!(after("2026-11-22T00:12:00+08:00"), Some("done"), "the clock was set back since");
        let refused =
            may_sync(Given { last: Some(at("2026-11-21T00:12:00+08:00")), ..quiet }, &Settlements::Unknown);
        let why = "it went out at 2026-11-21T00:12 already, and meters take it once a day";
        assert_eq!(refused.map_err(|e| e.told()), Err(("done", why.to_owned())));
    }

    #[test]
    fn meters_are_told_no_time_that_we_are_not_sure_of() {
        let zone = shanghai();
        let quiet = given("2026-11-21T10:20:00+08:00", &zone);
        let early = Distrust::BeforeRelease(quiet.now);
        let unsure = Some("clock_not_trusted");
        assert_eq!(word(Given { trusted: Err(early), ..quiet }), unsure);
        assert_eq!(word(Given { trusted: Err(early), trust: Trust::Set, ..quiet }), unsure);
        for (kernel, trust, refused) in [
            (Kernel::Synchronised, Trust::Auto, None),
            (Kernel::Waiting, Trust::Auto, unsure),
            (Kernel::Unattended, Trust::Auto, unsure),
            (Kernel::Unattended, Trust::Synchronised, unsure),
            (Kernel::Unattended, Trust::Set, None),
            (Kernel::Waiting, Trust::Set, None),
        ] {
            assert_eq!(word(Given { kernel, trust, ..quiet }), refused, "{kernel:?} {trust:?}");
            let freeze = may_freeze(Given { kernel, trust, ..quiet }, quiet.now);
            assert_eq!(freeze.err().map(|refused| refused.word()), refused);
        }
    }

    #[test]
    fn the_time_that_is_sent_is_that_of_its_last_octet() {
        let zone = shanghai();
        for (now, begin, arrives) in [
            // 22 octets of 11 bits at 2400 are 100.833 ms.
            ("2026-11-21T02:20:00Z", "2026-11-21T02:20:00.899166667Z", "2026-11-21T02:20:01Z"),
            ("2026-11-21T02:20:00.699Z", "2026-11-21T02:20:00.899166667Z", "2026-11-21T02:20:01Z"),
            ("2026-11-21T02:20:00.700Z", "2026-11-21T02:20:01.899166667Z", "2026-11-21T02:20:02Z"),
        ] {
            let sending = time(at(now), Line::DEFAULT, 4, &zone).unwrap();
            assert_eq!((sending.begin, sending.arrives), (at(begin), at(arrives)), "{now}");
        }
        let sending = time(at("2026-12-31T15:59:59.900Z"), Line::DEFAULT, 4, &zone).unwrap();
        let Request::BroadcastTime { address, time: sent } = sending.request else { panic!() };
        assert_eq!((address, sent.to_string()), (Address::BROADCAST, "2027-01-01 00:00:01".to_owned()));
        let fast = Line { baud: 9600, ..Line::DEFAULT };
        let sending = time(at("2026-11-21T02:20:00Z"), fast, 0, &zone).unwrap();
        assert_eq!((sending.arrives.duration_since(sending.begin)).as_micros(), 20_625);
        assert_eq!(time(at("1970-01-01T00:00:00Z"), fast, 0, &zone), Err(Refused::NoYear));
    }

    #[test]
    fn the_frame_of_the_time_is_that_of_the_standard() {
        let sending = time(at("2026-11-21T22:44:59.500+08:00"), Line::DEFAULT, 0, &shanghai()).unwrap();
        let mut octets = Vec::new();
        sending.request.emit(0, &mut octets);
        let text: String = octets.iter().map(|octet| format!("{octet:02X}")).collect();
        assert_eq!(text, "689999999999996808063378555444596516");
    }

    #[test]
    fn a_frame_goes_out_once_at_each_setting_of_the_line() {
        let slow = Line { baud: 1200, ..Line::DEFAULT };
        let plain = Line { frame: "8N1".parse().unwrap(), ..Line::DEFAULT };
        let all = [(Line::DEFAULT, 4), (slow, 0), (Line::DEFAULT, 1), (plain, 4), (slow, 2)];
        assert_eq!(settings(all), [(slow, 2), (Line::DEFAULT, 4), (plain, 4)]);
    }

    #[test]
    fn a_freeze_arrives_at_its_instant_and_goes_out_once_and_never_late() {
        let zone = shanghai();
        let slot = at("2026-11-21T00:00:00+08:00");
        let sending = freeze(at("2026-11-20T23:59:59+08:00"), slot, Line::DEFAULT, 4);
        assert_eq!((sending.arrives, sending.request.to_string().contains("99")), (slot, true));
        let late = freeze(slot + SignedDuration::from_secs(2), slot, Line::DEFAULT, 4);
        assert_eq!(late.begin, slot + SignedDuration::from_secs(2));
        let word = |now: &str, last: Option<&str>| {
            let given = Given { last: last.map(at), ..given(now, &zone) };
            may_freeze(given, slot).err().map(|refused| refused.word())
        };
        assert_eq!(word("2026-11-20T23:59:59+08:00", None), None);
        assert_eq!(word("2026-11-20T23:59:59+08:00", Some("2026-11-20T00:00:00+08:00")), None);
        assert_eq!(word("2026-11-21T00:00:05+08:00", Some("2026-11-21T00:00:00+08:00")), Some("done"));
        assert_eq!(word("2026-11-21T00:00:10+08:00", None), None);
        assert_eq!(word("2026-11-21T00:00:11+08:00", None), Some("late"));
        assert_eq!(ahead(&[(Line::DEFAULT, 4)]).as_millis(), 200 + 91);
    }
}
