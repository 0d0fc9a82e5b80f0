//! `meterd read`: registers of meters once, without a configuration, through the same planner and
//! exchanges as the daemon.

#![expect(clippy::print_stderr, reason = "the command line speaks to a person")]

mod records;

use super::trace::Trace;
use super::{USAGE, profiles};
use crate::bus::exchange::Tap;
use crate::bus::port::Opener;
use crate::bus::round::{Point, Round};
use crate::bus::talk::{Asked, Patience, Talk};
use crate::clock::Clock;
use crate::config::{BadPort, Dialect, PortAddress, PortSettings, Protocol};
use crate::mqtt::payload::{self, RegisterJson};
use crate::planner::{CharFormat, Costs, Line, RATES};
use crate::reading::{Content, Decoded, Failure};
use catalogue::{Profile, Register};
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
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = crate::config::short)]
    timeout: Duration,
    /// Silence before each request; 0ms asks as fast as the line carries
    #[arg(long, value_name = "TIME", default_value = "30ms", value_parser = crate::config::short)]
    turnaround: Duration,
    /// How often to ask again when no sound answer came
    #[arg(long, value_name = "N", default_value_t = Patience::RETRIES)]
    retries: u32,
    /// Print every frame 报文 as it passes, explained
    #[arg(long)]
    trace: bool,
    /// Print one JSON object a register
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    range: records::Range,
    /// Registers by name, OBIS code or 数据标识 (DI), or a pattern:
    /// active_energy_import_t*; load_record, or one class: load_record_1
    #[arg(value_name = "REGISTER", required = true)]
    registers: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  meterd read --port /dev/ttyUSB0 --address 12345678 active_energy_import
  meterd read --port /dev/ttyUSB0 --address AAAAAAAAAAAA --trace 'voltage_l*'
  meterd read --port tcp://192.0.2.7:4001 --address 101,102 --json 1-0:1.8.0
  meterd read --port /tmp/bus1 --address 101 --from 2026-11-21T00:00 load_record
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
    let found = dialect.and_then(|dialect| Ok((dialect, registers(dialect, &args.registers, &args.range)?)));
    let (port, (dialect, (load_records, registers))) = match (port(&args.port), found) {
        (Ok(port), Ok(found)) => (port, found),
        (Err(why), _) | (_, Err(why)) => return Ok(super::fail(USAGE, &why)),
    };
    let line = Line { baud: args.baud, frame: args.frame };
    let clock = Clock::system();
    let patience = Patience {
        first_octet: args.timeout,
        again: args.timeout,
        retries: args.retries,
        turnaround: args.turnaround,
    };
    let mut talk = Talk::new(Opener::to(&port, &PortSettings::usual(&port)), line, clock);
    let costs = Costs::usual(line);
    let trace = args.trace.then(|| Arc::new(Mutex::new(Trace::of(dialect.profile))));
    if let Some(trace) = &trace {
        talk.watch(tracer(Arc::clone(trace)));
    }
    let zone = TimeZone::system();
    let mut complete = true;
    let mut never_a_frame = false;
    for &address in &args.address {
        let protocol = Protocol::dlt645(dialect.edition, address);
        let asked = Asked { protocol, line, preamble: costs.preamble };
        let mut to = Questions { talk: &mut talk, asked, patience };
        let one = read(&mut to, dialect, address, &registers, costs).await;
        if let Some(trace) = &trace {
            show(lock(trace).rest());
        }
        complete &= one.decoded.failures.is_empty();
        never_a_frame |= one.never_a_frame;
        super::out(&if args.json { json_lines(&one, &zone) } else { text_lines(&one) })?;
        for &record in &load_records {
            let ended = records::read(&mut to, record, &args.range, |came| {
                if let Some(trace) = &trace {
                    show(lock(trace).rest());
                }
                super::out(&shown_record(came, one.address, args.json))
            });
            let ended = ended.await?;
            complete &= ended.complete;
            never_a_frame |= ended.never_a_frame;
        }
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
    dialect: Dialect,
    never_a_frame: bool,
}

/// One meter, how it is asked, and how patiently.
struct Questions<'t> {
    talk: &'t mut Talk,
    asked: Asked,
    patience: Patience,
}

impl Questions<'_> {
    /// The wildcard is from now on the meter that answered it.
    fn found(&mut self, address: Address) {
        self.asked.protocol = Protocol::dlt645(self.asked.protocol.edition(), address);
    }
}

