use super::*;
use crate::bus::freeze;
use crate::bus::profile::{self, Setting, Settings};
use dlt645::Di;

#[test]
fn facts_read_back_as_what_was_learned() {
    let (meter, address) = (3, "000012345678");
    let ms = Duration::from_millis;
    let mut all = vec![Learned::Lacks { meter, di: Di::new(0x0203_FF00).into() }];
    all.extend(Class::ALL.map(|class| Learned::Slowest { meter, class, delay: ms(71) }));
    let at = Timestamp::from_millisecond(1_793_491_200_431).unwrap();
    let total = (Di::new(0x0001_0000).into(), Last { digits: 99_999_999, at });
    let less = (Di::new_1997(0x901F).into(), Last { digits: -7, at });
    all.push(Learned::Energies { meter, last: vec![total, less] });
    let freezes = Freezes { kind: freeze::Kind::Hourly, since: 1_793_491_200 };
    all.push(Learned::Freezes { meter, freezes });
    let settings = Settings { recorded: Setting::Is(8), ..Settings::default() };
    let kept = clocks::Kept { offset: None, at, state: clocks::State::NeedsVisit };
    all.push(Learned::Clock { meter, kept });
    let records = Records { kind: Some(profile::Kind::LoadRecords), settings };
    all.push(Learned::Records { meter, records });
    all.push(Learned::Settles { meter, days: "0100 1509 9999".parse().ok() });
    all.push(Learned::InService { meter });
    for learned in all {
        let (key, value) = learned.fact(address);
        let value = value.unwrap();
        assert_eq!(Learned::of_meter(meter, address, &key, &value), Some(learned));
        assert_eq!(Learned::of_meter(meter, "000087654321", &key, &value), None, "of another meter");
    }
    let (key, value) = Learned::Turnaround(ms(7)).fact("");
    assert_eq!(Learned::of_bus(&key, &value.unwrap()), Some(Learned::Turnaround(ms(7))));
    for of_bus in [Learned::Synced(at), Learned::Frozen(at)] {
        let (key, value) = of_bus.fact("");
        assert_eq!(Learned::of_bus(&key, &value.unwrap()), Some(of_bus));
    }
    for (key, value) in [("", ""), ("turnaround_us", "x"), ("slowest_us/000012345678/never", "1")] {
        assert_eq!(Learned::of_bus(key, value).or(Learned::of_meter(meter, address, key, value)), None);
    }
}

#[test]
fn the_last_in_service_tells_an_exchange_and_where_none_is_kept_what_was_learned() {
    let (old, new) = ("000000000001", "000000000002");
    let slowest = |address: &str| (format!("slowest_us/{address}/present"), "1".to_owned());
    let service = |address: &str| ("in_service".to_owned(), address.to_owned());
    for (facts, exchanged) in [
        (vec![], false),
        (vec![slowest(old)], true),
        (vec![slowest(old), slowest(new)], false),
        (vec![slowest(old), slowest(new), service(new)], false),
        (vec![slowest(old), slowest(new), service(old)], true),
    ] {
        let facts = facts.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        assert_eq!(Learned::is_exchanged(facts.clone(), new), exchanged, "{:?}", facts.collect::<Vec<_>>());
    }
}

#[test]
fn a_pause_that_is_set_is_not_overruled_by_what_was_learned() {
    let learned = || [Learned::Turnaround(Duration::from_millis(7))];
    assert_eq!(Memory::of(learned(), None).turnaround.pause(), Duration::from_millis(7));
    assert_eq!(Memory::of(learned(), Some(Duration::ZERO)).turnaround.pause(), Duration::ZERO);
}
