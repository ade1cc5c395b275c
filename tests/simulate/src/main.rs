//! `frazil-simulate [--seeds N] [--first S]`: many seeds, one for each core at a time, what they found
//! as they find it, progress, and a summary.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use frazil_simulate::run;
use futures::StreamExt;

/// Time between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

fn argument(name: &str, default: u64) -> Result<u64, String> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().position(|argument| argument == name) {
        None => Ok(default),
        Some(at) => arguments
            .get(at + 1)
            .and_then(|value| value.parse().ok())
            .ok_or_else(|| format!("{name} needs a number")),
    }
}

/// A broken promise, and how to see it again alone.
fn tell(seed: u64, fault: &str) {
    println!("seed {seed}: {fault}");
    println!("  again: cargo run --release -p frazil-simulate -- --first {seed} --seeds 1");
}

#[tokio::main]
async fn main() -> ExitCode {
    let (seeds, first) = match (argument("--seeds", 1000), argument("--first", 0)) {
        (Ok(seeds), Ok(first)) => (seeds, first),
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("{error}\nusage: frazil-simulate [--seeds N] [--first S]");
            return ExitCode::from(2);
        }
    };
    let parallel = std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get);
    let mut runs = futures::stream::iter(first..first + seeds)
        .map(|seed| async move { (seed, tokio::spawn(run(seed)).await) })
        // Runs wait for late answers most of the time.
        .buffer_unordered(parallel * 4);
    let (mut broken, mut done, mut died, mut in_doubt) = (0_u64, 0_u64, 0_u64, 0_u64);
    let (mut calls, mut commits) = (0_u64, 0_u64);
    let (mut reclaimed, mut schemas) = (0_usize, 0_usize);
    let began = Instant::now();
    let mut told = began;
    while let Some((seed, result)) = runs.next().await {
        done += 1;
        match result {
            Ok(Ok(outcome)) => {
                calls += outcome.calls;
                commits += outcome.commits as u64;
                reclaimed += outcome.reclaimed;
                schemas += outcome.undropped_schemas;
                died += u64::from(outcome.died);
                in_doubt += u64::from(outcome.in_doubt);
            }
            Ok(Err(fault)) => {
                broken += 1;
                tell(seed, &fault);
            }
            Err(error) => {
                broken += 1;
                tell(seed, &error.to_string());
            }
        }
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            let rate = done as f64 / began.elapsed().as_secs_f64();
            let left = (seeds - done) as f64 / rate;
            eprintln!(
                "{done} of {seeds} seeds, {broken} broken; {rate:.0} a second, {left:.0} s to go"
            );
        }
    }
    println!(
        "{done} seeds: {broken} broken; {calls} calls, {commits} acknowledged commits, \
         {died} crashes, {in_doubt} of them within a commit; {schemas} schemas came back, \
         {reclaimed} files were rid of deleted rows"
    );
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
