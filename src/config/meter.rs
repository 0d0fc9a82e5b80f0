//! Meters (电能表), from `[[meter]]` and from rows of an archive (档案) alike.

mod line;
mod mates;

use super::bus;
use super::exchange::cells as exchange;
use super::findings::{At, Findings, Here};
use super::groups;
use super::keys::{did_you_mean, listed, nearest};
use super::plan::{Bus, Dialect, Meter, Wiring};
use super::point::cells as point;
use super::profile::Shelf;
use super::protocol::Speaks;
use super::ratio;
use super::raw::{self, Section};
use crate::reading::Ratio;
use catalogue::Profile;
use mates::Mate;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

const WIRINGS: [Wiring; 3] = [Wiring::P1W2, Wiring::P3W3, Wiring::P3W4];

/// The texts of one meter, wherever it is written.
#[derive(Debug, Default)]
pub(super) struct Cells {
    pub(super) name: Option<At<String>>,
    pub(super) bus: Option<At<String>>,
    pub(super) protocol: Option<At<String>>,
    pub(super) address: Option<At<String>>,
    pub(super) baud: Option<At<String>>,
    pub(super) frame: Option<At<String>>,
    pub(super) preamble: Option<At<String>>,
    pub(super) wiring: Option<At<String>>,
    pub(super) ratios: ratio::Cells,
    pub(super) profile: Option<At<String>>,
    pub(super) point: point::Cells,
}

/// What was written, as far as it is sound.
#[derive(Debug)]
pub(super) struct Written {
    /// The name as tasks write it, sound or not.
    pub(super) name: Option<At<String>>,
    pub(super) meter: Option<Meter>,
    /// The total meter that it is counted under, as it is written.
    total_meter: Option<At<String>>,
}

/// The texts of one `[[meter]]`.
pub(super) fn from_section(section: &Section, findings: &mut Findings) -> Cells {
    let tariffs = section.texts("tariffs", findings);
    let exchanges = exchange::from_section(section, findings);
    let mut one = |key, is_number| {
        if is_number { section.number(key, findings) } else { section.text(key, findings) }
    };
    Cells {
        point: point::Cells::of(&mut one, tariffs, exchanges),
        name: section.required("name", "\"flat-101\"", findings),
        bus: section.required("bus", "\"riser-1\", the name of its [[bus]]", findings),
        protocol: section.text("protocol", findings),
        address: section.required(
            "address",
            "\"000012345678\", the digits on the meter, or \"17\", the unit id of a Modbus meter",
            findings,
        ),
        baud: section.number("baud", findings),
        frame: section.text("frame", findings),
        preamble: section.number("preamble", findings),
        wiring: section.text("wiring", findings),
        ratios: ratio::Cells {
            ct: section.text("ct", findings),
            pt: section.text("pt", findings),
            multiplier: section.text("multiplier", findings),
        },
        profile: section.text("profile", findings),
    }
}

