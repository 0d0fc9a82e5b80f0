#![expect(clippy::wildcard_enum_match_arm, reason = "a test means all the others")]

use super::*;
use crate::pdu::Reply;

const VOLTAGE: Di = Di::new(0x0201_0100);

fn own() -> Address {
    "1234".parse().unwrap()
}

/// One register of two octets; all else is refused.
fn registers(request: &Request, out: &mut Vec<u8>) -> Result<(), ErrorWord> {
    match request {
        Request::Read { di, .. } if *di == VOLTAGE => {
            out.extend([0x05, 0x22]);
            Ok(())
        }
        request if request.is_read() => Err(ErrorWord::NO_REQUESTED_DATA),
        _ => Err(ErrorWord::OTHER),
    }
}

fn asked(address: Address, control: u8, data: &[u8]) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    frame::emit(address, Control::new(control), data, &mut request).unwrap();
    answer(own(), Manner::E2007, &mut Answering::default(), &Frame::parse(&request).unwrap(), registers)
}

fn hex(octets: Option<Vec<u8>>) -> Option<alloc::string::String> {
    octets.map(|octets| octets.iter().map(|octet| alloc::format!("{octet:02X}")).collect())
}

#[test]
fn register_is_answered_and_an_unknown_one_refused() {
    let voltage = hex(asked(own(), 0x11, &VOLTAGE.to_wire()));
    assert_eq!(voltage.as_deref(), Some("683412000000006891063334343538550A16"));
    let unknown = hex(asked(own(), 0x11, &[0; 4]));
    assert_eq!(unknown.as_deref(), Some("6834120000000068D101351D16"));
}

#[test]
fn wildcard_and_read_address_are_answered_with_the_real_address() {
    let short = "AAAAAAAA1234".parse().unwrap();
    for address in [Address::ANY, short] {
        let octets = asked(address, 0x11, &VOLTAGE.to_wire()).unwrap();
        assert_eq!(Frame::parse(&octets).unwrap().address(), own());
    }
    let address = hex(asked(Address::ANY, 0x13, &[]));
    assert_eq!(address.as_deref(), Some("683412000000006893066745333333332716"));
}

#[test]
fn meter_is_silent_where_it_was_not_asked() {
    let data = VOLTAGE.to_wire();
    assert_eq!(asked("1235".parse().unwrap(), 0x11, &data), None);
    assert_eq!(asked(Address::BROADCAST, 0x11, &data), None);
    assert_eq!(asked(own(), 0x91, &data), None);
    assert_eq!(asked(own(), 0x31, &data), None);
    assert_eq!(asked(Address::BROADCAST, 0x08, &[0; 6]), None);
    assert_eq!(asked(Address::ANY, 0x13, &[0]), None);
    assert_eq!(asked(Address::ANY, 0x15, &[0; 6]), None);
}

#[test]
fn function_that_is_not_known_is_refused_with_other_error() {
    for (control, refusal) in [(0x14, 0xD4), (0x1C, 0xDC), (0x05, 0xC5), (0x1E, 0xDE)] {
        let octets = asked(own(), control, &[0; 12]).unwrap();
        let frame = Frame::parse(&octets).unwrap();
        assert_eq!(frame.control().get(), refusal);
        assert_eq!(frame.data().collect::<Vec<_>>(), [0x01]);
    }
    let octets = asked(own(), 0x11, &[0; 3]).unwrap();
    assert_eq!(Frame::parse(&octets).unwrap().control().get(), 0xD1);
}

#[test]
fn long_block_goes_out_in_frames_of_at_most_200_data_octets() {
    let block: Vec<u8> = (0..=255).cycle().take(500).collect();
    let mut answering = Answering::default();
    let mut ask = |request: &Request| {
        let mut sent = Vec::new();
        request.emit(0, &mut sent);
        answer(own(), Manner::E2007, &mut answering, &Frame::parse(&sent).unwrap(), |_, out| {
            out.extend_from_slice(&block);
            Ok(())
        })
        .unwrap()
    };
    let mut joined = Vec::new();
    let mut request = Request::Read { address: own(), di: VOLTAGE };
    for sequence in FIRST_SEQUENCE.. {
        let octets = ask(&request);
        let frame = Frame::parse(&octets).unwrap();
        assert!(frame.data_len() <= 200);
        let more = match Reply::parse(&frame).unwrap() {
            Reply::Data { octets, more, .. } | Reply::More { octets, more, .. } => {
                joined.extend(octets);
                more
            }
            other => panic!("{other:?}"),
        };
        if !more {
            break;
        }
        request = Request::ReadMore { address: own(), di: VOLTAGE, sequence };
    }
    assert_eq!(joined, block);
    for sequence in [0, 3] {
        let octets = ask(&Request::ReadMore { address: own(), di: VOLTAGE, sequence });
        assert_eq!(Frame::parse(&octets).unwrap().control().get(), 0xD2, "SEQ {sequence}");
    }
}

