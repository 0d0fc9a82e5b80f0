//! The text of an archive out of the octets of a file, as spreadsheets write it; and what its cells are separated by.

use encoding_rs::{Encoding, GB18030};
use std::fmt;

/// What a file was written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::config) enum Written {
    /// UTF-8, with a byte order mark or without.
    Utf8,
    /// UTF-16 with its byte order mark, "Unicode text" of a spreadsheet.
    Utf16,
    /// GBK, or GB 18030 of which it is a part: "CSV" of a Chinese spreadsheet.
    Gb18030,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16 => "UTF-16",
            Self::Gb18030 => "GBK (GB 18030)",
        })
    }
}

/// The text of a file. Octets that are no UTF-8 are taken for GB 18030.
///
/// # Errors
/// The line, from 1 on, at which it is neither.
pub(in crate::config) fn decode(octets: Vec<u8>) -> Result<(String, Written), usize> {
    if let Some((encoding, mark)) = Encoding::for_bom(&octets).filter(|(of, _)| *of != encoding_rs::UTF_8) {
        let (text, faulty) = encoding.decode_without_bom_handling(octets.get(mark..).unwrap_or_default());
        return if faulty { Err(damaged(&text)) } else { Ok((text.into_owned(), Written::Utf16)) };
    }
    let octets = match String::from_utf8(octets) {
        Ok(text) => return Ok((text, Written::Utf8)),
        Err(error) => error.into_bytes(),
    };
    let (text, faulty) = GB18030.decode_without_bom_handling(&octets);
    if faulty { Err(damaged(&text)) } else { Ok((text.into_owned(), Written::Gb18030)) }
}

/// The line of the first sign that stands for octets of no meaning.
fn damaged(text: &str) -> usize {
    let before = text.split(char::REPLACEMENT_CHARACTER).next().unwrap_or("");
    before.matches('\n').count() + 1
}

/// What the cells of a text are separated by: of comma, semicolon and tab what its first row has most of.
pub(super) fn separator(text: &str) -> char {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#')).unwrap_or("");
    let mut quoted = false;
    let mut counts = [(',', 0_usize), (';', 0), ('\t', 0)];
    for c in first.chars() {
        if c == '"' {
            quoted = !quoted;
        } else if let Some((_, count)) = counts.iter_mut().find(|(separator, _)| !quoted && *separator == c) {
            *count += 1;
        }
    }
    // Of as many the first counts: a comma.
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(',', |(separator, _)| separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "户号,户名\n1,王芳\n";

    #[test]
    fn a_text_is_the_same_in_every_encoding_of_a_spreadsheet() {
        let (gbk, ..) = GB18030.encode(TEXT);
        let utf16: Vec<u8> =
            [0xFF, 0xFE].into_iter().chain(TEXT.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        for (octets, written) in [
            (TEXT.as_bytes().to_vec(), Written::Utf8),
            (gbk.into_owned(), Written::Gb18030),
            (utf16, Written::Utf16),
        ] {
            assert_eq!(decode(octets), Ok((TEXT.to_owned(), written)));
        }
        let marked = [b"\xEF\xBB\xBF", TEXT.as_bytes()].concat();
        assert_eq!(decode(marked).map(|(text, _)| text), Ok(format!("\u{feff}{TEXT}")));
    }

    #[test]
    fn names_beyond_gbk_are_read_from_gb_18030() {
        let rare = "户名\n㐂𠮷\n";
        assert_eq!(decode(GB18030.encode(rare).0.into_owned()), Ok((rare.to_owned(), Written::Gb18030)));
    }

    #[test]
    fn octets_of_no_meaning_are_refused_with_their_line() {
        assert_eq!(decode(b"a,b\nc,\xFF\xFF\n".to_vec()), Err(2));
        assert_eq!(decode(b"\xFF\xFEa\x00\n\x00\x00\xD8a\x00".to_vec()), Err(2));
    }

    #[test]
    fn the_separator_is_what_the_first_row_has_most_of_outside_of_quotes() {
        for (text, found) in [
            ("a,b;c,d", ','),
            ("a;b;c,d", ';'),
            ("# a;b;c\n\na\tb\n", '\t'),
            ("\"a;b;c\",d", ','),
            ("a", ','),
            ("", ','),
        ] {
            assert_eq!(separator(text), found, "{text}");
        }
    }
}