/// Proves all meters together: names must differ, and addresses on one bus.
pub(super) fn read(
    cells: Vec<Cells>,
    buses: &mut [bus::Written],
    shelf: &mut Shelf<'_>,
    findings: &mut Findings,
) -> Vec<Written> {
    let by_name: HashMap<String, usize> = buses
        .iter()
        .enumerate()
        .rev()
        .filter_map(|(i, b)| Some((b.name.as_ref()?.value.clone(), i)))
        .collect();
    let mut names: HashMap<String, Here> = HashMap::new();
    let mut mates = Vec::with_capacity(cells.len());
    let mut written = Vec::with_capacity(cells.len());
    for cells in cells {
        let twin = cells.name.as_ref().is_some_and(|name| taken(name, &mut names, findings));
        let name = cells.name.as_ref().and_then(|text| raw::name(text, "name", findings));
        let bus = cells.bus.as_ref().and_then(|text| bus_of(text, &by_name, buses.len(), findings));
        let speaks = match &cells.protocol {
            Some(text) => Speaks::read(text, findings),
            None => Some(Speaks::USUAL),
        };
        let as_if = speaks.unwrap_or(Speaks::USUAL);
        let address = cells.address.as_ref().and_then(|text| as_if.at(text, findings));
        let profile = profile_of(&cells, speaks, shelf, findings);
        let usual = profile.flatten().and_then(line::shipped);
        let on = bus.and_then(|bus| buses.get(bus));
        let line = line::of(&cells, on, usual, findings);
        let preamble = preamble_of(&cells, speaks, on, profile.flatten(), findings);
        if let (Some(bus), Some(text)) = (bus, &cells.address) {
            let at = address.filter(|_| speaks.is_some()).map(|at| At { value: at, here: text.here.clone() });
            let framing = cells.protocol.as_ref().map_or(&text.here, |text| &text.here).clone();
            mates.push(Mate { bus, speaks, at, framing, twin });
        }
        let wiring = match &cells.wiring {
            Some(text) => wiring_of(text, findings).map(Some),
            None => Some(None),
        };
        let transformers = ratio::read(&cells.ratios, findings);
        let dialect =
            speaks.zip(profile).map(|(speaks, profile)| Dialect { standard: speaks.standard(), profile });
        let point = point::read(&cells.point, dialect, (as_if, address), findings);
        let protocol = address.filter(|_| speaks.is_some());
        let speaks = protocol.zip(profile);
        let archived = wiring.zip(transformers).zip(point);
        let meter = name.zip(bus).zip(speaks).zip(line.zip(preamble)).zip(archived).map(
            |((((name, bus), (protocol, profile)), (line, preamble)), ((wiring, transformers), point))| {
                Meter { name, bus, protocol, profile, line, preamble, wiring, transformers, point }
            },
        );
        let total_meter = cells.point.total_meter().cloned();
        written.push(Written { name: cells.name, meter, total_meter });
    }
    mates::prove(&mates, buses, findings);
    line::settle(buses, &mut written);
    let members: Vec<groups::Member<'_>> =
        written.iter().map(|one| (one.name.as_ref(), one.total_meter.as_ref())).collect();
    groups::prove(&members, findings);
    written
}

/// Reports a name that was there before; true if it was.
fn taken(name: &At<String>, names: &mut HashMap<String, Here>, findings: &mut Findings) -> bool {
    let Some(first) = names.get(&name.value) else {
        names.insert(name.value.clone(), name.here.clone());
        return false;
    };
    let cited = findings.cite(first, &name.here);
    let advice = if first.file == name.here.file { "" } else { "; keep it in one place" };
    findings.fault(&name.here, format!("name \"{}\" is taken by the meter at {cited}{advice}", name.value));
    true
}

/// By its name; a number that is no bus's name is its place in `meterd.toml`, as the trade numbers ports (端口).
fn bus_of(
    text: &At<String>,
    buses: &HashMap<String, usize>,
    count: usize,
    findings: &mut Findings,
) -> Option<usize> {
    let by_place = || text.value.parse::<usize>().ok()?.checked_sub(1).filter(|place| *place < count);
    let found = buses.get(text.value.as_str()).copied().or_else(by_place);
    if found.is_none() {
        let mut known: Vec<&str> = buses.keys().map(String::as_str).collect();
        known.sort_unstable();
        let near = nearest(&text.value, known.iter().copied());
        let hint = match (near, known.as_slice()) {
            (Some(_), _) => did_you_mean(near),
            (None, []) => "; write a [[bus]] with that name".to_owned(),
            (None, few) if few.len() <= 8 => format!("; known: {}", listed(few)),
            (None, many) => format!("; none of the {} buses has that name", many.len()),
        };
        findings.unresolved(&text.here, format!("bus \"{}\" is not known{hint}", text.value));
    }
    found
}

fn wiring_of(text: &At<String>, findings: &mut Findings) -> Option<Wiring> {
    let is_it = |wiring: &Wiring| [wiring.word(), trade_word(*wiring)].contains(&text.value.as_str());
    let found = WIRINGS.into_iter().find(is_it);
    if found.is_none() {
        let known = listed(&WIRINGS.map(Wiring::word));
        findings.fault(&text.here, format!("wiring \"{}\" is not known; known: {known}", text.value));
    }
    found
}

