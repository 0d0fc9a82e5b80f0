//! Load records (负荷记录, DL/T 645-2007 Appendix B): from the octets of a reply to records and their groups.
//!
//! A record is A0 A0, a length, the time, six groups that each end with AA, a checksum, E5. Which registers a group
//! holds is not known here.

use super::{Date, NoValue, Time, instant};
use alloc::vec::Vec;

/// How many groups a record has.
pub const GROUPS: usize = 6;

/// The first octets of a record.
const BEGIN: [u8; 2] = [0xA0, 0xA0];
/// AA ends a group. It is in no BCD octet, even with a sign bit.
const END_OF_GROUP: u8 = 0xAA;
/// E5 ends a record.
const END: u8 = 0xE5;

/// One record of a reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// All its octets.
    pub octets: &'a [u8],
    /// When it was stored.
    pub at: Result<(Date, Time), NoValue>,
    /// The octets of groups 1 to 6 without their AA; empty where the meter does not record the group.
    pub groups: [&'a [u8]; GROUPS],
    /// Whether the checksum inside is right. Meters are known whose checksum is not what the standard says, while the
    /// frame's own was right: the values are then doubtful, not lost.
    pub sum_fits: bool,
}

/// What is no record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// E0 E0: the meter says that its memory has lost the block.
    #[error("E0 E0: the meter cannot read this block of its memory")]
    BadBlock,
    /// Neither A0 A0 nor E0 E0, a length without an E5 behind it, or groups that are not where they belong. What
    /// follows cannot be told apart, so it is all here.
    #[error("octets that are no load record")]
    NoRecord,
}

/// Cuts a reply (after DI) into its records. `class` is DI2 of the request: 0 for all groups, else the only one.
///
/// A meter may leave out the AA of the groups before the class that was asked for: one group alone is of that class,
/// and groups that begin with the class are taken so.
pub fn records(class: u8, octets: &[u8]) -> Records<'_> {
    Records { class, rest: octets }
}

/// See [`records`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    class: u8,
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, (Fault, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let all = self.rest;
        let bad = all.starts_with(&[0xE0, 0xE0]);
        let known = bad || all.starts_with(&BEGIN);
        let Some((end, sum_fits)) = known.then(|| end_of_record(all)).flatten() else {
            self.rest = &[];
            return Some(Err((Fault::NoRecord, all)));
        };
        let (own, rest) = all.split_at(end);
        self.rest = rest;
        Some(if bad {
            Err((Fault::BadBlock, own))
        } else {
            groups(self.class, &own[8..end - 2]).map_or(Err((Fault::NoRecord, own)), |groups| {
                let at = match own[3..8] {
                    [minute, hour, day, month, year] => instant::date(year, month, day)
                        .and_then(|date| Ok((date, instant::time(hour, minute, None)?))),
                    _ => Err(instant::NO_DATE),
                };
                Ok(Record { octets: own, at, groups, sum_fits })
            })
        })
    }
}

/// A group that has AA in it, or groups that are longer together than a record's length can say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("these groups make no load record")]
pub struct NotAGroup;

/// Appends the record of a time and its groups without their AA: the inverse of [`records`].
///
/// # Errors
/// [`NotAGroup`]; `out` is then as it was.
pub fn emit((date, time): (Date, Time), groups: [&[u8]; GROUPS], out: &mut Vec<u8>) -> Result<(), NotAGroup> {
    if groups.iter().any(|group| group.contains(&END_OF_GROUP)) {
        return Err(NotAGroup);
    }
    let at = instant::minute_wire(date, time);
    let len = at.len() + groups.iter().map(|group| group.len() + 1).sum::<usize>();
    let len = u8::try_from(len).map_err(|_| NotAGroup)?;
    let start = out.len();
    out.extend_from_slice(&BEGIN);
    out.push(len);
    out.extend_from_slice(&at);
    for group in groups {
        out.extend_from_slice(group);
        out.push(END_OF_GROUP);
    }
    let sum = out[start..].iter().fold(0u8, |sum, o| sum.wrapping_add(*o));
    out.extend_from_slice(&[sum, END]);
    Ok(())
}

/// Octets of the record in front, and whether its checksum fits.
///
/// The length counts from the time to the last AA. Other readings of it, with checksum and end or as BCD, are believed
/// only if the checksum agrees.
fn end_of_record(octets: &[u8]) -> Option<(usize, bool)> {
    let len = usize::from(*octets.get(2)?);
    let sum_fits = |end: usize| {
        let sum = octets[..end - 2].iter().fold(0u8, |sum, o| sum.wrapping_add(*o));
        octets[end - 2] == sum
    };
    let ends = |end: usize| end >= 11 && octets.get(end - 1) == Some(&END);
    let standard = len + 5;
    if ends(standard) {
        return Some((standard, sum_fits(standard)));
    }
    let bcd = (len >> 4) * 10 + (len & 0x0F) + 5;
    [len + 3, bcd].into_iter().find(|&end| ends(end) && sum_fits(end)).map(|end| (end, true))
}

