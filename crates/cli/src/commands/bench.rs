//! `bench`: how long a model takes.

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::classes::check_finite;
use crate::flags::{ComputeArgs, OutputArgs, SubjectArgs, values};
use crate::outcome::Outcome;
use crate::report::{Align, Report, Table, print};
use crate::stats::{median, millis_since, min, p90, peak_rss_bytes};
use crate::text::{bytes, grouped, millis};
use crate::threads::{Runner, Threads};
use crate::timing::{paint, warm_up};
use crate::{buffer, diagnostics, models};

#[derive(Debug, Args)]
#[command(after_help = "\
Times are for a call, which runs one batch. Loading is not counted, nor are at least 3 calls in advance. \
Multiply-accumulates are for an image, on all tokens, also those whose computation is skipped.

Examples:
  shuffle-vit bench --arch deit_tiny --threads 1
  shuffle-vit bench --arch shuffle_deit_tiny --batch 8 --iters 20 --json
  shuffle-vit bench --arch deit_tiny --set image_size=96 --set depth=6
  shuffle-vit bench --model tiny.safetensors --level portable

JSON: {\"name\", \"dtype\", \"threads\", \"batch\", \"iters\", \"median_ms\", \"min_ms\", \"p90_ms\", \"images_per_s\", \"gmacs\", \
\"gmacs_per_s\", \"params\", \"weight_bytes\", \"scratch_bytes\", \"peak_rss_bytes\", \"level\"}; peak_rss_bytes is the whole \
process's, and null where the system has no /proc/self/status.")]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub subject: SubjectArgs,

    /// Images a call
    #[arg(long, value_name = "B", default_value = "1", value_parser = values::batch, allow_negative_numbers = true)]
    pub batch: usize,

    /// Calls that are timed
    #[arg(long, value_name = "N", default_value = "50", value_parser = values::positive, allow_negative_numbers = true)]
    pub iters: u32,

    #[command(flatten)]
    pub compute: ComputeArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Serialize)]
struct Timing {
    name: String,
    dtype: &'static str,
    threads: usize,
    batch: usize,
    iters: u32,
    median_ms: f64,
    min_ms: f64,
    p90_ms: f64,
    images_per_s: f64,
    gmacs: f64,
    gmacs_per_s: f64,
    params: u64,
    weight_bytes: usize,
    scratch_bytes: usize,
    peak_rss_bytes: Option<u64>,
    level: &'static str,
}

pub(crate) fn execute(args: &BenchArgs) -> Result<Outcome> {
    let named = models::subject(&args.subject)?;
    let config = named.model.description().config;
    let level = args.compute.level.level;
    let threads = Threads::from_args(&args.compute)?;
    let mut runner = Runner::new(named.model.model(), level, &threads)?;
    let mut images = buffer::zeroed(args.batch.saturating_mul(config.image_len()), "the batch")?;
    paint(&mut images);
    let mut logits = buffer::zeroed(args.batch * config.outputs(), "the logits")?;

    let samples = time(args.iters, || runner.run(&images, &mut logits))?;
    check_finite(&logits)?;

    let seconds = median(&samples) / 1e3;
    let gmacs = config.macs() as f64 / 1e9;
    let timing = Timing {
        name: named.name,
        dtype: args.compute.dtype.name(),
        threads: threads.count(),
        batch: args.batch,
        iters: args.iters,
        median_ms: median(&samples),
        min_ms: min(&samples),
        p90_ms: p90(&samples),
        images_per_s: args.batch as f64 / seconds,
        gmacs,
        gmacs_per_s: gmacs * args.batch as f64 / seconds,
        params: config.params(),
        weight_bytes: named.model.weight_bytes(),
        scratch_bytes: runner.scratch_bytes(),
        peak_rss_bytes: peak_rss_bytes(),
        level: level.name(),
    };
    print(&timing, args.output.json)?;
    Ok(Outcome::Complete)
}

/// The milliseconds of each call, after some that do not count.
fn time(iters: u32, mut call: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    warm_up(&mut call)?;
    let progress = diagnostics::progress(iters as usize, "calls");
    let mut samples = Vec::new();
    for _ in 0..iters {
        let start = Instant::now();
        call()?;
        samples.push(millis_since(start));
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(samples)
}

impl Report for Timing {
    fn text(&self) -> String {
        let mut table = Table::bare(vec![Align::Left, Align::Left]);
        let mut row = |key: &str, value: String| table.row([key.into(), value]);
        row("model", format!("{}: {} parameters, {:.4} GMAC an image", self.name, grouped(self.params), self.gmacs));
        row("run", format!("{} on {}, {} thread(s), batch {}", self.dtype, self.level, self.threads, self.batch));
        row("median", format!("{} ms of {} calls", millis(self.median_ms), self.iters));
        row("fastest", format!("{} ms", millis(self.min_ms)));
        row("90 % within", format!("{} ms", millis(self.p90_ms)));
        row("throughput", format!("{:.1} images/s, {:.1} GMAC/s", self.images_per_s, self.gmacs_per_s));
        let peak = self.peak_rss_bytes.map_or("unknown".into(), bytes);
        let (weights, scratch) = (bytes(self.weight_bytes as u64), bytes(self.scratch_bytes as u64));
        row("memory", format!("weights {weights}, scratch {scratch}, peak of the process {peak}"));
        table.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn calls_are_warmed_up_and_counted() {
        let mut calls = 0;
        let samples = time(5, || {
            calls += 1;
            std::thread::sleep(Duration::from_millis(60));
            Ok(())
        });
        assert_eq!((samples.unwrap().len(), calls), (5, 8));
    }
}
