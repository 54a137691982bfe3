//! Beside other Rust engines, one thread each: products on DeiT-Tiny's shapes by `matrixmultiply` and `gemm`, whole models by
//! `rten`, `tract` and `candle` with the same weights. In this folder, in an environment with tools/requirements-peers.txt:
//!
//! ```sh
//! python ../../tools/export_onnx.py deit_tiny shuffle_deit_tiny # and the others of MODELS
//! cargo bench
//! ```
//!
//! `python ../../tools/engines.py` does both and puts the tables into BENCHMARKS.md.
//!
//! Answers are compared before they are timed. The tables at the end are medians of a row's engines timed in turn, and of
//! processes with one engine each.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use benches::{Aligned, Matmul, assert_close, bench, interleaved, is_measuring, median};
use criterion::{Criterion, Throughput};
use gemm::Parallelism;
use kernels::{Epilogue, Level};
use peers::{ENGINES, Engine, PACKED, difference};

/// Name, M and K of DeiT-Tiny's products.
const PRODUCTS: [(&str, usize, usize); 4] =
    [("qkv", 576, 192), ("proj", 192, 192), ("fc1", 768, 192), ("fc2", 192, 768)];

const MODELS: [&str; 6] =
    ["deit_tiny", "shuffle_deit_tiny", "swin_extra_tiny", "shuffle_swin_extra_tiny", "t2t_vit_7", "shuffle_t2t_vit_7"];

/// For what is timed in turn.
const BUDGET: Duration = Duration::from_secs(10);

/// The largest relative difference between two engines' logits.
const TOLERANCE: f32 = 1e-4;

/// A call and who does it.
type Contender<'a> = (&'static str, Box<dyn FnMut() + 'a>);

/// Benchmarks the contenders, then times them in turn: their names and median seconds, unless criterion left one out.
fn contend(
    c: &mut Criterion,
    group: &str,
    macs: u64,
    mut contenders: Vec<Contender>,
) -> Option<Vec<(&'static str, f64)>> {
    let mut group = c.benchmark_group(group);
    group.throughput(Throughput::Elements(macs)).sample_size(20);
    let mut ran = true;
    for (name, call) in &mut contenders {
        ran &= bench(&mut group, (*name).into(), call);
    }
    if !ran || !is_measuring() {
        return None;
    }
    let names: Vec<_> = contenders.iter().map(|(name, _)| *name).collect();
    let mut calls: Vec<&mut dyn FnMut()> = contenders.iter_mut().map(|(_, call)| call as &mut dyn FnMut()).collect();
    let rounds = interleaved(BUDGET, &mut calls);
    let seconds = (0..names.len()).map(|i| median(rounds.iter().map(|round| round[i])));
    Some(names.into_iter().zip(seconds).collect())
}

fn product(c: &mut Criterion, name: &str, m: usize, k: usize) -> Option<String> {
    let n = 197;
    let matmul = Matmul::new([m, k, n]);
    let mut packed = matmul.packed(Level::detect());
    let (mut by_matrixmultiply, mut by_gemm) = (Aligned::zeros(m * n), Aligned::zeros(m * n));
    packed.run(Epilogue::Store);
    matmul.matrixmultiply(&mut by_matrixmultiply);
    by_the_crate_gemm(&matmul, &mut by_gemm);
    assert_close(&packed.output(), &by_matrixmultiply);
    assert_close(&packed.output(), &by_gemm);
    let contenders: Vec<Contender> = vec![
        ("shuffle-vit", Box::new(|| packed.run(Epilogue::Store))),
        ("matrixmultiply", Box::new(|| matmul.matrixmultiply(&mut by_matrixmultiply))),
        ("gemm", Box::new(|| by_the_crate_gemm(&matmul, &mut by_gemm))),
    ];
    let macs = matmul.macs() as f64;
    let seconds = contend(c, &format!("peers/products/deit_tiny_{name}"), matmul.macs() as u64, contenders)?;
    let rates = seconds.iter().map(|(_, seconds)| format!("{:.1}", macs / seconds / 1e9));
    Some(format!("| {name}, {m} x {k} x {n} | {} |", rates.collect::<Vec<_>>().join(" | ")))
}

