//! Statistics of timings, and the memory of the process.

use std::time::Instant;

/// Milliseconds since then, to the nanosecond.
pub(crate) fn millis_since(start: Instant) -> f64 {
    start.elapsed().as_nanos() as f64 / 1e6
}

/// The middle value, or the mean of the two in the middle; of nothing, NaN.
pub(crate) fn median(samples: &[f64]) -> f64 {
    let sorted = sorted(samples);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    (sorted[last / 2] + sorted[sorted.len() / 2]) / 2.0
}

/// The smallest value that at least 90 % of the samples do not exceed; of nothing, NaN.
pub(crate) fn p90(samples: &[f64]) -> f64 {
    let rank = (samples.len() * 9).div_ceil(10);
    sorted(samples).get(rank.wrapping_sub(1)).copied().unwrap_or(f64::NAN)
}

/// The smallest value; of nothing, NaN.
pub(crate) fn min(samples: &[f64]) -> f64 {
    sorted(samples).first().copied().unwrap_or(f64::NAN)
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The most memory that this process has had in RAM, in bytes, where the system has it (Linux: `VmHWM`).
pub(crate) fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_short_series() {
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0, 3.0, 2.0]), median(&[7.0])), (2.0, 2.5, 7.0));
        let ten: Vec<f64> = (1..=10).rev().map(f64::from).collect();
        assert_eq!((p90(&ten), p90(&ten[..5]), p90(&[7.0])), (9.0, 10.0, 7.0));
        assert_eq!(min(&ten), 1.0);
        assert!(median(&[]).is_nan() && p90(&[]).is_nan() && min(&[]).is_nan());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_has_the_peak() {
        assert!(peak_rss_bytes().unwrap() > 1 << 16);
    }
}