/// A meter of 1997 that has one long block.
fn old_meter(
    manner: Manner,
    answering: &mut Answering,
    to: &str,
    control: u8,
    data: &[u8],
) -> Option<(u8, Vec<u8>)> {
    let mut request = Vec::new();
    frame::emit(to.parse().unwrap(), Control::new(control), data, &mut request).unwrap();
    let octets =
        answer(own(), manner, answering, &Frame::parse(&request).unwrap(), |request, out| match request {
            Request::Read { di, .. } if *di == Di::new_1997(0x901F) => {
                out.extend((0..=255).cycle().take(400));
                Ok(())
            }
            Request::Freeze { .. } => panic!("1997 has no freeze"),
            request if request.is_read() => Err(ErrorWord::NO_REQUESTED_DATA),
            Request::SetRate { .. } => Err(ErrorWord::OTHER),
            Request::ResetDemand { .. } => Err(ErrorWord::WRONG_PASSWORD),
            _ => Ok(()),
        })?;
    let frame = Frame::parse(&octets).unwrap();
    Some((frame.control().get(), frame.data().collect()))
}

#[test]
fn follow_up_of_1997_goes_on_where_the_last_frame_ended_and_repeats_it() {
    let mut answering = Answering::default();
    let mut ask = |control, data: &[u8]| old_meter(Manner::E1997, &mut answering, "1234", control, data);
    let block: Vec<u8> = (0..=255).cycle().take(400).collect();
    let di = [0x1F, 0x90];
    let part = |octets: &[u8]| [&di[..], octets].concat();
    assert_eq!(ask(0x02, &di), None, "nothing was read");
    assert_eq!(ask(0x01, &di), Some((0xA1, part(&block[..198]))));
    assert_eq!(ask(0x03, &[]), Some((0xA3, part(&block[..198]))));
    assert_eq!(ask(0x02, &[0x1F, 0x91]), None, "another block");
    assert_eq!(ask(0x02, &di), Some((0xA2, part(&block[198..396]))));
    assert_eq!(ask(0x03, &[]), Some((0xA3, part(&block[198..396]))));
    assert_eq!(ask(0x02, &di), Some((0x82, part(&block[396..]))));
    assert_eq!(ask(0x02, &di), None, "there is no more");
    assert_eq!(answering.last_read(), Some((Di::new_1997(0x901F), &block[..])));
}

#[test]
fn meter_of_1997_is_silent_or_refuses_as_it_is_set() {
    let refusing = Manner { unknown: Unknown::Refused, ..Manner::E1997 };
    let ask =
        |manner, control, data: &[u8]| old_meter(manner, &mut Answering::default(), "1234", control, data);
    assert_eq!(ask(Manner::E1997, 0x01, &[0x10, 0x9A]), None);
    assert_eq!(ask(refusing, 0x01, &[0x10, 0x9A]), Some((0xC1, [2].into())));
    assert_eq!(ask(Manner::E1997, 0x05, &[0; 3]), None);
    assert_eq!(ask(refusing, 0x05, &[0; 3]), Some((0xC5, [1].into())));
    for manner in [Manner::E1997, refusing] {
        // What is known and refused is said by either.
        assert_eq!(ask(manner, 0x10, &[0; 4]), Some((0xD0, [4].into())));
        assert_eq!(ask(manner, 0x0C, &[0x40]), Some((0x8C, [0xFF].into())));
        assert_eq!(ask(manner, 0x04, &[0x30, 0xC0, 0, 0, 0, 0, 1]), Some((0x84, [].into())));
        // The functions of 2007 are not heard.
        assert_eq!(ask(manner, 0x11, &[0; 4]), None);
        assert_eq!(ask(manner, 0x13, &[]), None);
        assert_eq!(ask(manner, 0x16, &[0x99; 4]), None);
        assert_eq!(ask(manner, 0x08, &[0; 6]), None);
    }
}

