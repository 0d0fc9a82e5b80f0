//! What the store writes to the flash.
//!
//! Every page that a commit touches is written whole to the log, and once more to the file when the log is written
//! back. So a commit of one small message costs many times its octets, and what is shared by a commit's messages costs
//! less the more they are.

/// Octets of a page, and of the log's frame around it.
const PAGE: u64 = 4096;
const FRAME: u64 = 24;
/// Octets of a page that rows have.
const ROOM: u64 = PAGE - 35;
/// What a row has beside its texts: its number, lengths, times and checksum.
const BESIDE: u64 = 40;
/// Knowledge of the slot, and the place in the outbox, while it waits and after the receipt.
const INDEX: u64 = 64;
/// Pages that every commit touches, however little it brings: the last pages of messages, slots and outbox, those above
/// them, and the counters.
const TOUCHED: u64 = 7;
/// Pages that receipts touch, which are written with a commit of their own: the outbox in two places, and the counters.
const RECEIPTS: u64 = 4;

/// Octets written, all told, for a commit of so many messages with so many octets of topic and body each: into the log
/// and the file, for the receipts, and until the messages have gone again.
pub fn written(messages: u64, octets: u64) -> u64 {
    let row = octets + BESIDE;
    let pages = if row > ROOM {
        // The rest of a long row has pages of its own.
        messages * row.div_ceil(PAGE - 4)
    } else {
        messages.div_ceil((ROOM / row).max(1))
    };
    let rows = pages + messages * INDEX / PAGE;
    // What is shared by many commits is written back to the file once for all of them.
    (rows + TOUCHED + RECEIPTS) * (PAGE + FRAME) + rows * PAGE
}
