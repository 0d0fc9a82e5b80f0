//! Profiles (表型) of meters, by name or as files of the user's.

use super::findings::{At, Findings};
use super::keys::{did_you_mean, nearest};
use super::plan::Dialect;
use super::registers::{NotFound, Resolve};
use catalogue::{Profile, TableFaults, UnknownProfile};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Why a text is no profile.
#[derive(Debug, thiserror::Error)]
pub enum BadProfile {
    /// No built-in profile, and no path.
    #[error("{0}")]
    Unknown(#[from] UnknownProfile),
    /// A file that gives no text.
    #[error("{path} cannot be read: {why}")]
    Unread {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// Faults of the file.
    #[error("{0}")]
    Faulty(#[from] TableFaults),
}

/// A built-in profile by its name, or a file of the user's: a text with a / or with .toml at its end is a path,
/// relative to `folder`. A file is read anew at each call. What is read stays in memory until the program ends, and a
/// file that has not changed since is the same profile again: meters do not change because a configuration is read anew.
///
/// # Errors
/// [`BadProfile`] with what to write.
pub fn profile(text: &str, folder: &Path) -> Result<&'static Profile, BadProfile> {
    if !is_path(text) {
        return Ok(Profile::named(text)?);
    }
    let path = folder.join(text);
    let content =
        std::fs::read_to_string(&path).map_err(|why| BadProfile::Unread { path: path.clone(), why })?;
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((.., known)) = read.iter().find(|(at, text, _)| *at == path && *text == content) {
        return Ok(known);
    }
    let name = path.file_stem().map_or_else(|| text.to_owned(), |stem| stem.to_string_lossy().into_owned());
    let profile = Profile::read(&name, &path.display().to_string(), &content)?;
    let profile: &'static Profile = Box::leak(Box::new(profile));
    read.push((path, content, profile));
    Ok(profile)
}

/// Profiles of files: where, what was written there, and what it is.
static READ: Mutex<Vec<(PathBuf, String, &'static Profile)>> = Mutex::new(Vec::new());

fn is_path(text: &str) -> bool {
    text.contains('/') || text.ends_with(".toml")
}

/// The profiles of one configuration: a file that many meters name is read once.
pub(super) struct Shelf<'a> {
    folder: &'a Path,
    /// `None` for what is no profile and has been said.
    known: HashMap<String, Option<&'static Profile>>,
}

impl<'a> Shelf<'a> {
    pub(super) fn new(folder: &'a Path) -> Self {
        Self { folder, known: HashMap::new() }
    }

    pub(super) fn get(&mut self, text: &At<String>, findings: &mut Findings) -> Option<&'static Profile> {
        let asked = text.value.as_str();
        // The faults of one file are said once; a name that is not known is said wherever it stands.
        if let Some(known) = self.known.get(asked).filter(|known| known.is_some() || is_path(asked)) {
            return *known;
        }
        let found = profile(asked, self.folder);
        match &found {
            Ok(_) => {}
            Err(BadProfile::Unknown(_)) => {
                let near = nearest(asked, Profile::all().map(Profile::name));
                let hint = match near {
                    Some(_) => did_you_mean(near),
                    None => {
                        "; `meterd profiles` lists them; the path of a .toml file is one as well".to_owned()
                    }
                };
                findings.fault(&text.here, format!("profile \"{asked}\" is not known{hint}"));
            }
            Err(BadProfile::Unread { .. }) => {
                findings.fault(
                    &text.here,
                    format!("profile {}", found.as_ref().err().map(ToString::to_string).unwrap_or_default()),
                );
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

/// The built-in profile of these dialects' edition that has the register.
pub(super) fn with(
    asked: &[(Dialect, usize, NotFound)],
    register: &str,
    resolve: Resolve<'_>,
) -> Option<&'static str> {
    let editions =
        |profile: &&Profile| asked.iter().any(|(dialect, ..)| dialect.edition == profile.edition());
    let has = |profile: &&'static Profile| {
        resolve(Dialect { edition: profile.edition(), profile: Some(profile) }, register).is_ok()
    };
    Profile::all().filter(|profile| editions(profile)).find(has).map(Profile::name)
}
