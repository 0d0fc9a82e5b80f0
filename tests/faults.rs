//! A line with faults, read by the whole daemon on virtual time: nothing wrong is credited, nothing is invented, and
//! what is well is read again.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

#[path = "faults/campaign.rs"]
mod campaign;

use campaign::{Campaign, Outcome, all_faults};
use meterd::simulator::{Delivery, LineFault};

const SEED: u64 = 1;

/// Runs one fault, and demands what holds for all: each value is one that its meter sent then, and asked is read
/// and failed.
async fn run(fault: LineFault, rate: f64) -> Outcome {
    run_delivered(fault, rate, Delivery::Pieces(1)).await
}

async fn run_delivered(fault: LineFault, rate: f64, delivery: Delivery) -> Outcome {
    let campaign = Campaign { delivery, ..Campaign::of(&[(fault, rate)], 600, SEED) };
    let outcome = campaign.run().await;
    assert_eq!(outcome.wrong, Vec::<String>::new(), "{fault}, seed {SEED}");
    assert!(outcome.injected.get(&fault).is_some_and(|times| *times > 0), "{outcome:?}");
    outcome
}

fn failed(outcome: &Outcome, reason: &str) -> u64 {
    outcome.failed.get(reason).copied().unwrap_or(0)
}

/// The share of registers that were read, in percent.
fn read(outcome: &Outcome) -> u64 {
    100 * outcome.read / (outcome.read + outcome.failures())
}

#[tokio::test(start_paused = true)]
async fn without_a_fault_every_register_of_every_slot_is_read() {
    for delivery in [Delivery::Pieces(1), Delivery::Pieces(7), Delivery::Whole] {
        let campaign = Campaign { delivery, ..Campaign::of(&[], 600, SEED) };
        let outcome = campaign.run().await;
        assert_eq!(outcome.wrong, Vec::<String>::new());
        assert_eq!((outcome.failures(), outcome.without_message), (0, 0), "{outcome:?}");
        assert!(outcome.read > 800, "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_answer_is_asked_for_again_and_invents_nothing() {
    let outcome = run(LineFault::Silent, 0.1).await;
    assert!(read(&outcome) >= 90, "{outcome:?}");
    assert_eq!(failed(&outcome, "silent"), outcome.failures(), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_credited_to_no_other_meter_register_or_slot() {
    for delivery in [Delivery::Pieces(1), Delivery::Whole] {
        let outcome = run_delivered(LineFault::Late, 0.2, delivery).await;
        assert!(read(&outcome) >= 60, "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_answer_is_no_value() {
    let outcome = run(LineFault::Cut, 0.3).await;
    assert!(read(&outcome) >= 75 && failed(&outcome, "damaged") > 0, "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flipped_bit_is_no_value() {
    let outcome = run(LineFault::Damaged, 0.3).await;
    assert!(read(&outcome) >= 75 && failed(&outcome, "damaged") > 0, "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn noise_costs_retries_and_never_a_wrong_value() {
    // 2, 18 and 45 % of the replies are lost; one retry leaves the square of it.
    for (fault, rate, least) in [
        (LineFault::Noise, 0.001, 97),
        (LineFault::Noise, 0.01, 85),
        (LineFault::Noise, 0.03, 50),
        (LineFault::Burst, 0.001, 97),
    ] {
        let outcome = run(fault, rate).await;
        assert!(read(&outcome) >= least, "{fault} {rate}: {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_echoing_adapter_is_read_as_any_other() {
    let outcome = run(LineFault::Echo, 1.0).await;
    assert_eq!((outcome.failures(), outcome.without_message), (0, 0), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_neighbours_answer_is_not_taken_for_the_asked_meters() {
    for delivery in [Delivery::Pieces(1), Delivery::Whole] {
        let outcome = run_delivered(LineFault::Stray, 0.5, delivery).await;
        assert!(read(&outcome) >= 80, "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_meter_with_the_address_yields_no_mixture_of_both() {
    let outcome = run(LineFault::Twin, 0.5).await;
    // Half of all answers collide, so that each value wants two that agree; long collisions look like a jam, which ends
    // the round.
    assert!(read(&outcome) >= 30, "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_babbling_line_yields_no_value_and_is_read_again_when_it_is_quiet() {
    for fault in [LineFault::Babble, LineFault::BabbleFe, LineFault::Babble68] {
        for delivery in [Delivery::Pieces(1), Delivery::Whole] {
            let outcome = run_delivered(fault, 0.02, delivery).await;
            assert!(read(&outcome) >= 80, "{fault}: {outcome:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn answers_glued_together_are_told_apart() {
    for delivery in [Delivery::Pieces(1), Delivery::Whole] {
        let outcome = run_delivered(LineFault::Glued, 0.5, delivery).await;
        assert!(read(&outcome) >= 99, "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_pieces_is_whole_or_nothing() {
    for delivery in [Delivery::Pieces(1), Delivery::Whole] {
        let outcome = run_delivered(LineFault::Split, 0.3, delivery).await;
        assert!(read(&outcome) >= 60, "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_block_is_read_singly() {
    let outcome = run(LineFault::RefuseBlocks, 1.0).await;
    assert_eq!((outcome.failures(), outcome.without_message), (0, 0), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn an_active_report_is_no_value_and_the_question_is_repeated() {
    let outcome = run(LineFault::ActiveReport, 0.5).await;
    assert_eq!(outcome.failures(), 0, "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn follow_up_frames_without_an_end_are_no_value_and_do_not_hold_the_line() {
    let outcome = run(LineFault::EndlessFollowUp, 0.02).await;
    assert!(read(&outcome) >= 80, "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn an_unplugged_line_is_read_again_when_it_is_back() {
    let outcome = run(LineFault::Unplugged, 0.02).await;
    assert!(failed(&outcome, "port_gone") > 0, "{outcome:?}");
    assert!(outcome.read > 0 && outcome.last_whole.len() == 8, "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_faulty_exchanges_credit_no_value_to_a_wrong_meter_register_or_time() {
    let campaign = Campaign::of(&all_faults(), 10_000, SEED);
    let outcome = campaign.run().await;
    println!(
        "seed {SEED}: {} exchanges, {} values read, failed {:?}",
        outcome.exchanges, outcome.read, outcome.failed
    );
    println!("injected: {:?}", outcome.injected);
    assert!(outcome.exchanges >= 10_000 && outcome.read > 0);
    assert_eq!(outcome.wrong, Vec::<String>::new(), "seed {SEED}");
    assert_eq!(outcome.injected.len(), all_faults().len(), "each fault has happened: {outcome:?}");
}
