//! Rate and character that meters are asked with.

use super::{Cells, Written};
use crate::config::findings::{At, Findings};
use crate::config::{Meter, bus};
use crate::planner::Line;
use catalogue::{Profile, Standard};

/// What the meters of a profile are shipped with, where it says so.
pub(super) fn shipped(profile: &Profile) -> Option<Line> {
    profile.manner()?.line.as_deref()?.parse().ok()
}

/// Rate and character of a meter: its own where they are written, else those written of its bus, else those that it is
/// shipped with.
pub(super) fn of(
    cells: &Cells,
    on: Option<&bus::Written>,
    shipped: Option<Line>,
    findings: &mut Findings,
) -> Option<Line> {
    let bus = on.and_then(|written| written.bus.as_ref());
    let of_bus = bus.map_or(Line::DEFAULT, |bus| bus.line);
    let (baud, frame) = on.map_or((false, false), |written| written.line);
    let usual = shipped.map_or(of_bus, |own| Line {
        baud: if baud { of_bus.baud } else { own.baud },
        frame: if frame { of_bus.frame } else { own.frame },
    });
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

/// What is not written of a bus's rate and character is that of its meters, if all are of Modbus or of profiles that say
/// it, and are shipped alike. Where a port cannot be switched between meters, they are all asked at the rate of the bus.
pub(super) fn settle(buses: &mut [bus::Written], meters: &mut [Written]) {
    for (index, on) in buses.iter_mut().enumerate() {
        let Some(bus) = on.bus.as_mut() else { continue };
        let own = || meters.iter().filter_map(|one| one.meter.as_ref()).filter(|meter| meter.bus == index);
        if let Some(first) = own().next().map(|meter| meter.line)
            && own().all(|meter| is_shipped(meter) && meter.line == first)
        {
            let (baud, frame) = on.line;
            bus.line = Line {
                baud: if baud { bus.line.baud } else { first.baud },
                frame: if frame { bus.line.frame } else { first.frame },
            };
        }
        if bus.port.is_switched() {
            continue;
        }
        let here = meters.iter_mut().filter_map(|one| one.meter.as_mut());
        here.filter(|meter| meter.bus == index).for_each(|meter| meter.line = bus.line);
    }
}

/// Whether the standard's usual rate is not what the meter comes with.
fn is_shipped(meter: &Meter) -> bool {
    meter.dialect().standard == Standard::Modbus || meter.profile.is_some_and(|own| shipped(own).is_some())
}
