//! `meterd profiles`: what single meter models have beside their standard (表型): listed, shown, tested.

#![expect(clippy::print_stderr, reason = "the command line speaks to a person")]

use super::USAGE;
use super::registers::line;
use crate::config::{self, BadProfile, Dialect, Protocol};
use catalogue::Profile;
use clap::Subcommand;
use dlt645::Edition;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use unicode_width::UnicodeWidthStr;

const EXAMPLES: &str = "\
Examples:
  meterd profiles
  meterd profiles show lv-breaker
  meterd profiles test my-meter.toml

A NAME with a / or with .toml at its end is the path of a file of yours.

Exit code: 0 found, or every test of every file is passed. 1: a file has faults,
or a frame says something else than its test. 2: no such profile or file.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ProfilesArgs {
    #[command(subcommand)]
    command: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Every built-in profile: name, protocol, rows of registers, model
    List,
    /// One profile, with its source and its registers
    Show {
        /// Its name, or a file
        name: String,
    },
    /// Check files of profiles, and decode the frames in them
    Test {
        /// TOML files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
}

pub(super) fn run(args: ProfilesArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        None | Some(What::List) => super::out(&list()).map(|()| ExitCode::SUCCESS),
        Some(What::Show { name }) => match of(&name) {
            Ok(profile) => super::out(&show(profile)).map(|()| ExitCode::SUCCESS),
            Err(why) => Ok(super::fail(USAGE, &why)),
        },
        Some(What::Test { files }) => test(&files),
    }
}

/// A profile by name or path, as `--profile` takes it.
///
/// # Errors
/// What is wrong, for a person.
pub(super) fn of(name: &str) -> Result<&'static Profile, String> {
    config::profile(name, Path::new("")).map_err(|why| why.to_string())
}

/// What is spoken in an edition by a meter of this profile.
pub(super) fn dialect(profile: Option<&'static Profile>, edition: Edition) -> Dialect {
    Dialect { edition, profile: profile.filter(|profile| profile.edition() == edition) }
}

fn list() -> String {
    let lines = Profile::all().map(|profile| {
        format!(
            "{:<26} {} {:>3} {}\n",
            profile.name(),
            Protocol::word_of(profile.edition()),
            profile.search("").count(),
            profile.model()
        )
    });
    lines.collect()
}

fn show(profile: &'static Profile) -> String {
    let mut text = format!(
        "profile   {}\nprotocol  {}\nmodel     {}\n",
        profile.name(),
        Protocol::word_of(profile.edition()),
        profile.model()
    );
    for (label, words) in [("source    ", Some(profile.source())), ("notes     ", profile.notes())] {
        let Some(words) = words else { continue };
        let mut indent = label;
        for line in wrapped(words) {
            text.push_str(&format!("{indent}{line}\n"));
            indent = "          ";
        }
    }
    let rows: Vec<_> = profile.search("").collect();
    let registers: usize = rows.iter().map(|row| row.registers().count()).sum();
    let (count, tests) = (rows.len(), profile.tests());
    text.push_str(&format!("registers {registers} by {count} rows, {tests} tests\n\n"));
    text.extend(rows.iter().map(|row| format!("{}\n", line(row))));
    text
}

/// Columns of a terminal without the labels.
const COLUMNS: usize = 70;

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.width() + 1 + word.width() <= COLUMNS => *line += &format!(" {word}"),
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Every file is tested, whatever is wrong with one.
fn test(files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut code = 0;
    for file in files {
        let shown = file.display();
        // A name without a folder is a file here, and no built-in profile.
        let path = Path::new(".").join(file);
        let path = if file.is_absolute() || file.components().count() > 1 { file.clone() } else { path };
        let tested = config::profile(&path.to_string_lossy(), Path::new(""));
        let tested = tested.and_then(|profile| Ok(profile.run_tests().map(|()| profile)?));
        match tested {
            Ok(profile) => {
                let (count, rows) = (profile.tests(), profile.search("").count());
                super::out(&format!("{shown}: rows of registers {rows}, tests passed {count}\n"))?;
            }
            Err(BadProfile::Faulty(faults)) => {
                eprintln!("{faults}");
                code = code.max(1);
            }
            Err(why @ (BadProfile::Unread { .. } | BadProfile::Unknown(_))) => {
                eprintln!("meterd: {why}");
                code = USAGE;
            }
        }
    }
    Ok(ExitCode::from(code))
}