fn by_the_crate_gemm(matmul: &Matmul, out: &mut [f32]) {
    let [m, k, n] = matmul.shape();
    assert_eq!((matmul.weight.len(), matmul.x.len(), out.len()), (m * k, k * n, m * n));
    let (a, b, out) = (matmul.weight.as_ptr(), matmul.x.as_ptr(), out.as_mut_ptr());
    let (row_of_a, row) = (k as isize, n as isize);
    // SAFETY: the assertion found the lengths of row-major matrices.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out,
            1,
            row,
            false,
            a,
            1,
            row_of_a,
            b,
            1,
            row,
            0.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// The engines that have the model, ours first. Their logits must agree.
fn agreeing(model: &str, image: &[f32]) -> Vec<(&'static str, Box<dyn Engine>)> {
    let mut expected = None;
    let mut try_one = |name, load: peers::Load| -> Result<_> {
        let mut engine = load(model)?;
        let logits = engine.run(image)?;
        let difference = difference(&logits, expected.get_or_insert_with(|| logits.clone()));
        assert!(difference < TOLERANCE, "{model}: the logits of {name} differ by {difference:e}");
        Ok((name, engine))
    };
    let mut engines = Vec::new();
    for (name, load) in ENGINES {
        match try_one(name, load) {
            Ok(engine) => engines.push(engine),
            Err(error) => eprintln!("{model}: without {name}: {error:#}"),
        }
    }
    engines
}

fn model(c: &mut Criterion, name: &str) -> Option<String> {
    let macs = vit::Config::named(name).expect("a built-in model").macs();
    let image = Aligned::painted(3 * 224 * 224);
    let engines = agreeing(name, &image);
    let contenders = engines.into_iter().map(|(name, mut engine)| -> Contender<'_> {
        let image = &image;
        (name, Box::new(move || drop(engine.run(image).expect("it ran before"))))
    });
    let seconds = contend(c, &format!("peers/models/{name}"), macs, contenders.collect())?;
    let ours = seconds.iter().find(|(engine, _)| *engine == "shuffle-vit")?.1;
    let cells = ENGINES.map(|(engine, _)| match seconds.iter().find(|(name, _)| *name == engine) {
        Some((_, theirs)) if engine == "shuffle-vit" => format!("**{:.1}**", 1e3 * theirs),
        Some((_, theirs)) => format!("{:.1} ({:.2}x)", 1e3 * theirs, theirs / ours),
        None => "-".into(),
    });
    Some(format!("| {name} | {} |", cells.join(" | ")))
}

/// Load, first image and memory of each engine, the median of five processes.
fn footprint(model: &str, engine: &str) -> Option<String> {
    let run = || {
        let output = Command::new(env!("CARGO_BIN_EXE_footprint")).args([engine, model]).output().ok()?;
        let figures = String::from_utf8(output.stdout).ok()?;
        figures.split_whitespace().map(|figure| figure.parse().ok()).collect::<Option<Vec<f64>>>()
    };
    let runs: Vec<_> = (0..5).map(|_| run().filter(|figures| figures.len() == 3)).collect::<Option<_>>()?;
    let cells = [0, 1, 2].map(|i| format!("{:.1}", median(runs.iter().map(|run| run[i]))));
    Some(format!("| {engine} | {} |", cells.join(" | ")))
}

fn table(header: &str, lines: &[String]) {
    if !lines.is_empty() {
        println!("| {header} |\n|{}\n{}\n", "---|".repeat(header.split('|').count()), lines.join("\n"));
    }
}

fn main() {
    let short = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    let c = &mut short.configure_from_args();
    let products: Vec<_> = PRODUCTS.iter().filter_map(|(name, m, k)| product(c, name, *m, *k)).collect();
    let models: Vec<_> = MODELS.iter().filter_map(|name| model(c, name)).collect();
    c.final_summary();
    table("GMAC/s | shuffle-vit | matrixmultiply | gemm", &products);
    table(&format!("ms an image | {}", ENGINES.map(|(name, _)| name).join(" | ")), &models);
    if !models.is_empty() {
        peers::pack("deit_tiny").expect("it was loaded before");
        let engines = ENGINES.into_iter().chain([PACKED]);
        let lines: Vec<_> = engines.filter_map(|(engine, _)| footprint("deit_tiny", engine)).collect();
        table("deit_tiny | ms to load | ms of the first image | MB resident at most", &lines);
    }
}
