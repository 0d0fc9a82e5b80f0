//! Meters (电能表), from `[[meter]]` and from rows of an archive (档案) alike.

use super::bus;
use super::exchange::cells as exchange;
use super::findings::{At, Findings, Here};
use super::groups;
use super::keys::{did_you_mean, listed, nearest, not_among};
use super::plan::{Bus, Dialect, Meter, Protocol, Wiring};
use super::point::cells::{self as point, ROUNDED, is_rounded};
use super::profile::Shelf;
use super::ratio;
use super::raw::{self, Section};
use crate::planner::Line;
use crate::reading::Ratio;
use catalogue::Profile;
use dlt645::{Address, Edition};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

const PROTOCOLS: [&str; 2] = ["dlt645-2007", "dlt645-1997"];
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
        address: section.required("address", "\"000012345678\", the digits on the meter", findings),
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
    buses: &[bus::Written],
    shelf: &mut Shelf<'_>,
    findings: &mut Findings,
) -> Vec<Written> {
    let by_name: HashMap<&str, usize> = buses
        .iter()
        .enumerate()
        .rev()
        .filter_map(|(i, b)| Some((b.name.as_ref()?.value.as_str(), i)))
        .collect();
    let mut names: HashMap<String, Here> = HashMap::new();
    let mut addresses: HashMap<(usize, Address), Here> = HashMap::new();
    let mut written = Vec::with_capacity(cells.len());
    for cells in cells {
        let twin = cells.name.as_ref().is_some_and(|name| taken(name, &mut names, findings));
        let name = cells.name.as_ref().and_then(|text| raw::name(text, "name", findings));
        let bus = cells.bus.as_ref().and_then(|text| bus_of(text, &by_name, buses.len(), findings));
        let edition = match &cells.protocol {
            Some(text) => edition_of(text, findings),
            None => Some(Edition::E2007),
        };
        let address = cells.address.as_ref().and_then(|text| address_of(text, findings));
        if let (Some(text), Some(bus), Some(address)) = (&cells.address, bus, address) {
            // Frames of both editions look alike, and some meters answer both.
            let first = addresses.entry((bus, address)).or_insert_with(|| text.here.clone()).clone();
            let is_first = first.file == text.here.file && first.span == text.here.span;
            if !is_first && !twin {
                let cited = findings.cite(&first, &text.here);
                findings.fault(
                    &text.here,
                    format!(
                        "address \"{address}\" is already on this bus, {cited}; two meters with one address cannot be told apart"
                    ),
                );
            }
        }
        let line = line_of(&cells, bus.and_then(|bus| buses.get(bus)), findings);
        let preamble = match &cells.preamble {
            Some(text) => bus::preamble_of(&text.here, &text.value, findings),
            None => Some(bus.and_then(|bus| buses.get(bus)).map_or(bus::PREAMBLE, |bus| bus.preamble)),
        };
        let wiring = match &cells.wiring {
            Some(text) => wiring_of(text, findings).map(Some),
            None => Some(None),
        };
        let transformers = ratio::read(&cells.ratios, findings);
        let profile = match &cells.profile {
            // As an empty cell of the archive.
            Some(text) if text.value.is_empty() => Some(None),
            Some(text) => profile_of(text, edition, shelf, findings).map(Some),
            None => Some(None),
        };
        let dialect = edition.zip(profile).map(|(edition, profile)| Dialect { edition, profile });
        let point = point::read(&cells.point, dialect, address, findings);
        let protocol = edition.zip(address).map(|(edition, address)| Protocol::dlt645(edition, address));
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
    buses: &HashMap<&str, usize>,
    count: usize,
    findings: &mut Findings,
) -> Option<usize> {
    let by_place = || text.value.parse::<usize>().ok()?.checked_sub(1).filter(|place| *place < count);
    let found = buses.get(text.value.as_str()).copied().or_else(by_place);
    if found.is_none() {
        let mut known: Vec<&str> = buses.keys().copied().collect();
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

/// Rate and character of a meter: its own where they are written, else those of its bus.
fn line_of(cells: &Cells, bus: Option<&bus::Written>, findings: &mut Findings) -> Option<Line> {
    let bus = bus.and_then(|written| written.bus.as_ref());
    let usual = bus.map_or(Line::DEFAULT, |bus| bus.line);
    let baud = match &cells.baud {
        Some(text) => {
            // What is no number at all is no rate either.
            let number = At { value: text.value.parse().unwrap_or(-1), here: text.here.clone() };
            if number.value < 0 {
                findings.fault(&text.here, format!("baud \"{}\" is no number", text.value));
                None
            } else {
                bus::rate_of(&number, findings)
            }
        }
        None => Some(usual.baud),
    };
    let frame = match &cells.frame {
        Some(text) => bus::frame_of(text, findings),
        None => Some(usual.frame),
    };
    let line = Line { baud: baud?, frame: frame? };
    let written = cells.baud.as_ref().or(cells.frame.as_ref());
    if let (Some(text), Some(bus)) = (written, bus)
        && line != bus.line
        && !bus.port.is_switched()
    {
        findings.fault(
            &text.here,
            format!(
                "a serial server keeps the rate that is set on its own side, {} for this bus; leave baud and frame out, or move the meter to another bus",
                bus.line
            ),
        );
        return None;
    }
    Some(line)
}

/// The word of the configuration, or what the trade writes: DL/T 645-2007, 645-2007; and the number of Q/GDW 376.1, F10.
fn edition_of(text: &At<String>, findings: &mut Findings) -> Option<Edition> {
    let plain: String = text.value.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    let trade = plain.to_ascii_uppercase();
    match trade.strip_prefix("DLT").unwrap_or(&trade) {
        "6451997" | "64597" | "1" => return Some(Edition::E1997),
        "6452007" | "64507" | "30" => return Some(Edition::E2007),
        "31" => findings.fault(
            &text.here,
            "protocol 31 is a power line carrier module (载波), which is on no RS-485 line; leave its meters out",
        ),
        _ => findings.fault(&text.here, not_among("protocol", &text.value, &PROTOCOLS)),
    }
    None
}

pub(super) fn address_of(text: &At<String>, findings: &mut Findings) -> Option<Address> {
    let asked = text.value.as_str();
    if is_rounded(asked) || asked.contains(['.', '+']) {
        findings.fault(&text.here, format!("address \"{asked}\" {ROUNDED}"));
        return None;
    }
    let fault = match asked.parse::<Address>() {
        Ok(address) if address.is_one_meter() => return Some(address),
        Ok(address) if address.has_wildcard() => {
            "has the wildcard A, which any meter answers; write the twelve digits on this meter".to_owned()
        }
        Ok(_) => "is the broadcast address, which no meter answers; write the twelve digits on this meter"
            .to_owned(),
        Err(bad) => format!("cannot be used: {bad}"),
    };
    findings.fault(&text.here, format!("address \"{asked}\" {fault}"));
    None
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

/// A profile of what the meter speaks; what is wrong with the protocol is no second fault.
fn profile_of(
    text: &At<String>,
    edition: Option<Edition>,
    shelf: &mut Shelf<'_>,
    findings: &mut Findings,
) -> Option<&'static Profile> {
    let found = shelf.get(text, findings)?;
    let own = Dialect::plain(found.edition());
    match edition {
        Some(edition) if edition != own.edition => {
            let (name, word) = (&text.value, Protocol::word_of(own.edition));
            findings.fault(
                &text.here,
                format!("profile \"{name}\" is of {own}; write protocol = \"{word}\", or another profile"),
            );
            None
        }
        Some(_) | None => Some(found),
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
