//! Reading the outbox by lanes, so that a long backlog can be sent group of meters by group of meters.

use super::{Pending, StoreError, Writer};

/// Rows that one question looks at, at most: their topics only, so that no question is long.
const SCAN: i64 = 4096;
/// Numbers and topics of the outbox, in order over all that it is worth.
const TOPICS: &str = "SELECT o.seq, m.topic FROM (
        SELECT seq FROM outbox WHERE rank = 0 AND seq > ?1 AND seq <= ?2
        UNION ALL SELECT seq FROM outbox WHERE rank = 1 AND seq > ?1 AND seq <= ?2
        UNION ALL SELECT seq FROM outbox WHERE rank = 2 AND seq > ?1 AND seq <= ?2
        ORDER BY seq LIMIT ?3
    ) AS o LEFT JOIN message AS m ON m.seq = o.seq ORDER BY o.seq";
/// Lanes of meters; one more is for topics that are of no meter.
const METERS: u8 = 8;

/// Tells the lane of a message from its topic. All messages of a meter are in one lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lanes {
    /// Octets of the topic before `meter/{meter}/…`.
    pub skip: usize,
    /// Those that are asked for; bit n is lane n.
    pub set: u16,
}

impl Lanes {
    /// How many there are: lane 0 is of no meter.
    pub const COUNT: u8 = METERS + 1;

    /// Whether a message with this topic is asked for.
    pub fn have(&self, topic: &str) -> bool {
        self.set & (1 << self.of(topic)) != 0
    }

    /// The lane of a topic.
    pub fn of(&self, topic: &str) -> u8 {
        let meter = topic.get(self.skip..).and_then(|rest| rest.strip_prefix("meter/"));
        let Some(name) = meter.and_then(|rest| rest.split('/').next()) else { return 0 };
        // FNV-1a, and its bits mixed: names differ in their last character.
        let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01B3)
        });
        ((hash ^ (hash >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD) >> 32) as u8 % METERS + 1
    }
}

/// An answer by lanes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offered {
    /// In order.
    pub pending: Vec<Pending>,
    /// What is in these lanes up to this number is in `pending`, or was not asked for, or is signed for.
    pub seen: u64,
}

impl Writer {
    /// Up to `limit` messages of these lanes that nobody has signed for, with numbers above `after` and up to
    /// `last`, in order; `seen` says how far it has looked.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn offer_lanes(
        &mut self,
        after: u64,
        last: u64,
        lanes: Lanes,
        limit: usize,
    ) -> Result<Offered, StoreError> {
        let bound = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.with(|open| {
            let mut topics = open.connection.prepare_cached(TOPICS)?;
            let (mut pending, mut seen, mut looked) = (Vec::new(), after, 0);
            let mut rows = topics.query([bound(after), bound(last), SCAN])?;
            while let Some(row) = rows.next()? {
                let number: i64 = row.get(0)?;
                looked += 1;
                seen = number.cast_unsigned();
                // A topic that cannot be read is one that its message's sum will tell of.
                if row.get_ref(1)?.as_str().is_ok_and(|topic| !lanes.have(topic)) {
                    continue;
                }
                pending.push(open.unsigned(number)?);
                if pending.len() >= limit {
                    return Ok(Offered { pending, seen });
                }
            }
            if looked < SCAN {
                seen = last;
            }
            Ok(Offered { pending, seen })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Entry, Worth};

    const SKIP: usize = "p/gw/".len();

    fn lanes(set: u16) -> Lanes {
        Lanes { skip: SKIP, set }
    }

    #[test]
    fn all_messages_of_a_meter_are_in_one_lane_and_the_gateways_own_in_another() {
        let lanes = lanes(0);
        let of = lanes.of("p/gw/meter/flat-101/data/live");
        assert!((1..Lanes::COUNT).contains(&of));
        assert_eq!(lanes.of("p/gw/meter/flat-101/status"), of);
        assert_eq!(lanes.of("p/gw/meter/flat-101/event/suspect"), of);
        for own in ["p/gw/status", "p/gw/event/power_back", "p/gw/round/live", "p", ""] {
            assert_eq!(lanes.of(own), 0, "{own}");
        }
        let all: std::collections::BTreeSet<u8> =
            (0..200).map(|n| lanes.of(&format!("p/gw/meter/flat-{n}/data/live"))).collect();
        assert_eq!(all, (1..Lanes::COUNT).collect());
    }

    #[test]
    fn lanes_together_are_the_outbox_and_each_is_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        let entry = |n: usize| Entry {
            topic: format!("p/gw/meter/m{}/event/x", n % 37),
            body: n.to_string(),
            retain: false,
            worth: Worth::Event,
            identity: None,
            notes: Vec::new(),
        };
        let entries: Vec<Entry> = (0..500).map(entry).collect();
        writer.commit(&entries).unwrap();
        let mut all = Vec::new();
        for lane in 0..Lanes::COUNT {
            let (mut after, mut seqs) = (0, Vec::new());
            while after < 400 {
                let offered = writer.offer_lanes(after, 400, lanes(1 << lane), 7).unwrap();
                seqs.extend(offered.pending.iter().map(|pending| pending.seq));
                assert!(offered.seen > after);
                after = offered.seen;
            }
            assert!(seqs.is_sorted());
            all.extend(seqs);
        }
        all.sort_unstable();
        assert_eq!(all, (1..=400).collect::<Vec<u64>>());
    }
}
