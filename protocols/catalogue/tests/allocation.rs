//! A register is looked up and decoded without allocation: a meter is read every few seconds for ten years.

use catalogue::{Catalogue, Entry};
use dlt645::Di;

#[test]
fn looking_up_and_decoding_a_register_allocates_nothing() {
    let table = Catalogue::dlt645_2007();
    for (di, octets) in [
        (0x0001_0000, &[0x67, 0x45, 0x23, 0x01][..]),
        (0x0101_0102, &[0x56, 0x34, 0x12, 0x30, 0x18, 0x20, 0x11, 0x26]),
        (0x0400_0404, b"\0\0\0\x30\x32\x32"),
        (0x0400_0501, &[0x14, 0x00]),
        (0x0403_0001, &[0x03, 0x01, 0x10, 0x26]),
        (0x0506_0101, &[0x67, 0x45, 0x23, 0x01, 0x00, 0x01, 0x00, 0x00]),
        (0x1002_2503, &[0x00, 0x30, 0x08, 0x20, 0x11, 0x26]),
    ] {
        let mut value = None;
        let counted = allocation_counter::measure(|| {
            if let Some(Entry::Register(register)) = table.by_di(Di::new(di)) {
                value = Some(register.decode(octets));
            }
        });
        assert!(matches!(value, Some(Ok(_))), "{di:08X}: {value:?}");
        assert_eq!(counted.count_total, 0, "{di:08X}");
    }
}
