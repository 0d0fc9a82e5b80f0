//! What the store writes to the flash.
//!
//! Every page that a commit touches is written whole to the log, and once more to the file when the log is written
//! back. So a commit of one small message costs many times its octets, and what is shared by a commit's messages costs
//! less the more they are.

/// Octets of a page, and of one with its frame in the log.
const PAGE: u64 = 4096;
const FRAMED: u64 = PAGE + 24;
/// Octets of a page that rows have.
const ROOM: u64 = PAGE - 35;
/// Octets of a row longer than a page that stand with the other rows; the rest has pages of its own.
const LOCAL: u64 = 489;
/// What a row has beside its texts: its number, lengths, times and checksum.
const BESIDE: u64 = 40;
/// Knowledge of the slot, and the place in the outbox, while it waits and after the receipt.
const INDEX: u64 = 64;
/// Pages that a commit touches however little it brings: the last ones of slots and outbox, and the counters; and those
/// that the commit of its receipts touches.
const TOUCHED: u64 = 3 + 3;

/// Octets written, all told, for a commit of so many messages with so many octets of topic and body each: into the log
/// and the file, for the receipts, and until the messages have gone again.
pub fn written(messages: u64, octets: u64) -> u64 {
    let row = octets + BESIDE;
    // The rest of a row that is longer than a page has pages of its own.
    let alone = row > ROOM / 2;
    let share =
        if row > ROOM { (row - LOCAL).div_ceil(PAGE - 4) * PAGE + LOCAL } else { PAGE / (ROOM / row).max(1) };
    let rows = messages * (share + INDEX);
    // Of a page with several rows the last to go frees it, the others are written; pages of one row alone are not.
    let going = if alone { 0 } else { rows * 5 / 4 };
    // What many commits share is written back to the file once for all of them.
    (rows / PAGE + 1 + TOUCHED) * FRAMED + rows + going
}
