//! Records as a meter sends them: the inverse of [`Register::fields`].

use crate::layout::{Layout, MARK, Nth, Times};
use crate::row::Form;
use crate::{Catalogue, Register};
use dlt645::format::load::{self, GROUPS};
use dlt645::format::{Date, DoesNotFit, Time, Value};

/// What stands where a field has no value.
const FILL: u8 = 0xFF;

impl Register {
    /// Appends the octets (before +33H) of a record by the first layout that is documented for it, with so many
    /// tariffs. `value` is asked for each field by its name; a field without a value, or with one that does not fit,
    /// is FF.
    ///
    /// # Errors
    /// [`DoesNotFit`] for a register that is no record with a layout, and for load records, which
    /// [`Register::encode_load_record`] makes; `out` is then as it was.
    pub fn encode_record(
        &self,
        tariffs: u8,
        mut value: impl FnMut(&str) -> Option<Value>,
        out: &mut Vec<u8>,
    ) -> Result<(), DoesNotFit> {
        match &self.row.form {
            Form::Record(layouts) => {
                layouts.first().ok_or(DoesNotFit)?.fill(self.table, tariffs, &mut value, out);
                Ok(())
            }
            Form::Plain | Form::Raw | Form::FieldOf(_) | Form::Load(_) | Form::Modbus(_) => Err(DoesNotFit),
        }
    }

    /// Appends one load record (class 06) of this time. Of the six groups those are empty that `records` refuses by
    /// their class, 1 to 6; the fields are asked for as by [`Register::encode_record`].
    ///
    /// # Errors
    /// [`DoesNotFit`] for any other register; `out` is then as it was.
    pub fn encode_load_record(
        &self,
        at: (Date, Time),
        records: impl Fn(u8) -> bool,
        mut value: impl FnMut(&str) -> Option<Value>,
        out: &mut Vec<u8>,
    ) -> Result<(), DoesNotFit> {
        let Form::Load(layouts) = &self.row.form else { return Err(DoesNotFit) };
        let mut groups: [Vec<u8>; GROUPS] = Default::default();
        for ((class, layout), group) in (1..).zip(layouts).zip(&mut groups) {
            if records(class) {
                layout.fill(self.table, 0, &mut value, group);
            }
        }
        load::emit(at, groups.each_ref().map(Vec::as_slice), out).map_err(|_| DoesNotFit)
    }
}

impl Layout {
    fn fill(
        &self,
        table: &Catalogue,
        tariffs: u8,
        value: &mut impl FnMut(&str) -> Option<Value>,
        out: &mut Vec<u8>,
    ) {
        for spec in &self.specs {
            let mut one = |nth: Nth| {
                let start = out.len();
                out.resize(start + spec.octets, FILL);
                let value = value(&format!("{}{nth}", spec.name));
                let fits = value
                    .is_some_and(|value| table.as_sent(spec.format).encode(value, &mut out[start..]).is_ok());
                if !fits {
                    out[start..].fill(FILL);
                }
            };
            match spec.times {
                Times::Once => one(Nth::Only),
                Times::UpTo(most) => (1..=most).for_each(|n| one(Nth::Of(n))),
                Times::Tariffs => (0..=tariffs).for_each(|tariff| one(Nth::Tariff(tariff))),
                Times::Mark => out.push(MARK),
            }
        }
    }
}
