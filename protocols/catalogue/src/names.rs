//! What a register of a Modbus meter is called and what it means, by its name: as DL/T 645 has it, else by the list of
//! names that meters of Modbus alone have.

use crate::axes::Axis;
use crate::{Catalogue, Quantity, Register, Unit};
use std::sync::LazyLock;

/// What a name means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Meaning {
    /// The name without its ends.
    pub(crate) stem: String,
    /// What the ends count.
    pub(crate) fixed: Vec<(Axis, u8)>,
    pub(crate) zh: String,
    pub(crate) quantity: Quantity,
    pub(crate) unit: Option<Unit>,
    pub(crate) obis: Option<String>,
}

/// A name of the list, without its ends.
struct Listed {
    name: String,
    zh: String,
    quantity: Quantity,
    unit: Option<Unit>,
    obis: String,
}

fn listed() -> &'static [Listed] {
    static ALL: LazyLock<Vec<Listed>> = LazyLock::new(|| {
        let mut lines = csv::Reader::from_reader(modbus::tables::NAMES.as_bytes());
        // A test reads the built-in list, so that no line of it is lost in a build that passed it.
        lines.records().filter_map(|line| one(&line.ok()?)).collect()
    });
    &ALL
}

fn one(line: &csv::StringRecord) -> Option<Listed> {
    let cell = |n: usize| line.get(n).map(str::trim);
    let quantity = Quantity::ALL.into_iter().find(|quantity| Some(quantity.text()) == cell(2))?;
    let unit = match cell(3)? {
        "" => None,
        text => Some(Unit::ALL.into_iter().find(|unit| unit.text() == text)?),
    };
    let [name, zh, obis] = [cell(0)?, cell(1)?, cell(4)?].map(str::to_owned);
    Some(Listed { name, zh, quantity, unit, obis })
}

/// What this name means; `None` where no table has it.
pub(crate) fn meaning(name: &str) -> Option<Meaning> {
    let standard = || {
        let plain = |register: &Register| register.is_present() && !register.is_record();
        [Catalogue::dlt645_2007(), Catalogue::dlt645_1997()]
            .into_iter()
            .find_map(|table| table.by_name(name).filter(plain))
    };
    of_list(name).or_else(|| standard().map(|register| of_standard(&register)))
}

fn of_standard(register: &Register) -> Meaning {
    let counted = Axis::ALL.into_iter().filter_map(|axis| Some((axis, register.number(axis)?)));
    Meaning {
        stem: register.row.stem.to_string(),
        fixed: counted.filter(|(_, number)| *number != 0).collect(),
        zh: register.name_zh().to_string(),
        quantity: register.quantity(),
        unit: register.unit(),
        obis: register.obis().map(|code| code.to_string()),
    }
}

fn of_list(name: &str) -> Option<Meaning> {
    let (stem, fixed) = ends(name);
    let listed = listed().iter().find(|listed| listed.name == stem)?;
    let has = |place: char| listed.zh.contains(['{', place].iter().collect::<String>().as_str());
    let number = |axis| fixed.iter().find(|(own, _)| *own == axis).map(|(_, number)| *number);
    let (phase, tariff) = (number(Axis::Phase), number(Axis::Tariff));
    // A name with an end that the list has no place for means something else.
    if phase.is_some() && !has('p') || tariff.is_some() && !has('t') {
        return None;
    }
    let of_phase = match phase {
        Some(1) => "A相",
        Some(2) => "B相",
        Some(_) => "C相",
        None if has('t') => "",
        None => "总",
    };
    let of_tariff = match (tariff, phase) {
        (Some(n), _) => format!("费率{n}"),
        (None, Some(_)) => String::new(),
        (None, None) => "总".to_owned(),
    };
    let zh = listed.zh.replace("{p}", of_phase).replace("{t}", &of_tariff);
    let obis =
        by_phase(&listed.obis, phase).map(|code| code.replace("{t}", &tariff.unwrap_or(0).to_string()));
    let obis = obis.filter(|code| !code.is_empty());
    Some(Meaning { stem: stem.to_owned(), fixed, zh, quantity: listed.quantity, unit: listed.unit, obis })
}

/// The text of this phase out of a list in braces; `None` where the list has none for it.
fn by_phase(text: &str, phase: Option<u8>) -> Option<String> {
    let Some((before, rest)) = text.split_once('{') else { return Some(text.to_owned()) };
    let (list, after) = rest.split_once('}')?;
    if !list.contains('/') {
        return by_phase(after, phase).map(|after| format!("{before}{{{list}}}{after}"));
    }
    let texts: Vec<&str> = list.split('/').collect();
    // Three texts are of A, B, C; four begin with the total.
    let place = usize::from(phase.unwrap_or(0)).checked_sub(usize::from(texts.len() == 3))?;
    Some(format!("{before}{}{}", texts.get(place)?, by_phase(after, phase)?))
}

/// A name without its ends, and what they count: `_l1` the phase, `_t2` the tariff.
pub(crate) fn ends(name: &str) -> (&str, Vec<(Axis, u8)>) {
    let (mut stem, mut fixed) = (name, Vec::new());
    for axis in [Axis::Tariff, Axis::Phase] {
        let Some((before, last)) = stem.rsplit_once('_') else { continue };
        let number = last.strip_prefix(axis.word()).and_then(|digits| digits.parse::<u8>().ok());
        let fits = |number: &u8| (1..=if axis == Axis::Phase { 3 } else { 63 }).contains(number);
        if let Some(number) = number.filter(fits) {
            stem = before;
            fixed.insert(0, (axis, number));
        }
    }
    (stem, fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_read_and_none_repeats_a_name_of_the_standard() {
        let lines = modbus::tables::NAMES.lines().filter(|line| !line.is_empty()).count() - 1;
        assert_eq!(listed().len(), lines);
        for (n, listed) in listed().iter().enumerate() {
            let name = &listed.name;
            assert_eq!(ends(name).0, name, "{name} has no end in the list");
            assert!(Catalogue::dlt645_2007().by_name(name).is_none(), "{name}");
            assert!(super::listed()[..n].iter().all(|other| other.name != *name), "{name} twice");
        }
    }

    #[test]
    fn a_name_means_what_dlt645_calls_so_and_else_what_the_list_says() {
        let voltage = meaning("voltage_l2").unwrap();
        assert_eq!((voltage.zh.as_str(), voltage.obis.as_deref()), ("B相电压", Some("1-0:52.7.0")));
        let of = |name: &str| meaning(name).map(|meaning| (meaning.zh, meaning.obis.unwrap_or_default()));
        let both = |zh: &str, obis: &str| Some((zh.to_owned(), obis.to_owned()));
        assert_eq!(of("reactive_energy_import"), both("无功输入总电能", "1-0:3.8.0"));
        assert_eq!(of("reactive_energy_import_t2"), both("无功输入费率2电能", "1-0:3.8.2"));
        assert_eq!(of("reactive_energy_import_l3"), both("C相无功输入电能", "1-0:63.8.0"));
        assert_eq!(of("nothing_of_the_kind"), None);
    }
}
