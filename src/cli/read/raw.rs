//! Registers of a Modbus meter by their addresses (寄存器地址), `04:0x0034:f32:le`: a profile that is made up for them.

use catalogue::{Manner, Profile, Register};
use modbus::Function;

/// A register by its address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ByAddress {
    function: Function,
    address: u16,
    /// As a profile writes it.
    kind: String,
    /// Of a type without a length of its own.
    words: Option<u16>,
    low_word_first: bool,
}

/// Types that have a length.
const PLAIN: [&str; 8] = ["u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64"];
/// Types of as many words as are said behind them.
const LONG: [&str; 3] = ["bcd", "text", "bits"];
/// Words that one value has at most.
const MOST: u16 = 16;
/// Decimals of a float: more than its 7 digits have in any unit that a meter uses.
const DIGITS: u8 = 6;

/// Names, and registers by address.
///
/// # Errors
/// What is wrong with one that begins like an address.
pub(super) fn apart(texts: &[String]) -> Result<(Vec<&str>, Vec<ByAddress>), String> {
    let (mut names, mut by_address) = (Vec::new(), Vec::new());
    for text in texts {
        if is_address(text) {
            let one = one(text)?;
            if !by_address.contains(&one) {
                by_address.push(one);
            }
        } else {
            names.push(text.as_str());
        }
    }
    Ok((names, by_address))
}

/// Whether it is meant as an address: no name, OBIS code or pattern has 0x.
fn is_address(text: &str) -> bool {
    text.split(':').take(2).any(|part| part.starts_with("0x") || part.starts_with("0X"))
}

fn one(text: &str) -> Result<ByAddress, String> {
    let bad = |why: &str| Err(format!("{text}: {why}; write 0x0034:f32, or 04:0x0034:f32:le"));
    let mut parts: Vec<&str> = text.split(':').collect();
    let function = match parts.first().copied() {
        Some("03" | "3") => Some(Function::Holding),
        Some("04" | "4") => Some(Function::Input),
        Some(_) | None => None,
    };
    if function.is_some() {
        parts.remove(0);
    }
    let (address, kind, order) = match parts.as_slice() {
        [address, kind] => (*address, *kind, None),
        [address, kind, order] => (*address, *kind, Some(*order)),
        [_] => return bad("the type is missing"),
        _ => return bad("it has too many parts"),
    };
    let hex = address.strip_prefix("0x").or_else(|| address.strip_prefix("0X"));
    let Some(address) = hex.and_then(|digits| u16::from_str_radix(digits, 16).ok()) else {
        return bad("the function is 03 or 04, and the address four hexadecimal digits, as it is sent");
    };
    let low_word_first = match order {
        None | Some("be") => false,
        Some("le") => true,
        Some(_) => return bad("the order of words is le (the low word first), or left out"),
    };
    let long = LONG.into_iter().find_map(|long| Some((long, kind.strip_prefix(long)?)));
    let (kind, words) = match long {
        Some((long, count)) => match count.parse().ok().filter(|words| (1..=MOST).contains(words)) {
            Some(words) => (long, Some(words)),
            None => return bad(&format!("{long} goes with its number of words, as {long}2")),
        },
        None if PLAIN.contains(&kind) => (kind, None),
        None => return bad(&format!("the type is one of {}, or bcd2, text8, bits1", PLAIN.join(" "))),
    };
    let function = function.unwrap_or(Function::Holding);
    Ok(ByAddress { function, address, kind: kind.to_owned(), words, low_word_first })
}

impl ByAddress {
    fn name(&self) -> String {
        let Self { function, address, kind, words, low_word_first } = self;
        let of = match function {
            Function::Holding => "holding",
            Function::Input => "input",
        };
        let words = words.map(|words| words.to_string()).unwrap_or_default();
        let order = if *low_word_first { "_le" } else { "" };
        format!("{of}_{address:04x}_{kind}{words}{order}")
    }

    /// The row of a profile.
    fn row(&self) -> String {
        let Self { function, address, kind, words, low_word_first } = self;
        let name = self.name();
        let function = match function {
            Function::Holding => 3,
            Function::Input => 4,
        };
        let words = words.map(|words| format!(", words = {words}")).unwrap_or_default();
        let digits = if kind.starts_with('f') { format!(", digits = {DIGITS}") } else { String::new() };
        let order = if *low_word_first { "low-first" } else { "high-first" };
        format!(
            "{{ address = {address:#06x}, function = {function}, name = \"{name}\", name_zh = \"寄存器{address:04X}\", \
             quantity = \"parameter\", type = \"{kind}\"{words}{digits}, word_order = \"{order}\", alone = true, primary = true }}"
        )
    }
}

/// The registers; `manner` is that of the profile that the meter has beside.
///
/// # Errors
/// What the loader of profiles says.
pub(super) fn registers(all: &[ByAddress], manner: Option<&Manner>) -> Result<Vec<Register>, String> {
    let pause = manner.map_or(0, |manner| manner.pause.as_millis());
    let mut registers = Vec::with_capacity(all.len());
    for one in all {
        let row = one.row();
        let text = format!(
            "protocol = \"modbus\"\nmodel = \"a register by its address\"\nsource = \"The command line.\"\n\
             pause_ms = {pause}\nregister = [{row}]\n"
        );
        let profile = Profile::read("by-address", "the register by its address", &text);
        // A command reads a few and ends.
        let profile: &'static Profile = Box::leak(Box::new(profile.map_err(|faults| faults.to_string())?));
        registers.extend(profile.catalogue().registers());
    }
    Ok(registers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_by_address_is_function_address_type_and_order() {
        let name = |text: &str| one(text).map(|one| one.name());
        for (text, expected) in [
            ("0x0034:f32", "holding_0034_f32"),
            ("04:0x0034:f32", "input_0034_f32"),
            ("4:0x34:u32:le", "input_0034_u32_le"),
            ("03:0XFC00:u16:be", "holding_fc00_u16"),
            ("0x0010:text8", "holding_0010_text8"),
            ("0x0010:bcd2:le", "holding_0010_bcd2_le"),
        ] {
            assert_eq!(name(text).as_deref(), Ok(expected), "{text}");
        }
        for text in
            ["0x0034", "05:0x0034:u16", "0x10000:u16", "0x0:f16", "0x0:bcd", "0x0:text0", "0x0:u16:el"]
        {
            assert!(name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_and_an_obis_code_are_no_address() {
        let texts = ["voltage_l1", "1-0:1.8.0", "0x0000:u16", "02030000"].map(str::to_owned);
        let (names, by_address) = apart(&texts).unwrap();
        assert_eq!((names, by_address.len()), (vec!["voltage_l1", "1-0:1.8.0", "02030000"], 1));
    }
}
