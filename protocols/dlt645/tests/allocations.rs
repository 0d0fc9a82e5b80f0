//! Promise of the path that every reading takes: from the octets of a reply to its value nothing is allocated.

#[path = "../benches/reply/mod.rs"]
mod reply;

use allocation_counter::measure;
use dlt645::format::Format;
use reply::{REPLY, energy};

#[test]
fn an_energy_reply_becomes_its_value_without_an_allocation() {
    let mut value = None;
    let counted = measure(|| value = energy(&REPLY));
    assert_eq!(value.unwrap().to_string(), "12345.67");
    assert_eq!((counted.count_total, counted.bytes_total), (0, 0));
}

#[test]
fn no_register_allocates_to_be_decoded() {
    let octets = [0x12; 12];
    let mut values = 0;
    for register in catalogue::Catalogue::dlt645_2007().registers() {
        let own = &octets[..register.octets().min(octets.len())];
        let counted = measure(|| values += usize::from(register.format().decode(own).is_ok()));
        assert_eq!(counted.count_total, 0, "{register:?}");
    }
    assert!(values > 1000, "{values} values");
}

/// The count counts: without this the promises above could not fail.
#[test]
fn text_of_a_value_is_seen_to_allocate() {
    let value = Format::Bits.decode(&[1, 2]).unwrap();
    assert!(measure(|| assert_eq!(value.to_string(), "0201")).count_total > 0);
}
