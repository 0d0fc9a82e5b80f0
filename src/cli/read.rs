//! `meterd read`: registers of meters once, without a configuration, through the same planner and
//! exchanges as the daemon.

#![expect(clippy::print_stderr, reason = "the command line speaks to a person")]

use super::decode::object::{self, RegisterObject};
use super::trace::Trace;
use super::{USAGE, profiles};
use crate::bus::exchange::Tap;
use crate::bus::port::Opener;
use crate::bus::round::Round;
use crate::bus::talk::{Patience, Talk};
use crate::clock::Clock;
use crate::config::{Dialect, PortAddress, Protocol};
use crate::mqtt::payload;
use crate::planner::{CharFormat, Costs, Line, RATES};
use crate::reading::{Decoded, Failure, Transformers};
use catalogue::{Profile, Register};
use dlt645::format::Value;
use dlt645::{Address, Edition};
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use unicode_width::UnicodeWidthStr;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReadArgs {
    /// Serial device 串口 or serial server 串口服务器: /dev/ttyUSB0 or
    /// tcp://192.0.2.7:4001
    #[arg(long, value_name = "PORT")]
    port: String,
    /// Digits on the meter's plate 表地址; several with commas; AAAAAAAAAAAA
    /// finds the only meter on the line
    #[arg(long, value_name = "ADDRESS", required = true, value_delimiter = ',')]
    address: Vec<Address>,
    /// What the meter speaks 规约; by default what its profile does, or
    /// dlt645-2007
    #[arg(long, value_enum)]
    protocol: Option<Speaks>,
    /// What its model has beside the standard 表型: a name of `meterd profiles`, or
    /// a file
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Bits per second 波特率
    #[arg(long, default_value_t = Line::DEFAULT.baud, value_parser = rate)]
    baud: u32,
    /// Data bits, parity, stop bits 帧格式
    #[arg(long, default_value_t = CharFormat::EVEN)]
    frame: CharFormat,
    /// How long to wait for the first octet of an answer, e.g. 800ms
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    timeout: Duration,
    /// How often to ask again when no sound answer came
    #[arg(long, value_name = "N", default_value_t = Patience::default().retries)]
    retries: u32,
    /// Print every frame 报文 as it passes, explained
    #[arg(long)]
    trace: bool,
    /// Print one JSON object a register
    #[arg(long)]
    json: bool,
    /// Registers by name, OBIS code or 数据标识 (DI), or a pattern:
    /// active_energy_import_t*
    #[arg(value_name = "REGISTER", required = true)]
    registers: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  meterd read --port /dev/ttyUSB0 --address 12345678 active_energy_import
  meterd read --port /dev/ttyUSB0 --address AAAAAAAAAAAA --trace 'voltage_l*'
  meterd read --port tcp://192.0.2.7:4001 --address 101,102 --json 1-0:1.8.0
  meterd read --port /dev/ttyUSB0 --address 7 --profile line-voltage voltage_ab

Values are what the meter sent 抄见示数, without CT and PT.

Exit code: 0 all were read, 1 some were not, 2 the command is wrong";

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Speaks {
    #[value(name = "dlt645-2007")]
    Dlt645_2007,
    #[value(name = "dlt645-1997")]
    Dlt645_1997,
}

impl Speaks {
    pub(super) const fn edition(self) -> Edition {
        match self {
            Self::Dlt645_2007 => Edition::E2007,
            Self::Dlt645_1997 => Edition::E1997,
        }
    }
}

pub(super) async fn run(args: ReadArgs) -> anyhow::Result<ExitCode> {
    let dialect = dialect(args.protocol, args.profile.as_deref());
    let found = dialect.and_then(|dialect| Ok((dialect, registers(dialect, &args.registers)?)));
    let (port, (dialect, registers)) = match (port(&args.port), found) {
        (Ok(port), Ok(found)) => (port, found),
        (Err(why), _) | (_, Err(why)) => return Ok(super::fail(USAGE, &why)),
    };
    let line = Line { baud: args.baud, frame: args.frame };
    let clock = Clock::system();
    let patience = Patience { first_octet: args.timeout, retries: args.retries, ..Patience::default() };
    let mut talk = Talk::new(Opener::Address(port), line, clock, patience);
    let trace = args.trace.then(|| Arc::new(Mutex::new(Trace::of(dialect.profile))));
    if let Some(trace) = &trace {
        talk.watch(tracer(Arc::clone(trace)));
    }
    let zone = TimeZone::system();
    let mut complete = true;
    let mut never_a_frame = false;
    for &address in &args.address {
        let one = read(&mut talk, dialect, address, &registers, Costs::usual(line)).await;
        if let Some(trace) = &trace {
            show(lock(trace).rest());
        }
        complete &= one.decoded.failures.is_empty();
        never_a_frame |= one.never_a_frame;
        super::out(&if args.json { json_lines(&one, &zone) } else { text_lines(&one) })?;
    }
    if never_a_frame {
        eprintln!(
            "meterd: octets came, but never a frame. The likely cause is parity or baud\n        \
             ({line}); also look for A and B swapped, or a second master.\n        \
             收到字节但没有完整帧：请检查校验位和波特率。"
        );
    }
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

struct One {
    address: Address,
    decoded: Decoded,
    /// Records with their octets: they have fields, not a value.
    records: Vec<(Register, Vec<u8>)>,
    profile: Option<&'static Profile>,
    never_a_frame: bool,
}

async fn read(
    talk: &mut Talk,
    dialect: Dialect,
    address: Address,
    registers: &[Register],
    costs: Costs,
) -> One {
    let mut address = address;
    if address == Address::ANY && dialect.edition == Edition::E2007 {
        // 13H is what 2007 has for this; a meter that does not know it may still answer AA.
        if let Ok(answer) = talk.read_address().await {
            address = answer.from;
        }
    }
    let mut round = Round::new(registers, &BTreeSet::new(), costs, Transformers::default());
    let mut never_a_frame = false;
    while let Some(ask) = round.next() {
        let came = talk.read(Protocol::dlt645(dialect.edition, address), ask.subject.di()).await;
        match &came {
            Ok(answer) if address.has_wildcard() => address = answer.from,
            Ok(_) => {}
            Err(no_reply) => never_a_frame |= no_reply.never_a_frame,
        }
        round.take(came);
    }
    let mut decoded = round.finish();
    let is_read = |failure: &mut Failure| failure.register.is_record() && failure.raw.is_some();
    let records =
        decoded.failures.extract_if(.., is_read).filter_map(|f| Some((f.register, f.raw?))).collect();
    One { address, decoded, records, profile: dialect.profile, never_a_frame }
}

fn json_lines(one: &One, zone: &TimeZone) -> String {
    let address = one.address.to_string();
    let readings = one.decoded.readings.iter().map(|reading| payload::reading_line(&address, reading, zone));
    let failures = one.decoded.failures.iter().map(|failure| payload::failure_line(&address, failure));
    let records = records(one).filter_map(|record| record.json_line(&address));
    readings.chain(records).chain(failures).map(|line| format!("{line}\n")).collect()
}

/// The records with their fields.
fn records(one: &One) -> impl Iterator<Item = RegisterObject> + '_ {
    one.records.iter().flat_map(|(register, octets)| object::of_reply(register.di(), octets, one.profile))
}

fn text_lines(one: &One) -> String {
    let mut text = format!("{}\n", one.address);
    for reading in &one.decoded.readings {
        let unit = reading.register.unit().map_or("", catalogue::Unit::text);
        let at = match reading.value {
            Value::Demand { at: Some((date, time)), .. } => format!("at {date}T{time}"),
            Value::Demand { at: None, .. }
            | Value::Number(_)
            | Value::Date(_)
            | Value::Time(_)
            | Value::DateTime(..)
            | Value::Recurring(_)
            | Value::Slot(_)
            | Value::Digits(_)
            | Value::Text(_)
            | Value::Bits(_)
            | Value::Hex(_) => String::new(),
        };
        let line = format!(
            "  {:<34} {:>14} {unit:<6} {at}",
            reading.register.name().to_string(),
            reading.value.to_string()
        );
        text.push_str(&format!("{}\n", line.trim_end()));
    }
    for record in records(one) {
        super::decode::explain_register(&record, 2, &mut text);
    }
    text.extend(failure_lines(&one.decoded).into_iter().map(|line| format!("{line}\n")));
    text
}

/// A register a line; once for all of them where one reason kept the meter from saying anything.
fn failure_lines(decoded: &Decoded) -> Vec<String> {
    let failures = &decoded.failures;
    let alike = |a: &Failure, b: &Failure| a.reason == b.reason && a.detail == b.detail && b.raw.is_none();
    match failures.first() {
        Some(first)
            if decoded.readings.is_empty()
                && failures.len() > 1
                && failures.iter().all(|f| alike(first, f)) =>
        {
            wrapped("  ", &format!("{}: {}", first.reason, first.detail))
        }
        Some(_) | None => failures.iter().flat_map(failure_line).collect(),
    }
}

/// The detail stands on a line of its own where it would not fit a terminal of 80 columns.
fn failure_line(failure: &Failure) -> Vec<String> {
    let mut detail = failure.detail.clone();
    if let Some(raw) = &failure.raw {
        detail = format!("{detail} (raw {})", super::trace::hex(raw));
    }
    let name = failure.register.name().to_string();
    let mut lines = vec![format!("  {name:<34} {:>14}", failure.reason.word())];
    match lines.first_mut().filter(|line| line.width() + 1 + detail.width() <= COLUMNS) {
        Some(line) => *line += &format!(" {detail}"),
        None => lines.extend(wrapped("    ", &detail)),
    }
    lines
}

/// A terminal's columns.
const COLUMNS: usize = 80;

/// The words in lines that fit a terminal, as far as the words do.
fn wrapped(indent: &str, text: &str) -> Vec<String> {
    let mut lines = vec![indent.to_owned()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.width() == indent.len() => line.push_str(word),
            Some(line) if line.width() + 1 + word.width() <= COLUMNS => *line += &format!(" {word}"),
            Some(_) | None => lines.push(format!("{indent}{word}")),
        }
    }
    lines
}

