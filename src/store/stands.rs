//! What the energy register of a meter point showed at a midnight (表底): one row for each point and day, since a message
//! and the value in it are gone a week after the receipt, and consumption is of a month.

use super::{Closed, error::sorted};
use super::{Handle, Look, StoreError, handle::Put, identity::Names, sum};
use crate::reading::Quality;
use jiff::Timestamp;
use rusqlite::{Connection, Row, Transaction, params};
use rust_decimal::Decimal;

/// The imported active energy of a meter point at an instant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stand {
    /// Meter point.
    pub meter: String,
    /// The instant; to the millisecond.
    pub slot: Timestamp,
    /// Address of the meter that showed it, as on its plate.
    pub address: String,
    /// What it showed, digit for digit, in kWh.
    pub value: Decimal,
    /// The ratio (倍率) of the point then, where there was one.
    pub ratio: Option<Decimal>,
    /// How far it is to be believed.
    pub quality: Quality,
}

/// The last one of a slot counts, but that nothing good gives way to what is not.
const KEEP: &str = "INSERT INTO stand (slot, meter, address, value, ratio, quality, sum)
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                    ON CONFLICT DO UPDATE SET address = excluded.address, value = excluded.value,
                        ratio = excluded.ratio, quality = excluded.quality, sum = excluded.sum
                    WHERE excluded.quality = 'good' OR quality <> 'good'";

pub(super) fn write(
    transaction: &Transaction<'_>,
    points: &mut Names,
    stands: &[Stand],
) -> rusqlite::Result<()> {
    for stand in stands {
        let meter = points.intern(transaction, &stand.meter)?;
        let (value, ratio) = (stand.value.to_string(), ratio(stand));
        transaction.prepare_cached(KEEP)?.execute(params![
            stand.slot.as_millisecond(),
            meter,
            stand.address,
            value,
            ratio,
            stand.quality.word(),
            sum_of(stand, &value, &ratio),
        ])?;
    }
    Ok(())
}

/// Empty where there was none.
fn ratio(stand: &Stand) -> String {
    stand.ratio.map(|ratio| ratio.to_string()).unwrap_or_default()
}

fn sum_of(stand: &Stand, value: &str, ratio: &str) -> i64 {
    let texts = [&stand.meter, stand.address.as_str(), value, ratio, stand.quality.word()];
    i64::from(sum::of(&[stand.slot.as_millisecond()], &texts))
}

/// What points showed at an instant, in order of their first mention; what is not as it was written is left out.
fn stands(connection: &Connection, slot: Timestamp) -> rusqlite::Result<Vec<Stand>> {
    let sql = "SELECT m.text, s.address, s.value, s.ratio, s.quality, s.sum
               FROM stand AS s JOIN name AS m ON m.id = s.meter WHERE s.slot = ?1 ORDER BY s.meter";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([slot.as_millisecond()])?;
    let mut stands = Vec::new();
    while let Some(row) = rows.next()? {
        match believed(row, slot) {
            Some(stand) => stands.push(stand),
            None => tracing::warn!("a value of a register is not as it was written, and is left out"),
        }
    }
    Ok(stands)
}

fn believed(row: &Row<'_>, slot: Timestamp) -> Option<Stand> {
    let text = |column| row.get_ref(column).ok()?.as_str().ok();
    let (value, ratio, word) = (text(2)?, text(3)?, text(4)?);
    let qualities = [Quality::Good, Quality::Suspect, Quality::NotFrozen, Quality::ClockOff];
    let stand = Stand {
        meter: text(0)?.to_owned(),
        slot,
        address: text(1)?.to_owned(),
        value: value.parse().ok()?,
        ratio: if ratio.is_empty() { None } else { Some(ratio.parse().ok()?) },
        quality: qualities.into_iter().find(|quality| quality.word() == word)?,
    };
    (sum_of(&stand, value, ratio) == row.get::<_, i64>(5).ok()?).then_some(stand)
}

impl Look {
    /// What meter points showed at an instant, in no special order; what is damaged is left out.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn stands(&self, slot: Timestamp) -> Result<Vec<Stand>, StoreError> {
        stands(&self.connection, slot).map_err(sorted)
    }
}

impl Handle {
    /// Hands over what a meter point showed; it is written with the next commit. Handed over before its message, it is
    /// there whenever the slot is known to be read.
    ///
    /// # Errors
    /// [`Closed`]; it is not stored.
    pub async fn note_stand(&self, stand: Stand) -> Result<(), Closed> {
        self.entries.send(Put::Stand(stand)).await.map_err(|_| Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Batch, Writer, look};

    fn stand(meter: &str, day: i64, value: &str, quality: Quality) -> Stand {
        Stand {
            meter: meter.to_owned(),
            slot: Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap(),
            address: "000000000001".to_owned(),
            value: value.parse().unwrap(),
            ratio: (meter == "total").then(|| Decimal::from(40)),
            quality,
        }
    }

    #[test]
    fn what_a_register_showed_reads_back_digit_for_digit_and_what_is_not_good_takes_no_good_ones_place() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        let (good, total) =
            (stand("a", 0, "12.30", Quality::Good), stand("total", 0, "7.00", Quality::NotFrozen));
        let mut write = |stands: &[Stand]| writer.write(Batch { stands, ..Batch::default() }).unwrap();
        write(&[stand("a", 0, "1.00", Quality::Suspect), good.clone(), total.clone()]);
        write(&[stand("a", 0, "2.00", Quality::ClockOff), stand("b", 1, "3.00", Quality::Good)]);
        let seen = |slot| look(dir.path(), |look| look.stands(slot)).unwrap();
        assert_eq!(seen(good.slot), [good.clone(), total]);
        let found = &seen(good.slot)[0];
        assert_eq!(found.value.to_string(), "12.30");
        write(&[stand("b", 62, "4.00", Quality::Good)]);
        assert_eq!(seen(good.slot).len(), 2, "62 days");
        write(&[stand("b", 63, "5.00", Quality::Good)]);
        assert_eq!(seen(good.slot), [], "and no more");
    }

    #[test]
    fn a_value_that_is_not_as_it_was_written_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        let one = stand("a", 0, "12.30", Quality::Good);
        writer.write(Batch { stands: std::slice::from_ref(&one), ..Batch::default() }).unwrap();
        drop(writer);
        let connection = Connection::open(dir.path().join("meterd.db")).unwrap();
        connection.execute("UPDATE stand SET value = '92.30'", []).unwrap();
        drop(connection);
        assert_eq!(look(dir.path(), |look| look.stands(one.slot)).unwrap(), []);
    }
}
