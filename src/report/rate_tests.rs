use super::*;
use crate::config;
use crate::reading::Reason;
use std::path::Path;

const DAY: &str = "2026-11-20";

fn slot(hour: i64) -> Timestamp {
    "2026-11-20T16:00:00Z".parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_hours(hour)
}

/// Meters with what is written beside each, read by one task.
fn plan(meters: &[(&str, &str)]) -> Plan {
    let mut text = "[gateway]\nid = \"gw01\"\ntimezone = \"Asia/Shanghai\"\n\
         [[bus]]\nname = \"one\"\nport = \"/dev/ttyS1\"\n[[bus]]\nname = \"two\"\nport = \"/dev/ttyS2\"\n\
         [[task]]\nname = \"daily\"\nread = \"daily-freeze\"\ndaily = \"00:05\"\n"
        .to_owned();
    for (address, (name, more)) in meters.iter().enumerate() {
        let bus = if more.contains("bus = ") { "" } else { "bus = \"one\"\n" };
        text += &format!("[[meter]]\nname = \"{name}\"\n{bus}address = \"{}\"\n{more}\n", address + 1);
    }
    config::plan_from_text("m.toml", &text, Path::new("")).unwrap().plan
}

/// What is known of one slot: whether all billing registers are read, if any, and the state.
fn seen(known: &[(&str, Option<bool>, Option<SlotState>)]) -> Seen {
    let mut seen = Seen::default();
    for (meter, read, state) in known {
        let key = ((*meter).to_owned(), slot(0));
        seen.read.extend(read.map(|billed| (key.clone(), billed)));
        seen.notes.extend(state.map(|state| {
            let note = SlotNote {
                meter: key.0.clone(),
                task: "daily".to_owned(),
                slot: slot(0),
                state,
                why: "no octet came".to_owned(),
                reason: Some(Reason::Silent),
                tries: 5,
                registers: Vec::new(),
                at: slot(1),
            };
            (key, note)
        }));
    }
    seen
}

fn rated(plan: &Plan, seen: &Seen, by: Option<By>) -> TaskRate {
    rate(plan, &plan.tasks[0], (DAY.parse().unwrap(), &[slot(0)]), seen, by).unwrap()
}

const OPEN: Option<SlotState> = Some(SlotState::Open);
const SETTLED: Option<SlotState> = Some(SlotState::Settled);

#[test]
fn a_rate_is_rounded_down_so_that_all_is_said_of_all_only_and_a_bar_is_met_as_it_looks() {
    let text = |done, of| Fraction { done, of }.to_string();
    assert_eq!(text(3, 3), "100.00");
    assert_eq!(text(99_999, 100_000), "99.99");
    assert_eq!(text(2, 3), "66.66");
    assert_eq!(text(0, 7), "0.00");
    assert_eq!(text(0, 0), "-");
    // 199 of 200 is the bar itself, 99.4999 % is not.
    assert!(Fraction { done: 199, of: 200 }.meets(995));
    assert!(!Fraction { done: 994_999, of: 1_000_000 }.meets(995));
    assert_eq!(text(994_999, 1_000_000), "99.49");
    assert_eq!(text(usize::MAX - 1, usize::MAX), "99.99");
}

#[test]
fn the_first_pass_and_what_was_fetched_later_are_told_apart() {
    let plan = plan(&[("a", ""), ("b", ""), ("c", ""), ("d", ""), ("e", "")]);
    let seen = seen(&[
        ("a", Some(true), None),
        ("b", Some(true), SETTLED),
        ("c", Some(false), OPEN),
        ("d", None, Some(SlotState::Gone)),
    ]);
    let task = rated(&plan, &seen, None);
    assert_eq!(task.counts, Counts { planned: 5, first: 1, read: 2, gone: 1 });
    assert_eq!(
        (task.counts.first_rate().to_string(), task.counts.rate().to_string()),
        ("20.00".into(), "40.00".into())
    );
    let missing: Vec<_> = task.missing.iter().map(|one| (one.meter.as_str(), one.state, one.tries)).collect();
    assert_eq!(missing, [("c", OPEN, 5), ("d", Some(SlotState::Gone), 5), ("e", None, 0)]);
    assert_eq!(task.missing[2].why, "nobody has asked for it yet");
}

