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
