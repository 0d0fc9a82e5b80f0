//! The least that can read these meters: a request, its reply by its length, the checksum, the next one. It decodes,
//! keeps and publishes nothing, and pauses for nobody.

use super::process::{answer_to, ready};
use super::work::{self, Work};
use std::cell::Cell;
use std::rc::Rc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

pub(crate) const ROLE: &str = "poller";

/// `poller PORTS METERS KIND BAUD REGISTERS`: polls until it is ended; any line of standard input is answered by how many
/// replies came and how many of them were bad.
pub(crate) fn main(args: &[String]) {
    let [ports, meters, work @ ..] = args else { panic!("PORTS METERS and the work") };
    let ports: Vec<u16> = ports.split(',').map(|port| port.parse().expect("a port")).collect();
    let meters: usize = meters.parse().expect("a number");
    let work = Work::from_args(work);
    let counts = Rc::new(Cell::new((0, 0)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        for (line, port) in ports.iter().enumerate() {
            let exchanges: Vec<(Vec<u8>, usize)> = work::meters_of(line, ports.len(), meters)
                .flat_map(|meter| work.asks.iter().map(move |ask| (meter, ask)))
                .map(|(meter, ask)| (work::request(meter, ask), work::reply(meter, ask).len()))
                .collect();
            let stream = TcpStream::connect(("127.0.0.1", *port)).await.expect("the emulator listens");
            stream.set_nodelay(true).expect("a TCP socket");
            tokio::task::spawn_local(poll(stream, exchanges, Rc::clone(&counts)));
        }
        ready(&[]);
        let mut orders = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(_)) = orders.next_line().await {
            let (good, bad) = counts.get();
            answer_to(&format!("{good} {bad}"));
        }
    });
}

async fn poll(mut stream: TcpStream, exchanges: Vec<(Vec<u8>, usize)>, counts: Rc<Cell<(u64, u64)>>) {
    let mut reply = [0; 256];
    for (request, len) in exchanges.iter().cycle() {
        let reply = &mut reply[..*len];
        if stream.write_all(request).await.is_err() || stream.read_exact(reply).await.is_err() {
            return;
        }
        let (good, bad) = counts.get();
        let sound = is_sound(reply);
        counts.set((good + u64::from(sound), bad + u64::from(!sound)));
    }
}

/// The sum of the octets from 68H on, behind the FE.
fn is_sound(reply: &[u8]) -> bool {
    let [frame @ .., sum, 0x16] = &reply[usize::from(work::PREAMBLE)..] else { return false };
    frame.iter().fold(0u8, |sum, octet| sum.wrapping_add(*octet)) == *sum
}
