//! Lines of `watch` and `demo`: a reading, a failure, an event or a change of status each. Pure.

use crate::event::Broadcast;
use crate::mqtt::StatusMessage;
use crate::mqtt::payload::{
    BirthMessage, Body, EventBody, EventJson, FailedJson, FailureJson, JumpJson, LineJson, MeterState,
    MeterStatusBody, ReadingJson, RegisterJson, RoundBody,
};
use crate::mqtt::status::{AlarmWord, ClockWord, Offline, State};
use crate::mqtt::watch::Seen;
use crate::reading::{Quality, Source};
use std::fmt::Write;

/// Whether lines have colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Paint {
    /// None: a file, a pipe, or <https://no-color.org>.
    Plain,
    /// ANSI.
    Colour,
}

/// Widths of the columns before the quality; with a name of usual length a line has 80 columns at most.
const TIME: usize = 8;
const METER: usize = 13;
const REGISTER: usize = 27;
const VALUE: usize = 12;
const UNIT: usize = 5;

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";

impl Paint {
    /// Colour on a terminal, unless `NO_COLOR` is set.
    pub(crate) fn of_terminal(is_terminal: bool) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if is_terminal && !unwanted { Self::Colour } else { Self::Plain }
    }

    fn on(self, colour: &str, text: String) -> String {
        match self {
            Self::Plain => text,
            Self::Colour => format!("{colour}{text}\x1b[0m"),
        }
    }
}

/// What is to be shown of what was seen, a line each.
pub(crate) fn of(seen: &Seen, paint: Paint) -> Vec<String> {
    match seen {
        Seen::Data { message, .. } => data(&message.body, paint),
        Seen::Event { message, .. } => vec![event(&message.body, paint)],
        Seen::MeterStatus { message, .. } => vec![meter_status(&message.body, paint)],
        Seen::Status { message, .. } => vec![status(message, paint)],
        Seen::Birth { message, .. } => vec![birth(message)],
        Seen::Round { message, .. } => vec![round(&message.body, paint)],
        Seen::Connected => vec!["connected to the broker; waiting for readings".to_owned()],
        Seen::Lost { why, retry_in } => {
            vec![format!(
                "no connection to the broker: {why}; next attempt in {:.0} s",
                retry_in.as_secs_f32()
            )]
        }
        Seen::Unreadable { topic, why } => vec![format!("{topic}: not a message of version 1: {why}")],
    }
}

/// Readings first, a record with its fields below it, then failures, in the order of the message.
pub(crate) fn data(body: &Body, paint: Paint) -> Vec<String> {
    let readings = body
        .readings
        .iter()
        .flat_map(|r| std::iter::once(reading(body, r, paint)).chain(r.fields.iter().map(field)));
    readings.chain(body.failures.iter().map(|f| failure(body, f, paint))).collect()
}

fn reading(body: &Body, reading: &ReadingJson, paint: Paint) -> String {
    let name = format!("{}{}", reading.register, kept(body, &reading.taken_at));
    let mut line = begin(&reading.taken_at, &body.meter, &name);
    let value = match &reading.value {
        Some(value) => value.to_string(),
        None => format!("{} fields", reading.fields.len()),
    };
    // A long name takes of the room before its value.
    pad_left(&mut line, &value, VALUE.saturating_sub(columns(&name).saturating_sub(REGISTER)));
    line.push(' ');
    pad(&mut line, reading.unit.as_deref().unwrap_or_default(), UNIT);
    line.push(' ');
    line.push_str(quality(reading.quality));
    if body.backfilled {
        line.push_str(", late");
    }
    for extra in
        [reading.at.as_deref().map(|at| format!("at {at}")), bits(&reading.bits), reading.why.clone()]
            .into_iter()
            .flatten()
    {
        // Writing to a String cannot fail.
        let _ = write!(line, ", {extra}");
    }
    match reading.quality {
        Quality::Good => line,
        Quality::Suspect | Quality::NotFrozen | Quality::ClockOff => paint.on(YELLOW, line),
    }
}

/// What a value out of the meter's memory is of: ` of 11-20` for the day that it closes, ` 13:00` or ` 11-20 13:00` for
/// another instant.
fn kept(body: &Body, taken_at: &str) -> String {
    let slot = &body.slot;
    if let Some(day) = &body.day {
        format!(" of {}", day.get(5..).unwrap_or(day))
    } else if body.source == Source::Present {
        String::new()
    } else if slot.get(..10) == taken_at.get(..10) {
        format!(" {}", slot.get(11..16).unwrap_or(slot))
    } else {
        format!(" {}", day_and_minute(slot))
    }
}

