//! Transparent serial servers as they are: half-open, slow, with octets kept from before.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use meterd::bus::port::Opener;
use meterd::bus::talk::{Asked, Patience, Talk};
use meterd::clock::Clock;
use meterd::config::{PortAddress, PortSettings, Protocol};
use meterd::planner::{CharFormat, Line};
use meterd::reading::Reason;
use socket2::{SockFilter, SockRef};
use std::time::Duration;
use support::{asked, reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

const METER: &str = "000000000001";
const ENERGY: &str = "00010000";

fn line() -> Line {
    Line { baud: 115_200, frame: CharFormat::EVEN }
}

async fn server() -> (TcpListener, PortAddress) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    (listener, PortAddress::Tcp { host: at.ip().to_string(), port: at.port() })
}

/// A reader that asks once and waits 100 ms for the first octet and as much for the network.
fn talk(at: &PortAddress) -> Talk {
    let settings = PortSettings { latency: Duration::from_millis(100), ..PortSettings::usual(at) };
    Talk::new(Opener::to(at, &settings), line(), Clock::system())
}

/// What is read, or why not.
async fn read(talk: &mut Talk) -> Result<Vec<u8>, Reason> {
    let patience = Patience {
        first_octet: Duration::from_millis(100),
        again: Duration::from_millis(100),
        retries: 0,
        turnaround: Duration::from_millis(5),
    };
    let asked = Asked { protocol: Protocol::Dlt645_2007(METER.parse().unwrap()), line: line(), preamble: 4 };
    talk.read(asked, ENERGY.parse().unwrap(), patience)
        .await
        .map(|answer| answer.octets)
        .map_err(|no| no.reason)
}

/// Waits for a whole request.
async fn request(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut octets = [0; 64];
    while heard.last() != Some(&0x16) {
        let n = stream.read(&mut octets).await.unwrap();
        assert!(n > 0, "the reader has hung up");
        heard.extend_from_slice(&octets[..n]);
    }
    heard
}

/// Answers one request with this value, low octet first.
async fn answer(stream: &mut TcpStream, value: [u8; 4]) {
    let (di, address) = asked(&request(stream).await);
    stream.write_all(&reply(&address, &di, &value)).await.unwrap();
}

/// From now on every segment that comes to this socket vanishes, and nothing is sent for it: neither an
/// acknowledgement nor a reset. A filter of the kernel (classic BPF, "return 0") drops it before TCP
/// sees it, which is what a dead network does.
fn cut_off(stream: &TcpStream) {
    const RETURN: u16 = 0x06;
    SockRef::from(stream).attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)]).unwrap();
}

#[tokio::test]
async fn a_half_open_serial_server_is_found_within_three_deadlines() {
    let (listener, at) = server().await;
    let (mut talk, served) = (talk(&at), async {
        let (mut first, _) = listener.accept().await.unwrap();
        answer(&mut first, [1, 0, 0, 0]).await;
        cut_off(&first);
        let (mut second, _) = listener.accept().await.unwrap();
        answer(&mut second, [2, 0, 0, 0]).await;
        // The first one was up until here.
        drop(first);
    });
    let reads = async {
        let mut reads = Vec::new();
        for _ in 0..5 {
            reads.push(read(&mut talk).await);
            if reads.last() == Some(&Ok(vec![2, 0, 0, 0])) {
                break;
            }
        }
        reads
    };
    let (reads, ()) = tokio::join!(reads, served);
    let silent = Err(Reason::Silent);
    assert_eq!(
        reads,
        [Ok(vec![1, 0, 0, 0]), silent.clone(), silent.clone(), silent, Ok(vec![2, 0, 0, 0])],
        "three requests run into their deadline, the next is asked on a new connection"
    );
}

#[tokio::test]
async fn a_silent_meter_is_no_half_open_connection() {
    let (listener, at) = server().await;
    let mut talk = talk(&at);
    let served = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        for _ in 0..8 {
            request(&mut stream).await;
        }
        answer(&mut stream, [3, 0, 0, 0]).await;
    };
    let reads = async {
        for _ in 0..8 {
            assert_eq!(read(&mut talk).await, Err(Reason::Silent));
        }
        read(&mut talk).await
    };
    let (last, ()) = tokio::join!(reads, served);
    assert_eq!(last, Ok(vec![3, 0, 0, 0]), "on the connection that was there all the time");
}

#[tokio::test]
async fn stale_octets_are_dropped_before_a_request_and_from_before_a_reconnect() {
    let (listener, at) = server().await;
    let mut talk = talk(&at);
    let stale = reply(METER, ENERGY, &[0x99, 0x99, 0, 0]);
    let is_there = Notify::new();
    let served = async {
        let (mut first, _) = listener.accept().await.unwrap();
        request(&mut first).await;
        drop(first);
        // The answer that the first connection did not get is handed to the next one at once.
        let (mut second, _) = listener.accept().await.unwrap();
        second.set_nodelay(true).unwrap();
        second.write_all(&stale).await.unwrap();
        answer(&mut second, [4, 0, 0, 0]).await;
        // And one that comes while nothing is asked.
        second.write_all(&stale).await.unwrap();
        is_there.notify_one();
        answer(&mut second, [5, 0, 0, 0]).await;
        second
    };
    let reads = async {
        let first = read(&mut talk).await;
        let second = read(&mut talk).await;
        is_there.notified().await;
        (first, second, read(&mut talk).await)
    };
    let (reads, _second) = tokio::join!(reads, served);
    assert_eq!(reads, (Err(Reason::PortGone), Ok(vec![4, 0, 0, 0]), Ok(vec![5, 0, 0, 0])));
}

#[tokio::test]
async fn a_connection_that_has_ended_while_nothing_was_asked_costs_no_reading() {
    let (listener, at) = server().await;
    let mut talk = talk(&at);
    for n in 1..4 {
        let served = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            answer(&mut stream, [n, 0, 0, 0]).await;
        };
        let (read, ()) = tokio::join!(read(&mut talk), served);
        assert_eq!(read, Ok(vec![n, 0, 0, 0]));
    }
}

#[tokio::test]
async fn a_slow_server_that_trickles_is_bounded_by_the_total_deadline() {
    let frame = reply(METER, ENERGY, &[6, 0, 0, 0]);
    // Octets of the answer itself, of its preamble, and of what could be a frame's beginning.
    for octets in [frame, vec![0xFE; 40], vec![0x68; 40]] {
        let (listener, at) = server().await;
        let mut talk = talk(&at);
        let mut sent = 0;
        let served = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            request(&mut stream).await;
            for octet in &octets {
                stream.write_all(&[*octet]).await.unwrap();
                sent += 1;
                // Each is within the slack of one octet; all of them are far beyond the whole.
                tokio::time::sleep(Duration::from_millis(80)).await;
            }
        };
        let reason = tokio::select! {
            read = read(&mut talk) => read.unwrap_err(),
            () = served => panic!("the reader waited for all of it"),
        };
        assert_eq!(reason, Reason::Damaged);
        assert!((1..octets.len()).contains(&sent), "{sent} of {}", octets.len());
    }
}
