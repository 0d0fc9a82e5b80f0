//! The write-ahead log as octets: which pages it holds, and whether it broke off where a power cut breaks off.
//!
//! SQLite reads the log up to the first frame that does not fit and takes the rest for a commit that was cut short.
//! A bit that flipped in the middle then costs every commit behind it, and nobody is told. Commits are synced one by
//! one, so a power cut damages the last one only: a commit that continues a damaged one is proof of damage. One that only
//! stands behind it is not: SQLite writes over a commit that failed, and what is left of that stands behind the next.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

const HEADER: usize = 32;
const FRAME: usize = 24;
const PAGE: usize = super::pages::SIZE;

/// A log.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Where the newest committed image of each page begins.
    pub(super) pages: HashMap<u32, u64>,
    /// Whether commits stand behind damage.
    pub(super) damaged: bool,
    /// Whether the header is damaged: SQLite takes nothing out of the log then.
    headless: bool,
    /// Pages that the file has by the last commit.
    count: u32,
}

/// What a header or a frame continues from.
type Sum = (u32, u32);

impl Log {
    /// Reads the log at `path`; an absent one is empty.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(e),
        };
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let mut header = [0; HEADER];
        if !fill(&mut reader, &mut header)? {
            return Ok(Self::default());
        }
        // Ours are in the order of the machine.
        let big = cfg!(target_endian = "big");
        let sum = (word(&header, 24), word(&header, 28));
        let sound =
            word(&header, 0) == 0x377F_0682 + u32::from(big) && sum_of(&header[..24], (0, 0), big) == sum;
        let mut walk = Walk {
            salts: sound.then(|| (word(&header, 16), word(&header, 20))),
            big,
            sum,
            broken: !sound,
            // The header is synced before the first commit.
            behind: u32::from(!sound),
            open: Vec::new(),
            log: Self { headless: !sound, ..Self::default() },
        };
        let mut frame = vec![0; FRAME + PAGE];
        let mut at = HEADER as u64;
        while fill(&mut reader, &mut frame)? {
            walk.frame(&frame, at);
            at += frame.len() as u64;
        }
        Ok(walk.log)
    }

    /// Whether nothing of it is wanted: the file has all of it, and SQLite takes nothing out of it. So it is where the
    /// power went while the header of the next log was written over that of one which had been written back.
    pub(super) fn is_spent(&self, file: &Path, log: &Path) -> io::Result<bool> {
        if !self.headless {
            return Ok(false);
        }
        let (file, log) = (File::open(file)?, File::open(log)?);
        let (mut here, mut there) = (vec![0; PAGE], vec![0; PAGE]);
        for (number, at) in self.pages.iter().filter(|(number, _)| **number <= self.count) {
            log.read_exact_at(&mut here, *at)?;
            file.read_exact_at(&mut there, u64::from(number - 1) * PAGE as u64)?;
            if here != there {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

struct Walk {
    salts: Option<(u32, u32)>,
    big: bool,
    sum: Sum,
    /// A frame did not fit.
    broken: bool,
    /// Commits behind the last frame that did not fit.
    behind: u32,
    /// Pages of the commit that has not ended.
    open: Vec<(u32, u64)>,
    log: Log,
}

impl Walk {
    fn frame(&mut self, frame: &[u8], at: u64) {
        let salts = (word(frame, 8), word(frame, 12));
        let before = self.sum;
        // The next one continues from what stands here, even where this one is damaged.
        let stored = (word(frame, 16), word(frame, 20));
        self.sum = stored;
        if *self.salts.get_or_insert(salts) != salts {
            (self.broken, self.behind) = (true, 0);
            self.open.clear();
            return;
        }
        let (head, page) = frame.split_at(FRAME);
        let sum = sum_of(page, sum_of(&head[..8], before, self.big), self.big);
        let (number, commits) = (word(head, 0), word(head, 4) != 0);
        if sum == stored && number > 0 {
            // Of a commit that ended behind the damage, more came: it had been synced.
            self.log.damaged |= self.behind > 0;
            self.open.push((number, at + FRAME as u64));
        } else {
            (self.broken, self.behind) = (true, 0);
        }
        if commits {
            self.log.count = word(head, 4);
            self.log.pages.extend(self.open.drain(..));
            self.behind += u32::from(self.broken);
        }
    }
}

/// Fills `room`, or says that there is no more.
fn fill(reader: &mut impl Read, room: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(room) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}

fn word(octets: &[u8], at: usize) -> u32 {
    octets.get(at..at + 4).and_then(|w| w.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// The log's own checksum (sqlite.org/fileformat2.html, 4.2).
fn sum_of(octets: &[u8], from: Sum, big: bool) -> Sum {
    let read = |four: &[u8]| match (<[u8; 4]>::try_from(four), big) {
        (Ok(four), true) => u32::from_be_bytes(four),
        (Ok(four), false) => u32::from_le_bytes(four),
        (Err(_), _) => 0,
    };
    octets.chunks_exact(8).fold(from, |(s1, s2), eight| {
        let s1 = s1.wrapping_add(read(&eight[..4])).wrapping_add(s2);
        (s1, s2.wrapping_add(read(&eight[4..])).wrapping_add(s1))
    })
}
