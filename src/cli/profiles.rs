//! `meterd profiles`: what single meter models have beside their standard (表型): listed, shown, tested.

#![expect(clippy::print_stderr, reason = "the command line speaks to a person")]

mod show;

use super::USAGE;
use super::check::{COLUMNS, cut_at as cut};
use crate::config::{self, BadProfile, Dialect};
use catalogue::{Profile, Standard};
use clap::Subcommand;
use std::fmt::Display;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use unicode_width::UnicodeWidthStr;

const EXAMPLES: &str = "\
Examples:
  meterd profiles
  meterd profiles show lv-breaker
  meterd profiles test my-meter.toml
  meterd profiles --profiles /etc/meterd/profiles.d test

A NAME with a / or with .toml at its end is the path of a file of yours.

Exit code: 0 found, or every test of every file is passed. 1: a file has faults,
or a frame says something else than its test. 2: no such profile or file.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ProfilesArgs {
    /// Those of this folder of yours, before the built-in ones of their names
    #[arg(long, global = true, value_name = "DIR")]
    profiles: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Every profile: name, protocol, rows of registers, model
    List,
    /// One profile, with its source and its registers
    Show {
        /// Its name, or a file
        name: String,
    },
    /// Check files of profiles, and decode the frames in them
    Test {
        /// TOML files; without one all of --profiles, or all that are built in
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

pub(super) fn run(args: ProfilesArgs) -> anyhow::Result<ExitCode> {
    let own = match args.profiles.as_deref().map(files_of).transpose() {
        Ok(own) => own,
        Err(why) => return Ok(super::fail(USAGE, &why)),
    };
    match args.command {
        None | Some(What::List) => list(own.as_deref().unwrap_or_default()),
        Some(What::Show { name }) => match of(&in_folder(own.as_deref().unwrap_or_default(), &name)) {
            Ok(profile) => super::out(&show::text(profile)).map(|()| ExitCode::SUCCESS),
            Err(why) => Ok(super::fail(USAGE, &why)),
        },
        Some(What::Test { files }) if files.is_empty() => match own {
            Some(own) => test(&own),
            None => test_built_in(),
        },
        Some(What::Test { files }) => test(&files),
    }
}

/// The files of a folder of profiles.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let files = config::profile_files(folder);
    files.map_err(|why| format!("the folder {} cannot be read: {why}", folder.display()))
}

/// A name as it is, or the path of the file of this name in the folder.
fn in_folder(own: &[PathBuf], name: &str) -> String {
    let file = own.iter().find(|path| path.file_stem().is_some_and(|stem| stem == name));
    file.map_or_else(|| name.to_owned(), |path| as_path(path).to_string_lossy().into_owned())
}

/// A name without a folder is a file here, and no built-in profile.
fn as_path(file: &Path) -> PathBuf {
    let has_folder = file.is_absolute() || file.components().count() > 1;
    if has_folder { file.to_owned() } else { Path::new(".").join(file) }
}

/// A profile by name or path, as `--profile` takes it.
///
/// # Errors
/// What is wrong, for a person.
pub(super) fn of(name: &str) -> Result<&'static Profile, String> {
    config::profile(name, Path::new("")).map_err(|why| why.to_string())
}

/// What is spoken of a standard by a meter of this profile.
pub(super) fn dialect(profile: Option<&'static Profile>, standard: impl Into<Standard>) -> Dialect {
    let standard = standard.into();
    Dialect { standard, profile: profile.filter(|profile| profile.standard() == standard) }
}

/// The user's first, then those that are built in and have no other in their place.
fn list(own: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    let mut names = Vec::new();
    for file in own {
        match config::profile(&as_path(file).to_string_lossy(), Path::new("")) {
            Ok(profile) => {
                names.push(profile.name());
                super::out(&listed(profile))?;
            }
            Err(why) => {
                eprintln!("{why}");
                code = ExitCode::from(1);
            }
        }
    }
    let built_in = Profile::all().filter(|profile| !names.contains(&profile.name()));
    super::out(&built_in.map(listed).collect::<String>())?;
    Ok(code)
}

/// One profile a line; on a terminal as much of its model as fits 80 columns.
fn listed(profile: &'static Profile) -> String {
    let (name, word) = (profile.name(), profile.standard().word());
    let head = format!("{name:<25} {word:<11} {:>3}  ", profile.search("").count());
    let model = profile.model();
    let room = COLUMNS.saturating_sub(head.width());
    let model = if std::io::stdout().is_terminal() { cut(model, room) } else { model.to_owned() };
    format!("{head}{model}\n")
}

/// Every file is tested, whatever is wrong with one.
fn test(files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut code = 0;
    for file in files {
        let tested = config::profile(&as_path(file).to_string_lossy(), Path::new(""));
        let tested = tested.and_then(|profile| Ok(profile.run_tests().map(|()| profile)?));
        match tested {
            Ok(profile) => super::out(&passed(&file.display(), profile))?,
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

/// Every built-in profile is tested.
fn test_built_in() -> anyhow::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for profile in Profile::all() {
        match profile.run_tests() {
            Ok(()) => super::out(&passed(&profile.name(), profile))?,
            Err(faults) => {
                eprintln!("{faults}");
                code = ExitCode::from(1);
            }
        }
    }
    Ok(code)
}

fn passed(shown: &dyn Display, profile: &'static Profile) -> String {
    let (count, rows) = (profile.tests(), profile.search("").count());
    format!("{shown}: rows of registers {rows}, tests passed {count}\n")
}
