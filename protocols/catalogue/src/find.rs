//! Registers by what a person writes: a name, a pattern, an OBIS code, a DI.

use crate::axes::Axis;
use crate::row::Row;
use crate::{Access, Catalogue, Entry, Register};
use dlt645::Di;
use dlt645::format::Format;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

/// A text that names no register.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no register is called {asked}{}", .nearest.as_ref().map(|n| format!("; did you mean {n}?")).unwrap_or_default())]
pub struct Unknown {
    /// What was asked for.
    pub asked: String,
    /// The nearest known name.
    pub nearest: Option<String>,
}

impl Catalogue {
    /// Registers by what a person writes, in the order of the table:
    ///
    /// - a name, `active_energy_import_t1_s2`; `_a _b _c` are understood as `_l1 _l2 _l3`;
    /// - a pattern with `*` for any text: `voltage_l*`, `*_import`. The part `_t*` means tariffs 1 to `tariffs`, not the
    ///   total; `_l*` the phases, not the total. A pattern never reaches tariffs above `tariffs`, and reaches
    ///   settlement days only with a last part `_s1` or `_s*`, frozen values and records with `_day*`, `_hour*`,
    ///   `_timed*`, `_instant*`, `_month*`, `_record*`. It reaches only what has a value of its own that can be read: a
    ///   record or a password has to be named. It may select nothing: `_t*` with no tariffs;
    /// - an OBIS code, `1-0:1.8.0`, short `1.8.0`, with the settlement day `1-0:1.8.0*101`;
    /// - a DI, `02030000` or in 1997 `B630`; that of a block gives its registers for `tariffs`.
    ///
    /// # Errors
    /// [`Unknown`] with the nearest known name.
    pub fn find(&'static self, text: &str, tariffs: u8) -> Result<Vec<Register>, Unknown> {
        let asked = text.trim();
        let by_di = |di: Di| match self.by_di(di)? {
            Entry::Register(register) => Some(vec![register]),
            Entry::Block(block) => Some(block.registers(tariffs).collect()),
        };
        let found = if let Ok(di) = asked.parse::<Di>() {
            by_di(di)
        } else if asked.contains('.') && asked.starts_with(|c: char| c.is_ascii_digit()) {
            self.by_obis(asked).map(|register| vec![register])
        } else {
            let name = with_phase_numbers(asked);
            if name.contains('*') {
                self.by_pattern(&name, tariffs)
            } else {
                self.by_name(&name).map(|register| vec![register])
            }
        };
        found.ok_or_else(|| Unknown { asked: asked.to_owned(), nearest: self.nearest(asked) })
    }

    /// The register of exactly this stable name, as [`Register::name`] gives it; cheap also where there is none.
    pub fn by_name(&'static self, name: &str) -> Option<Register> {
        let last = name.rsplit('_').next().unwrap_or("");
        let number = |axis: Axis| Some((axis, last.strip_prefix(axis.word())?.parse::<u8>().ok()?));
        let back = Axis::BACK.into_iter().find_map(number);
        let near = |row: &&Arc<Row>| {
            name.starts_with(&*row.stem)
                && (back.is_some_and(|(axis, _)| row.counts(axis)) || row.has_present())
        };
        let mut own = String::new();
        let rows = self.rows.iter().filter(near);
        // A name is a text that has to be made, of thousands that differ by how far they are back.
        let fits = |register: &Register| register.back().is_none_or(|its| back == Some(its));
        rows.flat_map(|row| self.registers_at(row, back)).filter(fits).find(|register| {
            own.clear();
            write!(own, "{}", register.name()).is_ok() && own == name
        })
    }

    /// None if the pattern would select nothing with any number of tariffs.
    fn by_pattern(&'static self, pattern: &str, tariffs: u8) -> Option<Vec<Register>> {
        let start = pattern.split('*').next().unwrap_or("");
        let asks = Asks::of(pattern);
        let mut found = Vec::new();
        let mut known = false;
        let mut own = String::new();
        let near = |row: &&Arc<Row>| row.stem.starts_with(start) || start.starts_with(&*row.stem);
        let rows = self.rows.iter().filter(near).filter(|row| asks.can_want(row));
        for register in rows.flat_map(|row| self.registers_of(row)) {
            if !asks.wants(&register) || register.access() == Access::Write {
                continue;
            }
            own.clear();
            if write!(own, "{}", register.name()).is_err()
                || !matches(&asks.with_numbers(pattern, &register), &own)
            {
                continue;
            }
            known = true;
            // A name that several maps of a Modbus model have means one register.
            let is_twin = |other: &Register| register.location().is_some() && other.name().to_string() == own;
            if register.tariff().is_none_or(|tariff| tariff <= tariffs) && !found.iter().any(is_twin) {
                found.push(register);
            }
        }
        known.then_some(found)
    }

    fn by_obis(&'static self, code: &str) -> Option<Register> {
        // Group F 255 is the present value, as no F is.
        let code = code.strip_suffix("*255").unwrap_or(code);
        let mut own = String::new();
        let rows = self.rows.iter().filter(|row| row.obis.is_some());
        rows.flat_map(|row| self.registers_of(row)).find(|register| {
            own.clear();
            let written = register.obis().is_some_and(|obis| write!(own, "{obis}").is_ok());
            written && (own == code || own.split_once(':').is_some_and(|(_, short)| short == code))
        })
    }

