//! `meterd registers`: what can be asked for, by DI, name, OBIS code, English or Chinese words.

use catalogue::{Access, Catalogue, Summary, Unit};
use dlt645::Edition;
use serde::Serialize;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  meterd registers voltage
  meterd registers 正向有功 --protocol dlt645-1997
  meterd registers 0001FF00 --json

Letters in an identifier stand for what a person chooses: tt the tariff, pp the
phase, ss the settlement day. Exit code 0: found. 1: nothing is called so.";

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
    /// Print one JSON object a row
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    protocol: &'static str,
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
    let editions = match args.protocol {
        Some(speaks) => vec![speaks.edition()],
        None => vec![Edition::E2007, Edition::E1997],
    };
    let mut found = 0;
    for edition in editions {
        for summary in Catalogue::of(edition).search(&query) {
            found += 1;
            if args.json {
                super::out(&format!("{}\n", serde_json::to_string(&row(edition, &summary))?))?;
            } else {
                super::out(&format!("{}\n", line(&summary)))?;
            }
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

fn line(summary: &Summary) -> String {
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

fn row(edition: Edition, summary: &Summary) -> Row {
    Row {
        protocol: match edition {
            Edition::E1997 => "dlt645-1997",
            Edition::E2007 => "dlt645-2007",
        },
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
        },
        clause: summary.clause(),
    }
}
