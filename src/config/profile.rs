//! Profiles (表型) of meters, by name or as files of the user's.

mod shelf;

pub(super) use shelf::Shelf;
pub(crate) use shelf::files as profile_files;

use super::plan::Dialect;
use super::registers::{NotFound, Resolve};
use catalogue::{Profile, TableFaults, UnknownProfile};
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

/// The built-in profile of these dialects' standards that has the register; of Modbus only where no meter is known, since
/// a Modbus meter has a profile already, and can have no other.
pub(super) fn with(
    asked: &[(Dialect, usize, NotFound)],
    register: &str,
    resolve: Resolve<'_>,
) -> Option<&'static str> {
    let could = |(dialect, meters, _): &&(Dialect, usize, NotFound)| {
        *meters == 0 || dialect.standard.edition().is_some()
    };
    let standards = |profile: &&Profile| {
        asked.iter().filter(could).any(|(dialect, ..)| dialect.standard == profile.standard())
    };
    let has = |profile: &&'static Profile| {
        resolve(Dialect { standard: profile.standard(), profile: Some(profile) }, register).is_ok()
    };
    Profile::all().filter(|profile| standards(profile)).find(has).map(Profile::name)
}
