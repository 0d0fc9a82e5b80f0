//! Any octets as any register: no panic, and what is a value is written back as the same value.
//!
//! Input: which format (from 80H those of the catalogue), a DI of 2007, the octets.

use super::Input;
use catalogue::{Catalogue, Entry};
use dlt645::format::{Format, NoValue, Value};
use dlt645::{Di, Edition};
use std::sync::LazyLock;

/// Formats that the seeds name by number: add at the end.
const FORMATS: &[Format] = &[
    Format::Number { decimals: 0, signed: false },
    Format::Number { decimals: 2, signed: false },
    Format::Number { decimals: 4, signed: true },
    Format::Demand { decimals: 4, signed: false },
    Format::Demand { decimals: 4, signed: true },
    Format::Date,
    Format::Time,
    Format::DateTime,
    Format::Digits,
    Format::Bits,
];

/// Every format that a register has.
static OF_THE_CATALOGUE: LazyLock<Vec<Format>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for edition in [Edition::E2007, Edition::E1997] {
        for register in Catalogue::of(edition).registers() {
            if !all.contains(&register.format()) {
                all.push(register.format());
            }
        }
    }
    all
});

/// Fails if a promise is broken; how many values the octets hold.
pub fn formats(data: &[u8]) -> usize {
    let mut input = Input(data);
    let which = usize::from(input.octet());
    let format = match which.checked_sub(0x80) {
        None => FORMATS[which % FORMATS.len()],
        Some(which) => OF_THE_CATALOGUE[which % OF_THE_CATALOGUE.len()],
    };
    let di = Di::new(u32::from_be_bytes(input.array()));
    usize::from(there_and_back(format, input.0)) + registers(Edition::E2007, di, input.0)
}

/// The octets as the reply to a read of this DI, of one register or a block.
pub fn registers(edition: Edition, di: Di, octets: &[u8]) -> usize {
    let records = whole_reply(edition, di, octets);
    records + of_entry(edition, di, octets)
}

/// How many fields of records there are. No octet is of two entries, or of two fields, or from elsewhere.
fn whole_reply(edition: Edition, di: Di, octets: &[u8]) -> usize {
    let mut fields = 0;
    let mut left = octets.len();
    for entry in Catalogue::of(edition).decode(di, octets) {
        assert!(octets.as_ptr_range().contains(&entry.octets.as_ptr()) || entry.octets.is_empty());
        left = left.checked_sub(entry.octets.len()).unwrap();
        let mut own = entry.octets.len();
        for field in entry.fields {
            own = own.checked_sub(field.octets.len()).unwrap();
            assert!(!format!("{}{}", field.name(), field.name_zh()).contains(char::is_control));
            assert_eq!(field.value, field.format.decode(field.octets));
            there_and_back(field.format, field.octets);
            fields += 1 + field.bits().count();
        }
    }
    fields
}

fn of_entry(edition: Edition, di: Di, octets: &[u8]) -> usize {
    match Catalogue::of(edition).by_di(di) {
        None => 0,
        Some(Entry::Register(register)) => {
            assert_eq!(register.di(), Some(di));
            let value = register.decode(octets);
            assert!(value.is_err() || !octets.is_empty());
            // Of another length, as some have, it is written in its own or not at all.
            if let (Ok(value), true) = (value, octets.len() == register.octets()) {
                assert_eq!(register.format().decode(octets), Ok(value));
                let mut out = vec![0x16];
                register.encode(value, &mut out).unwrap();
                assert_eq!(register.decode(&out[1..]), Ok(value));
            }
            there_and_back(register.format(), octets);
            usize::from(value.is_ok())
        }
        Some(Entry::Block(block)) => {
            assert_eq!(block.di(), di);
            let Ok(items) = block.items(octets) else { return 0 };
            let (mut at, mut values) = (0, 0);
            for item in items {
                assert_eq!(item.octets, &octets[at..at + item.register.octets()], "an octet is skipped");
                at += item.octets.len();
                values += usize::from(item.register.decode(item.octets).is_ok());
                there_and_back(item.register.format(), item.octets);
            }
            values
        }
    }
}

/// Whether the octets are a value.
fn there_and_back(format: Format, octets: &[u8]) -> bool {
    match format.decode(octets) {
        Ok(value) => {
            assert!(!value.to_string().contains(char::is_control));
            let mut written = vec![0x5A; octets.len()];
            assert_eq!(format.encode(value, &mut written), Ok(()), "{format:?} of {octets:02X?}");
            assert_eq!(format.decode(&written), Ok(value), "{format:?} of {octets:02X?}");
            // Elsewhere a meter's octets say more than the value: the sign of 0, a day of the week.
            if matches!(value, Value::Number(number) if !number.is_zero())
                || matches!(value, Value::Time(_) | Value::Digits(_) | Value::Bits(_))
            {
                assert_eq!(written, octets, "{format:?}");
            }
            // Into other lengths too: it fits or it does not.
            for len in 0..=octets.len() + 1 {
                let _ = format.encode(value, &mut vec![0; len]);
            }
            true
        }
        Err(why) => {
            // The instant of a demand has no say in it.
            assert!(why != NoValue::Missing || octets.first().is_some_and(|&octet| octet == 0xFF));
            assert!(!why.to_string().is_empty());
            false
        }
    }
}