/// Shows frames as they go by, explained; octets that are no frame as they are.
fn tracer(trace: Arc<Mutex<Trace>>) -> Tap {
    Box::new(move |passed| {
        let lines = lock(&trace).take(passed);
        show(lines);
    })
}

fn show(lines: Vec<String>) {
    for line in lines {
        eprintln!("{line}");
    }
}

fn lock(trace: &Mutex<Trace>) -> MutexGuard<'_, Trace> {
    // Only this task holds it; a panic elsewhere cannot have left it half written.
    trace.lock().unwrap_or_else(PoisonError::into_inner)
}

fn port(text: &str) -> Result<PortAddress, String> {
    text.parse().map_err(|e| format!("--port {text} is no port; {e}"))
}

/// What the meters speak. A profile is of one protocol, so it need not be said again.
fn dialect(speaks: Option<Speaks>, profile: Option<&str>) -> Result<Dialect, String> {
    let profile = profile.map(profiles::of).transpose()?;
    let own = profile.map(Profile::edition);
    let edition = speaks.map(Speaks::edition).or(own).unwrap_or(Edition::E2007);
    match profile {
        Some(profile) if profile.edition() != edition => {
            let word = Protocol::word_of(profile.edition());
            Err(format!("profile {} is of {word}; leave --protocol out", profile.name()))
        }
        Some(_) | None => Ok(Dialect { edition, profile }),
    }
}

