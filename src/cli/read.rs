//! `meterd read`: registers of meters once, without a configuration, through the same planner and
//! exchanges as the daemon.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the command line speaks to a person")]

use super::USAGE;
use super::trace::Trace;
use crate::bus::exchange::Tap;
use crate::bus::port::Opener;
use crate::bus::round::Round;
use crate::bus::talk::{Patience, Talk};
use crate::clock::Clock;
use crate::config::{PortAddress, Protocol};
use crate::mqtt::payload;
use crate::planner::{CharFormat, Costs, Line, RATES};
use crate::reading::{Decoded, Transformers};
use catalogue::{Catalogue, Register};
use dlt645::Address;
use dlt645::format::Value;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(super) struct ReadArgs {
    /// A serial device, or a serial server: /dev/ttyUSB0, tcp://192.0.2.7:4001
    #[arg(long, value_name = "URL")]
    port: String,
    /// Address of the meter 表地址, several with commas; AAAAAAAAAAAA asks the only meter on the line
    #[arg(long, value_name = "ADDR", required = true, value_delimiter = ',')]
    address: Vec<Address>,
    /// What the meter speaks 规约
    #[arg(long, value_enum, default_value_t = Speaks::Dlt645_2007)]
    protocol: Speaks,
    /// Bits per second 波特率
    #[arg(long, default_value_t = Line::DEFAULT.baud, value_parser = rate)]
    baud: u32,
    /// Data bits, parity, stop bits
    #[arg(long, default_value_t = CharFormat::EVEN)]
    frame: CharFormat,
    /// How long to wait for the first octet of an answer: 800ms, 1s
    #[arg(long, default_value = "1s", value_parser = duration)]
    timeout: Duration,
    /// How often to ask again when no answer came
    #[arg(long, default_value_t = Patience::default().retries)]
    retries: u32,
    /// Print every frame as it goes by, explained
    #[arg(long)]
    trace: bool,
    /// Print one JSON object a register
    #[arg(long)]
    json: bool,
    /// Registers by name, OBIS code or DI; patterns such as active_energy_import_t*
    #[arg(value_name = "REGISTER", required = true)]
    registers: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Speaks {
    #[value(name = "dlt645-2007")]
    Dlt645_2007,
}

pub(super) async fn run(args: ReadArgs) -> anyhow::Result<ExitCode> {
    let (port, registers) = match (port(&args.port), registers(&args.registers)) {
        (Ok(port), Ok(registers)) => (port, registers),
        (Err(why), _) | (_, Err(why)) => return Ok(super::fail(USAGE, &why)),
    };
    let line = Line { baud: args.baud, frame: args.frame };
    let clock = Clock::system();
    let patience = Patience { first_octet: args.timeout, retries: args.retries, ..Patience::default() };
    let mut talk = Talk::new(Opener::Address(port), line, clock, patience);
    let trace = args.trace.then(Arc::<Mutex<Trace>>::default);
    if let Some(trace) = &trace {
        talk.watch(tracer(Arc::clone(trace)));
    }
    let zone = TimeZone::system();
    let mut complete = true;
    let mut never_a_frame = false;
    for &address in &args.address {
        let one = read(&mut talk, address, &registers, Costs::usual(line)).await;
        if let Some(trace) = &trace {
            show(lock(trace).rest());
        }
        complete &= one.decoded.failures.is_empty();
        never_a_frame |= one.never_a_frame;
        if args.json {
            print_json(&one, &zone);
        } else {
            print_text(&one);
        }
    }
    if never_a_frame {
        eprintln!(
            "meterd: octets came, but never a frame. The likely cause is parity or baud ({line}); also look for A and B \
             swapped, or another master on the line.\n        收到字节但没有完整帧:请检查校验位和波特率。"
        );
    }
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

struct One {
    address: Address,
    decoded: Decoded,
    never_a_frame: bool,
}

async fn read(talk: &mut Talk, address: Address, registers: &[Register], costs: Costs) -> One {
    let mut address = address;
    if address == Address::ANY {
        // 13H is what the standard has for this; a meter that does not know it may still answer AA.
        if let Ok(answer) = talk.read_address().await {
            address = answer.from;
        }
    }
    let mut round = Round::new(registers, &BTreeSet::new(), costs, Transformers::default());
    let mut never_a_frame = false;
    while let Some(ask) = round.next() {
        let came = talk.read(Protocol::Dlt645_2007(address), ask.subject.di()).await;
        match &came {
            Ok(answer) if address.has_wildcard() => address = answer.from,
            Ok(_) => {}
            Err(no_reply) => never_a_frame |= no_reply.never_a_frame,
        }
        round.take(came);
    }
    One { address, decoded: round.finish(), never_a_frame }
}

fn print_json(one: &One, zone: &TimeZone) {
    let address = one.address.to_string();
    for reading in &one.decoded.readings {
        println!("{}", payload::reading_line(&address, reading, zone));
    }
    for failure in &one.decoded.failures {
        println!("{}", payload::failure_line(&address, failure));
    }
}

fn print_text(one: &One) {
    println!("{}", one.address);
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
        println!("{}", line.trim_end());
    }
    for failure in &one.decoded.failures {
        println!(
            "  {:<34} {:>14} {}",
            failure.register.name().to_string(),
            failure.reason.word(),
            failure.detail
        );
    }
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

fn registers(texts: &[String]) -> Result<Vec<Register>, String> {
    let mut found = Vec::new();
    let mut unknown = Vec::new();
    for text in texts {
        match Catalogue::dlt645_2007().find(text, Costs::usual(Line::DEFAULT).tariffs) {
            Ok(registers) => found.extend(registers),
            Err(e) => unknown.push(e.to_string()),
        }
    }
    if unknown.is_empty() { Ok(found) } else { Err(unknown.join("\n        ")) }
}

fn rate(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|b| RATES.contains(b)).ok_or_else(|| format!("a rate is one of {RATES:?}"))
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
