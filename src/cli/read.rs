//! `meterd read`: registers of meters once, without a configuration, through the same planner and
//! exchanges as the daemon.

#![expect(clippy::print_stderr, reason = "the command line speaks to a person")]

mod asked;
mod raw;
mod records;
mod text;

use super::USAGE;
use super::protocol;
use super::trace::Trace;
use crate::bus::exchange::Tap;
use crate::bus::port::Opener;
use crate::bus::round::{Point, Round};
use crate::bus::talk::{Asked, Patience, Talk};
use crate::clock::Clock;
use crate::config::{Dialect, PortSettings, Protocol};
use crate::planner::{CharFormat, RATES};
use crate::reading::{Content, Decoded};
use asked::Asking;
use catalogue::Register;
use dlt645::Address;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReadArgs {
    /// Serial device 串口 or serial server 串口服务器: /dev/ttyUSB0 or
    /// tcp://192.0.2.7:4001
    #[arg(long, value_name = "PORT")]
    port: String,
    /// Digits on the meter's plate 表地址, or the unit id 从站地址 of a Modbus meter;
    /// several with commas; AAAAAAAAAAAA finds the only DL/T 645 meter of a line
    #[arg(long, value_name = "ADDRESS", required = true, value_delimiter = ',')]
    address: Vec<String>,
    /// What the meter speaks 规约; by default what its profile does, or
    /// dlt645-2007
    #[arg(long, value_enum)]
    protocol: Option<protocol::Asked>,
    /// What its model has beside the standard 表型: a name of `meterd profiles`, or
    /// a file. A Modbus meter has no names without it
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Bits per second 波特率 [default: what the profile says, or 2400; of a Modbus
    /// meter 9600]
    #[arg(long, value_parser = rate)]
    baud: Option<u32>,
    /// Data bits, parity, stop bits 帧格式 [default: the profile's, or 8E1;
    /// of a Modbus meter 8N1]
    #[arg(long)]
    frame: Option<CharFormat>,
    /// How long to wait for the first octet of an answer, e.g. 800ms
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = crate::config::short)]
    timeout: Duration,
    /// Silence before each request; 0ms asks as fast as the line carries
    /// [default: 30ms, or what the profile says]
    #[arg(long, value_name = "TIME", value_parser = crate::config::short)]
    turnaround: Option<Duration>,
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
    /// active_energy_import_t*; load_record, or one class: load_record_1; of
    /// Modbus also by address 寄存器地址, as 04:0x0034:f32 (see below)
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
  meterd read --port /dev/ttyS1 --address 1 --profile eastron-sdm630 frequency
  meterd read --port /dev/ttyS1 --address 1 04:0x0034:f32

A register of Modbus by its address, without a profile or beside it: function,
address as it is sent (from 0), type, order of words, with colons between:
  [04:]0x0034:TYPE[:le]
03 (holding, if left out) or 04 (input). TYPE u16 i16 u32 i32 u64 i64 f32 f64;
bcd2 text8 bits1 with the number of words. le: the low word comes first.

Values are what the meter sent 抄见示数, without CT and PT.

Exit code: 0 all were read, 1 some were not, 2 the command is wrong";

pub(super) async fn run(args: ReadArgs) -> anyhow::Result<ExitCode> {
    let asking = match asked::asking(&args) {
        Ok(asking) => asking,
        Err(why) => return Ok(super::fail(USAGE, &why)),
    };
    let Asking { port, line, .. } = &asking;
    let clock = Clock::system();
    let patience = Patience {
        first_octet: args.timeout,
        again: args.timeout,
        retries: args.retries,
        turnaround: asking.turnaround,
    };
    let mut talk = Talk::new(Opener::to(port, &PortSettings::usual(port)), *line, clock);
    let trace = args.trace.then(|| Arc::new(Mutex::new(Trace::of(asking.speaks, asking.dialect.profile))));
    if let Some(trace) = &trace {
        talk.watch(tracer(Arc::clone(trace)));
    }
    let zone = TimeZone::system();
    let mut complete = true;
    let mut never_a_frame = false;
    for &protocol in &asking.meters {
        let asked = Asked { protocol, line: *line, preamble: asking.costs.preamble };
        let mut to = Questions { talk: &mut talk, asked, patience };
        let one = read(&mut to, &asking).await;
        if let Some(trace) = &trace {
            show(lock(trace).rest());
        }
        complete &= one.decoded.failures.is_empty();
        never_a_frame |= one.never_a_frame;
        super::out(&if args.json { text::json_lines(&one, &zone) } else { text::text_lines(&one) })?;
        for &record in &asking.load_records {
            let ended = records::read(&mut to, record, &args.range, |came| {
                if let Some(trace) = &trace {
                    show(lock(trace).rest());
                }
                super::out(&text::shown_record(came, &one.address, args.json))
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
    /// Of the meter that answered, as its protocol writes it.
    address: String,
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
    /// Whether the address is that of any meter.
    fn is_of_any(&self) -> bool {
        self.asked.protocol.dlt645_address().is_some_and(Address::has_wildcard)
    }

    /// The wildcard is from now on the meter that answered it.
    fn found(&mut self, address: Address) {
        if let Some(edition) = self.asked.protocol.edition() {
            self.asked.protocol = Protocol::dlt645(edition, address);
        }
    }
}

async fn read(to: &mut Questions<'_>, asking: &Asking) -> One {
    let Asking { dialect, costs, .. } = *asking;
    if to.asked.protocol == Protocol::Dlt645_2007(Address::ANY) {
        // 13H is what 2007 has for this; a meter that does not know it may still answer AA.
        if let Ok(answer) = to.talk.read_address(to.asked, to.patience).await {
            to.found(answer.from);
        }
    }
    let mut round = Round::new(&asking.registers, BTreeSet::new(), costs, Point::default());
    let mut never_a_frame = false;
    while let Some(ask) = round.next() {
        let came = to.talk.read(to.asked, ask.subject.id(), to.patience).await;
        match &came {
            Ok(answer) if to.is_of_any() => to.found(answer.from),
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
    One { address: to.asked.protocol.address(), decoded, records, dialect, never_a_frame }
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

fn rate(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|b| RATES.contains(b)).ok_or_else(|| {
        let rates = RATES.map(|rate| rate.to_string()).join(", ");
        format!("write one of {rates}")
    })
}
