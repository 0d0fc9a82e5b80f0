//! Octets of an answer to readings and failures. Pure.

use super::{Content, Failure, Quality, Reading, Reason, Transformers};
use crate::planner::{Ask, Subject};
use catalogue::Register;
use dlt645::format::NoValue;
use jiff::Timestamp;

/// What an answer brought for the registers that were wanted of it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Decoded {
    /// Values.
    pub readings: Vec<Reading>,
    /// Registers without a value.
    pub failures: Vec<Failure>,
}

/// The answer's length fits no layout of the block that was asked for; its registers are to be
/// asked for singly.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotThisBlock(pub String);

/// Decodes the octets of an answer (after the DI, after -33H).
///
/// # Errors
/// [`NotThisBlock`] if they fit no layout of a block.
pub fn decode(
    ask: &Ask,
    octets: &[u8],
    taken_at: Timestamp,
    transformers: Transformers,
) -> Result<Decoded, NotThisBlock> {
    let mut decoded = Decoded { readings: Vec::with_capacity(ask.wanted.len()), failures: Vec::new() };
    match ask.subject {
        // Several registers of one identifier each take their own octets of the reply.
        Subject::Register(_) => {
            for &register in &*ask.wanted {
                whole(&mut decoded, register, octets, taken_at, transformers);
            }
        }
        // Each takes its own words; who knows the meter's model scales them.
        Subject::Span(_) => {}
        Subject::Block(block) => {
            let items: Vec<_> = block.items(octets).map_err(|f| NotThisBlock(f.to_string()))?.collect();
            for &register in &*ask.wanted {
                match items.iter().find(|item| item.register == register) {
                    Some(item) => whole(&mut decoded, register, item.octets, taken_at, transformers),
                    None => decoded.failures.push(Failure {
                        register,
                        reason: Reason::Missing,
                        detail: format!(
                            "the meter's block {} ends before it ({} items)",
                            block.di(),
                            items.len()
                        ),
                        raw: None,
                    }),
                }
            }
        }
    }
    Ok(decoded)
}

fn whole(
    decoded: &mut Decoded,
    register: Register,
    octets: &[u8],
    taken_at: Timestamp,
    transformers: Transformers,
) {
    let content = if register.is_record() {
        register.record(octets).map(|_| Content::Record(octets.to_vec()))
    } else {
        register.decode(octets).map(Content::Value)
    };
    one(decoded, register, content, octets, taken_at, transformers);
}

