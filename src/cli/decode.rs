//! `meterd decode`: frames out of any hexadecimal text, every layer explained.

mod input;
mod modbus;
pub(super) mod object;

use super::USAGE;
use crate::mqtt::payload::RegisterJson;
use anyhow::Context;
use catalogue::Standard;
use object::{DamagedObject, Object};
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  meterd decode 68 34 12 00 00 00 00 68 91 06 33 34 34 35 38 55 0A 16
  meterd decode --json capture.txt
  cat capture.txt | meterd decode -
  meterd decode --profile lv-breaker capture.txt
  meterd decode --protocol modbus 01 04 00 00 00 02 71 CB
  meterd decode --profile eastron-sdm630 capture.txt

Of Modbus, requests and answers in their order: an answer does not say which
registers it has, so that its names and values come with the request before it.

Exit code 0: at least one frame is sound. 1: none is. 2: wrong usage.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DecodeArgs {
    /// Print one JSON object a frame
    #[arg(long)]
    json: bool,
    /// What the frames are of 规约: DL/T 645 of both editions, or Modbus RTU
    /// [default: what the profile is of, or dlt645]
    #[arg(long, value_enum)]
    protocol: Option<Framed>,
    /// Registers of this profile 表型 first, a name or a file
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Octets in hexadecimal 十六进制报文: spaced or not, with 0x or commas; or
    /// a file of such text; or - for standard input
    #[arg(value_name = "HEX|FILE|-", required = true, allow_hyphen_values = true)]
    input: Vec<String>,
}

/// What frames are of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Framed {
    Dlt645,
    Modbus,
}

pub(super) fn run(args: &DecodeArgs) -> anyhow::Result<ExitCode> {
    let text = match args.input.as_slice() {
        [only] if only == "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("standard input is no text")?;
            text
        }
        [only] if Path::new(only).is_file() => {
            std::fs::read_to_string(only).with_context(|| format!("{only} is no text file"))?
        }
        words => words.join(" "),
    };
    let octets = match input::octets(&text) {
        Ok(octets) => octets,
        Err(why) => return Ok(super::fail(USAGE, &why.to_string())),
    };
    let profile = match args.profile.as_deref().map(super::profiles::of).transpose() {
        Ok(profile) => profile,
        Err(why) => return Ok(super::fail(USAGE, &why)),
    };
    let own = profile.map(|profile| match profile.standard() {
        Standard::Dlt645(_) => Framed::Dlt645,
        Standard::Modbus => Framed::Modbus,
    });
    if let (Some(profile), Some(own), Some(said)) = (profile, own, args.protocol)
        && own != said
    {
        let word = profile.standard().word();
        let why = format!("profile {} is of {word}; leave --protocol out", profile.name());
        return Ok(super::fail(USAGE, &why));
    }
    let objects = match args.protocol.or(own).unwrap_or(Framed::Dlt645) {
        Framed::Dlt645 => object::objects(&octets, profile),
        Framed::Modbus => modbus::objects(&octets, profile),
    };
    let mut sound = false;
    for object in &objects {
        sound |= !matches!(object, Object::Damaged(_));
        if args.json {
            super::out(&format!("{}\n", serde_json::to_string(object)?))?;
        } else {
            super::out(&explain(object))?;
        }
    }
    if objects.is_empty() {
        return Ok(super::fail(1, "there is no octet in the input"));
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// One block of lines a frame.
fn explain(object: &Object) -> String {
    match object {
        Object::Frame(own) => {
            frame(own.offset, &format!("{}, {}", own.protocol, own.line), &own.frame, &own.registers)
        }
        Object::Modbus(own) => {
            let line = format!("{}, {} {}", own.protocol, own.direction, own.line);
            frame(own.offset, &line, &own.frame, &own.registers)
        }
        Object::Damaged(DamagedObject { damaged, offset, octets }) => {
            format!("at octet {offset}: no frame: {damaged}\n{}\n", wrapped(&spaced(octets)))
        }
    }
}

fn frame(offset: u64, line: &str, octets: &str, registers: &[RegisterJson]) -> String {
    let mut text = format!("at octet {offset}: {line}\n");
    text.push_str(&wrapped(&spaced(octets)));
    for register in registers {
        explain_register(register, 2, &mut text);
    }
    text.push('\n');
    text
}

pub(super) fn explain_register(register: &RegisterJson, indent: usize, text: &mut String) {
    let margin = " ".repeat(indent);
    let name = register.register.as_deref().unwrap_or("unknown");
    let value = match (&register.value, register.reason, &register.raw) {
        (Some(value), ..) => {
            format!("{value}{}", register.unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default())
        }
        (None, Some(reason), _) => reason.to_string(),
        (None, None, Some(raw)) => format!("octets {}", spaced(raw)),
        (None, None, None) => String::new(),
    };
    let line = format!("{margin}{name:<34} {value}");
    text.push_str(line.trim_end());
    for (label, more) in [("at ", &register.at), ("", &register.name_zh), ("", &register.detail)] {
        if let Some(more) = more {
            text.push_str(&format!("  {label}{more}"));
        }
    }
    text.push('\n');
    for bit in register.bits.iter().flatten() {
        text.push_str(&format!("{margin}  - {bit}\n"));
    }
    for field in &register.fields {
        explain_register(field, indent + 2, text);
    }
}

fn spaced(hex: &str) -> String {
    hex.as_bytes().chunks(2).map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ")
}

/// Lines of 24 octets, so that a terminal of 80 columns holds them.
fn wrapped(spaced: &str) -> String {
    let octets: Vec<&str> = spaced.split(' ').collect();
    octets.chunks(24).map(|line| format!("  {}\n", line.join(" "))).collect()
}
