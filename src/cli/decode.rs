//! `meterd decode`: frames out of any hexadecimal text, every layer explained.

mod input;
pub(super) mod object;

use super::USAGE;
use crate::mqtt::payload::RegisterJson;
use anyhow::Context;
use object::{DamagedObject, FrameObject, Object};
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  meterd decode 68 34 12 00 00 00 00 68 91 06 33 34 34 35 38 55 0A 16
  meterd decode --json capture.txt
  cat capture.txt | meterd decode -
  meterd decode --profile lv-breaker capture.txt

Exit code 0: at least one frame is sound. 1: none is. 2: wrong usage.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DecodeArgs {
    /// Print one JSON object a frame
    #[arg(long)]
    json: bool,
    /// Registers of this profile 表型 first, a name or a file
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Octets in hexadecimal 十六进制报文: spaced or not, with 0x or commas; or
    /// a file of such text; or - for standard input
    #[arg(value_name = "HEX|FILE|-", required = true, allow_hyphen_values = true)]
    input: Vec<String>,
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
    let objects = object::objects(&octets, profile);
    let mut sound = false;
    for object in &objects {
        sound |= matches!(object, Object::Frame(_));
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
        Object::Frame(frame) => explain_frame(frame),
        Object::Damaged(DamagedObject { damaged, offset, octets }) => {
            format!("at octet {offset}: no frame: {damaged}\n{}\n", wrapped(&spaced(octets)))
        }
    }
}

fn explain_frame(frame: &FrameObject) -> String {
    let mut text = format!("at octet {}: {}, {}\n", frame.offset, frame.protocol, frame.line);
    text.push_str(&wrapped(&spaced(&frame.frame)));
    for register in &frame.registers {
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