/// As the trade writes it.
const fn trade_word(wiring: Wiring) -> &'static str {
    match wiring {
        Wiring::P1W2 => "单相",
        Wiring::P3W3 => "三相三线",
        Wiring::P3W4 => "三相四线",
    }
}

/// FE octets before requests: the meter's own where they are written, else its bus's, else those of its model; a Modbus
/// meter takes none.
fn preamble_of(
    cells: &Cells,
    speaks: Option<Speaks>,
    on: Option<&bus::Written>,
    profile: Option<&Profile>,
    findings: &mut Findings,
) -> Option<u8> {
    match (&cells.preamble, speaks.is_some_and(Speaks::is_modbus)) {
        (Some(text), true) => {
            findings.fault(
                &text.here,
                "preamble is of DL/T 645, whose meters are woken by FE octets; a Modbus meter takes them for noise, leave it out",
            );
            None
        }
        (None, true) => Some(0),
        (Some(text), false) => bus::preamble_of(&text.here, &text.value, findings),
        (None, false) => {
            let of_bus = on.and_then(|bus| bus.preamble);
            let of_model = || profile.and_then(Profile::manner)?.preamble;
            Some(of_bus.or_else(of_model).unwrap_or(bus::PREAMBLE))
        }
    }
}

/// A profile of what the meter speaks, which a Modbus meter must have; what is wrong with the protocol is no second
/// fault.
fn profile_of(
    cells: &Cells,
    speaks: Option<Speaks>,
    shelf: &mut Shelf<'_>,
    findings: &mut Findings,
) -> Option<Option<&'static Profile>> {
    // As an empty cell of the archive.
    let Some(text) = cells.profile.as_ref().filter(|text| !text.value.is_empty()) else {
        let Some(speaks) = speaks.filter(|speaks| speaks.is_modbus()) else { return Some(None) };
        if let Some(written) = &cells.protocol {
            let word = speaks.word();
            findings.fault(
                &written.here,
                format!(
                    "protocol \"{word}\" needs a profile (表型): only that says which registers the meter has; write profile = \"…\" with a name of `meterd profiles`, or a .toml file"
                ),
            );
        }
        return None;
    };
    let found = shelf.get(text, findings)?;
    let own = Dialect::plain(found.standard());
    match speaks {
        Some(speaks) if own.standard != speaks.standard() => {
            let name = &text.value;
            let word = if own.standard.edition().is_some() { own.standard.word() } else { "modbus-rtu" };
            findings.fault(
                &text.here,
                format!("profile \"{name}\" is of {own}; write protocol = \"{word}\", or another profile"),
            );
            None
        }
        Some(_) | None => Some(Some(found)),
    }
}

/// Twelve hexadecimal digits over everything that is configured of the meters, in the order of their
/// names: where and in which order they are written makes no difference.
pub(super) fn archive_digits(meters: &[Meter], buses: &[Bus]) -> String {
    let mut lines: Vec<String> = meters
        .iter()
        .map(|meter| {
            let ratio = |r: Option<Ratio>| r.map(|r| r.to_string()).unwrap_or_default();
            // No name holds a control character, so a tab parts without doubt.
            [
                meter.name.as_str().to_owned(),
                buses.get(meter.bus).map(|bus| bus.name.to_string()).unwrap_or_default(),
                meter.protocol.word().to_owned(),
                meter.protocol.address(),
                meter.wiring.map(Wiring::word).unwrap_or_default().to_owned(),
                ratio(meter.ct()),
                ratio(meter.pt()),
            ]
            .into_iter()
            // What was known by its digits before there were profiles keeps them.
            .chain(meter.profile.map(|profile| profile.name().to_owned()))
            .chain(meter.transformers.multiplier.map(|both| format!("multiplier={both}")))
            .chain(meter.point.written())
            .collect::<Vec<_>>()
            .join("\t")
        })
        .collect();
    lines.sort_unstable();
    let mut digest = Sha256::new();
    for line in lines {
        digest.update(line.as_bytes());
        digest.update(b"\n");
    }
    digest.finalize().iter().take(6).map(|octet| format!("{octet:02x}")).collect()
}
