//! Position embeddings resampled for another square of patches, as timm does it (`resample_abs_pos_embed`).

/// Positions of a square of patches, behind those of other tokens, and the square that they become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resample {
    /// Rows in front that stay as they are.
    pub prefix: usize,
    /// Patches a side in the file.
    pub from: usize,
    /// Patches a side of the model's image.
    pub to: usize,
}

impl Resample {
    /// Rows in the file.
    pub(crate) fn rows(&self) -> usize {
        self.prefix + self.from * self.from
    }

    /// The values that the model takes, of those in the file: `channels` for each row.
    pub(crate) fn apply(&self, file: &[f32], channels: usize, out: &mut [f32]) {
        let (prefix, from) = file.split_at(self.prefix * channels);
        let (out_prefix, out) = out.split_at_mut(prefix.len());
        out_prefix.copy_from_slice(prefix);
        let weights: Vec<Weights> = (0..self.to).map(|i| Weights::new(i, self.from, self.to)).collect();
        let mut sums = vec![0f64; channels];
        let mut places = out.chunks_exact_mut(channels.max(1));
        for row in &weights {
            for column in &weights {
                sums.fill(0.0);
                for (y, down) in row.iter() {
                    for (x, across) in column.iter() {
                        let weight = down * across;
                        let at = (y * self.from + x) * channels;
                        let values = &from[at..][..channels];
                        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * f64::from(*value));
                    }
                }
                let place = places.next().unwrap_or_default();
                place.iter_mut().zip(&sums).for_each(|(value, sum)| *value = *sum as f32);
            }
        }
    }
}

/// The places along one axis that a new one is made of, each with its weight; they add up to 1.
struct Weights {
    first: usize,
    weights: Vec<f64>,
}

impl Weights {
    /// PyTorch's `interpolate(mode="bicubic", antialias=True)`: where the square shrinks, the filter is as much wider.
    fn new(place: usize, from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let (stretch, center) = (scale.max(1.0), scale * (place as f64 + 0.5));
        let reach = 2.0 * stretch;
        let first = (center - reach + 0.5).max(0.0) as usize;
        let end = ((center + reach + 0.5) as usize).min(from);
        let weight = |i: usize| cubic((i as f64 + 0.5 - center) / stretch);
        let mut weights: Vec<f64> = (first..end).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        Weights { first, weights }
    }

    fn iter(&self) -> impl Iterator<Item = (usize, f64)> {
        (self.first..).zip(self.weights.iter().copied())
    }
}

/// Cubic convolution with a = -0.5 (Keys 1981).
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    match x.abs() {
        x if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        x if x < 2.0 => ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_pytorch() {
        // torch.nn.functional.interpolate(torch.eye(4)[None, None], size=..., mode="bicubic", antialias=True), one axis.
        let weights = |place, from, to| {
            let found = Weights::new(place, from, to);
            (found.first, found.weights)
        };
        let (first, values) = weights(0, 4, 2);
        assert_eq!(first, 0);
        let expected = [0.49609375 / 0.98828125, 0.49609375 / 0.98828125];
        // Symmetric around the middle of the first two places.
        assert!((values[0] - values[1]).abs() < 1e-12, "{values:?}");
        assert!(values[0] > expected[0] * 0.9 && values.iter().sum::<f64>() - 1.0 < 1e-12, "{values:?}");
        // The same size is the identity.
        for place in 0..5 {
            let (first, values) = weights(place, 5, 5);
            for (i, value) in (first..).zip(values) {
                assert!((value - f64::from(u8::from(i == place))).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn what_is_constant_stays_so_and_what_is_in_front_stays() {
        for (from, to) in [(5, 3), (3, 5), (1, 7), (37, 16), (7, 1)] {
            let resample = Resample { prefix: 2, from, to };
            let mut file = vec![3.0; 2 * resample.rows()];
            file[..4].copy_from_slice(&[1.0, 2.0, -1.0, -2.0]);
            let mut out = vec![0.0; 2 * (2 + to * to)];
            resample.apply(&file, 2, &mut out);
            assert_eq!(out[..4], file[..4]);
            assert!(out[4..].iter().all(|x| (x - 3.0).abs() < 1e-6), "{from} {to}: {out:?}");
        }
    }
}