async fn read(
    to: &mut Questions<'_>,
    dialect: Dialect,
    address: Address,
    registers: &[Register],
    costs: Costs,
) -> One {
    let mut address = address;
    if address == Address::ANY && dialect.edition == Edition::E2007 {
        // 13H is what 2007 has for this; a meter that does not know it may still answer AA.
        if let Ok(answer) = to.talk.read_address(to.asked, to.patience).await {
            address = answer.from;
            to.found(address);
        }
    }
    let mut round = Round::new(registers, BTreeSet::new(), costs, Point::default());
    let mut never_a_frame = false;
    while let Some(ask) = round.next() {
        let came = to.talk.read(to.asked, ask.subject.di(), to.patience).await;
        match &came {
            Ok(answer) if address.has_wildcard() => {
                address = answer.from;
                to.found(address);
            }
            Ok(_) => {}
            Err(no_reply) => never_a_frame |= no_reply.never_a_frame,
        }
        round.over_noise(to.talk.is_noisy());
        round.take(came);
    }
    let mut decoded = round.finish();
    let mut records = Vec::new();
    decoded.readings.retain(|reading| match &reading.content {
        Content::Value(_) => true,
        Content::Record(octets) => {
            records.push((reading.register, octets.clone()));
            false
        }
    });
    One { address, decoded, records, dialect, never_a_frame }
}

fn json_lines(one: &One, zone: &TimeZone) -> String {
    let address = one.address.to_string();
    let readings = one.decoded.readings.iter().map(|reading| payload::reading_line(&address, reading, zone));
    let failures = one.decoded.failures.iter().map(|failure| payload::failure_line(&address, failure));
    let records = records(one).map(|record| record.line(&address));
    readings.chain(records).chain(failures).map(|line| format!("{line}\n")).collect()
}

/// A load record, or why there is none.
fn shown_record(came: records::Came, address: Address, json: bool) -> String {
    let address = address.to_string();
    match came {
        records::Came::Record(record) if json => {
            format!("{}\n", record.line(&address))
        }
        records::Came::Record(record) => {
            let mut text = String::new();
            super::decode::explain_register(&record, 2, &mut text);
            text
        }
        records::Came::Failed(failure) if json => {
            format!("{}\n", payload::failure_line(&address, &failure))
        }
        records::Came::Failed(failure) => {
            failure_line(&failure).into_iter().map(|line| format!("{line}\n")).collect()
        }
    }
}

/// The records with their fields.
fn records(one: &One) -> impl Iterator<Item = RegisterJson> + '_ {
    one.records
        .iter()
        .flat_map(|(register, octets)| RegisterJson::of_reply(one.dialect.catalogue(), register.di(), octets))
}

fn text_lines(one: &One) -> String {
    let mut text = format!("{}\n", one.address);
    for (reading, value) in one.decoded.readings.iter().filter_map(|r| Some((r, r.value()?))) {
        let unit = reading.register.unit().map_or("", catalogue::Unit::text);
        let at = value.at().map(|(date, time)| format!("at {date}T{time}")).unwrap_or_default();
        let line =
            format!("  {:<34} {:>14} {unit:<6} {at}", reading.register.name().to_string(), value.to_string());
        text.push_str(&format!("{}\n", line.trim_end()));
        if let Some(why) = &reading.why {
            let lines = wrapped("    ", &format!("{}: {why}", reading.quality.word()));
            text.extend(lines.into_iter().map(|line| format!("{line}\n")));
        }
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
    match text.parse() {
        Ok(PortAddress::Listen(_)) => Err(format!("--port {text}: DTUs dial in to meterd run only")),
        Ok(port @ (PortAddress::Serial(_) | PortAddress::Tcp { .. })) => Ok(port),
        Err(BadPort::Form) => Err(format!(
            "--port {text} is no port; write the path of a serial device, /dev/…, or tcp://HOST:PORT of a serial server"
        )),
        Err(e) => Err(format!("--port {text} is no port; {e}")),
    }
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

/// The load records and the other registers.
fn registers(
    dialect: Dialect,
    texts: &[String],
    range: &records::Range,
) -> Result<(Vec<Register>, Vec<Register>), String> {
    let mut found = Vec::new();
    let mut unknown = Vec::new();
    for text in texts {
        let text = records::long_name(dialect.edition, text, range);
        match dialect.catalogue().find(&text, Costs::usual(Line::DEFAULT).tariffs) {
            Ok(registers) => found.extend(registers),
            Err(e) => unknown.push(e.to_string()),
        }
    }
    if unknown.is_empty() {
        records::apart(records::with_stamps(found), range)
    } else {
        Err(unknown.join("\n        "))
    }
}

fn rate(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|b| RATES.contains(b)).ok_or_else(|| {
        let rates = RATES.map(|rate| rate.to_string()).join(", ");
        format!("write one of {rates}")
    })
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
