use super::*;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::io::{DuplexStream, ReadBuf, duplex};

/// Packets of one octet: its number at a publish, 0 for a ping. What comes is a receipt.
#[derive(Default)]
struct Octets {
    events: std::collections::VecDeque<Event>,
}

impl Wire for Octets {
    fn hello(&mut self, _: &mut BytesMut) -> Result<(), Fault> {
        Ok(())
    }

    fn send(&mut self, ask: Ask, out: &mut BytesMut) -> Result<(), Fault> {
        match ask {
            Ask::Publish(publish, _) => {
                out.extend_from_slice(&publish.payload);
                self.events.push_back(Event::Sent(publish.payload[0].into()));
            }
            Ask::Ping => out.extend_from_slice(&[0]),
            Ask::Disconnect => {
                out.extend_from_slice(b"D");
                self.events.push_back(Event::Disconnected);
            }
            Ask::Direct(_) | Ask::Subscribe(..) => {}
        }
        Ok(())
    }

    fn receive(&mut self, read: &mut BytesMut, _: &mut BytesMut) -> Result<bool, Fault> {
        if read.is_empty() {
            return Ok(false);
        }
        self.events.push_back(Event::Signed(read.split_to(1)[0].into()));
        Ok(true)
    }

    fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn keep_alive(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// A stream that counts how often it is written to.
struct Counted(DuplexStream, Arc<AtomicUsize>);

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write(cx, octets);
        if written.is_ready() {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

struct Open {
    broker: DuplexStream,
    asks: mpsc::Sender<Ask>,
    events: mpsc::Receiver<Event>,
    writes: Arc<AtomicUsize>,
}

/// A connection on a pipe of so many octets.
fn open(pipe: usize) -> Open {
    let ((ours, broker), writes) = (duplex(pipe), Arc::default());
    let stream = Counted(ours, Arc::clone(&writes));
    let (asks, mut asked) = mpsc::channel(REQUESTS);
    let (told, events) = mpsc::channel(1024);
    tokio::spawn(async move {
        let mut wire = Octets::default();
        let Err(fault) = converse(stream, &mut wire, Buffers::default(), &mut asked, &told).await;
        told.send(Event::Fault(fault)).await.unwrap();
    });
    Open { broker, asks, events, writes }
}

fn publish(number: u8) -> Ask {
    Ask::Publish(Publish { topic: String::new(), payload: vec![number] }, false)
}

#[tokio::test(start_paused = true)]
async fn what_is_ready_together_leaves_in_one_write_and_receipts_that_come_together_are_told_together() {
    let mut open = open(1024);
    let numbers: Vec<u8> = (1..=100).collect();
    for number in &numbers {
        open.asks.try_send(publish(*number)).unwrap();
    }
    let mut came = [0; 100];
    open.broker.read_exact(&mut came).await.unwrap();
    assert_eq!((&came[..], open.writes.load(Ordering::Relaxed)), (&numbers[..], 1));
    open.broker.write_all(&came).await.unwrap();
    for number in 1..=100 {
        assert!(matches!(open.events.recv().await, Some(Event::Sent(n)) if n == number));
    }
    for number in 1..=100 {
        assert!(matches!(open.events.recv().await, Some(Event::Signed(n)) if n == number));
    }
}

#[tokio::test(start_paused = true)]
async fn receipts_are_read_while_the_broker_takes_nothing() {
    let mut open = open(4);
    for number in 1..=100 {
        open.asks.try_send(publish(number)).unwrap();
    }
    for number in 1..=100 {
        assert!(matches!(open.events.recv().await, Some(Event::Sent(n)) if n == number));
    }
    open.broker.write_all(&[7, 8, 9]).await.unwrap();
    for number in 7..=9 {
        assert!(matches!(open.events.recv().await, Some(Event::Signed(n)) if n == number));
    }
    let mut came = [0; 100];
    open.broker.read_exact(&mut came).await.unwrap();
    assert_eq!(came.to_vec(), (1..=100).collect::<Vec<u8>>());
}

#[tokio::test(start_paused = true)]
async fn a_farewell_has_left_when_it_is_told_of() {
    let mut open = open(1);
    open.asks.try_send(publish(1)).unwrap();
    open.asks.try_send(Ask::Disconnect).unwrap();
    let mut came = [0; 2];
    open.broker.read_exact(&mut came[..1]).await.unwrap();
    assert!(open.events.try_recv().is_err(), "the pipe holds one octet");
    open.broker.read_exact(&mut came[1..]).await.unwrap();
    assert!(matches!(open.events.recv().await, Some(Event::Sent(1))));
    assert!(matches!(open.events.recv().await, Some(Event::Disconnected)));
    assert_eq!(&came, &[1, b'D']);
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_life_is_given_in_time_and_a_closed_connection_is_a_fault() {
    let mut open = open(16);
    for _ in 0..3 {
        let mut came = [9];
        let early = timeout(Duration::from_secs(29), open.broker.read_exact(&mut came)).await;
        assert!(early.is_err(), "each 30 s");
        timeout(Duration::from_secs(2), open.broker.read_exact(&mut came)).await.unwrap().unwrap();
        assert_eq!(came, [0]);
    }
    drop(open.broker);
    assert!(matches!(open.events.recv().await, Some(Event::Fault(Fault::Lost(_)))));
}
