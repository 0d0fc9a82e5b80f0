//! The meters of the bench `fleet` answer as meters do, at the pace of their line.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

#[allow(
    dead_code,
    clippy::disallowed_methods,
    reason = "the bench uses all of it, and measures the real clock"
)]
#[path = "../benches/fleet/emulator.rs"]
mod emulator;
#[allow(dead_code, reason = "the bench uses all of it")]
#[path = "../benches/fleet/process.rs"]
mod process;
#[allow(dead_code, reason = "the bench uses all of it")]
#[path = "../benches/fleet/work.rs"]
mod work;

use catalogue::Catalogue;
use dlt645::Edition;
use dlt645::frame::Frame;
use dlt645::scanner::Scanner;
use emulator::{Meters, Pieces};
use std::time::Duration;
use work::{Kind, Work};

#[test]
fn each_meter_answers_each_question_with_values_that_the_catalogue_reads() {
    for kind in [Kind::Block, Kind::ThreePhase] {
        each_answers(&Work::choose(kind, 2400, 40));
    }
}

fn each_answers(work: &Work) {
    let meters = Meters::of([3, 7].into_iter(), work);
    let mut scanner = Scanner::default();
    for ask in &work.asks {
        for meter in [3, 7] {
            let request = work::request(meter, ask);
            // However it comes: cut in two.
            let (head, tail) = request.split_at(9);
            assert!(meters.hear(&mut scanner, head).is_empty());
            let heard = meters.hear(&mut scanner, tail);
            let [(octets, Some(reply))] = heard[..] else { panic!("{heard:?}") };
            assert_eq!(octets, request.len());
            let frame = Frame::parse(&reply[4..]).unwrap();
            assert_eq!((&reply[..4], frame.address()), (&[0xFE; 4][..], work::address(meter)));
            let mut data = frame.data();
            assert_eq!(data.take_di(Edition::E2007), ask.subject.id().di());
            let octets: Vec<u8> = data.collect();
            let decoded = Catalogue::dlt645_2007().decode(ask.subject.id(), &octets);
            let numbers: Vec<_> = decoded.iter().map(|d| d.value.unwrap().unwrap()).collect();
            assert!(numbers.len() >= ask.wanted.len(), "{numbers:?}");
        }
    }
    let unknown = work::request(5, &work.asks[0]);
    assert_eq!(meters.hear(&mut scanner, &unknown), [(unknown.len(), None)], "a meter of another line");
}

#[test]
fn pieces_make_up_the_reply_and_the_last_comes_when_a_line_would_have_brought_it() {
    let work = Work::of(Kind::Block, 2400, 2);
    let reply = work::reply(0, &work.asks[0]);
    for pieces in [Pieces::Whole, Pieces::Of(8), Pieces::Of(1)] {
        let cut: Vec<(Duration, &[u8])> = pieces.cut(&reply, work.line).collect();
        assert_eq!(cut.iter().flat_map(|(_, piece)| *piece).copied().collect::<Vec<u8>>(), reply);
        assert_eq!(cut.last().unwrap().0, work.line.octets(reply.len()));
        assert!(cut.is_sorted_by(|one, next| one.0 < next.0));
    }
}

#[test]
fn a_task_of_the_bench_fills_its_line_and_fits_it() {
    for kind in [Kind::Block, Kind::ThreePhase] {
        for (baud, meters) in [(2400, 40), (9600, 40), (9600, 3)] {
            let work = Work::choose(kind, baud, meters);
            assert!((700..=930).contains(&work.per_mille), "{work:?}");
        }
    }
}

#[test]
fn three_phase_work_is_27_registers_of_each_meter_by_ten_exchanges() {
    let work = Work::choose(Kind::ThreePhase, 2400, 40);
    let wanted: usize = work.asks.iter().map(|ask| ask.wanted.len()).sum();
    assert_eq!((wanted, work.asks.len()), (27, 10));
    let again = Work::from_args(&work.args());
    assert_eq!((again.kind, again.line, again.registers), (work.kind, work.line, work.registers));
}

#[test]
fn the_cpu_time_of_a_process_grows_with_its_work() {
    let before = process::cpu(std::process::id());
    let mut work = 1u64;
    while process::cpu(std::process::id()) < before + Duration::from_millis(20) {
        work = std::hint::black_box(work.wrapping_mul(3));
    }
    let sleeper = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let mut sleeper = Asleep(sleeper);
    assert!(process::cpu(sleeper.0.id()) < Duration::from_secs(1), "another process has its own");
    sleeper.0.kill().unwrap();
}

/// A process that ends with this.
struct Asleep(std::process::Child);

impl Drop for Asleep {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
