use super::*;
use crate::Address;
use crate::frame::{Control, emit};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

fn line(control: u8, data: &[u8]) -> String {
    let mut out = Vec::new();
    let address = Address::from_wire([0x78, 0x56, 0x34, 0x12, 0, 0]);
    emit(address, Control::new(control), data, &mut out).unwrap();
    Frame::parse(&out).unwrap().to_string()
}

#[test]
fn frame_is_printed_as_one_line() {
    assert_eq!(line(0x11, &[0, 1, 1, 2]), "request 000012345678 read 11 DI 02010100");
    assert_eq!(line(0x91, &[0, 1, 1, 2, 0x05, 0x22]), "reply 000012345678 read 91 DI 02010100 data 05 22");
    assert_eq!(
        line(0xB1, &[0, 1, 1, 2, 0x05]),
        "reply 000012345678 read B1, more to follow DI 02010100 data 05"
    );
    assert_eq!(
        line(0x92, &[0, 1, 1, 2, 0x22, 3]),
        "reply 000012345678 read follow-up 92 DI 02010100 data 22 SEQ 3"
    );
    assert_eq!(line(0x13, &[]), "request 000012345678 read address 13");
    assert_eq!(
        line(0x93, &[0x78, 0x56, 0x34, 0x12, 0, 0]),
        "reply 000012345678 read address 93 data 78 56 34 12 00 00"
    );
    assert_eq!(line(0x81, &[0x10, 0x90, 1]), "reply 000012345678 read (1997) 81 DI 9010 data 01");
    assert_eq!(line(0x1F, &[1]), "request 000012345678 function 1F data 01");
}

#[test]
fn refusal_is_printed_with_its_meaning() {
    assert_eq!(line(0xD1, &[2]), "reply 000012345678 read D1 refused 02: no requested data");
    assert_eq!(line(0xD1, &[]), "reply 000012345678 read D1 refused, no error word");
    assert_eq!(
        line(0xC3, &[1, 0]),
        "reply 000012345678 security authentication C3 refused 0001: other error"
    );
}

#[test]
fn data_too_short_for_its_di_is_printed_as_data() {
    assert_eq!(line(0x91, &[0, 1]), "reply 000012345678 read 91 data 00 01");
    assert_eq!(line(0x92, &[]), "reply 000012345678 read follow-up 92");
}

#[test]
fn fields_of_commands_are_named_and_passwords_masked() {
    let auth = [0x04, 0x11, 0x22, 0x33, 0x01, 0x00, 0x00, 0x00];
    let secret = |control, rest: &[&[u8]]| line(control, &rest.concat());
    let of = "request 000012345678";
    for (line, expected) in [
        (
            secret(0x14, &[&[1, 1, 0, 4], &auth, &[0x06, 0x21]]),
            "write 14 DI 04000101 password ****** operator 00000001 data 06 21",
        ),
        (
            secret(0x04, &[&[0x30, 0xC0], &auth[..4], &[0x00, 0x32]]),
            "write (1997) 04 DI C030 password ****** data 00 32",
        ),
        (
            secret(0x18, &[&[2, 0x0C, 0, 4], &auth[..4], &auth[..4]]),
            "set password 18 DI 04000C02 password ****** new password ******",
        ),
        (
            secret(0x0F, &[&auth[..4], &auth[..4]]),
            "set password (1997) 0F password ****** new password ******",
        ),
        (secret(0x19, &[&auth]), "reset maximum demand 19 password ****** operator 00000001"),
        (secret(0x10, &[&auth[..4]]), "reset maximum demand (1997) 10 password ******"),
        (secret(0x1A, &[&auth]), "clear meter 1A password ****** operator 00000001"),
        (secret(0x1B, &[&auth, &[0xFF; 4]]), "clear events 1B password ****** operator 00000001 all"),
        (
            secret(0x1B, &[&auth, &[0xFF, 0x00, 0x30, 0x03]]),
            "clear events 1B password ****** operator 00000001 033000FF",
        ),
        (
            secret(0x1C, &[&auth, &[0x1A, 0, 0, 0, 0x10, 0x22, 0x11, 0x26]]),
            "relay control 1C password ****** operator 00000001 trip valid until 2026-11-22 10:00:00",
        ),
        (secret(0x16, &[&[0x99; 4]]), "freeze 16 now"),
        (secret(0x16, &[&[0, 0, 0x01, 0x99]]), "freeze 16 monthly on day 01 at 00:00"),
        (secret(0x16, &[&[0x30, 0x99, 0x99, 0x99]]), "freeze 16 hourly at minute 30"),
        (secret(0x17, &[&[0x10]]), "set baud rate 17 4800 baud"),
        (secret(0x0C, &[&[0x10]]), "set baud rate (1997) 0C 2400 baud"),
        (secret(0x08, &[&[0, 0x45, 0x22, 0x21, 0x11, 0x26]]), "broadcast time 08 2026-11-21 22:45:00"),
        (secret(0x15, &[&[0x78, 0x56, 0x34, 0x12, 0, 0]]), "write address 15 new address 000012345678"),
        (secret(0x1D, &[&[0]]), "output control 1D second pulse"),
        (
            secret(0x11, &[&[1, 0, 0, 6, 2, 0, 0x10, 0x21, 0x11, 0x26]]),
            "read 11 DI 06000001 records 02 from 2026-11-21 10:00",
        ),
        (secret(0x03, &[]), "read again (1997) 03"),
        (
            secret(0x03, &[&[1, 0, 0, 7], &auth[4..], &[0xAB]]),
            "security authentication 03 DI 07000001 operator 00000001 data AB",
        ),
        // A password that is cut short, and one that is the item itself.
        (secret(0x14, &[&[1, 1, 0, 4], &[0x04, 0x11]]), "write 14 DI 04000101 password ******"),
        (
            secret(0x14, &[&[2, 0x0C, 0, 4], &auth, &[0x04, 0x11, 0x22, 0x33]]),
            "write 14 DI 04000C02 password ****** operator 00000001 data ******",
        ),
        (
            secret(0x04, &[&[0x12, 0xC2], &auth[..4], &[0x04, 0x11, 0x22, 0x33]]),
            "write (1997) 04 DI C212 password ****** data ******",
        ),
    ] {
        assert_eq!(line, alloc::format!("{of} {expected}"));
    }
    let reply = |control| line(control, &[0x04, 0x11, 0x22, 0x33]);
    assert_eq!(reply(0x98), "reply 000012345678 set password 98 new password ******");
    assert_eq!(reply(0x8F), "reply 000012345678 set password (1997) 8F new password ******");
    assert_eq!(
        line(0x81, &[0x12, 0xC2, 1, 2, 3, 4]),
        "reply 000012345678 read (1997) 81 DI C212 data ******"
    );
    assert_eq!(line(0xC1, &[1]), "reply 000012345678 read (1997) C1 refused 01: illegal data");
}
