//! Hexadecimal text, as people and logs write it, to octets.

/// A text that is not hexadecimal; it says where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum NotHex {
    /// A character that is no digit and no separator.
    #[error(
        "line {line}, column {column}: {found:?} is no hexadecimal digit; write octets as 68 34 12 or 0x68,0x34"
    )]
    Character {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// Which.
        found: char,
    },
    /// An odd number of digits in a row.
    #[error("line {line}: {digits} hexadecimal digits in a row are no whole octets; each octet has two")]
    Odd {
        /// From 1.
        line: usize,
        /// How many.
        digits: usize,
    },
}

/// Octets out of spaced, unspaced, 0x-prefixed and comma-separated text; `#` begins a comment.
///
/// # Errors
/// [`NotHex`] with the place.
pub(super) fn octets(text: &str) -> Result<Vec<u8>, NotHex> {
    let mut octets = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line_number = number + 1;
        let code = line.split('#').next().unwrap_or_default();
        let mut column = 1;
        for word in
            code.split_inclusive(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '-' | '|'))
        {
            let plain = word
                .trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '-' | '|'));
            let (digits, skipped) = match plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
                Some(rest) => (rest, 2),
                None => (plain, 0),
            };
            take(digits, line_number, column + skipped, &mut octets)?;
            column += word.chars().count();
        }
    }
    Ok(octets)
}

fn take(digits: &str, line: usize, column: usize, octets: &mut Vec<u8>) -> Result<(), NotHex> {
    let mut values = Vec::with_capacity(digits.len());
    for (at, found) in digits.chars().enumerate() {
        match found.to_digit(16) {
            Some(value) => values.push(value as u8),
            None => return Err(NotHex::Character { line, column: column + at, found }),
        }
    }
    // One digit alone is an octet that lost its zero: `0x8`, ` 8 `.
    if let [value] = values[..] {
        octets.push(value);
        return Ok(());
    }
    if values.len() % 2 != 0 {
        return Err(NotHex::Odd { line, digits: values.len() });
    }
    octets.extend(values.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_read_however_they_are_written() {
        let expected = Ok(vec![0x68, 0x34, 0x12, 0x00]);
        for text in [
            "68341200",
            "68 34 12 00",
            "0x68, 0x34, 0x12, 0x00",
            "0x68341200",
            "68-34-12-00",
            "68:34:12:00",
            "68 34 # a comment\n12 00\n",
            "0x68 0x34 0x12 0x0",
        ] {
            assert_eq!(octets(text), expected, "{text}");
        }
        assert_eq!(octets(" \n"), Ok(vec![]));
    }

    #[test]
    fn what_is_no_octet_is_told_with_its_place() {
        assert_eq!(octets("68 34\n6G"), Err(NotHex::Character { line: 2, column: 2, found: 'G' }));
        assert_eq!(octets("683"), Err(NotHex::Odd { line: 1, digits: 3 }));
        assert_eq!(octets("68 表"), Err(NotHex::Character { line: 1, column: 4, found: '表' }));
    }
}