/// The groups of the octets behind the time, up to and with the last AA.
fn groups(class: u8, octets: &[u8]) -> Option<[&[u8]; GROUPS]> {
    let (&END_OF_GROUP, octets) = octets.split_last()? else { return None };
    let mut groups = [&octets[..0]; GROUPS];
    let count = octets.split(|&o| o == END_OF_GROUP).count();
    let class = usize::from(class);
    let first = match count {
        GROUPS => 0,
        1 if (1..=GROUPS).contains(&class) => class - 1,
        _ if class != 0 && count + class == GROUPS + 1 => class - 1,
        _ => return None,
    };
    for (group, own) in groups[first..].iter_mut().zip(octets.split(|&o| o == END_OF_GROUP)) {
        *group = own;
    }
    Some(groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    /// Class 1 alone, the five other groups empty.
    const CLASS_1: [u8; 33] = [
        0xA0, 0xA0, 0x1C, 0x00, 0x10, 0x21, 0x11, 0x26, 0x05, 0x22, 0x10, 0x22, 0x99, 0x21, 0x34, 0x12, 0x00,
        0x00, 0x12, 0x00, 0x00, 0x13, 0x80, 0x00, 0x50, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0x0E, 0xE5,
    ];

    /// A record of a time and these octets, with its length, sum and end.
    fn record(len: u8, groups: &[u8]) -> Vec<u8> {
        let mut octets = [&[0xA0, 0xA0, len, 0x00, 0x10, 0x21, 0x11, 0x26][..], groups].concat();
        octets.push(octets.iter().fold(0, |sum: u8, o| sum.wrapping_add(*o)));
        octets.push(END);
        octets
    }

    fn only(class: u8, octets: &[u8]) -> Result<Record<'_>, Fault> {
        let mut records = records(class, octets);
        let first = records.next().unwrap();
        assert_eq!(records.next(), None);
        first.map_err(|(fault, octets_of_fault)| {
            assert_eq!(octets_of_fault, octets);
            fault
        })
    }

    #[test]
    fn a_record_has_its_time_its_groups_and_its_checksum() {
        let record = only(1, &CLASS_1).unwrap();
        let (date, time) = record.at.unwrap();
        assert_eq!(date.to_string() + " " + &time.to_string(), "2026-11-21 10:00");
        assert_eq!(record.groups.map(<[u8]>::len), [17, 0, 0, 0, 0, 0]);
        assert!(record.sum_fits);
    }

    #[test]
    fn what_a_meter_stores_is_the_record_that_a_reader_finds() {
        let read = only(1, &CLASS_1).unwrap();
        let mut out = Vec::new();
        emit(read.at.unwrap(), read.groups, &mut out).unwrap();
        assert_eq!(out, CLASS_1);
        for bad in [&[0xAA][..], &[0; 250]] {
            assert_eq!(emit(read.at.unwrap(), [bad, &[], &[], &[], &[], &[]], &mut out), Err(NotAGroup));
        }
        assert_eq!(out, CLASS_1);
    }

    #[test]
    fn several_records_come_one_after_the_other_and_a_bad_block_between_them() {
        let mut bad = CLASS_1;
        bad[..2].fill(0xE0);
        let all = [CLASS_1, bad, CLASS_1].concat();
        let found: Vec<_> = records(0, &all).map(|r| r.map(|_| ()).map_err(|(fault, _)| fault)).collect();
        assert_eq!(found, [Ok(()), Err(Fault::BadBlock), Ok(())]);
        assert_eq!(records(0, &[]).count(), 0);
    }

    #[test]
    fn a_group_alone_is_of_the_class_that_was_asked_for() {
        let pf = [0x92, 0x09, 0xAA];
        let octets = record(8, &pf);
        assert_eq!(only(3, &octets).unwrap().groups[2], &pf[..2]);
        assert_eq!(only(0, &octets), Err(Fault::NoRecord));
        let with_those_behind = record(11, &[0x92, 0x09, 0xAA, 0xAA, 0xAA, 0xAA]);
        assert_eq!(only(3, &with_those_behind).unwrap().groups[2], &pf[..2]);
        assert_eq!(only(2, &with_those_behind), Err(Fault::NoRecord));
    }

    #[test]
    fn other_readings_of_the_length_are_believed_only_with_the_checksum() {
        let groups = [0xAA; 6];
        for len in [11, 13, 0x11] {
            let octets = record(len, &groups);
            assert!(only(0, &octets).unwrap().sum_fits, "{len}");
            let mut wrong = octets;
            wrong[14] ^= 1;
            match len {
                11 => assert!(!only(0, &wrong).unwrap().sum_fits),
                _ => assert_eq!(only(0, &wrong), Err(Fault::NoRecord), "{len}"),
            }
        }
    }

    #[test]
    fn octets_that_are_no_record_are_reported_whole() {
        for octets in [&CLASS_1[1..], &CLASS_1[..20], &[0xA0], &[0xA0, 0xA0], &[0xA0, 0xA0, 0, 1, 0xE5]] {
            assert_eq!(only(0, octets), Err(Fault::NoRecord));
        }
    }
}
