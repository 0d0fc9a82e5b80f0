//! A pair of wires in real time: a thread that waits for absolute instants.
//!
//! tokio's timers are one to three milliseconds late, more than a character at 9600 baud lasts; a thread's
//! sleep is late by a fraction of one, and lateness does not add up.

use super::pair::Pair;
use super::serve::{Port, Voice};
use crate::clock::Clock;
use jiff::Timestamp;
use std::future::Future;
use std::io;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Pieces of requests that the wires have not heard yet; when it is full, a piece is lost, as on a jammed line.
const HEARD: usize = 64;

/// What the port has for the wires.
#[derive(Debug)]
enum Input {
    /// The reader wrote at this time.
    Heard { octets: Vec<u8>, now: Duration, wall: Timestamp },
    /// The port was plugged in; answers go there.
    Plugged(Voice),
}

/// Answers on `port` until `stop` is ready.
pub(super) async fn serve(
    pair: Pair,
    mut port: Port,
    clock: Clock,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let (input, inputs) = std_mpsc::sync_channel(HEARD);
    // One at a time: nothing is heard while the port is unplugged.
    let (unplug, mut unplugged) = mpsc::channel(1);
    let (voice, on) = (port.voice(), clock.clone());
    let mut wires = tokio::task::spawn_blocking(move || wires(pair, &inputs, voice, &unplug, &on));
    let mut stop = std::pin::pin!(stop);
    let ended = loop {
        tokio::select! {
            () = &mut stop => break Ok(()),
            octets = port.hear() => match octets {
                Ok(octets) => {
                    let heard = Input::Heard { octets, now: clock.elapsed(), wall: clock.now() };
                    if input.try_send(heard).is_err() {
                        tracing::warn!("virtual line: jammed, what was written is lost");
                    }
                }
                Err(e) => break Err(e),
            },
            Some(time) = unplugged.recv() => {
                port = tokio::select! {
                    () = &mut stop => break Ok(()),
                    port = port.unplug(time) => match port {
                        Ok(port) => port,
                        Err(e) => break Err(e),
                    },
                };
                if input.try_send(Input::Plugged(port.voice())).is_err() {
                    break Err(io::Error::other("the wires do not take the port that was plugged in"));
                }
            }
            failed = &mut wires => return failed.map_err(io::Error::other)?,
        }
    };
    // The thread ends when nobody can be heard any more.
    drop(input);
    wires.await.map_err(io::Error::other)??;
    ended
}

/// The thread: hears, waits, delivers, until nobody can be heard any more.
fn wires(
    mut pair: Pair,
    inputs: &std_mpsc::Receiver<Input>,
    voice: Voice,
    unplug: &mpsc::Sender<Duration>,
    clock: &Clock,
) -> io::Result<()> {
    let mut voice = Some(voice);
    loop {
        let came = match pair.due() {
            None => inputs.recv().map_err(|_| std_mpsc::RecvTimeoutError::Disconnected),
            Some(due) => inputs.recv_timeout(due.saturating_sub(clock.elapsed())),
        };
        match came {
            // What was written to a port that is gone by now is heard by nobody.
            Ok(Input::Heard { octets, now, wall }) if voice.is_some() => {
                if let Some(time) = pair.hear(&octets, now, wall, None) {
                    voice = None;
                    pair.cut();
                    // The port is told once, and tells us when it is back.
                    let _ = unplug.try_send(time);
                }
            }
            Ok(Input::Heard { .. }) => {}
            Ok(Input::Plugged(again)) => voice = Some(again),
            Err(std_mpsc::RecvTimeoutError::Timeout) => {}
            Err(std_mpsc::RecvTimeoutError::Disconnected) => return Ok(()),
        }
        while let Some(piece) = pair.deliver(clock.elapsed()) {
            if let Some(voice) = &voice {
                voice.say(piece.into_iter().map(|(octet, _)| octet).collect())?;
            }
        }
    }
}
