//! Buses on one listening port, which DTUs (数传终端) dial in to: their packets must tell them apart.

use super::findings::{At, Findings};
use super::packet::Packet;
use super::plan::PortAddress;
use std::net::SocketAddr;

/// What one bus says of the DTU that dials in for it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) port: At<PortAddress>,
    pub(super) registration: Option<At<Packet>>,
    pub(super) heartbeat: Option<At<Packet>>,
    /// A packet of it is a fault already: what it would have been is not known.
    pub(super) is_broken: bool,
}

/// Finds buses that could be taken for one another.
pub(super) fn prove(places: &[Place], findings: &mut Findings) {
    for (index, place) in places.iter().enumerate() {
        let Some(at) = listens(place) else { continue };
        let others: Vec<&Place> = places[..index].iter().filter(|other| listens(other).is_some()).collect();
        let overlapping =
            others.iter().find(|other| listens(other).is_some_and(|other| other != at && overlap(other, at)));
        if let Some(other) = overlapping {
            let cited = findings.cite(&other.port.here, &place.port.here);
            findings.fault(
                &place.port.here,
                format!(
                    "port \"{}\" overlaps with \"{}\" at {cited}; write the same address for all buses of \
                     port {}",
                    place.port.value,
                    other.port.value,
                    at.port()
                ),
            );
            continue;
        }
        let shared: Vec<&Place> =
            others.into_iter().filter(|o| o.port.value == place.port.value && !o.is_broken).collect();
        if !place.is_broken {
            tell_apart(place, &shared, findings);
        }
    }
}

fn listens(place: &Place) -> Option<SocketAddr> {
    match place.port.value {
        PortAddress::Listen(at) => Some(at),
        PortAddress::Serial(_) | PortAddress::Tcp { .. } => None,
    }
}

/// One socket would take what is meant for the other, or could not be bound beside it.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && (a.ip().is_unspecified() || b.ip().is_unspecified())
}

fn tell_apart(place: &Place, others: &[&Place], findings: &mut Findings) {
    if let Some(other) = others.iter().find(|o| o.registration.is_none() || place.registration.is_none()) {
        let cited = findings.cite(&other.port.here, &place.port.here);
        findings.fault(
            &place.port.here,
            format!(
                "port \"{}\" is shared with the bus at {cited}, so both need a registration; write \
                 registration = \"…\" as the DTU sends it",
                place.port.value
            ),
        );
        return;
    }
    for other in others {
        // A heartbeat that two DTUs share tells nothing of who dials in, so it may be the same.
        let pairs = [
            (&place.registration, "registration", &other.registration),
            (&place.registration, "registration", &other.heartbeat),
            (&place.heartbeat, "heartbeat", &other.registration),
        ];
        for (own, key, theirs) in pairs {
            if let (Some(own), Some(theirs)) = (own, theirs)
                && begins_alike(&own.value, &theirs.value)
            {
                let cited = findings.cite(&theirs.here, &own.here);
                findings.fault(
                    &own.here,
                    format!(
                        "{key} {} and {} at {cited} begin alike, so their DTUs cannot be told apart on one \
                         port; give one of them another packet or a port of its own",
                        own.value, theirs.value
                    ),
                );
            }
        }
    }
    // The same packet as registration and heartbeat of one DTU is usual, a part of it cannot be read.
    if let (Some(registration), Some(heartbeat)) = (&place.registration, &place.heartbeat)
        && registration.value != heartbeat.value
        && begins_alike(&registration.value, &heartbeat.value)
    {
        findings.fault(
            &heartbeat.here,
            format!(
                "heartbeat {} and registration {} begin alike and cannot be told apart; set up the DTU with \
                 equal or with different ones",
                heartbeat.value, registration.value
            ),
        );
    }
}

/// One is the beginning of the other: a stream that is cut between them could be either.
fn begins_alike(a: &Packet, b: &Packet) -> bool {
    a.octets().starts_with(b.octets()) || b.octets().starts_with(a.octets())
}