#[test]
fn read_of_1997_is_answered_through_fill_wildcard_and_broadcast() {
    let di = [0x1F, 0x90];
    let ask =
        |manner, to, control, data: &[u8]| old_meter(manner, &mut Answering::default(), to, control, data);
    for to in ["1234", "AAAAAAAA1234", "AAAAAAAAAAAA", "999999999999"] {
        assert!(ask(Manner::E1997, to, 0x01, &di).is_some(), "{to}");
    }
    let deaf = Manner { broadcast_reads: false, ..Manner::E1997 };
    assert_eq!(ask(deaf, "999999999999", 0x01, &di), None);
    // A command names its meter; the fill does, a wildcard and broadcast do not.
    let write = [0x30, 0xC0, 0, 0, 0, 0, 1];
    assert!(ask(Manner::E1997, "AAAAAAAA1234", 0x04, &write).is_some());
    for to in ["AAAAAAAAAAAA", "999999999999", "AAAAAAAA1235", "AAAAAAAA12A4"] {
        assert_eq!(ask(Manner::E1997, to, 0x04, &write), None, "{to}");
    }
}

#[test]
fn command_of_2007_reaches_only_the_meter_that_it_names() {
    let command = |to: Address, control, data: &[u8]| {
        let (mut request, mut obeyed) = (Vec::new(), false);
        frame::emit(to, Control::new(control), data, &mut request).unwrap();
        let frame = Frame::parse(&request).unwrap();
        let answered = answer(own(), Manner::E2007, &mut Answering::default(), &frame, |_, _| {
            obeyed = true;
            Ok(())
        });
        (obeyed, answered.is_some())
    };
    let short = "AAAAAAAA1234".parse().unwrap();
    for (control, data) in [(0x14, &[0; 12][..]), (0x19, &[0; 8]), (0x1A, &[0; 8]), (0x1C, &[0; 16])] {
        assert_eq!(command(own(), control, data), (true, true));
        for to in [Address::ANY, Address::BROADCAST, short, "1235".parse().unwrap()] {
            assert_eq!(command(to, control, data), (false, false), "{to} {control:02X}");
        }
    }
    assert_eq!(command(Address::BROADCAST, 0x16, &[0x99; 4]), (true, false));
    assert_eq!(command(own(), 0x16, &[0x99; 4]), (true, true));
    assert_eq!(command(Address::BROADCAST, 0x08, &[0; 6]), (true, false));
    assert_eq!(command(Address::ANY, 0x15, &[0; 6]), (true, true));
    // The functions of 1997 are not heard.
    assert_eq!(command(own(), 0x01, &[0x10, 0x90]), (false, false));
    assert_eq!(command(own(), 0x10, &[0; 4]), (false, false));
}

#[test]
fn load_records_are_read_and_followed_up_by_their_identifier() {
    let mut answering = Answering::default();
    let mut ask = |request: Request| {
        let mut sent = Vec::new();
        request.emit(0, &mut sent);
        let octets =
            answer(own(), Manner::E2007, &mut answering, &Frame::parse(&sent).unwrap(), |asked, out| {
                assert_eq!(asked, &request);
                out.extend([0x11; 206]);
                Ok(())
            });
        let octets = octets.unwrap();
        let frame = Frame::parse(&octets).unwrap();
        (frame.control().get(), frame.data_len())
    };
    let di = Di::new(0x0600_0001);
    let count = crate::pdu::Count::new(2).unwrap();
    let from = crate::pdu::RecordTime::new([26, 11, 21, 10, 0]);
    assert_eq!(ask(Request::ReadRecords { address: own(), di, count, from }), (0xB1, 200));
    assert_eq!(ask(Request::ReadMore { address: own(), di, sequence: 1 }), (0x92, 15));
    // The same frame again, if the reader did not hear it.
    assert_eq!(ask(Request::ReadMore { address: own(), di, sequence: 1 }), (0x92, 15));
}
