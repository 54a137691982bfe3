//! `profile`: where a model's time goes, and how near each operation comes to the processor's limit.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use vit::{Level, Operation};

use crate::flags::{ComputeArgs, OutputArgs, SubjectArgs, values};
use crate::outcome::Outcome;
use crate::report::{Align, Report, Table, print};
use crate::stats::{median, millis_since};
use crate::text::millis;
use crate::threads::{Runner, Threads};
use crate::timing;
use crate::{buffer, diagnostics, models};

#[derive(Debug, Args)]
#[command(after_help = "\
An image with made-up pixels goes through the model again and again, with each operation timed and without, in \
alternation with multiply-adds on registers, whose speed is the peak. Times are medians. With several threads they are the \
mean of a thread, and `wait` is the time in which threads waited for each other. Multiply-accumulates are those that are \
executed: what no logit depends on is left out.

Examples:
  shuffle-vit profile --arch shuffle_deit_tiny --threads 1
  shuffle-vit profile --model tiny.safetensors --level avx2 --json

JSON: {\"name\", \"dtype\", \"level\", \"threads\", \"iters\", \"total_ms\", \"gmacs\", \"gmacs_per_s\", \"peak_gmacs_per_s\", \
\"peak_share\", \"operations\": [{\"operation\", \"ms\", \"share\", \"gmacs\", \"gmacs_per_s\", \"peak_share\"}]}; shares are parts of 1, \
and the last two are null where nothing is multiplied.")]
pub(crate) struct ProfileArgs {
    #[command(flatten)]
    pub subject: SubjectArgs,

    /// Calls in which each operation is timed, and as many in which none is
    #[arg(long, value_name = "N", default_value = "30", value_parser = values::positive, allow_negative_numbers = true)]
    pub iters: u32,

    #[command(flatten)]
    pub compute: ComputeArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Serialize)]
struct Profile {
    name: String,
    dtype: &'static str,
    level: &'static str,
    threads: usize,
    iters: u32,
    /// Of a call in which no operation is timed.
    total_ms: f64,
    /// Executed multiply-accumulates: less than the model's, for what no logit depends on is left out.
    gmacs: f64,
    gmacs_per_s: f64,
    /// What multiply-adds that touch no memory reach on as many threads.
    peak_gmacs_per_s: f64,
    peak_share: f64,
    operations: Vec<Share>,
}

/// One operation's part.
#[derive(Serialize)]
struct Share {
    operation: &'static str,
    /// A thread's mean.
    ms: f64,
    share: f64,
    gmacs: f64,
    /// Null where there is nothing to multiply.
    gmacs_per_s: Option<f64>,
    peak_share: Option<f64>,
}

pub(crate) fn execute(args: &ProfileArgs) -> Result<Outcome> {
    let named = models::subject(&args.subject)?;
    let config = named.model.description().config;
    let level = args.compute.level.level;
    let threads = Threads::from_args(&args.compute)?;
    let mut runner = Runner::new(named.model.model(), level, &threads)?;
    let mut image = buffer::zeroed(config.image_len(), "the image")?;
    timing::paint(&mut image);
    let mut logits = buffer::zeroed(config.outputs(), "the logits")?;

    timing::warm_up(|| runner.run(&image, &mut logits))?;
    let progress = diagnostics::progress(args.iters as usize, "calls");
    let (mut calls, mut peaks, mut stopwatch) = (Vec::new(), Vec::new(), Stopwatch::new());
    for _ in 0..args.iters {
        let start = Instant::now();
        runner.run(&image, &mut logits)?;
        calls.push(millis_since(start));
        stopwatch
            .call(|stopwatch| runner.run_profiled(&image, &mut logits, &|step, macs| stopwatch.done(step, macs)))?;
        peaks.push(peak(level, &threads));
        progress.inc(1);
    }
    progress.finish_and_clear();

    let (total_ms, peak) = (median(&calls), median(&peaks));
    let operations = stopwatch.shares(threads.count(), peak);
    let gmacs = operations.iter().map(|operation| operation.gmacs).sum::<f64>();
    let profile = Profile {
        name: named.name,
        dtype: args.compute.dtype.name(),
        level: level.name(),
        threads: threads.count(),
        iters: args.iters,
        total_ms,
        gmacs,
        gmacs_per_s: gmacs / total_ms * 1e3,
        peak_gmacs_per_s: peak,
        peak_share: gmacs / total_ms * 1e3 / peak,
        operations,
    };
    print(&profile, args.output.json)?;
    Ok(Outcome::Complete)
}

