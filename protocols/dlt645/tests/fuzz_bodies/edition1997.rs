//! Frames of both editions, exchanges and registers of 1997.
//!
//! Input: what it is; then a frame (address, control, counted data), an exchange, or a DI of 1997 with octets.

use super::{Input, exchange, formats};
use dlt645::exchange::Outcome;
use dlt645::frame::{Control, Frame, MAX_LEN, emit};
use dlt645::meter::{Answering, Manner, answer};
use dlt645::pdu::{Reply, Request};
use dlt645::{Address, Di, Edition, ErrorWord};

/// Functions of 1997.
const FUNCTIONS: [u8; 8] = [0x01, 0x02, 0x03, 0x04, 0x0A, 0x0C, 0x0F, 0x10];

/// Fails if a promise is broken; whether the input is something at all: a request or reply, an answered exchange, a
/// value.
pub fn edition1997(data: &[u8]) -> bool {
    let mut input = Input(data);
    match input.octet() % 3 {
        0 => frame(&mut input),
        1 => {
            let mut octets = input.0.to_vec();
            if let Some(function) = octets.first_mut() {
                *function = FUNCTIONS[usize::from(*function) % FUNCTIONS.len()];
            }
            !matches!(exchange::exchange(&octets), Outcome::Failed(_))
        }
        _ => {
            let di = Di::new_1997(u16::from_be_bytes(input.array()));
            formats::registers(Edition::E1997, di, input.0) > 0
        }
    }
}

/// What parses is emitted as it was, and printed on one line.
fn frame(input: &mut Input<'_>) -> bool {
    let mut octets = Vec::new();
    let (address, control) = (Address::from_wire(input.array()), Control::new(input.octet()));
    emit(address, control, input.counted(), &mut octets).unwrap();
    let frame = Frame::parse(&octets).unwrap();
    assert!(!frame.to_string().contains('\n'));
    let mut known = false;
    for hint in [None, Some(Edition::E1997), Some(Edition::E2007)] {
        let mut out = Vec::new();
        if let Ok(request) = Request::parse_of(&frame, hint) {
            known = true;
            assert!(!control.from_meter() && request.function() == control.get());
            assert!(hint.is_none() || request.edition().is_none() || request.edition() == hint);
            assert!(!format!("{request} {request:?}").contains('\n'));
            request.emit(0, &mut out);
            // A 13H is sent to the wildcard, whatever address it was seen with.
            assert!(out == octets || request == Request::ReadAddress, "{request}");
        }
        if let Ok(reply) = Reply::parse_of(&frame, hint) {
            known = true;
            assert!(control.from_meter() && reply.from() == address);
            let mut out = Vec::new();
            reply.emit(&mut out).unwrap();
            assert!(out == octets || control.abnormal() && frame.data_len() == 0, "{reply:?}");
            assert_eq!(Reply::parse_of(&Frame::parse(&out).unwrap(), hint), Ok(reply));
        }
    }
    for manner in [Manner::E1997, Manner::E2007, Manner { edition: None, ..Manner::E1997 }] {
        for obeys in [true, false] {
            let mut answering = Answering::default();
            let own = if address.is_one_meter() { address } else { "1234".parse().unwrap() };
            let answered = answer(own, manner, &mut answering, &frame, |request, out| {
                let most = if matches!(request, Request::Security { .. }) { 200 } else { 600 };
                out.resize(most, 0x33);
                if obeys { Ok(()) } else { Err(ErrorWord::OTHER) }
            });
            if let Some(answered) = answered {
                let answered = Frame::parse(&answered).unwrap();
                assert!(answered.octets().len() <= MAX_LEN);
                assert!(Reply::parse_of(&answered, manner.edition).is_ok(), "{frame} is answered {answered}");
            }
        }
    }
    known
}
