//! What share of the machine's multiply-adds a kernel gets, measured side by side.

use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use kernels::Level;
use kernels::testing::multiply_add_loop;

use crate::interleaved::median;

/// A fraction of a millisecond: long against the clock's resolution, short against changes of the processor's speed.
const ROUNDS: u32 = 50_000;

/// Seconds of a product between two measurements of the peak: other processes then seldom interrupt either.
const SLICE: f64 = 1e-3;

/// A benchmark of something that consists of multiply-accumulates.
pub struct Product<'a> {
    /// Of criterion.
    pub group: &'a str,
    /// Its name in the group.
    pub function: &'a str,
    /// At which it runs.
    pub level: Level,
    /// Multiply-accumulates of a call.
    pub macs: usize,
}

/// Products and the shares of the peak that they reached. Displayed, a table.
#[derive(Default)]
pub struct PeakShares {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    samples: Vec<Sample>,
}

/// Rates in GMAC/s.
struct Sample {
    product: f64,
    peak: f64,
}

impl PeakShares {
    /// Benchmarks `call`, with the peak at its level measured all the while in between.
    pub fn bench(&mut self, c: &mut Criterion, product: &Product, mut call: impl FnMut()) {
        let mut group = c.benchmark_group(product.group);
        group.throughput(Throughput::Elements(product.macs as u64));
        let mut samples = Vec::new();
        group.bench_function(product.function, |bencher| {
            bencher.iter_custom(|calls| product.time(calls, &mut call, &mut samples));
        });
        if !samples.is_empty() {
            self.rows.push(Row { name: format!("{}/{}", product.group, product.function), samples });
        }
    }

    /// Prints the table, unless criterion was only asked to test or filtered everything out.
    pub fn print(&self) {
        if crate::is_measuring() && !self.rows.is_empty() {
            println!("{self}");
        }
    }
}

impl Product<'_> {
    /// How long so many calls take, slice by slice, and each slice's rate beside the peak's before and after it.
    fn time(&self, calls: u64, call: &mut impl FnMut(), samples: &mut Vec<Sample>) -> Duration {
        let (mut total, mut left, mut slice) = (Duration::ZERO, calls, 1);
        let mut before = peak(self.level);
        while left > 0 {
            let calls = slice.min(left);
            let start = Instant::now();
            (0..calls).for_each(|_| call());
            let elapsed = start.elapsed();
            let after = peak(self.level);
            let call = elapsed.as_secs_f64() / calls as f64;
            // Of two neighbours the faster: what interrupts one is no limit.
            samples.push(Sample { product: self.macs as f64 / call / 1e9, peak: before.max(after) });
            (total, left, slice, before) = (total + elapsed, left - calls, 1.max((SLICE / call) as u64), after);
        }
        total
    }
}

/// GMAC/s at most.
fn peak(level: Level) -> f64 {
    let start = Instant::now();
    let macs = black_box(multiply_add_loop(level, ROUNDS));
    macs as f64 / start.elapsed().as_secs_f64() / 1e9
}

impl Row {
    fn median(&self, figure: impl Fn(&Sample) -> f64) -> f64 {
        median(self.samples.iter().map(figure))
    }
}

impl fmt::Display for PeakShares {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        writeln!(f, "{:width$}  GMAC/s  the peak  share of it", "median of")?;
        for row in &self.rows {
            let (product, peak) = (row.median(|s| s.product), row.median(|s| s.peak));
            let share = 100.0 * row.median(|s| s.product / s.peak);
            writeln!(f, "{:width$}  {product:6.1}  {peak:8.1}  {share:9.1} %", row.name)?;
        }
        Ok(())
    }
}

/// The peak itself: `peak/multiply_adds` at each level.
pub fn bench_peak(c: &mut Criterion) {
    let mut group = c.benchmark_group("peak/multiply_adds");
    for level in crate::levels() {
        group.throughput(Throughput::Elements(multiply_add_loop(level, ROUNDS)));
        group.bench_function(level.name(), |bencher| bencher.iter(|| multiply_add_loop(level, ROUNDS)));
    }
}
