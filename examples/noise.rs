//! How many wrong values the checks of a frame let through under noise: replies to one read, driven through the
//! exchange without a line, a task or a clock.
//!
//! `cargo run --release --example noise -- --replies 10000000 --seed 1`
#![allow(clippy::print_stdout, reason = "it prints what it found")]

use catalogue::{Catalogue, Entry};
use clap::Parser;
use dlt645::exchange::{Event, Exchange, Outcome, Timing};
use dlt645::frame::{Control, emit};
use dlt645::pdu::Request;
use dlt645::{Address, Di};
use meterd::clock::Clock;
use meterd::simulator::{Dice, Noise, NoiseModel, Octet};
use std::time::Duration;

/// Replies under noise, and the wrong values that are accepted of them.
#[derive(Debug, Parser)]
struct Args {
    /// Replies for each kind of noise.
    #[arg(long, default_value_t = 10_000_000)]
    replies: u64,
    /// The same seed gives the same noise.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads; the noise depends on their number.
    #[arg(long, default_value_t = 2)]
    threads: u64,
}

/// Active energy, forward, total: four octets, 20 characters a reply.
const READ: Di = Di::new(0x0001_0000);
/// Different replies; their values come from the seed.
const REPLIES: usize = 1024;
/// FE octets before a reply.
const PREAMBLE: usize = 4;

/// One kind of noise.
#[derive(Clone, Copy, Debug)]
struct Kind {
    model: NoiseModel,
    per_octet: f64,
    checked: bool,
}

const KINDS: [Kind; 14] = [
    kind(NoiseModel::Bits, 0.001, true),
    kind(NoiseModel::Bits, 0.01, true),
    kind(NoiseModel::Bits, 0.03, true),
    kind(NoiseModel::Bits, 0.001, false),
    kind(NoiseModel::Bits, 0.01, false),
    kind(NoiseModel::Bits, 0.03, false),
    kind(NoiseModel::Octets, 0.001, true),
    kind(NoiseModel::Octets, 0.01, true),
    kind(NoiseModel::Octets, 0.03, true),
    kind(NoiseModel::Octets, 0.1, true),
    kind(NoiseModel::Octets, 0.001, false),
    kind(NoiseModel::Octets, 0.01, false),
    kind(NoiseModel::Octets, 0.03, false),
    kind(NoiseModel::Octets, 0.1, false),
];

const fn kind(model: NoiseModel, per_octet: f64, checked: bool) -> Kind {
    Kind { model, per_octet, checked }
}

/// What became of the replies.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    replies: u64,
    /// No value: none was believed.
    lost: u64,
    /// Octets were believed that the meter did not send.
    wrong: u64,
    /// And they are a value of the register's format.
    plausible: u64,
}

fn main() {
    let args = Args::parse();
    println!("seed {}, {} replies each, {} threads", args.seed, args.replies, args.threads);
    println!(
        "{:<7} {:>9} {:>7} {:>8} {:>12} {:>14} {:>12} {:>14} {:>8}",
        "noise", "per octet", "parity", "lost %", "frame lets", "per 10^6", "values", "per 10^6", "seconds"
    );
    for kind in KINDS {
        let clock = Clock::system();
        let each = args.replies.div_ceil(args.threads.max(1));
        let count = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..args.threads.max(1))
                .map(|n| scope.spawn(move || run(kind, each, args.seed.wrapping_add(n << 40))))
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).fold(
                Count::default(),
                |sum, count| Count {
                    replies: sum.replies + count.replies,
                    lost: sum.lost + count.lost,
                    wrong: sum.wrong + count.wrong,
                    plausible: sum.plausible + count.plausible,
                },
            )
        });
        let of = |part: u64, whole: f64| part as f64 / count.replies as f64 * whole;
        let model = match kind.model {
            NoiseModel::Bits => "bits",
            NoiseModel::Octets => "octets",
        };
        println!(
            "{model:<7} {:>9} {:>7} {:>8.3} {:>12} {:>14.4} {:>12} {:>14.4} {:>8.1}",
            kind.per_octet,
            if kind.checked { "checked" } else { "none" },
            of(count.lost, 100.0),
            count.wrong,
            of(count.wrong, 1e6),
            count.plausible,
            of(count.plausible, 1e6),
            clock.elapsed().as_secs_f64()
        );
    }
}

/// A reply and the octets of its value.
struct Reply {
    octets: Vec<Octet>,
    value: [u8; 4],
}

fn replies(meter: Address, seed: u64) -> Vec<Reply> {
    let mut dice = Dice::new(seed);
    let mut reply = || {
        let value = [0; 4].map(|_: u8| (dice.between(0, 10) << 4 | dice.between(0, 10)) as u8);
        let mut frame = vec![0xFE; PREAMBLE];
        let data = [&READ.to_wire()[..], &value].concat();
        // Eight octets of data always fit.
        let _ = emit(meter, Control::reply(0x11, false), &data, &mut frame);
        let octets = frame.into_iter().map(|octet| Octet { octet, damaged: false, pause: Duration::ZERO });
        Reply { octets: octets.collect(), value }
    };
    (0..REPLIES).map(|_| reply()).collect()
}

fn run(kind: Kind, count: u64, seed: u64) -> Count {
    let Ok(meter) = "000000001234".parse::<Address>() else { return Count::default() };
    let request = Request::Read { address: meter, di: READ };
    let timing = Timing {
        octet: Duration::from_micros(4583),
        first_octet: Duration::from_millis(550),
        slack: Duration::from_millis(50),
        preamble: 4,
    };
    let register = match Catalogue::dlt645_2007().by_di(READ) {
        Some(Entry::Register(register)) => register,
        Some(Entry::Block(_)) | None => return Count::default(),
    };
    let replies = replies(meter, seed);
    let mut noise = Noise::new(kind.model, kind.per_octet, kind.checked, seed);
    let mut came = Count { replies: count, ..Count::default() };
    let mut octets: Vec<Octet> = Vec::new();
    let mut plain: Vec<u8> = Vec::new();
    for reply in replies.iter().cycle().take(count as usize) {
        octets.clone_from(&reply.octets);
        noise.pass(&mut octets);
        let mut exchange = Exchange::new(request.clone(), timing, Duration::ZERO);
        let at = Duration::from_millis(150);
        for stretch in octets.chunk_by(|one, next| !one.damaged && !next.damaged) {
            match stretch {
                [Octet { octet, damaged: true, .. }] => exchange.handle_damaged(at, *octet),
                good => {
                    plain.clear();
                    plain.extend(good.iter().map(|one| one.octet));
                    exchange.handle_bytes(at, &plain);
                }
            }
        }
        while let Some((deadline, _)) = exchange.poll_timeout() {
            exchange.handle_timeout(deadline);
        }
        let mut value = None;
        while let Some(event) = exchange.poll_event() {
            if let Event::Done(Outcome::Data { octets, .. }) = event {
                value = Some(octets);
            }
        }
        match value {
            None => came.lost += 1,
            Some(value) if value == reply.value => {}
            Some(value) => {
                came.wrong += 1;
                came.plausible += u64::from(register.decode(&value).is_ok());
            }
        }
    }
    came
}
