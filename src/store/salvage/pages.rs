//! The file as octets: every record on every page that is a leaf, whether or not a tree leads there.
//!
//! What is found proves itself by its checksum, so nothing else of the file is believed (format:
//! sqlite.org/fileformat2.html).

use super::log::Log;
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Octets of a page: SQLite's default, which meterd leaves alone.
pub(super) const SIZE: usize = 4096;
/// Page 1 begins with the file's own header.
const FILE_HEADER: usize = 100;
const LEAF_OF_TABLE: u8 = 13;
const LEAF_OF_INDEX: u8 = 10;
/// Of an index the inner pages hold records too, those between their leaves.
const INNER_OF_INDEX: u8 = 2;
/// The longest record that is put together.
const LONGEST: usize = 16 << 20;

/// The pages of a store, as of its last commit.
#[derive(Debug)]
pub(super) struct Image {
    file: File,
    wal: Option<File>,
    log: Log,
    count: u32,
    free: HashSet<u32>,
}

/// A value of a record.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Value<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    /// What no table of ours searched here has.
    Other,
}

impl Image {
    pub(super) fn open(path: &Path, wal: &Path, log: Log) -> io::Result<Self> {
        let file = File::open(path)?;
        let wal = File::open(wal).ok();
        let whole = file.metadata()?.len().div_ceil(SIZE as u64);
        let count =
            u32::try_from(whole).unwrap_or(u32::MAX).max(log.pages.keys().copied().max().unwrap_or(0));
        let mut image = Self { file, wal, log, count, free: HashSet::new() };
        image.free = image.free_pages();
        Ok(image)
    }

    /// Gives every record of every page that is in use to `found`: the row's number (0 in an index) and its values.
    pub(super) fn scan<E>(&self, mut found: impl FnMut(i64, &[Value<'_>]) -> Result<(), E>) -> Result<(), E> {
        for number in (1..=self.count).filter(|number| !self.free.contains(number)) {
            let Some(page) = self.page(number) else { continue };
            let start = if number == 1 { FILE_HEADER } else { 0 };
            // Octets of the page's header, and those before each record: the number of a page below.
            let (of_table, header, before) = match page[start] {
                LEAF_OF_TABLE => (true, 8, 0),
                LEAF_OF_INDEX => (false, 8, 0),
                INNER_OF_INDEX => (false, 12, 4),
                _ => continue,
            };
            for cell in 0..usize::from(short(&page, start + 3)) {
                let Some(at) = page.get(start + header + 2 * cell..start + header + 2 + 2 * cell) else {
                    break;
                };
                let at = usize::from(u16::from_be_bytes([at[0], at[1]])) + before;
                let Some((row, payload)) = self.cell(&page, at, of_table) else { continue };
                if let Some(values) = record(&payload) {
                    found(row, &values)?;
                }
            }
        }
        Ok(())
    }

    /// The newest committed image of a page; zeros where the file ends within it.
    fn page(&self, number: u32) -> Option<Vec<u8>> {
        let mut page = vec![0; SIZE];
        if let (Some(at), Some(wal)) = (self.log.pages.get(&number), &self.wal) {
            wal.read_exact_at(&mut page, *at).ok()?;
            return Some(page);
        }
        let begin = u64::from(number.checked_sub(1)?) * SIZE as u64;
        let mut filled = 0;
        while filled < SIZE {
            match self.file.read_at(&mut page[filled..], begin + filled as u64) {
                Ok(0) => break,
                Ok(octets) => filled += octets,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // One sector that cannot be read does not cost the rest.
                Err(_) => return None,
            }
        }
        (filled > 0).then_some(page)
    }

    /// Row number and payload of a cell.
    fn cell(&self, page: &[u8], at: usize, of_table: bool) -> Option<(i64, Vec<u8>)> {
        let (length, mut next) = varint(page, at)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST)?;
        let mut row = 0;
        if of_table {
            (row, next) = varint(page, next)?;
        }
        let most = if of_table { SIZE - 35 } else { (SIZE - 12) * 64 / 255 - 23 };
        if length <= most {
            return Some((row, page.get(next..next + length)?.to_vec()));
        }
        let least = (SIZE - 12) * 32 / 255 - 23;
        let local = Some(least + (length - least) % (SIZE - 4)).filter(|k| *k <= most).unwrap_or(least);
        let mut payload = page.get(next..next + local)?.to_vec();
        let mut following = long(page, next + local)?;
        while payload.len() < length {
            let page = self.page(following)?;
            let more = (length - payload.len()).min(SIZE - 4);
            payload.extend_from_slice(&page[4..4 + more]);
            following = long(&page, 0)?;
        }
        Some((row, payload))
    }

    /// Pages that hold what was deleted, as far as their list can be followed.
    fn free_pages(&self) -> HashSet<u32> {
        let mut free = HashSet::new();
        let Some(first) = self.page(1).filter(|page| page.starts_with(b"SQLite format 3\0")) else {
            return free;
        };
        let mut trunk = long(&first, 32).unwrap_or(0);
        while trunk != 0 && trunk <= self.count && free.insert(trunk) {
            let Some(page) = self.page(trunk) else { break };
            let leaves = long(&page, 4).unwrap_or(0) as usize;
            free.extend((0..leaves.min(SIZE / 4 - 2)).filter_map(|leaf| long(&page, 8 + 4 * leaf)));
            trunk = long(&page, 0).unwrap_or(0);
        }
        free
    }
}

fn short(octets: &[u8], at: usize) -> u16 {
    octets.get(at..at + 2).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]))
}

fn long(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

/// A number of one to nine octets, and where the next begins.
fn varint(octets: &[u8], at: usize) -> Option<(i64, usize)> {
    let mut value: u64 = 0;
    for step in 0..8 {
        let octet = *octets.get(at + step)?;
        value = value << 7 | u64::from(octet & 0x7F);
        if octet & 0x80 == 0 {
            return Some((value.cast_signed(), at + step + 1));
        }
    }
    let last = *octets.get(at + 8)?;
    Some(((value << 8 | u64::from(last)).cast_signed(), at + 9))
}

/// The values of a record, if it is one.
fn record(payload: &[u8]) -> Option<Vec<Value<'_>>> {
    let (header, mut next) = varint(payload, 0)?;
    let header = usize::try_from(header).ok().filter(|length| *length <= payload.len())?;
    let (mut values, mut body) = (Vec::with_capacity(8), header);
    while next < header {
        let kind;
        (kind, next) = varint(payload, next)?;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => usize::try_from(kind).ok()?,
            5 => 6,
            6 | 7 => 8,
            12.. => usize::try_from((kind - 12) / 2).ok()?,
            _ => return None,
        };
        let octets = payload.get(body..body.checked_add(length)?)?;
        body += length;
        values.push(match kind {
            0 => Value::Null,
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            1..=6 => Value::Integer(integer(octets)),
            13.. if kind % 2 == 1 => std::str::from_utf8(octets).map_or(Value::Other, Value::Text),
            _ => Value::Other,
        });
    }
    Some(values)
}

/// A signed number, the high octet first.
fn integer(octets: &[u8]) -> i64 {
    let begin = if octets.first().is_some_and(|octet| octet & 0x80 != 0) { -1 } else { 0 };
    octets.iter().fold(begin, |value, octet| value << 8 | i64::from(*octet))
}
