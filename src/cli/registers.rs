//! `meterd registers`: what can be asked for, by DI, name, OBIS code, English or Chinese words.

use super::{USAGE, profiles};
use crate::config::Protocol;
use catalogue::{Access, Catalogue, Profile, Summary, Unit};
use dlt645::Edition;
use serde::Serialize;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  meterd registers voltage
  meterd registers 正向有功 --protocol dlt645-1997
  meterd registers 0001FF00 --json
  meterd registers voltage --profile line-voltage

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
    /// Only registers of this edition
    #[arg(long, value_enum)]
    protocol: Option<super::read::Speaks>,
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
    let editions = match (args.protocol, profile) {
        (Some(speaks), Some(profile)) if speaks.edition() != profile.edition() => {
            let word = Protocol::word_of(profile.edition());
            let why = format!("profile {} is of {word}; leave --protocol out", profile.name());
            return Ok(super::fail(USAGE, &why));
        }
        (_, Some(profile)) => vec![profile.edition()],
        (Some(speaks), None) => vec![speaks.edition()],
        (None, None) => vec![Edition::E2007, Edition::E1997],
    };
    let mut found = 0;
    let mut print = |edition, summary: &Summary, of: Option<&'static str>| {
        found += 1;
        super::out(&match (args.json, of) {
            (true, _) => format!("{}\n", serde_json::to_string(&row(edition, summary, of))?),
            (false, Some(name)) => format!("{}  (--profile {name})\n", line(summary)),
            (false, None) => format!("{}\n", line(summary)),
        })
    };
    for &edition in &editions {
        for summary in profiles::dialect(profile, edition).catalogue().search(&query) {
            print(
                edition,
                &summary,
                profile.map(Profile::name).filter(|_| args.json && summary.is_of_profile()),
            )?;
        }
    }
    // All of the profiles for no word would bury the standard.
    let elsewhere = Profile::all()
        .filter(|other| profile.is_none() && !query.is_empty() && editions.contains(&other.edition()));
    for other in elsewhere {
        for summary in other.search(&query).filter(|summary| is_new(summary, other.edition())) {
            print(other.edition(), &summary, Some(other.name()))?;
        }
    }
    if found == 0 {
        return Ok(super::fail(
            1,
            &format!("no register is found by {query:?}; try one word of it, or none for all"),
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the standard's table has nothing of this name.
fn is_new(summary: &Summary, edition: Edition) -> bool {
    let first = summary.registers().next();
    first.is_none_or(|register| Catalogue::of(edition).find(&register.name().to_string(), 0).is_err())
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

fn row(edition: Edition, summary: &Summary, profile: Option<&'static str>) -> Row {
    Row {
        profile,
        protocol: Protocol::word_of(edition),
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