fn registers(dialect: Dialect, texts: &[String]) -> Result<Vec<Register>, String> {
    let mut found = Vec::new();
    let mut unknown = Vec::new();
    for text in texts {
        match dialect.catalogue().find(text, Costs::usual(Line::DEFAULT).tariffs) {
            Ok(registers) => found.extend(registers),
            Err(e) => unknown.push(e.to_string()),
        }
    }
    if unknown.is_empty() { Ok(found) } else { Err(unknown.join("\n        ")) }
}

fn rate(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|b| RATES.contains(b)).ok_or_else(|| {
        let rates = RATES.map(|rate| rate.to_string()).join(", ");
        format!("write one of {rates}")
    })
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 =
        number.parse().map_err(|_| "a duration is a number and ms or s, e.g. 800ms".to_owned())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        _ => Err("a duration is a number and ms or s, e.g. 800ms".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_detail_is_wrapped_and_loses_no_word() {
        let text =
            "port_gone: /dev/ttyUSB0 cannot be opened: No such file or directory (os error 2) (is it there?)";
        let lines = wrapped("  ", text);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.width() <= COLUMNS && line.starts_with("  ")), "{lines:?}");
        assert_eq!(lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "), text);
        assert_eq!(wrapped("  ", "short"), ["  short"]);
    }
}
