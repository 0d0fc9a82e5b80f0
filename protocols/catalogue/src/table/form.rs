//! What the octets of a row or a field are: format, lengths, layout.

use super::{Column, Line, whole, word};
use crate::Wrong;
use crate::layout::Layout;
use crate::row::Form;
use dlt645::format::Format;
use std::sync::Arc;

/// What a row says of its octets.
pub(super) struct Octets {
    pub(super) form: Form,
    pub(super) format: Format,
    pub(super) octets: usize,
    pub(super) lengths: Vec<usize>,
}

impl Line<'_> {
    /// What the octets of the row are: a value, or by a layout, or unknown.
    pub(super) fn form(&mut self, layouts: &[Arc<Layout>]) -> Option<Octets> {
        let text = self.text(Column::Format).to_owned();
        let names = self.text(Column::Layout).to_owned();
        let composite =
            |form, octets| Octets { form, format: Format::Composite, octets, lengths: Vec::new() };
        if !matches!(&*text, "record" | "field" | "load_record" | "raw") {
            if !names.is_empty() {
                self.fault(Column::Layout, Wrong::NotEmpty("a single value"));
            }
            let (format, octets, lengths) = self.format()?;
            return Some(Octets { form: Form::Plain, format, octets, lengths });
        }
        self.check_empty([Column::Decimals, Column::Sign], "what is no number");
        if text == "raw" {
            return Some(composite(Form::Raw, 0));
        }
        let mut own = Vec::new();
        for name in names.split_whitespace() {
            match layouts.iter().find(|layout| *layout.name == *name) {
                Some(layout) => own.push(Arc::clone(layout)),
                None => self.fault(Column::Layout, Wrong::Layout { found: name.to_owned() }),
            }
        }
        let Some(first) = own.first() else {
            if names.is_empty() {
                self.fault(Column::Layout, Wrong::Empty { write: "write the name of a layout" });
            }
            return None;
        };
        match &*text {
            "record" => {
                let found = first.octets();
                if self.text(Column::Octets) != found.to_string() {
                    self.fault(Column::Octets, Wrong::LayoutOctets { found });
                }
                Some(composite(Form::Record(own), found))
            }
            "field" => Some(composite(Form::FieldOf(Arc::clone(first)), 0)),
            _ => Some(composite(Form::Load(own), 0)),
        }
    }

    fn check_empty(&mut self, columns: impl IntoIterator<Item = Column>, whose: &'static str) {
        for column in columns {
            if !self.text(column).is_empty() {
                self.fault(column, Wrong::NotEmpty(whose));
            }
        }
    }

    /// Format, octets, and other lengths that are documented.
    pub(super) fn format(&mut self) -> Option<(Format, usize, Vec<usize>)> {
        let number = Format::Number { decimals: 0, signed: false };
        let demand = Format::Demand { decimals: 0, signed: false };
        // With the least and the most octets that the format can have.
        let known = [
            ("number", (number, 1, 7)),
            ("demand", (demand, 6, 12)),
            ("digits", (Format::Digits, 1, 6)),
            ("text", (Format::Text, 1, 32)),
            ("bits", (Format::Bits, 1, 12)),
            ("hex", (Format::Hex, 1, 12)),
            ("binary", (Format::Binary, 1, 7)),
            ("date", (Format::Date, 4, 4)),
            ("time", (Format::Time, 3, 3)),
            ("date_time", (Format::DateTime, 7, 7)),
            ("minute", (Format::Minute, 5, 5)),
            ("second", (Format::Second, 6, 6)),
            ("yearly_minute", (Format::YearlyMinute, 4, 4)),
            ("yearly_day", (Format::YearlyDay, 2, 2)),
            ("monthly_hour", (Format::MonthlyHour, 2, 2)),
            ("daily_minute", (Format::DailyMinute, 2, 2)),
            ("period", (Format::Period, 3, 3)),
            ("zone", (Format::Zone, 3, 3)),
            ("holiday", (Format::Holiday, 4, 4)),
        ];
        let format = word(self.text(Column::Format), known);
        let (format, least, most) = self.kept(Column::Format, format)?;
        let octets: Result<Vec<_>, _> =
            self.text(Column::Octets).split('/').map(|text| whole(text, least, most)).collect();
        let octets = self.kept(Column::Octets, octets);
        let first = octets.as_ref().map_or(most, |octets| octets[0]);
        let format = match format {
            Format::Number { .. } => {
                let (decimals, signed) = self.scale(first)?;
                Format::Number { decimals, signed }
            }
            Format::Demand { .. } => {
                let (decimals, signed) = self.scale(first - 5)?;
                Format::Demand { decimals, signed }
            }
            Format::Date
            | Format::Time
            | Format::DateTime
            | Format::Minute
            | Format::Second
            | Format::YearlyMinute
            | Format::YearlyDay
            | Format::MonthlyHour
            | Format::DailyMinute
            | Format::Period
            | Format::Zone
            | Format::Holiday
            | Format::Digits
            | Format::Text
            | Format::TextAsTyped
            | Format::Bits
            | Format::Hex
            | Format::Binary
            | Format::Composite => {
                self.check_empty([Column::Decimals, Column::Sign], "what is no number");
                format
            }
        };
        let lengths = octets?.split_off(1);
        Some((format, first, lengths))
    }

    /// Decimals and sign of a number of so many octets.
    fn scale(&mut self, octets: usize) -> Option<(u8, bool)> {
        let decimals = whole(self.text(Column::Decimals), 0, 2 * octets);
        let decimals = self.kept(Column::Decimals, decimals);
        let signed = word(self.text(Column::Sign), [("signed", true), ("unsigned", false)]);
        let signed = self.kept(Column::Sign, signed);
        Some((decimals? as u8, signed?))
    }
}