/// GMAC/s of multiply-adds that touch no memory, on all threads at once.
fn peak(level: Level, threads: &Threads) -> f64 {
    /// About a millisecond.
    const ROUNDS: u32 = 200_000;
    threads.on_each(|| {
        let start = Instant::now();
        let macs = kernels::testing::multiply_add_loop(level, ROUNDS);
        macs as f64 / start.elapsed().as_nanos() as f64
    })
}

/// Milliseconds and multiply-accumulates of each operation, call by call.
struct Stopwatch {
    /// When the call that runs began.
    start: Instant,
    current: Mutex<BTreeMap<Operation, (f64, u64)>>,
    calls: BTreeMap<Operation, (Vec<f64>, u64)>,
}

thread_local! {
    /// When this thread was done with the step before, maybe of another call.
    static BEFORE: Cell<Option<Instant>> = const { Cell::new(None) };
}

impl Stopwatch {
    fn new() -> Self {
        Self { start: Instant::now(), current: Mutex::default(), calls: BTreeMap::new() }
    }

    /// Times the operations of one call.
    fn call(&mut self, run: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        self.start = Instant::now();
        run(self)?;
        let current = std::mem::take(self.current.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner()));
        for (operation, (ms, macs)) in current {
            let (calls, total) = self.calls.entry(operation).or_default();
            calls.push(ms);
            *total = macs;
        }
        Ok(())
    }

    /// A step is done, on this thread.
    fn done(&self, operation: Operation, macs: u64) {
        let now = Instant::now();
        let before = BEFORE.get().map_or(self.start, |before| before.max(self.start));
        let ms = (now - before).as_nanos() as f64 / 1e6;
        let mut current = self.current.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (total_ms, total_macs) = current.entry(operation).or_default();
        *total_ms += ms;
        *total_macs += macs;
        drop(current);
        BEFORE.set(Some(Instant::now()));
    }

    /// Each operation's part, in the order of a pass.
    fn shares(&self, threads: usize, peak: f64) -> Vec<Share> {
        let ms = |calls: &[f64]| median(calls) / threads as f64;
        let total: f64 = self.calls.values().map(|(calls, _)| ms(calls)).sum();
        let share = |(operation, (calls, macs)): (&Operation, &(Vec<f64>, u64))| {
            let (ms, gmacs) = (ms(calls), *macs as f64 / 1e9);
            let gmacs_per_s = (*macs > 0).then(|| gmacs / ms * 1e3);
            let peak_share = gmacs_per_s.map(|rate| rate / peak);
            Share { operation: operation.name(), ms, share: ms / total, gmacs, gmacs_per_s, peak_share }
        };
        self.calls.iter().map(share).collect()
    }
}

impl Report for Profile {
    fn text(&self) -> String {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let mut table = Table::new([
            ("operation", Align::Left),
            ("ms", Align::Right),
            ("share", Align::Right),
            ("GMAC", Align::Right),
            ("GMAC/s", Align::Right),
            ("of peak", Align::Right),
        ]);
        for Share { operation, ms, share, gmacs, gmacs_per_s, peak_share } in &self.operations {
            let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
            table.row([
                (*operation).into(),
                format!("{ms:.3}"),
                percent(*share),
                gmacs_per_s.map_or("-".into(), |_| format!("{gmacs:.4}")),
                or_none(gmacs_per_s.map(|rate| format!("{rate:.1}"))),
                or_none(peak_share.map(percent)),
            ]);
        }
        format!(
            "{}: {} on {}, {} thread(s): {} ms, {:.4} GMAC executed, {:.1} GMAC/s, {} of the peak of {:.1}\n\n{table}",
            self.name,
            self.dtype,
            self.level,
            self.threads,
            millis(self.total_ms),
            self.gmacs,
            self.gmacs_per_s,
            percent(self.peak_share),
            self.peak_gmacs_per_s,
        )
    }
}
