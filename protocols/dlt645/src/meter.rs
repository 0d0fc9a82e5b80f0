//! The meter's side: from a request to the frame that a meter answers (DL/T 645-2007 clause 7).
//!
//! It knows no register: the caller gives the octets of a DI. It keeps nothing between two requests.

use crate::frame::{self, Control, Frame};
use crate::pdu::{FIRST_SEQUENCE, Request, Unread, function};
use crate::{Address, Di, ErrorWord};
use alloc::vec::Vec;

/// A reply to a read has at most 200 data octets (clause 5.2.4): the DI and so many.
const FIRST_PART: usize = 200 - 4;
/// A follow-up frame has SEQ besides.
const NEXT_PART: usize = 200 - 4 - 1;

/// Answers one frame as the meter `own` would; `None` where a meter stays silent (another address,
/// broadcast, a reply, a function without abnormal answer). `octets` appends the octets of a register
/// or block after its DI (before +33H), or refuses. The answer has no FE before it.
///
/// More than 196 octets go out in a B1H and follow-up frames. Nothing is kept for them: each 12H calls
/// `octets` for the whole again, which must then be the same octets.
pub fn answer(
    own: Address,
    frame: &Frame<'_>,
    octets: impl FnOnce(Di, &mut Vec<u8>) -> Result<(), ErrorWord>,
) -> Option<Vec<u8>> {
    let control = frame.control();
    // D6 and D5 are a meter's to set.
    if control != Control::request(control.function()) || !frame.address().matches(own) {
        return None;
    }
    let mut data = Vec::new();
    let answer = match Request::parse(frame) {
        Ok(Request::ReadAddress) => {
            data.extend(own.to_wire());
            Ok(Control::reply(function::READ_ADDRESS, false))
        }
        Ok(Request::Read { di, .. }) => {
            data.extend_from_slice(&di.to_wire());
            octets(di, &mut data).map(|()| {
                let more = data.len() > 4 + FIRST_PART;
                data.truncate(4 + FIRST_PART);
                Control::reply(function::READ, more)
            })
        }
        Ok(Request::ReadMore { di, sequence, .. }) => {
            data.extend_from_slice(&di.to_wire());
            octets(di, &mut data).and_then(|()| follow_up(&mut data, sequence))
        }
        Err(Unread::Direction) => return None,
        Err(Unread::Control(_) | Unread::Length(_)) => match control.function() {
            // Clause 7: these have no abnormal answer.
            function::BROADCAST_TIME | function::READ_ADDRESS | function::WRITE_ADDRESS => return None,
            _ => Err(ErrorWord::OTHER),
        },
    };
    let control = answer.unwrap_or_else(|word| {
        data.clear();
        data.push(word.0);
        Control::refusal(control.function())
    });
    let mut out = Vec::new();
    frame::emit(own, control, &data, &mut out).ok()?;
    Some(out)
}

/// Leaves of DI and all octets the DI, one part and SEQ.
fn follow_up(data: &mut Vec<u8>, sequence: u8) -> Result<Control, ErrorWord> {
    let before =
        sequence.checked_sub(FIRST_SEQUENCE).map(|parts| 4 + FIRST_PART + usize::from(parts) * NEXT_PART);
    let begin = before.filter(|begin| *begin < data.len()).ok_or(ErrorWord::NO_REQUESTED_DATA)?;
    data.drain(4..begin);
    let more = data.len() > 4 + NEXT_PART;
    data.truncate(4 + NEXT_PART);
    data.push(sequence);
    Ok(Control::reply(function::READ_MORE, more))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdu::Reply;

    const VOLTAGE: Di = Di::new(0x0201_0100);

    fn own() -> Address {
        "1234".parse().unwrap()
    }

    /// One register of two octets; all else is refused.
    fn registers(di: Di, out: &mut Vec<u8>) -> Result<(), ErrorWord> {
        if di != VOLTAGE {
            return Err(ErrorWord::NO_REQUESTED_DATA);
        }
        out.extend([0x05, 0x22]);
        Ok(())
    }

    fn asked(address: Address, control: u8, data: &[u8]) -> Option<Vec<u8>> {
        let mut request = Vec::new();
        frame::emit(address, Control::new(control), data, &mut request).unwrap();
        answer(own(), &Frame::parse(&request).unwrap(), registers)
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
        for (control, refusal) in [(0x14, 0xD4), (0x1C, 0xDC), (0x01, 0xC1)] {
            let octets = asked(own(), control, &[0; 12]).unwrap();
            let frame = Frame::parse(&octets).unwrap();
            assert_eq!(frame.control().get(), refusal);
            assert_eq!(frame.data().collect::<Vec<_>>(), [ErrorWord::OTHER.0]);
        }
        let octets = asked(own(), 0x11, &[0; 3]).unwrap();
        assert_eq!(Frame::parse(&octets).unwrap().control().get(), 0xD1);
    }

    #[test]
    fn long_block_goes_out_in_frames_of_at_most_200_data_octets() {
        let block: Vec<u8> = (0..=255).cycle().take(500).collect();
        let whole = |_: Di, out: &mut Vec<u8>| {
            out.extend_from_slice(&block);
            Ok(())
        };
        let mut joined = Vec::new();
        let mut request = Request::Read { address: own(), di: VOLTAGE };
        for sequence in FIRST_SEQUENCE.. {
            let mut sent = Vec::new();
            request.emit(0, &mut sent);
            let octets = answer(own(), &Frame::parse(&sent).unwrap(), whole).unwrap();
            let frame = Frame::parse(&octets).unwrap();
            assert!(frame.data_len() <= 200);
            let more = match Reply::parse(&frame).unwrap() {
                Reply::Data { octets, more, .. } | Reply::More { octets, more, .. } => {
                    joined.extend(octets);
                    more
                }
                other @ (Reply::Address { .. } | Reply::Refused { .. }) => panic!("{other:?}"),
            };
            if !more {
                break;
            }
            request = Request::ReadMore { address: own(), di: VOLTAGE, sequence };
        }
        assert_eq!(joined, block);
        for sequence in [0, 3] {
            let mut sent = Vec::new();
            Request::ReadMore { address: own(), di: VOLTAGE, sequence }.emit(0, &mut sent);
            let octets = answer(own(), &Frame::parse(&sent).unwrap(), whole).unwrap();
            assert_eq!(Frame::parse(&octets).unwrap().control().get(), 0xD2, "SEQ {sequence}");
        }
    }
}
