//! Load records (负荷记录) of a meter: from a time on, the earliest, the latest; as many exchanges as they need.

use super::Questions;
use crate::bus::profile::common::{
    AT_ONCE, CLASSES, FROM, LATEST, has_none, interval_setting, record_time, shown,
};
use crate::bus::talk::NoReply;
use crate::mqtt::payload::RegisterJson;
use crate::reading::{Failure, Reason};
use catalogue::{Catalogue, Entry, Register, Standard};
use dlt645::format::Value;
use dlt645::pdu::Count;
use dlt645::{Di, Edition};
use jiff::SignedDuration;
use jiff::civil::DateTime;
use std::borrow::Cow;

/// Which load records are asked for.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Range {
    /// Load records 负荷记录 from this time of the meter's clock on, e.g.
    /// 2026-11-21T00:00
    #[arg(long, value_name = "TIME", value_parser = minute)]
    from: Option<DateTime>,
    /// How many load records [default: 1; with --from all there are]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
}

/// The latest come in one exchange: of all classes no more fit the frames that a reader waits for.
const MOST_LATEST: u32 = 60;
/// DI0 of the earliest.
const EARLIEST: u8 = 0x00;

/// The short name: `load_record` and `load_record_4` are those from a time where one is said, else the latest.
pub(super) fn long_name<'t>(standard: Standard, text: &'t str, range: &Range) -> Cow<'t, str> {
    let class = standard.is(Edition::E2007).then(|| text.strip_prefix("load_record")).flatten();
    let is_class = |class: &&str| {
        class.is_empty() || class.strip_prefix('_').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
    };
    match class.filter(is_class) {
        Some(class) => {
            let which = if range.from.is_some() { "from" } else { "latest" };
            Cow::Owned(format!("load_record_{which}{class}"))
        }
        None => Cow::Borrowed(text),
    }
}

/// The load records apart from the other registers.
///
/// # Errors
/// What of the range does not go with the registers, and what to write.
pub(super) fn apart(
    registers: Vec<Register>,
    range: &Range,
) -> Result<(Vec<Register>, Vec<Register>), String> {
    let (records, others): (Vec<_>, Vec<_>) = registers.into_iter().partition(is_load_record);
    if records.is_empty() && (range.from.is_some() || range.count.is_some()) {
        let option = if range.from.is_some() { "--from" } else { "--count" };
        return Err(format!(
            "{option} goes with load records; name load_record, or one class, load_record_1"
        ));
    }
    for record in &records {
        let name = record.name();
        match (record.di_byte(0), range.from) {
            (FROM, None) => {
                return Err(format!("{name} needs the time to begin with, e.g. --from 2026-11-21T00:00"));
            }
            (EARLIEST | LATEST, Some(_)) => {
                return Err(format!("--from does not go with {name}; write load_record or load_record_from"));
            }
            (LATEST, None) if range.count.is_some_and(|count| count > MOST_LATEST) => {
                return Err(format!(
                    "{MOST_LATEST} of the latest at most come at once; for more write --from"
                ));
            }
            (_, _) => {}
        }
    }
    Ok((records, others))
}

fn is_load_record(register: &Register) -> bool {
    register.standard().is(Edition::E2007) && register.di_byte(3) == 0x06 && register.is_record()
}

/// The time of each freeze before what it froze: the n-th last counts freezes, its time says of which day it is.
pub(super) fn with_stamps(registers: Vec<Register>) -> Vec<Register> {
    let stamp = |register: &Register| {
        let [n, what, kind, class] = [0, 1, 2, 3].map(|byte| register.di_byte(byte));
        let frozen = register.standard().is(Edition::E2007) && class == 0x05 && !matches!(what, 0x00 | 0xFF);
        match Catalogue::dlt645_2007().by_di(Di::new(u32::from_be_bytes([class, kind, 0x00, n])))? {
            Entry::Register(stamp) if frozen => Some(stamp),
            Entry::Register(_) | Entry::Block(_) => None,
        }
    };
    let mut all: Vec<Register> = Vec::new();
    for register in registers {
        all.extend(stamp(&register).filter(|stamp| !all.contains(stamp)));
        all.push(register);
    }
    all
}

/// What an exchange brought, to be shown at once: a long range takes minutes.
pub(super) enum Came {
    Record(RegisterJson),
    Failed(Failure),
}

/// How the records of one register came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ended {
    pub(super) complete: bool,
    pub(super) never_a_frame: bool,
}

