//! What the commands that time a model have in common.

use std::time::{Duration, Instant};

use anyhow::Result;

/// Calls before the first that counts: caches, page tables and sleeping threads are then as in steady use.
pub(crate) const WARM_UP_CALLS: u32 = 3;

/// Warming up goes on for so long, since processors take milliseconds to reach their clock for wide vectors.
const WARM_UP_TIME: Duration = Duration::from_millis(100);

/// Values between -1 and 1 that no two neighbours share.
pub(crate) fn paint(images: &mut [f32]) {
    images.iter_mut().enumerate().for_each(|(i, x)| *x = (i * 89 % 251) as f32 / 125.0 - 1.0);
}

/// Calls that do not count.
pub(crate) fn warm_up(mut call: impl FnMut() -> Result<()>) -> Result<()> {
    let start = Instant::now();
    let mut calls = 0;
    while calls < WARM_UP_CALLS || start.elapsed() < WARM_UP_TIME {
        call()?;
        calls += 1;
    }
    Ok(())
}