/// A field of a record, under the name of its register.
fn field(field: &RegisterJson) -> String {
    let mut line = begin("", "", field.register.as_deref().unwrap_or_default());
    let value = match (&field.value, field.reason) {
        (Some(value), _) => value.to_string(),
        (None, Some(reason)) => reason.to_string(),
        (None, None) => String::new(),
    };
    pad_left(&mut line, &value, VALUE);
    line.push(' ');
    line.push_str(field.unit.as_deref().unwrap_or_default());
    if let Some(said) = bits(&field.bits) {
        line.push_str(&said);
    }
    line.truncate(line.trim_end().len());
    line
}

/// What the bits of a word say, where any is set.
fn bits(bits: &Option<Vec<String>>) -> Option<String> {
    bits.as_ref().filter(|said| !said.is_empty()).map(|said| said.join(", "))
}

fn failure(body: &Body, failure: &FailureJson, paint: Paint) -> String {
    let mut line = begin(&body.slot, &body.meter, &failure.register);
    line.push_str(failure.reason.word());
    if !failure.detail.is_empty() {
        line.push_str(": ");
        line.push_str(&failure.detail);
    }
    paint.on(RED, line)
}

fn event(body: &EventBody, paint: Paint) -> String {
    let whose = body.meter.as_ref().unwrap_or(&body.gateway);
    let line = match &body.event {
        EventJson::ActiveReport(report) => {
            let mut line = begin(&body.taken_at, whose, "event active_report");
            let said: Vec<&str> = report.registers.iter().flat_map(RegisterJson::said).collect();
            line.push_str(&if said.is_empty() { format!("octets {}", report.raw) } else { said.join(", ") });
            line
        }
        EventJson::Suspect(jump) => jumped(body, whose, "suspect", jump),
        EventJson::Rollover(jump) => jumped(body, whose, "rollover", jump),
        EventJson::LineSilent(bus) => line(body, bus, "no meter answers: power, cable or serial server"),
        EventJson::LineBack(bus) => line(body, bus, "answers again"),
        EventJson::LineJammed(bus) => line(body, bus, "is jammed: somebody talks without end"),
        EventJson::LineQuiet(bus) => line(body, bus, "is quiet again"),
        EventJson::LineEcho(bus) => line(body, bus, "has an adapter that echoes, which does no harm"),
        EventJson::PortGone(bus) => line(body, bus, "has lost its port"),
        EventJson::PortBack(bus) => line(body, bus, "has its port again"),
        EventJson::RowsDropped(dropped) => {
            let mut line = begin(&body.taken_at, whose, "event rows_dropped");
            line.push_str(&dropped.sentence());
            line
        }
        EventJson::Gap(gap) => {
            let mut line = begin(&body.taken_at, whose, "event gap");
            line.push_str(&gap.sentence());
            line
        }
        EventJson::PowerBack(back) => {
            let mut line = begin(&body.taken_at, whose, "event power_back");
            let _ = write!(line, "away since {}", back.away_since);
            line
        }
        EventJson::ClockStepped(step) => {
            let mut line = begin(&body.taken_at, whose, "event clock_stepped");
            let _ = write!(line, "by {} s, from {}", step.by_s, step.before);
            line
        }
        EventJson::ClockOff(clock) => {
            let mut line = begin(&body.taken_at, whose, "event clock_off");
            line.push_str(&clock.why);
            line
        }
        EventJson::Broadcast(broadcast) => {
            let what = match broadcast.what {
                Broadcast::Time => "the time",
                Broadcast::Freeze => "a freeze",
            };
            let why = broadcast.why.as_deref().map(|why| format!(": refused, {why}")).unwrap_or_default();
            format!("{} bus {} broadcast of {what}{why}", time_of_day(&body.taken_at), broadcast.bus)
        }
        EventJson::ArchiveChanged(archive) => {
            let mut line = begin(&body.taken_at, whose, "event archive_changed");
            let _ = write!(line, "from {} to {}", archive.before, archive.after);
            line
        }
    };
    paint.on(YELLOW, line)
}

/// `10:15:00 flat-101      event suspect               active_energy_import: it fell from …`
fn jumped(body: &EventBody, meter: &str, word: &str, jump: &JumpJson) -> String {
    let mut line = begin(&body.taken_at, meter, &format!("event {word}"));
    // Writing to a String cannot fail.
    let _ = write!(line, "{}: {}", jump.register, jump.why);
    line
}

/// `10:15:00 bus riser-1 is jammed: …`
fn line(body: &EventBody, of: &LineJson, what: &str) -> String {
    let detail = of.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("{} bus {} {what}{detail}", time_of_day(&body.taken_at), of.bus)
}

/// `gateway gw01 reads 3 meters, archive 0123456789ab`
fn birth(message: &BirthMessage) -> String {
    let BirthMessage { gateway, archive, meters, .. } = message;
    let what = match (message.part, message.parts) {
        (None, Some(parts)) => format!("announces its meters in {parts} parts"),
        (Some(part), Some(parts)) => format!("has {} meters in part {part} of {parts}", meters.len()),
        (_, None) => format!("has {} meters", meters.len()),
    };
    format!("--:--:-- gateway {gateway} {what}, archive {archive}")
}