#[test]
fn customers_are_counted_and_not_their_meters() {
    // Of two meters of one customer one is missing: none of that customer's is read, though 2 of 3 meters are.
    let plan = plan(&[
        ("a", "customer = \"31\"\nclass = \"household\""),
        ("b", "customer = \"31\"\nclass = \"household\""),
        ("c", "customer = \"32\"\nclass = \"household\""),
        ("d", "class = \"other\""),
        ("e", "class = \"other\""),
    ]);
    let seen = seen(&[
        ("a", Some(true), None),
        ("b", None, OPEN),
        ("c", Some(true), SETTLED),
        ("d", Some(true), None),
        ("e", Some(true), None),
    ]);
    let task = rated(&plan, &seen, None);
    assert_eq!(task.counts.rate(), Fraction { done: 4, of: 5 });
    let customers: Vec<_> = task.customers.iter().map(|of| (of.class, of.read, of.is_met())).collect();
    assert_eq!(
        customers,
        [
            (Some(Class::Household), Fraction { done: 1, of: 2 }, Some(false)),
            (Some(Class::Other), Fraction { done: 2, of: 2 }, Some(true)),
        ]
    );
    assert_eq!(task.all_customers(), Fraction { done: 3, of: 4 });
}

#[test]
fn ninety_eight_of_a_hundred_households_are_enough_and_of_others_none_may_be_missing() {
    let of = |class, done| Customers { class, read: Fraction { done, of: 100 } }.is_met();
    assert_eq!([98, 97].map(|done| of(Some(Class::Household), done)), [Some(true), Some(false)]);
    for class in [Class::Other, Class::Key, Class::Total] {
        assert_eq!([100, 99].map(|done| of(Some(class), done)), [Some(true), Some(false)]);
    }
    assert_eq!(of(None, 100), None, "no bar where the archive does not say who it is");
}

#[test]
fn who_is_suspended_removed_or_closed_is_not_due() {
    let plan = plan(&[
        ("a", "customer = \"31\""),
        ("b", "customer = \"31\"\nstate = \"suspended\""),
        ("c", "state = \"removed\""),
        ("d", "state = \"closed\""),
        ("e", "state = \"in_use\""),
    ]);
    let task = rated(&plan, &seen(&[("a", Some(true), None), ("e", Some(true), None)]), None);
    assert_eq!((task.not_due, task.counts.planned), (3, 2));
    assert_eq!(task.all_customers(), Fraction { done: 2, of: 2 });
    assert!(task.missing.is_empty());
}

#[test]
fn who_lacks_only_what_nothing_is_settled_by_is_a_customer_who_is_read() {
    let plan = plan(&[("a", ""), ("b", "")]);
    let task = rated(&plan, &seen(&[("a", Some(true), OPEN), ("b", Some(false), OPEN)]), None);
    assert_eq!(task.counts.read, 0);
    assert_eq!(task.all_customers(), Fraction { done: 1, of: 2 });
}

#[test]
fn meters_are_put_together_by_line_area_and_kind_and_those_without_come_last() {
    let plan = plan(&[
        ("a", "area = \"east\"\nclass = \"household\""),
        ("b", "bus = \"two\"\narea = \"east\""),
        ("c", "bus = \"two\"\nclass = \"key\""),
    ]);
    let seen = seen(&[("a", Some(true), None), ("b", Some(true), SETTLED)]);
    let groups = |by| {
        let task = rated(&plan, &seen, Some(by));
        let of = |group: Group| (group.name, group.counts.planned, group.counts.first, group.counts.read);
        task.groups.into_iter().map(of).collect::<Vec<_>>()
    };
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(groups(By::Bus), [(named("one"), 1, 1, 1), (named("two"), 2, 0, 1)]);
    assert_eq!(groups(By::Area), [(named("east"), 2, 1, 2), (None, 1, 0, 0)]);
    assert_eq!(groups(By::Class), [(named("household"), 1, 1, 1), (named("key"), 1, 0, 0), (None, 1, 0, 1)]);
    assert_eq!(groups(By::Meter).len(), 3);
}

#[test]
fn of_a_meter_with_many_slots_the_missing_ones_are_counted_and_the_newest_says_why() {
    let plan = plan(&[("a", "")]);
    let mut seen = Seen::default();
    seen.read.insert(("a".to_owned(), slot(1)), true);
    seen.last.insert("a".to_owned(), slot(1));
    let slots = [slot(0), slot(1), slot(2)];
    let task = rate(&plan, &plan.tasks[0], (DAY.parse().unwrap(), &slots), &seen, None).unwrap();
    assert_eq!(task.counts, Counts { planned: 3, first: 1, read: 1, gone: 0 });
    assert_eq!((task.missing[0].slots, task.missing[0].last), (2, Some(slot(1))));
    assert_eq!(task.slots, (slot(0), slot(2)));
}
