//! Values of any format by a fixed seed: the same in every run.
#![allow(unreachable_pub, reason = "each test file takes what it needs")]

use dlt645::format::{self, Date, Digits, Format, Recurring, Slot, Start, Time, Value, Word};
use rust_decimal::Decimal;

/// Numbers by a fixed seed: the same in every run.
pub struct Seed(pub u64);

impl Seed {
    pub fn below(&mut self, end: u64) -> u64 {
        // Knuth's MMIX constants; the high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 16) % end
    }

    fn number(&mut self, octets: usize, decimals: u8, signed: bool) -> Decimal {
        let end = 10u64.pow(2 * octets as u32) / if signed { 10 } else { 1 } * if signed { 8 } else { 1 };
        let size = match self.below(8) {
            0 => 0,
            1 => end - 1,
            _ => self.below(end),
        } as i64;
        let minus = signed && size != 0 && self.below(2) == 0;
        Decimal::new(if minus { -size } else { size }, decimals.into())
    }

    fn date(&mut self) -> Date {
        let [year, month, day] = [100, 12, 28].map(|end| self.below(end) as u8);
        Date { year, month: month + 1, day: day + 1 }
    }

    fn time(&mut self, second: bool) -> Time {
        let [hour, minute, s] = [24, 60, 60].map(|end| self.below(end) as u8);
        Time { hour, minute, second: second.then_some(s) }
    }

    /// None for what has no value of its own.
    pub fn value(&mut self, format: Format, octets: usize) -> Option<Value> {
        Some(match format {
            Format::Number { decimals, signed } => Value::Number(self.number(octets, decimals, signed)),
            Format::Demand { decimals, signed } => {
                let value = self.number(octets - 5, decimals, signed);
                let at = (self.below(4) != 0).then(|| (self.date(), self.time(false)));
                Value::Demand { value, at }
            }
            Format::Date => Value::Date(self.date()),
            Format::Time => Value::Time(self.time(true)),
            Format::DateTime | Format::Second => Value::DateTime(self.date(), self.time(true)),
            Format::Minute => Value::DateTime(self.date(), self.time(false)),
            Format::YearlyMinute | Format::YearlyDay => {
                let Date { month, day, .. } = self.date();
                let time = (format == Format::YearlyMinute).then(|| self.time(false));
                Value::Recurring(Recurring { month: Some(month), day, time })
            }
            Format::MonthlyHour => {
                let time = Time { minute: 0, ..self.time(false) };
                Value::Recurring(Recurring { month: None, day: self.date().day, time: Some(time) })
            }
            Format::DailyMinute => Value::Time(self.time(false)),
            Format::Period => self.slot(|seed| Start::Time(seed.time(false))),
            Format::Zone => self.slot(|seed| {
                let Date { month, day, .. } = seed.date();
                Start::Day { month, day }
            }),
            Format::Holiday => self.slot(|seed| Start::Date(seed.date())),
            Format::Digits => {
                let octets: Vec<u8> =
                    (0..octets).map(|_| (self.below(10) << 4 | self.below(10)) as u8).collect();
                Digits::from_wire(&octets).map_or_else(|| panic!("{octets:02X?}"), Value::Digits)
            }
            Format::Text | Format::TextAsTyped => {
                let length = 1 + self.below(octets as u64);
                let text: String = (0..length).map(|_| char::from(b'!' + self.below(94) as u8)).collect();
                format::Text::new(&text).map_or_else(|| panic!("{text}"), Value::Text)
            }
            Format::Bits => Value::Bits(self.word(octets)),
            Format::Hex => Value::Hex(self.word(octets)),
            Format::Binary => Value::Number(self.below(1 << (8 * octets)).into()),
            Format::Composite => return None,
        })
    }

    fn slot(&mut self, start: impl FnOnce(&mut Self) -> Start) -> Value {
        Value::Slot(Slot { start: start(self), number: 1 + self.below(99) as u8 })
    }

    fn word(&mut self, octets: usize) -> Word {
        // FF fill of an identifier is no identifier.
        let octets: Vec<u8> = (0..octets).map(|_| self.below(255) as u8).collect();
        Word::from_wire(&octets).unwrap_or_else(|| panic!("{octets:02X?}"))
    }
}