/// `10:15:00 round live: 30 of 32 meters read, 1 partly, 1 silent; 12 s`
fn round(body: &RoundBody, paint: Paint) -> String {
    let RoundBody { slot, task, read, planned, partly, seconds, .. } = body;
    let of = match (&body.day, body.first_pass) {
        (Some(day), _) => format!(" of {day}"),
        (None, Some(_)) => format!(" {}", day_and_minute(slot)),
        (None, None) => String::new(),
    };
    let mut line = format!("{} round {task}{of}: {read} of {planned} meters read", time_of_day(slot));
    for (count, words) in [(body.backfilled, "of them backfilled"), (body.gone, "gone")] {
        if let Some(count) = count.filter(|count| *count > 0) {
            let _ = write!(line, ", {count} {words}");
        }
    }
    if *partly > 0 {
        // Writing to a String cannot fail.
        let _ = write!(line, ", {partly} partly");
    }
    for FailedJson { reason, meters } in &body.failed {
        let _ = write!(line, ", {meters} {reason}");
    }
    let _ = write!(line, "; {seconds} s");
    if body.unread() > 0 { paint.on(YELLOW, line) } else { line }
}

fn meter_status(body: &MeterStatusBody, paint: Paint) -> String {
    let (time, meter, bus) = (time_of_day(&body.since), &body.meter, &body.bus);
    match (body.state, body.reason) {
        (MeterState::Online, _) => paint.on(GREEN, format!("{time} meter {meter} on {bus} is online")),
        (MeterState::Offline, reason) => {
            let why = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            paint.on(YELLOW, format!("{time} meter {meter} on {bus} is offline{why}"))
        }
    }
}

const fn quality(quality: Quality) -> &'static str {
    match quality {
        Quality::Good => "good",
        Quality::Suspect => "suspect",
        Quality::NotFrozen => "not frozen",
        Quality::ClockOff => "clock off",
    }
}

fn status(message: &StatusMessage, paint: Paint) -> String {
    let time = message.since.as_deref().map_or("--:--:--", time_of_day);
    let mut line = format!("{time} gateway {}", message.gateway);
    match message.state {
        State::Online => {
            line.push_str(" is online");
            if let Some(version) = &message.version {
                line.push_str(" with meterd ");
                line.push_str(version);
            }
            if let Some(backlog) = message.backlog.as_ref().filter(|backlog| backlog.messages > 0) {
                // Writing to a String cannot fail.
                let _ = write!(line, "; {} messages wait", backlog.messages);
            }
            let mut colour = GREEN;
            if message.clock.is_some_and(|clock| clock != ClockWord::Trusted) {
                line.push_str("; it does not trust its clock");
                line.extend(message.clock_detail.iter().flat_map(|detail| [": ", detail]));
                colour = YELLOW;
            }
            // The clock is said above.
            for alarm in message.alarms.iter().filter(|alarm| alarm.alarm != AlarmWord::ClockNotTrusted) {
                line.push_str("; ");
                line.push_str(alarm.alarm.sentence());
                line.extend(alarm.bus.iter().flat_map(|bus| [" on ", bus]));
                colour = YELLOW;
            }
            paint.on(colour, line)
        }
        State::Offline => {
            line.push_str(match message.reason {
                Some(Offline::Shutdown) => " is offline: stopped in order",
                Some(Offline::ConnectionLost) => " is offline: connection lost",
                None => " is offline",
            });
            paint.on(RED, line)
        }
    }
}

fn begin(time: &str, meter: &str, register: &str) -> String {
    let mut line = String::new();
    pad(&mut line, time_of_day(time), TIME);
    line.push(' ');
    pad(&mut line, meter, METER);
    line.push(' ');
    pad(&mut line, register, REGISTER);
    line.push(' ');
    line
}

/// `10:15:00` of `2026-11-21T10:15:00.431+08:00`: local to the gateway, as it stands in the message.
fn time_of_day(instant: &str) -> &str {
    instant.get(11..19).unwrap_or(instant)
}

/// `11-21 10:15` of the same.
pub(crate) fn day_and_minute(instant: &str) -> String {
    instant.get(5..16).unwrap_or(instant).replace('T', " ")
}

fn pad(line: &mut String, text: &str, width: usize) {
    line.push_str(text);
    line.extend(std::iter::repeat_n(' ', width.saturating_sub(columns(text))));
}

fn pad_left(line: &mut String, text: &str, width: usize) {
    line.extend(std::iter::repeat_n(' ', width.saturating_sub(columns(text))));
    line.push_str(text);
}

/// Columns on a terminal: 总表 has four.
fn columns(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
