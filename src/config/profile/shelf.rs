//! The profiles of one configuration: those in the user's folder by the names of their files, the built-in ones, and
//! files that meters name.

use super::{BadProfile, is_path, profile};
use crate::config::findings::{At, Findings, Here};
use crate::config::keys::{did_you_mean, nearest};
use catalogue::{Profile, TableFault};
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The folder of the user's own profiles, beside `meterd.toml`.
const FOLDER: &str = "profiles.d";

/// The profiles of one configuration: a file that many meters name is read once.
pub(in crate::config) struct Shelf<'a> {
    folder: &'a Path,
    /// The user's, by name.
    own: Vec<Own>,
    /// What meters name beside; `None` for what is no profile and has been said.
    known: HashMap<String, Option<&'static Profile>>,
}

/// A profile of the user's folder.
struct Own {
    name: String,
    path: PathBuf,
    /// `None` where it is faulty, which has been said.
    profile: Option<&'static Profile>,
}

impl<'a> Shelf<'a> {
    /// Reads the profiles of the user's folder, which is the one that is written or the usual one, if that is there.
    pub(in crate::config) fn open(
        folder: &'a Path,
        written: Option<&At<String>>,
        findings: &mut Findings,
    ) -> Self {
        let at = folder.join(written.map_or(FOLDER, |text| &text.value));
        let mut own = Vec::new();
        match files(&at) {
            Ok(paths) => own.extend(paths.into_iter().map(|path| one(path, findings))),
            Err(error) => {
                if let Some(text) = written {
                    let path = at.display();
                    findings
                        .fault(&text.here, format!("profiles: the folder {path} cannot be read: {error}"));
                } else if error.kind() != ErrorKind::NotFound {
                    let file = findings.open(at.display().to_string(), "");
                    findings.fault(&top(file), format!("this folder of profiles cannot be read: {error}"));
                }
            }
        }
        Self { folder, own, known: HashMap::new() }
    }

    /// The profile that a meter names; `None` after a fault.
    pub(in crate::config) fn get(
        &mut self,
        text: &At<String>,
        findings: &mut Findings,
    ) -> Option<&'static Profile> {
        let asked = text.value.trim();
        let is_it = |own: &&Own| match is_path(asked) {
            true => own.path == self.folder.join(asked),
            false => own.name == asked,
        };
        if let Some(own) = self.own.iter().find(is_it) {
            return own.profile;
        }
        // The faults of one file are said once; a name that is not known is said wherever it stands.
        if let Some(known) = self.known.get(asked).filter(|known| known.is_some() || is_path(asked)) {
            return *known;
        }
        let found = profile(asked, self.folder);
        match &found {
            Ok(_) => {}
            Err(BadProfile::Unknown(_)) => {
                let built_in = Profile::all().map(|profile| profile.name());
                let own = self.own.iter().map(|own| own.name.as_str());
                let near = nearest(asked, own.chain(built_in));
                let hint = match near {
                    Some(_) => did_you_mean(near),
                    None => {
                        "; `meterd profiles` lists them; the path of a .toml file is one as well".to_owned()
                    }
                };
                findings.fault(&text.here, format!("profile \"{asked}\" is not known{hint}"));
            }
            Err(unread @ BadProfile::Unread { .. }) => {
                findings.fault(&text.here, format!("profile {unread}"));
            }
            Err(BadProfile::Faulty(faults)) => {
                for fault in faults.faults() {
                    findings.fault(&text.here, format!("profile: {fault}"));
                }
            }
        }
        let found = found.ok();
        self.known.insert(asked.to_owned(), found);
        found
    }
}

/// The TOML files of a folder, by name.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.extension().is_some_and(|extension| extension == "toml") && !is_hidden {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// One profile of the folder. Its faults are said where they are.
fn one(path: PathBuf, findings: &mut Findings) -> Own {
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    // As it is named, from here on: it has its folder before it.
    let read = profile(&path.to_string_lossy(), Path::new(""));
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let file = findings.open(path.display().to_string(), &text);
    match &read {
        Ok(_) if Profile::named(&name).is_ok() => {
            findings.warn(&top(file), format!("is used in place of the built-in profile {name}"));
        }
        Ok(_) => {}
        Err(BadProfile::Faulty(faults)) => {
            for fault in faults.faults() {
                let here = Here { span: line(&text, fault.line), ..top(file) };
                findings.fault(&here, said(fault));
            }
        }
        Err(BadProfile::Unread { why, .. }) => {
            findings.fault(
                &top(file),
                format!("cannot be read: {why}; make it a text in UTF-8, or take it away"),
            );
        }
        Err(unknown @ BadProfile::Unknown(_)) => findings.fault(&top(file), unknown),
    }
    Own { name, path, profile: read.ok() }
}

fn top(file: usize) -> Here {
    Here { file, span: 0..0, label: "", key: String::new() }
}

/// Where a line begins.
fn line(text: &str, number: u64) -> std::ops::Range<usize> {
    let before = usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
    let start = text.split_inclusive('\n').take(before).map(str::len).sum();
    start..start
}

/// A fault without its file and line.
fn said(fault: &TableFault) -> String {
    let TableFault { place, column, wrong, .. } = fault;
    if column.is_empty() { wrong.to_string() } else { format!("{place} {column}: {wrong}") }
}
