//! The text of a file, or why there is none.

use super::archive::text::{Written, decode};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Why a file gave no text.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("does not exist")]
    Absent,
    #[error("may not be read by this user; give it read permission")]
    Forbidden,
    #[error("is a folder; name a file")]
    Folder,
    #[error("is not UTF-8 (line {line}); save it as UTF-8")]
    NotUtf8 { line: usize },
    #[error("is neither UTF-8 nor GBK (line {line}); save it as \"CSV UTF-8\"")]
    NoText { line: usize },
    #[error("cannot be read: {0}")]
    Io(io::Error),
}

#[expect(clippy::wildcard_enum_match_arm, reason = "kinds of I/O errors are not ours to list")]
fn octets(path: &Path) -> Result<Vec<u8>, Unreadable> {
    std::fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Unreadable::Absent,
        ErrorKind::PermissionDenied => Unreadable::Forbidden,
        ErrorKind::IsADirectory => Unreadable::Folder,
        _ => Unreadable::Io(error),
    })
}

/// An archive, in the encoding that a spreadsheet gave it.
pub(super) fn read_archive(path: &Path) -> Result<(String, Written), Unreadable> {
    decode(octets(path)?).map_err(|line| Unreadable::NoText { line })
}

/// A text in UTF-8.
pub(super) fn read(path: &Path) -> Result<String, Unreadable> {
    String::from_utf8(octets(path)?).map_err(|error| {
        let sound = error.utf8_error().valid_up_to();
        let newlines = error.as_bytes()[..sound].iter().filter(|octet| **octet == b'\n').count();
        Unreadable::NotUtf8 { line: newlines + 1 }
    })
}
