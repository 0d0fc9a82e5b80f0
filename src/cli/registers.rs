//! `meterd registers`: what can be asked for, by DI, name, OBIS code, English or Chinese words.

use super::{USAGE, profiles, protocol};
use catalogue::{Access, Catalogue, Profile, Standard, Summary, Unit};
use dlt645::Edition;
use serde::Serialize;
use std::cell::Cell;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  meterd registers voltage
  meterd registers 正向有功 --protocol dlt645-1997
  meterd registers 0001FF00 --json
  meterd registers voltage --profile line-voltage
  meterd registers thd --protocol modbus

Letters in an identifier stand for what a person chooses: tt the tariff, pp the
phase, ss the settlement day. What only a meter model has is told with its profile
表型. Exit code 0: found. 1: nothing is called so.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RegistersArgs {
    /// Words that must all be found: a DI or its beginning, a name, an OBIS code,
    /// Chinese words, a quantity, a unit; all registers if left out
    #[arg(value_name = "QUERY")]
    query: Vec<String>,
    /// Only registers of this protocol; those of Modbus are each profile's own
    #[arg(long, value_enum)]
    protocol: Option<protocol::Of>,
    /// Also registers of this profile 表型, a name or a file; only of its protocol
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Print one JSON object a row
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'static str>,
    register: String,
    name_zh: String,
    di: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    obis: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'static str>,
    quantity: &'static str,
    octets: usize,
    access: &'static str,
    edition: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    clause: &'static str,
}

pub(super) fn run(args: &RegistersArgs) -> anyhow::Result<ExitCode> {
    let query = args.query.join(" ");
    let profile = match args.profile.as_deref().map(profiles::of).transpose() {
        Ok(profile) => profile,
        Err(why) => return Ok(super::fail(USAGE, &why)),
    };
    let standards: Vec<Standard> = match (args.protocol, profile) {
        (Some(of), Some(profile)) if profile.standard() != of.standard() => {
            let word = profile.standard().word();
            let why = format!("profile {} is of {word}; leave --protocol out", profile.name());
            return Ok(super::fail(USAGE, &why));
        }
        (_, Some(profile)) => vec![profile.standard()],
        (Some(of), None) => vec![of.standard()],
        (None, None) => vec![Edition::E2007.into(), Edition::E1997.into()],
    };
    let found = Cell::new(0_usize);
    let print = |standard, summary: &Summary, of: Option<&'static str>| {
        found.set(found.get() + 1);
        super::out(&match (args.json, of) {
            (true, _) => format!("{}\n", serde_json::to_string(&row(standard, summary, of))?),
            (false, Some(name)) => format!("{}  (--profile {name})\n", line(summary)),
            (false, None) => format!("{}\n", line(summary)),
        })
    };
    for &standard in &standards {
        for summary in profiles::dialect(profile, standard).catalogue().search(&query) {
            print(
                standard,
                &summary,
                profile.map(Profile::name).filter(|_| args.json && summary.is_of_profile()),
            )?;
        }
    }
    // All of the profiles for no word would bury the standard.
    let elsewhere = |standards: &[Standard]| {
        let others = Profile::all().filter(|other| standards.contains(&other.standard()));
        for other in others.filter(|_| profile.is_none() && !query.is_empty()) {
            for summary in other.search(&query).filter(|summary| is_new(summary, other.standard())) {
                print(other.standard(), &summary, Some(other.name()))?;
            }
        }
        anyhow::Ok(())
    };
    elsewhere(&standards)?;
    // Each model of Modbus meters has the usual registers once more: they are told where nothing else is.
    if found.get() == 0 && args.protocol.is_none() {
        elsewhere(&[Standard::Modbus])?;
    }
    if found.get() == 0 {
        let why = if query.is_empty() {
            "registers of Modbus meters are those of their profiles; write --profile NAME, or a word"
                .to_owned()
        } else {
            format!("no register is found by {query:?}; try one word of it, or none for all")
        };
        return Ok(super::fail(1, &why));
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the standard's table has nothing of this name.
fn is_new(summary: &Summary, standard: Standard) -> bool {
    let first = summary.registers().next();
    first.is_none_or(|register| {
        Catalogue::of_standard(standard).find(&register.name().to_string(), 0).is_err()
    })
}

pub(super) fn line(summary: &Summary) -> String {
    let unit = summary.unit().map_or("", Unit::text);
    let line = format!(
        "{:<10} {:<36} {unit:<6} {}",
        summary.di().to_string(),
        summary.name().to_string(),
        chinese(&summary.name_zh().to_string())
    );
    line.trim_end().to_owned()
}

/// The Chinese name with what stands for its places: 正向有功(费率N)电能.
fn chinese(name: &str) -> String {
    [("{t}", "(费率N)"), ("{p}", "(分相)"), ("{h}", "(n次)"), ("{n}", "n")]
        .into_iter()
        .fold(name.to_owned(), |name, (place, words)| name.replace(place, words))
}

fn row(standard: Standard, summary: &Summary, profile: Option<&'static str>) -> Row {
    Row {
        profile,
        protocol: standard.word(),
        register: summary.name().to_string(),
        name_zh: chinese(&summary.name_zh().to_string()),
        di: summary.di().to_string(),
        obis: summary.obis().map(|code| code.to_string()),
        unit: summary.unit().map(Unit::text),
        quantity: summary.quantity().text(),
        octets: summary.octets(),
        access: match summary.access() {
            Access::Read => "read",
            Access::ReadWrite => "read, write",
            Access::Write => "write",
        },
        edition: match summary.edition() {
            catalogue::Edition::Standard => "std",
            catalogue::Edition::StateGrid => "sgcc",
            catalogue::Edition::Vendor => "vendor",
        },
        clause: summary.clause(),
    }
}
