//! Transformers (互感器) of a meter point: CT and PT as on their plates, and the multiplier (倍率) of both.

use super::findings::{At, Findings};
use crate::reading::{Ratio, Transformers};
use rust_decimal::Decimal;

/// The texts of one meter.
#[derive(Debug, Default)]
pub(super) struct Cells {
    pub(super) ct: Option<At<String>>,
    pub(super) pt: Option<At<String>>,
    pub(super) multiplier: Option<At<String>>,
}

/// Proves them: a multiplier beside ratios must be what they come to. `None` after a fault.
pub(super) fn read(cells: &Cells, findings: &mut Findings) -> Option<Transformers> {
    let ct = ratio_of(cells.ct.as_ref(), "ct", findings);
    let pt = ratio_of(cells.pt.as_ref(), "pt", findings);
    let multiplier = multiplier_of(cells.multiplier.as_ref(), findings);
    let (ct, pt, multiplier) = (ct?, pt?, multiplier?);
    if ct.is_none() && pt.is_none() {
        return Some(Transformers { ct, pt, multiplier });
    }
    let own = Transformers { ct, pt, multiplier: None };
    match (&cells.multiplier, multiplier, own.multiplier()) {
        (Some(text), Some(written), Some(comes_to)) if written != comes_to => {
            let ratios: Vec<String> = [("ct", ct), ("pt", pt)]
                .into_iter()
                .filter_map(|(key, ratio)| Some(format!("{key} {}", ratio?)))
                .collect();
            findings.fault(
                &text.here,
                format!(
                    "multiplier {written} (倍率) is not that of {}, which is {comes_to}; write the right ones",
                    ratios.join(" and ")
                ),
            );
            None
        }
        (..) => Some(own),
    }
}

/// `None` if what is written is no ratio; `Some(None)` if nothing is. So below.
fn ratio_of(text: Option<&At<String>>, key: &str, findings: &mut Findings) -> Option<Option<Ratio>> {
    let Some(text) = text else { return Some(None) };
    let value = &text.value;
    // 10/5 is the fifth of October to a spreadsheet.
    let is_date = value.contains('月') || value.contains('-') && value.contains(char::is_alphabetic);
    match value.parse() {
        Ok(ratio) => return Some(Some(ratio)),
        Err(_) if is_date => findings.fault(
            &text.here,
            format!("{key} \"{value}\" was turned into a date by a spreadsheet; format the column as text (文本) and type the ratio again"),
        ),
        Err(bad) => findings.fault(&text.here, format!("{key} \"{value}\" cannot be used: {bad}")),
    }
    None
}

fn multiplier_of(text: Option<&At<String>>, findings: &mut Findings) -> Option<Option<Decimal>> {
    let Some(text) = text.filter(|text| !text.value.is_empty()) else { return Some(None) };
    match Decimal::from_str_exact(&text.value) {
        Ok(number) if number > Decimal::ZERO && number.scale() <= 9 => Some(Some(number.normalize())),
        Ok(_) | Err(_) => {
            let value = &text.value;
            findings.fault(
                &text.here,
                format!("multiplier \"{value}\" cannot be used: write CT times PT as one number, such as 1500 (倍率)"),
            );
            None
        }
    }
}
