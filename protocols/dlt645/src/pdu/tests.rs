use super::*;
use crate::ErrorWord;
use crate::frame::{self, Control, Frame, WAKE};
use alloc::vec::Vec;

fn frame_of(control: u8, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::emit("1234".parse().unwrap(), Control::new(control), data, &mut out).unwrap();
    out
}

fn reply(control: u8, data: &[u8]) -> Result<&'static str, Unread> {
    let octets = frame_of(control, data);
    Reply::parse(&Frame::parse(&octets).unwrap()).map(|reply| match reply {
        Reply::Data { more: false, .. } => "data",
        Reply::Data { more: true, .. } => "data, more",
        Reply::More { .. } => "follow-up",
        Reply::Address { .. } => "address",
        Reply::Refused { .. } => "refused",
        Reply::Done { .. } => "done",
        Reply::Repeated { .. } => "repeated",
        Reply::Security { .. } => "security",
        Reply::Rate { .. } => "rate",
        Reply::Password { .. } => "password",
        Reply::Output { .. } => "output",
    })
}

#[test]
fn reply_is_read_by_its_control_code() {
    assert_eq!(reply(0x91, &[0, 0, 1, 0]), Ok("data"));
    assert_eq!(reply(0xB1, &[0, 0, 1, 0, 7]), Ok("data, more"));
    assert_eq!(reply(0x92, &[0, 0, 1, 0, 1]), Ok("follow-up"));
    assert_eq!(reply(0x93, &[0; 6]), Ok("address"));
    assert_eq!(reply(0xD4, &[4]), Ok("refused"));
}

#[test]
fn what_has_no_meaning_is_not_read() {
    assert_eq!(reply(0x11, &[0, 0, 1, 0]), Err(Unread::Direction));
    assert_eq!(reply(0x91, &[0, 0, 1]), Err(Unread::Length(3)));
    assert_eq!(reply(0x92, &[0, 0, 1, 0]), Err(Unread::Length(4)));
    assert_eq!(reply(0x93, &[0; 5]), Err(Unread::Length(5)));
    assert_eq!(reply(0xB3, &[0; 6]), Err(Unread::Control(0xB3)));
    assert_eq!(reply(0xF1, &[2]), Err(Unread::Control(0xF1)));
    assert_eq!(reply(0xD1, &[2, 0]), Err(Unread::Length(2)));
    assert_eq!(reply(0x9F, &[]), Err(Unread::Control(0x9F)));
}

#[test]
fn refusal_without_an_error_word_counts_as_00() {
    let octets = frame_of(0xD1, &[]);
    let from = "1234".parse().unwrap();
    assert_eq!(
        Reply::parse(&Frame::parse(&octets).unwrap()),
        Ok(Reply::Refused { from, function: 0x11, word: ErrorWord::Of2007(0) })
    );
}

#[test]
fn request_has_its_preamble_and_the_length_it_states() {
    let address = "1234".parse().unwrap();
    let di = Di::new(0x0001_0000);
    for request in
        [Request::Read { address, di }, Request::ReadMore { address, di, sequence: 2 }, Request::ReadAddress]
    {
        let mut out = Vec::new();
        request.emit(4, &mut out);
        assert_eq!(out[..4], [WAKE; 4]);
        assert_eq!(out.len(), 4 + request.frame_len());
        assert_eq!(Request::parse(&Frame::parse(&out[4..]).unwrap()), Ok(request));
    }
}

#[test]
fn request_of_another_function_or_length_is_not_read() {
    let request = |control, data: &[u8]| {
        let octets = frame_of(control, data);
        Request::parse(&Frame::parse(&octets).unwrap())
    };
    assert_eq!(request(0x91, &[0; 4]), Err(Unread::Direction));
    assert_eq!(request(0x11, &[0; 3]), Err(Unread::Length(3)));
    assert_eq!(request(0x11, &[0; 6]), Err(Unread::Length(6)));
    assert_eq!(request(0x11, &[0; 11]), Err(Unread::Length(11)));
    assert_eq!(request(0x13, &[0]), Err(Unread::Length(1)));
    assert_eq!(request(0x31, &[0; 4]), Err(Unread::Control(0x31)));
    assert_eq!(request(0x14, &[0; 11]), Err(Unread::Length(11)));
    assert_eq!(request(0x1E, &[0; 12]), Err(Unread::Control(0x1E)));
}