    /// The nearest known name. Tariff and settlement day are set aside, so that a slip in the word before them is
    /// found by comparing a few hundred names, not all.
    fn nearest(&'static self, asked: &str) -> Option<String> {
        let asked = with_phase_numbers(asked);
        let cut = asked.split('_').rev().take_while(|part| is_tariff_or_settlement(part));
        let behind: usize = cut.map(|part| part.len() + 1).sum();
        let (base, suffixes) = asked.split_at(asked.len().saturating_sub(behind));
        let rows = self.rows.iter().filter(|row| row.has_present());
        // Of a long list the first few stand for all.
        let plain = rows
            .flat_map(|row| self.registers_of(row))
            .filter(|r| r.tariff().is_none() && r.is_present() && r.place().is_none_or(|place| place < 10));
        let names: Vec<String> = plain.map(|r| r.name().to_string()).collect();
        let near = names.iter().map(|name| (strsim::osa_distance(base, name), name));
        let (distance, near) = near.min_by_key(|(distance, _)| *distance)?;
        // A known name with something behind it, as `_total`, is rather that name than another with another end.
        let within =
            |name: &&String| base.strip_prefix(name.as_str()).is_some_and(|end| end.starts_with('_'));
        let name = match names.iter().filter(within).max_by_key(|name| name.len()) {
            Some(start) if distance > 2 => start,
            Some(_) | None if distance <= 2.max(base.chars().count() / 4) => near,
            Some(_) | None => return None,
        };
        let whole = format!("{name}{suffixes}");
        let known = !suffixes.contains('*') && self.by_name(&whole).is_some();
        Some(if known { whole } else { name.clone() })
    }
}

/// What a pattern asks for beyond its letters.
struct Asks {
    tariff: bool,
    phase: bool,
    back: Option<&'static str>,
}

impl Asks {
    fn of(pattern: &str) -> Self {
        let part = |wanted: &str| pattern.split('_').skip(1).any(|part| part == wanted);
        let last = pattern.rsplit('_').next().unwrap_or("");
        let counts = |word: &str| {
            last.strip_prefix(word)
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit() || b == b'*'))
        };
        let mut words = Axis::BACK.into_iter().map(Axis::word);
        let back = words.find(|word| pattern.contains('_') && counts(word));
        Self { tariff: part("t*"), phase: part("l*"), back }
    }

    fn can_want(&self, row: &Row) -> bool {
        match self.back {
            None => row.has_present(),
            Some(word) => Axis::BACK.into_iter().any(|axis| axis.word() == word && row.counts(axis)),
        }
    }

    /// The pattern with the register's own numbers for `_l*` and `_t*`: `voltage_l*` is no `voltage_loss…`.
    fn with_numbers<'a>(&self, pattern: &'a str, register: &Register) -> Cow<'a, str> {
        if !self.phase && !self.tariff {
            return Cow::Borrowed(pattern);
        }
        let parts = pattern.split('_').map(|part| match part {
            "l*" => Cow::Owned(format!("l{}", register.phase().unwrap_or(0))),
            "t*" => Cow::Owned(format!("t{}", register.tariff().unwrap_or(0))),
            other => Cow::Borrowed(other),
        });
        Cow::Owned(parts.collect::<Vec<_>>().join("_"))
    }

    fn wants(&self, register: &Register) -> bool {
        (!self.tariff || register.tariff().is_some())
            && (!self.phase || register.phase().is_some())
            && register.format() != Format::Composite
            && register.access() != Access::Write
            && self.back == register.back().map(|(axis, _)| axis.word())
    }
}

/// `t4`, `s1`, `t*`, `s1*`.
fn is_tariff_or_settlement(part: &str) -> bool {
    part.strip_prefix(['t', 's'])
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit() || b == b'*'))
}

/// `_a _b _c` as `_l1 _l2 _l3`: Chinese meters and their manuals say A, B, C.
fn with_phase_numbers(text: &str) -> String {
    let mut parts: Vec<&str> = text.split('_').collect();
    for part in parts.iter_mut().skip(1) {
        match *part {
            "a" => *part = "l1",
            "b" => *part = "l2",
            "c" => *part = "l3",
            _ => {}
        }
    }
    parts.join("_")
}

/// Whether the whole text fits the pattern, in which `*` stands for any text or none.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let Some((middle, last)) = rest.rsplit_once('*') else { return text.ends_with(rest) };
    // The earliest place of each part leaves the most text for the parts behind it.
    for part in middle.split('*') {
        let Some(place) = text.find(part) else { return false };
        text = &text[place + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text_or_none() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "a"),
            ("a*", "a"),
            ("a*c", "abc"),
            ("*b*", "abc"),
            ("a**c", "ac"),
            ("*ab*ab", "abab"),
            ("a*b*c", "axbxbxc"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("a*a", "a"), ("*b", "abc"), ("a*b*b", "ab"), ("b*", "ab"), ("*ab*ab", "ab"), ("ab", "abc")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
