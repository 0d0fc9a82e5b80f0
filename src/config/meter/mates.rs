//! What the meters of one bus must not have in common, and what they must.

use crate::config::bus;
use crate::config::findings::{At, Findings, Here};
use crate::config::plan::{PortAddress, Protocol};
use crate::config::protocol::Speaks;
use dlt645::Address;
use dlt645::frame::START;
use modbus::UnitId;
use std::collections::HashMap;

/// One meter of a bus, as far as it is sound.
#[derive(Debug)]
pub(super) struct Mate {
    pub(super) bus: usize,
    pub(super) speaks: Option<Speaks>,
    /// Its address there, and where that is written.
    pub(super) at: Option<At<Protocol>>,
    /// Where what it speaks is written, or else its address.
    pub(super) framing: Here,
    /// A meter of its name was there before.
    pub(super) twin: bool,
}

/// What must not be there twice on a bus.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    /// Frames of both editions look alike, and some meters answer both.
    Dlt645(Address),
    Modbus(UnitId),
}

impl From<Protocol> for Place {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Dlt645_1997(address) | Protocol::Dlt645_2007(address) => Self::Dlt645(address),
            Protocol::ModbusRtu(unit) | Protocol::ModbusTcp(unit) => Self::Modbus(unit),
        }
    }
}

/// Proves the meters of each bus together.
pub(super) fn prove(mates: &[Mate], buses: &[bus::Written], findings: &mut Findings) {
    addresses(mates, findings);
    for bus in 0..buses.len() {
        let here: Vec<&Mate> = mates.iter().filter(|mate| mate.bus == bus).collect();
        let port = buses.get(bus).and_then(|on| on.bus.as_ref()).map(|bus| &bus.port);
        frames(&here, port, findings);
        starts(&here, findings);
    }
}

fn addresses(mates: &[Mate], findings: &mut Findings) {
    let mut places: HashMap<(usize, Place), &Here> = HashMap::new();
    for mate in mates {
        let Some(At { value, here }) = &mate.at else { continue };
        let place = (mate.bus, Place::from(*value));
        let Some(first) = places.get(&place) else {
            places.insert(place, here);
            continue;
        };
        if !mate.twin {
            let (cited, address) = (findings.cite(first, here), value.address());
            findings.fault(
                here,
                format!(
                    "address \"{address}\" is already on this bus, {cited}; two meters with one address cannot be told apart"
                ),
            );
        }
    }
}

/// Modbus TCP has frames of its own: it goes over TCP, and nothing else goes there.
fn frames(here: &[&Mate], port: Option<&PortAddress>, findings: &mut Findings) {
    let is_tcp = |mate: &Mate| mate.speaks == Some(Speaks::ModbusTcp);
    let Some(PortAddress::Tcp { .. }) = port else {
        if let Some(port) = port {
            for mate in here.iter().filter(|mate| is_tcp(mate)) {
                findings.fault(
                    &mate.framing,
                    format!(
                        "protocol \"modbus-tcp\" goes over TCP alone, and the port of this bus is {port}; write \"modbus-rtu\", or move the meter to a bus with port = \"tcp://HOST:502\""
                    ),
                );
            }
        }
        return;
    };
    let mut known = here.iter().filter_map(|mate| mate.speaks.map(|speaks| (speaks, *mate)));
    let Some((first, founder)) = known.next() else { return };
    for (speaks, mate) in known.filter(|(_, mate)| is_tcp(mate) != is_tcp(founder)) {
        let (cited, own, other) =
            (findings.cite(&founder.framing, &mate.framing), speaks.word(), first.word());
        let also = match speaks.is_modbus() && first.is_modbus() {
            true => format!("write \"{other}\" if it is behind the same converter, or "),
            false => String::new(),
        };
        findings.fault(
            &mate.framing,
            format!(
                "protocol \"{own}\" does not go with \"{other}\" ({cited}) on one bus, since the frames of Modbus TCP are others; {also}move the meter to another bus"
            ),
        );
    }
}

/// The unit id that is the first octet of every frame of DL/T 645.
fn starts(here: &[&Mate], findings: &mut Findings) {
    let is_start = |mate: &&&Mate| {
        mate.at.as_ref().is_some_and(|at| match at.value {
            Protocol::ModbusRtu(unit) | Protocol::ModbusTcp(unit) => unit.get() == START,
            Protocol::Dlt645_1997(_) | Protocol::Dlt645_2007(_) => false,
        })
    };
    let Some(other) = here.iter().find(|mate| mate.speaks.is_some_and(|speaks| !speaks.is_modbus())) else {
        return;
    };
    for mate in here.iter().filter(is_start) {
        let Some(at) = &mate.at else { continue };
        let cited = findings.cite(other.at.as_ref().map_or(&other.framing, |at| &at.here), &at.here);
        findings.fault(
            &at.here,
            format!(
                "address \"{START}\" is {START:02X}H, with which frames of DL/T 645 begin: meters of it on this bus ({cited}) would take this meter's frames for theirs; set another unit id, or move the meter to another bus"
            ),
        );
    }
}
