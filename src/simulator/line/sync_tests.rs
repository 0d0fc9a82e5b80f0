//! The time that is broadcast to a virtual line.

use super::super::meter::MeterSettings;
use super::tests::{at, frame};
use super::*;
use dlt645::Di;

#[test]
fn a_broadcast_of_the_time_is_obeyed_once_a_day_within_five_minutes_and_never_answered() {
    let now = at("2026-11-21T02:17:00Z");
    let day = SignedDuration::from_hours(24);
    let meter = |address: &str, edition, fast: i64| {
        let mut settings = MeterSettings::household(address.parse().unwrap());
        (settings.edition, settings.clock_offset) = (edition, SignedDuration::from_secs(fast));
        // A second in 24 hours.
        settings.clock_drift = SignedDuration::from_secs(1);
        settings.installed = jiff::civil::date(2026, 11, 21);
        VirtualMeter::new(settings, 1)
    };
    let (old, new) = (Edition::E1997, Edition::E2007);
    let meters = [("1", new, 290), ("2", new, -290), ("3", new, 310), ("4", old, 40), ("5", new, -86_400)];
    let mut line = VirtualLine::new(meters.map(|(a, e, fast)| meter(a, e, fast)).to_vec());
    let ahead = |line: &VirtualLine, now: Timestamp| -> Vec<i64> {
        let local = jiff::tz::offset(8).to_datetime(now);
        line.meters().iter().map(|meter| meter.shown(now).duration_since(local).as_secs()).collect()
    };
    // `68 99 99 99 99 99 99 68 08 06` and 2026-11-21 10:17:00.
    let frame = |day: u8| {
        let mut frame = frame(0x08, &[0x00, 0x17, 0x10, day, 0x11, 0x26]);
        frame[1..7].fill(0x99);
        let sum = frame.len() - 2;
        frame[sum] = frame[..sum].iter().fold(0, |sum: u8, o| sum.wrapping_add(*o));
        frame
    };
    assert_eq!(ahead(&line, now), [290, -289, 310, 40, -86_399]);
    assert_eq!(line.hear(&frame(0x21), now), []);
    assert_eq!(ahead(&line, now), [0, 0, 310, 0, -86_399]);
    assert_eq!(ahead(&line, now + day)[0], 1, "it drifts on");
    // Ten seconds later the same would set them back, were it obeyed twice.
    let again = now + SignedDuration::from_secs(10);
    assert_eq!((line.hear(&frame(0x21), again), ahead(&line, again)[0]), (vec![], 0));
    line.hear(&frame(0x22), now + day);
    assert_eq!(ahead(&line, now + day), [0, 0, 311, 0, -86_398]);
}

#[test]
fn a_clock_that_is_set_back_lets_no_energy_fall_and_moves_no_freeze() {
    let now = at("2026-11-21T02:17:00Z");
    let mut settings = MeterSettings::household("1".parse().unwrap());
    settings.clock_offset = SignedDuration::from_secs(250);
    let mut meter = VirtualMeter::new(settings, 1);
    let read = |meter: &VirtualMeter, di, now| {
        let mut octets = Vec::new();
        meter.read(Di::new(di), now, &mut octets).unwrap();
        octets
    };
    let held =
        |meter: &VirtualMeter, now| [0x0001_0000, 0x0506_0101, 0x0506_0001].map(|di| read(meter, di, now));
    let before = held(&meter, now);
    let time = dlt645::pdu::ClockTime::new([26, 11, 21, 10, 17, 0]).unwrap();
    assert!(meter.sync(time, now) && !meter.sync(time, now));
    assert_eq!(held(&meter, now), before);
}
