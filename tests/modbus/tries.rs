//! When a question is put again, and when it is not.

use jiff::Timestamp;
use meterd::bus::port::{Opener, memory};
use meterd::bus::talk::{Answer, Asked, NoReply, Patience, Talk};
use meterd::clock::Clock;
use meterd::config::{PortAddress, PortSettings, Protocol};
use meterd::planner::Line;
use meterd::reading::Reason;
use modbus::rtu::{Reply, Request};
use modbus::{Exception, Function, Span, UnitId, tcp};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SPAN: Span = Span { function: Function::Holding, address: 0x0BD3, count: 2 };
const WORDS: [u16; 2] = [0x436F, 0x970A];
const LINE: Line = Line { baud: 9600, ..Line::DEFAULT };

fn unit() -> UnitId {
    UnitId::new(1).unwrap()
}

fn patience(retries: u32) -> Patience {
    let deadline = Duration::from_millis(300);
    Patience { first_octet: deadline, again: deadline, retries, turnaround: Duration::ZERO }
}

/// What comes of one question whose tries are answered so, and how many requests were heard.
async fn asked(replies: &[Reply], retries: u32) -> (Result<Answer, NoReply>, usize) {
    let (supply, opener) = memory::opener();
    let (port, mut wire) = memory::pair();
    supply.send(port).await.unwrap();
    let clock = Clock::virtual_at("2026-11-21T10:00:00Z".parse::<Timestamp>().unwrap());
    let mut talk = Talk::new(Opener::Memory(opener), LINE, clock);
    let replies = replies.to_vec();
    let meter = tokio::spawn(async move {
        let mut heard = 0;
        while let Some(octets) = wire.hear().await {
            assert_eq!(Request::parse(&octets).unwrap().span(), Some(SPAN));
            if let Some(reply) = replies.get(heard) {
                tokio::time::sleep(Duration::from_millis(40)).await;
                wire.say(&reply.to_rtu()).await;
            }
            heard += 1;
        }
        heard
    });
    let asked = Asked { protocol: Protocol::ModbusRtu(unit()), line: LINE, preamble: 0 };
    let came = talk.read(asked, SPAN.into(), patience(retries)).await;
    drop(talk);
    (came, meter.await.unwrap())
}

fn refusal(exception: Exception) -> Reply {
    Reply::refusal(1, SPAN.function.code(), exception)
}

#[tokio::test(start_paused = true)]
async fn a_meter_that_is_busy_is_asked_again() {
    for busy in [Exception::Busy, Exception::Acknowledge] {
        let good = Reply::registers(1, SPAN.function, &WORDS);
        let (came, heard) = asked(&[refusal(busy), good], 1).await;
        assert_eq!((came.unwrap().octets, heard), (vec![0x43, 0x6F, 0x97, 0x0A], 2), "{busy}");
        let (came, heard) = asked(&[refusal(busy), refusal(busy)], 1).await;
        let none = came.unwrap_err();
        assert_eq!((none.reason, none.exception, heard), (Reason::Refused, Some(busy), 2));
        assert_eq!(none.detail, busy.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn any_other_exception_is_a_refusal_with_its_name_and_not_asked_again() {
    for exception in [Exception::IllegalFunction, Exception::IllegalDataAddress, Exception::DeviceFailure] {
        let (came, heard) = asked(&[refusal(exception)], 1).await;
        let none = came.unwrap_err();
        assert_eq!((none.reason, none.detail, heard), (Reason::Refused, exception.to_string(), 1));
    }
    // The gateway between says that its meter is silent.
    let (came, _) = asked(&[refusal(Exception::GatewayTarget)], 1).await;
    assert_eq!(came.unwrap_err().reason, Reason::Silent);
}

#[tokio::test(start_paused = true)]
async fn silence_is_asked_again_as_often_as_patience_says() {
    let (came, heard) = asked(&[], 2).await;
    let none = came.unwrap_err();
    assert_eq!((none.reason, none.tries, heard), (Reason::Silent, 3, 3));
}

/// Reads one request over TCP.
async fn request(stream: &mut TcpStream) -> Option<(u16, u8)> {
    let mut octets = Vec::new();
    loop {
        if let Ok(frame) = tcp::Frame::parse(&octets) {
            return Some((frame.transaction, frame.unit));
        }
        let mut more = [0; 64];
        let count = stream.read(&mut more).await.unwrap();
        octets.extend_from_slice(more.get(..count).filter(|more| !more.is_empty())?);
    }
}

#[tokio::test]
async fn after_a_silence_over_tcp_the_next_question_goes_out_on_a_new_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        // Who does not answer on the first connection answers on the second.
        let (mut first, _) = listener.accept().await.unwrap();
        request(&mut first).await.unwrap();
        let (mut second, _) = listener.accept().await.unwrap();
        let (transaction, unit) = request(&mut second).await.unwrap();
        let mut out = Vec::new();
        let pdu = Reply::registers(unit, SPAN.function, &WORDS).pdu();
        tcp::Frame { transaction, unit, pdu: &pdu }.emit(&mut out);
        second.write_all(&out).await.unwrap();
        // The first connection was closed by the reader.
        assert!(request(&mut first).await.is_none());
    });
    let address = PortAddress::Tcp { host: "127.0.0.1".to_owned(), port };
    let opener = Opener::to(&address, &PortSettings::usual(&address));
    let mut talk = Talk::new(opener, LINE, Clock::system());
    let asked = Asked { protocol: Protocol::ModbusTcp(unit()), line: LINE, preamble: 0 };
    let answer = talk.read(asked, SPAN.into(), patience(1)).await.unwrap();
    assert_eq!((answer.octets, answer.tries), (vec![0x43, 0x6F, 0x97, 0x0A], 2));
    server.await.unwrap();
}
