//! One frame through to the line, and what comes back (透明转发).

use super::{Asked, NoReply, Once, Patience, Talk};
use crate::bus::exchange::Passed;
use crate::reading::Reason;
use dlt645::exchange::Outcome;
use dlt645::pdu::Request;
use dlt645::scanner::Scanner;
use std::sync::{Arc, Mutex, PoisonError};

/// Frames that are given back at most; a babbling line has more.
const FRAMES: usize = 64;

impl Talk {
    /// Sends a request once and gives back the sound frames that came, follow-ups of a read included, as they came;
    /// beside them, why none is the answer, where none is. It is never asked twice: what writes must not write twice.
    pub async fn raw(
        &mut self,
        request: Request,
        asked: Asked,
        patience: Patience,
    ) -> (Vec<Vec<u8>>, Option<NoReply>) {
        // The port's own tap looks on as well, so it is put back behind.
        let heard: Arc<Mutex<Scanner>> = Arc::default();
        let (tap, into) = (self.tap.take(), Arc::clone(&heard));
        self.tap = Some(Box::new(move |passed| {
            let mut scanner = into.lock().unwrap_or_else(PoisonError::into_inner);
            match passed {
                Passed::Came(octets) => scanner.push(octets),
                Passed::CameDamaged(octet) => scanner.push_damaged(octet),
                Passed::Sent(_) => {}
            }
        }));
        let once = self.once(request, asked, patience.first_octet, patience.turnaround).await;
        self.tap = tap;
        let failed = match once {
            Err(no_reply) => Some(no_reply),
            Ok(Once { outcome, noted, .. }) => match outcome {
                Outcome::Data { .. } | Outcome::Address { .. } | Outcome::Done { .. } | Outcome::Sent => None,
                Outcome::Refused(word) => {
                    let refused = NoReply::of(Reason::Refused, word.to_string());
                    Some(NoReply { word: Some(word), tries: 1, noted, ..refused })
                }
                Outcome::Failed(no_answer) => {
                    let said = self.say(no_answer, &noted, 1);
                    Some(NoReply { tries: 1, noted, ..said })
                }
            },
        };
        let mut scanner = heard.lock().unwrap_or_else(PoisonError::into_inner);
        let mut frames = Vec::new();
        while let Some(frame) = scanner.next_frame().filter(|_| frames.len() < FRAMES) {
            // What a master sends is our own echo.
            if frame.control().from_meter() {
                frames.push(frame.octets().to_vec());
            }
        }
        (frames, failed)
    }
}
