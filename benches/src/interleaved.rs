//! Calls timed in turn, so that a machine that changes its speed changes it for all of them.

use std::time::{Duration, Instant};

/// Fewer rounds have no median to speak of.
const MIN_ROUNDS: usize = 11;

/// Seconds that each call takes in each of as many rounds as begin within `budget`, after one that does not count.
///
/// A round goes through the calls forwards, then backwards, and averages both: what drifts evenly within it cancels out.
pub fn interleaved(budget: Duration, calls: &mut [&mut dyn FnMut()]) -> Vec<Vec<f64>> {
    let mut round = || {
        let mut seconds = vec![0.0; calls.len()];
        for i in (0..calls.len()).chain((0..calls.len()).rev()) {
            let start = Instant::now();
            calls[i]();
            seconds[i] += start.elapsed().as_secs_f64() / 2.0;
        }
        seconds
    };
    round();
    let start = Instant::now();
    let mut rounds = Vec::new();
    while rounds.len() < MIN_ROUNDS || start.elapsed() < budget {
        rounds.push(round());
    }
    rounds
}

/// The middle value, or the mean of the two in the middle; of nothing, NaN.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return f64::NAN };
    (values[last / 2] + values[values.len() / 2]) / 2.0
}
