//! `footprint ENGINE MODEL`: milliseconds to load and of the first of 11 images, and the most memory that was resident, in MB.

use std::time::Instant;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let start = Instant::now();
    let mut args = std::env::args().skip(1);
    let (Some(engine), Some(model)) = (args.next(), args.next()) else {
        anyhow::bail!("usage: footprint ENGINE MODEL")
    };
    let mut engines = peers::ENGINES.into_iter().chain([peers::PACKED]);
    let (_, load) = engines.find(|(name, _)| *name == engine).context("no such engine")?;
    let mut engine = load(&model)?;
    let loaded = start.elapsed();
    let image = vec![0.5; 3 * 224 * 224];
    engine.run(&image)?;
    let first = start.elapsed() - loaded;
    for _ in 0..10 {
        engine.run(&image)?;
    }
    println!("{:.1} {:.1} {:.1}", 1e3 * loaded.as_secs_f64(), 1e3 * first.as_secs_f64(), peak_resident()?);
    Ok(())
}

/// Linux: `VmHWM`.
fn peak_resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM is missing")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024.0 / 1e6)
}