/// Asks for the records of one register until there are enough, or the meter has no more.
///
/// # Errors
/// What `show` says.
pub(super) async fn read(
    to: &mut Questions<'_>,
    register: Register,
    range: &Range,
    mut show: impl FnMut(Came) -> anyhow::Result<()>,
) -> anyhow::Result<Ended> {
    let mut left = range.count.unwrap_or(if range.from.is_some() { u32::MAX } else { 1 });
    let (mut at_once, mut interval) = (u32::from(AT_ONCE), None);
    let Some(di) = register.di() else { return Ok(Ended { complete: true, never_a_frame: false }) };
    let mut asked = (di, range.from);
    let (mut any, mut complete) = (false, true);
    while left > 0 {
        let (di, from) = asked;
        let count = if di.byte(0) == LATEST { left } else { left.min(at_once) };
        let octets = match ask(to, di, count, from).await {
            Ok(octets) => octets,
            // Some meters give one record at a time.
            Err(no_reply) if has_none(&no_reply) && count > 1 && di.byte(0) != LATEST => {
                at_once = 1;
                continue;
            }
            Err(no_reply) if has_none(&no_reply) && any => break,
            Err(no_reply) => {
                show(Came::Failed(failed(register, no_reply.reason, no_reply.detail)))?;
                return Ok(Ended { complete: false, never_a_frame: no_reply.never_a_frame });
            }
        };
        let mut records = RegisterJson::of_load_records(register, &octets);
        if records.is_empty() {
            break;
        }
        records.sort_by_key(|(at, _)| (at.is_none(), *at));
        let blocks = i32::try_from(records.len()).unwrap_or(i32::MAX);
        // A meter that begins elsewhere than it was told must not keep the reader for ever.
        records.retain(|(at, _)| at.is_none_or(|at| from.is_none_or(|from| at >= from)));
        let newest = records.iter().filter_map(|(at, _)| *at).max();
        let unread = records.iter().any(|(at, _)| at.is_none());
        for (_, record) in records.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            left -= 1;
            complete &= record.reason.is_none();
            show(Came::Record(record))?;
            any = true;
        }
        if di.byte(0) == LATEST || left == 0 {
            break;
        }
        let step = match interval {
            Some(step) => step,
            None => *interval.insert(interval_of(to, di.byte(2)).await),
        };
        let next = match (newest, from) {
            (Some(newest), _) => newest.saturating_add(step),
            // Blocks that the meter cannot read bear no time.
            (None, Some(from)) if unread => from.saturating_add(step.saturating_mul(blocks)),
            (None, _) => break,
        };
        asked = (Di::new(di.get() & 0xFFFF_FF00 | u32::from(FROM)), Some(next));
    }
    if !any {
        let detail = match range.from {
            Some(from) => format!("the meter has no load record from {} on", shown(from)),
            None => "the meter has no load record".to_owned(),
        };
        show(Came::Failed(failed(register, Reason::Missing, detail)))?;
        complete = false;
    }
    Ok(Ended { complete, never_a_frame: false })
}

async fn ask(to: &mut Questions<'_>, di: Di, count: u32, from: Option<DateTime>) -> Result<Vec<u8>, NoReply> {
    let count = u8::try_from(count).ok().and_then(Count::new).unwrap_or(Count::from_wire(0x99));
    let what = (di, count, from.and_then(record_time));
    to.talk.read_records(to.asked, what, to.patience).await.map(|answer| answer.octets)
}

/// The interval of a class as the meter is set (04 00 0A 02 to 07), of all classes the shortest; a minute from a meter
/// that does not tell, since the records are those from a time on.
async fn interval_of(to: &mut Questions<'_>, class: u8) -> SignedDuration {
    let classes = if class == 0 { 1..=CLASSES } else { class..=class };
    let mut shortest: Option<i64> = None;
    for class in classes {
        let Some(setting) = interval_setting(class) else { continue };
        let Ok(answer) = to.talk.read(to.asked, setting.id(), to.patience).await else { continue };
        if let Ok(Value::Number(minutes)) = setting.decode(&answer.octets) {
            let minutes = i64::try_from(minutes).ok().filter(|minutes| *minutes > 0);
            shortest = [shortest, minutes].into_iter().flatten().min();
        }
    }
    SignedDuration::from_mins(shortest.unwrap_or(1))
}

fn failed(register: Register, reason: Reason, detail: String) -> Failure {
    Failure { register, reason, detail, raw: None }
}

/// Day and minute; a meter's year has two digits.
fn minute(text: &str) -> Result<DateTime, String> {
    let at = text.parse().ok().filter(|at: &DateTime| {
        // A day alone is midnight to jiff and a slip here.
        text.contains(['T', ' ']) && at.second() == 0 && at.subsec_nanosecond() == 0
    });
    at.filter(|at| record_time(*at).is_some())
        .ok_or_else(|| "write day and minute by the meter's clock, e.g. 2026-11-21T00:00".to_owned())
}
