//! Balance groups (总分表): which total meter (总表) a meter is counted under. They nest, and may not go round.

use super::findings::{At, Findings};
use super::keys::{did_you_mean, nearest};
use std::collections::HashMap;

/// A meter's name, and the total meter that it is counted under, as they are written.
pub(super) type Member<'a> = (Option<&'a At<String>>, Option<&'a At<String>>);

/// Proves that each total meter is there, and that nobody is counted under itself, however far above.
pub(super) fn prove(members: &[Member<'_>], findings: &mut Findings) {
    let mut by_name: HashMap<&str, usize> = HashMap::with_capacity(members.len());
    for (index, (name, _)) in members.iter().enumerate() {
        if let Some(name) = name {
            by_name.entry(name.value.as_str()).or_insert(index);
        }
    }
    let mut above: Vec<Option<usize>> = vec![None; members.len()];
    for ((_, total), above) in members.iter().zip(&mut above) {
        let Some(total) = total else { continue };
        *above = by_name.get(total.value.as_str()).copied();
        if above.is_none() {
            let near = did_you_mean(nearest(&total.value, by_name.keys().copied()));
            let near = if near.is_empty() { "; write the name of a meter" } else { &near };
            findings
                .unresolved_meter(&total.here, format!("total_meter \"{}\" is not known{near}", total.value));
        }
    }
    // The way upwards by which a meter was passed; each is passed once.
    let mut passed: Vec<Option<usize>> = vec![None; members.len()];
    for start in 0..members.len() {
        let mut way = Vec::new();
        let mut at = Some(start);
        while let Some(index) = at.filter(|index| passed.get(*index).is_some_and(Option::is_none)) {
            if let Some(passed) = passed.get_mut(index) {
                *passed = Some(start);
            }
            way.push(index);
            at = above.get(index).copied().flatten();
        }
        let Some(end) = at.filter(|end| passed.get(*end).copied().flatten() == Some(start)) else { continue };
        let round = way.iter().copied().skip_while(|index| *index != end).chain([end]);
        let names: Vec<&str> =
            round.filter_map(|index| members.get(index)?.0).map(|name| name.value.as_str()).collect();
        if let Some(total) = members.get(end).and_then(|(_, total)| *total) {
            findings.fault(
                &total.here,
                format!(
                    "total_meter goes round: {}; leave it out of the meter that stands above all",
                    names.join(" under ")
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::findings::Here;

    fn faults(pairs: &[(&str, &str)]) -> Vec<String> {
        let mut findings = Findings::default();
        let file = findings.open("m".to_owned(), &"\n".repeat(pairs.len()));
        let text = |line: usize, text: &str| {
            let here = Here { file, span: line..line, label: "", key: String::new() };
            (!text.is_empty()).then(|| At { value: text.to_owned(), here })
        };
        let texts: Vec<_> =
            pairs.iter().enumerate().map(|(n, (name, above))| (text(n, name), text(n, above))).collect();
        let members: Vec<Member<'_>> = texts.iter().map(|(a, b)| (a.as_ref(), b.as_ref())).collect();
        prove(&members, &mut findings);
        let faults = findings.finish().err().map(|faults| faults.0).unwrap_or_default();
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn groups_nest() {
        assert_eq!(faults(&[("a", "b"), ("b", "c"), ("d", "c"), ("c", ""), ("e", "")]), [""; 0]);
    }

    #[test]
    fn a_total_meter_that_is_nowhere_is_a_fault_with_its_place() {
        assert_eq!(
            faults(&[("flat-1", "total-7"), ("total-1", ""), ("x", "nobody")]),
            [
                "m:1:1: total_meter \"total-7\" is not known; did you mean \"total-1\"?",
                "m:3:1: total_meter \"nobody\" is not known; write the name of a meter",
            ]
        );
    }

    #[test]
    fn a_group_that_goes_round_is_said_once_with_its_way() {
        let said = "; leave it out of the meter that stands above all";
        assert_eq!(
            faults(&[("x", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("y", "b")]),
            [format!("m:2:1: total_meter goes round: a under b under c under a{said}")]
        );
        assert_eq!(faults(&[("a", "a")]), [format!("m:1:1: total_meter goes round: a under a{said}")]);
    }
}