/// Puts what a register was decoded to with the readings or the failures.
pub(crate) fn one(
    decoded: &mut Decoded,
    register: Register,
    content: Result<Content, NoValue>,
    octets: &[u8],
    taken_at: Timestamp,
    transformers: Transformers,
) {
    match content {
        Ok(content) => decoded.readings.push(Reading {
            register,
            quality: Quality::Good,
            why: None,
            raw: None,
            taken_at,
            primary: match &content {
                Content::Value(value) => transformers.primary(register.quantity(), value),
                Content::Record(_) => None,
            },
            content,
        }),
        Err(no_value) => decoded.failures.push(Failure {
            register,
            reason: Reason::of(no_value),
            detail: no_value.to_string(),
            raw: Some(octets.to_vec()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalogue::{Catalogue, Entry};
    use rust_decimal::Decimal;

    fn register(text: &str) -> Register {
        Catalogue::dlt645_2007().find(text, 4).unwrap()[0]
    }

    fn block(di: &str, wanted: &[&str]) -> Ask {
        let Some(Entry::Block(block)) = Catalogue::dlt645_2007().by_di(di.parse().unwrap()) else {
            panic!("{di}")
        };
        Ask { subject: Subject::Block(block), wanted: wanted.iter().map(|w| register(w)).collect() }
    }

    fn values(decoded: &Decoded) -> Vec<String> {
        decoded.readings.iter().map(|r| format!("{}={}", r.register.name(), r.value().unwrap())).collect()
    }

    #[test]
    fn value_stays_what_the_meter_sent_and_primary_stands_beside_it() {
        let transformers =
            Transformers { ct: "75/5".parse().ok(), pt: "10000/100".parse().ok(), multiplier: None };
        let cases: [(&str, &[u8], &str, &str, &str); 4] = [
            ("voltage_l1", &[0x00, 0x10], "100.0", "100", "10000.0"),
            ("current_l1", &[0x34, 0x12, 0x00], "1.234", "15", "18.510"),
            ("active_power", &[0x56, 0x34, 0x92], "-12.3456", "1500", "-18518.4000"),
            ("frequency", &[0x98, 0x49], "49.98", "1", "49.98"),
        ];
        for (name, octets, value, ratio, primary) in cases {
            let ask = Ask::single(register(name));
            let decoded = decode(&ask, octets, Timestamp::UNIX_EPOCH, transformers).unwrap();
            let reading = &decoded.readings[0];
            let of = reading.primary.unwrap();
            let texts = [reading.value().unwrap().to_string(), of.ratio.to_string(), of.value.to_string()];
            assert_eq!(texts, [value, ratio, primary], "{name}");
        }
    }

    #[test]
    fn without_a_ratio_nothing_stands_beside_the_value() {
        let none = Transformers::default();
        let ask = Ask::single(register("active_energy_import"));
        let decoded = decode(&ask, &[0x99; 4], Timestamp::UNIX_EPOCH, none).unwrap();
        assert_eq!(values(&decoded), ["active_energy_import=999999.99"]);
        assert_eq!(decoded.readings[0].primary, None);
        let ct_only = Transformers { ct: "5/5".parse().ok(), pt: None, multiplier: None };
        let decoded = decode(&ask, &[0x01, 0, 0, 0], Timestamp::UNIX_EPOCH, ct_only).unwrap();
        assert_eq!(decoded.readings[0].primary.unwrap().ratio, Decimal::ONE);
    }

    #[test]
    fn a_multiplier_alone_is_for_energy_and_power_and_says_nothing_of_current_and_voltage() {
        let alone = |multiplier| Transformers { ct: None, pt: None, multiplier: Some(multiplier) };
        let primary = |name: &str, octets: &[u8], of| {
            let decoded = decode(&Ask::single(register(name)), octets, Timestamp::UNIX_EPOCH, of).unwrap();
            decoded.readings[0].primary.map(|primary| primary.value.to_string())
        };
        let of = alone(Decimal::from(1500));
        let energy = primary("active_energy_import", &[0x50, 0x01, 0, 0], of);
        assert_eq!(energy.as_deref(), Some("2250.00"));
        assert_eq!(primary("active_power", &[0, 0x10, 0], of).as_deref(), Some("150.0000"));
        assert_eq!(primary("voltage_l1", &[0x00, 0x10], of), None);
        assert_eq!(primary("current_l1", &[0x34, 0x12, 0x00], of), None);
        assert_eq!(primary("active_energy_import", &[0x50, 0x01, 0, 0], alone(Decimal::ONE)), None);
    }

    #[test]
    fn absent_phases_of_a_block_are_missing_and_never_a_number() {
        let ask = block("0201FF00", &["voltage_l1", "voltage_l2", "voltage_l3"]);
        let filled = [0x56, 0x22, 0xFF, 0xFF, 0xFF, 0xFF];
        for octets in [&filled[..], &filled[..2]] {
            let decoded = decode(&ask, octets, Timestamp::UNIX_EPOCH, Transformers::default()).unwrap();
            assert_eq!(values(&decoded), ["voltage_l1=225.6"]);
            assert!(decoded.failures.iter().all(|f| f.reason == Reason::Missing));
            assert_eq!(decoded.failures.len(), 2);
        }
    }

    #[test]
    fn a_record_is_a_reading_of_fields_and_what_fits_no_layout_is_none() {
        let ask = |name: &str| Ask::single(register(name));
        let of = |name: &str, octets: &[u8]| {
            decode(&ask(name), octets, Timestamp::UNIX_EPOCH, Transformers::default()).unwrap()
        };
        let decoded = of("voltage_loss_totals", &[0x12; 18]);
        assert_eq!(decoded.readings[0].content, Content::Record(vec![0x12; 18]));
        assert_eq!((decoded.readings[0].value(), decoded.readings[0].primary), (None, None));
        let programming = register("programming_record1");
        for (name, octets, reason) in [
            ("voltage_loss_totals", vec![0x12; 17], Reason::Implausible),
            ("voltage_loss_totals", vec![], Reason::Implausible),
            ("voltage_loss_totals", vec![0xFF; 18], Reason::Missing),
            ("programming_record1", vec![0xFF; programming.octets()], Reason::Missing),
            ("programming_record1", vec![0; programming.octets()], Reason::Missing),
            ("load_record_latest", vec![], Reason::Missing),
            ("load_record_latest", vec![0x12; 9], Reason::Implausible),
        ] {
            let decoded = of(name, &octets);
            assert_eq!(decoded.readings, [], "{name} {octets:?}");
            assert_eq!(decoded.failures[0].reason, reason, "{name} {octets:?}");
            assert_eq!(decoded.failures[0].raw.as_ref(), Some(&octets));
        }
        // A word of bits may have all of them set.
        assert_eq!(of("active_report_status", &[0xFF; 12]).readings.len(), 1);
    }

    #[test]
    fn a_reply_one_octet_too_long_or_short_is_never_a_value() {
        let ask = Ask::single(register("active_energy_import"));
        for octets in [&[0x12, 0x34, 0x56][..], &[0x12, 0x34, 0x56, 0x78, 0x00]] {
            let decoded = decode(&ask, octets, Timestamp::UNIX_EPOCH, Transformers::default()).unwrap();
            assert!(decoded.readings.is_empty());
            assert_eq!(decoded.failures[0].reason, Reason::Implausible);
            assert_eq!(decoded.failures[0].raw.as_deref(), Some(octets));
        }
        let ask = block("0001FF00", &["active_energy_import", "active_energy_import_t1"]);
        assert!(decode(&ask, &[0; 21], Timestamp::UNIX_EPOCH, Transformers::default()).is_err());
    }
}
