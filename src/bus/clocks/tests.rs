use super::*;

fn secs(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn day(n: i64) -> Timestamp {
    at("2026-07-01T02:17:00Z") + SignedDuration::from_hours(24 * n)
}

fn measured(seconds: i64, at: Timestamp) -> Finding {
    Finding::Measured(Measured { offset: secs(seconds), within: SignedDuration::from_millis(515), at })
}

fn no_time(at: Timestamp) -> Finding {
    Finding::NoTime { shows: "its date shows 26-02-30 (no date of the calendar)".to_owned(), at }
}

struct Judge {
    clocks: Clocks,
    zone: TimeZone,
    bound: i64,
    synced: Option<Timestamp>,
}

impl Judge {
    fn new(bound: i64) -> Self {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        Self { clocks: Clocks::default(), zone, bound, synced: None }
    }

    fn judged(&mut self, finding: &Finding) -> Judged {
        let measure = Measure { bound: secs(self.bound), zone: &self.zone, synced: self.synced };
        self.clocks.take(3, finding, measure)
    }

    fn told(&mut self, finding: &Finding) -> Option<ClockOff> {
        self.judged(finding).event.map(|kind| {
            let Kind::ClockOff(off) = kind else { panic!("{kind:?}") };
            off
        })
    }

    fn off(&mut self, seconds: i64, n: i64) -> Option<(bool, bool)> {
        self.told(&measured(seconds, day(n))).map(|off| (off.is_off, off.needs_visit))
    }

    fn why(&mut self, seconds: i64, n: i64) -> String {
        self.told(&measured(seconds, day(n))).map(|off| off.why).unwrap_or_default()
    }
}

#[test]
fn a_clock_that_is_off_is_told_once_and_once_when_it_is_right() {
    let mut judge = Judge::new(300);
    let walk = [0, 299, -300, 301, 310, 302, 260, 301, 240, 299, -301];
    let told: Vec<_> = walk.iter().zip(0..).map(|(seconds, n)| judge.off(*seconds, n)).collect();
    let (off, right) = (Some((true, true)), Some((false, false)));
    assert_eq!(told, [None, None, None, off, None, None, None, None, right, None, off]);
}

#[test]
fn what_was_told_before_a_restart_is_not_told_again() {
    let mut judge = Judge::new(300);
    let kept = judge.judged(&measured(-400, day(0))).keep.unwrap();
    assert_eq!((kept.offset, kept.at, kept.state), (Some(secs(-400)), day(0), State::NeedsVisit));
    let mut after = Judge::new(300);
    after.clocks.recall(3, kept.to_string().parse().unwrap());
    assert_eq!(after.clocks.of(3), Some(kept));
    assert_eq!(after.off(-400, 1), None);
    assert_eq!(after.off(0, 2), Some((false, false)));
}

#[test]
fn what_is_kept_reads_back_and_other_texts_do_not() {
    for (offset, state) in
        [(Some(secs(-372)), State::Off), (None, State::NeedsVisit), (Some(secs(0)), State::Right)]
    {
        let kept = Kept { offset, at: day(0), state };
        assert_eq!(kept.to_string().parse(), Ok(kept));
    }
    for text in ["", "1@2", "1 right", "x@2 right", "1@x off", "1@2 wrong", "1@99999999999999999 off"] {
        assert_eq!(text.parse::<Kept>(), Err(BadKept), "{text}");
    }
}

#[test]
fn a_clock_is_kept_when_it_moved_and_once_a_week() {
    let mut judge = Judge::new(300);
    let kept: Vec<_> = (0..16)
        .filter(|n| judge.judged(&measured(if *n < 12 { 1 } else { 5 }, day(*n))).keep.is_some())
        .collect();
    assert_eq!(kept, [0, 7, 12]);
}

#[test]
fn a_clock_that_shows_no_time_needs_a_visit() {
    let mut judge = Judge::new(300);
    let off = judge.told(&no_time(day(0))).unwrap();
    assert_eq!((off.is_off, off.needs_visit, off.offset), (true, true, None));
    assert_eq!(
        off.why,
        "its clock (时钟) shows no time: its date shows 26-02-30 (no date of the calendar); set it on site"
    );
    assert_eq!(judge.told(&no_time(day(1))), None);
    assert_eq!(judge.why(1, 2), "its clock is right again: 1 s ahead");
}

#[test]
fn a_broadcast_that_did_not_cure_a_clock_makes_a_visit_of_it() {
    let mut judge = Judge::new(60);
    assert_eq!(judge.off(100, 0), Some((true, false)), "a broadcast may cure it");
    assert_eq!(judge.off(101, 1), None);
    judge.synced = Some(day(1) + secs(60));
    let off = judge.told(&measured(102, day(2))).unwrap();
    assert!(off.needs_visit);
    assert_eq!(
        off.why,
        "its clock is 1 min 42 s ahead, past the bound of 1 min; the broadcast (广播校时) of 2026-07-02T04:18 did not \
         cure it: set it on site"
    );
    assert_eq!(judge.off(102, 3), None, "told once");
    assert_eq!(judge.off(0, 4), Some((false, false)));

    let mut cured = Judge::new(60);
    cured.off(100, 0);
    cured.synced = Some(day(0) + secs(60));
    assert_eq!(cured.off(1, 1), Some((false, false)));

    let mut grows = Judge::new(60);
    assert_eq!(grows.off(299, 0), Some((true, false)));
    assert_eq!(grows.off(300, 1), Some((true, true)), "too far for a broadcast to be sure of it");
}

#[test]
fn the_sentence_says_by_how_much_and_what_it_looks_like() {
    let why = |seconds| Judge::new(300).why(seconds, 0);
    let visit = "; a broadcast (广播校时) cures 5 min at most: set it on site";
    for (seconds, said) in [
        (-372, "its clock is 6 min 12 s behind, past the bound of 5 min"),
        (
            -3590,
            "its clock is 59 min 50 s behind, past the bound of 5 min; it did not take part in the change-over (夏令时) \
             of 2026-03-29, beside which it is 10 s ahead",
        ),
        (
            3600 * 8 + 20,
            "its clock is 8 h 20 s ahead, past the bound of 5 min; whole hours: it may be set to another zone",
        ),
        (-86_400, "its clock is 1 d behind, past the bound of 5 min"),
    ] {
        assert_eq!(why(seconds), format!("{said}{visit}"));
    }
    let reset = at("2000-01-01T00:10:00Z").duration_since(day(0)).as_secs();
    assert!(why(reset).contains("began again in 2000"), "{}", why(reset));
}

#[test]
fn a_broadcast_is_worth_it_where_a_clock_is_off_and_can_be_cured() {
    let mut judge = Judge::new(300);
    for (seconds, is_worth) in [(0, false), (10, false), (11, true), (-300, true), (301, false)] {
        judge.judged(&measured(seconds, day(0)));
        assert_eq!(judge.clocks.is_any_curable([2, 3], secs(10)), is_worth, "{seconds}");
        assert!(!judge.clocks.is_any_curable([2], secs(10)));
    }
}
