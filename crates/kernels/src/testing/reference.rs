//! Every operation as plain loops in f64: the oracle of tests, benches and fuzzing.
//!
//! Matrices are row-major slices; nothing here is fast, and nothing is clever enough to be wrong the way a kernel is.

/// `(1 + erf(x / sqrt 2)) / 2`.
///
/// ```
/// assert_eq!(kernels::testing::reference::normal_cdf(0.0), 0.5);
/// ```
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * core::f64::consts::FRAC_1_SQRT_2)
}

/// `x * normal_cdf(x)`.
///
/// ```
/// assert!((kernels::testing::reference::gelu(1.0) - 0.8413447460685429).abs() < 1e-15);
/// ```
pub fn gelu(x: f64) -> f64 {
    x * normal_cdf(x)
}

/// The distance between f32 values around `x`: one unit in the last place.
///
/// ```
/// assert_eq!(kernels::testing::reference::ulp(1.0), f64::from(f32::EPSILON));
/// ```
pub fn ulp(x: f64) -> f64 {
    let x = (x as f32).abs().max(f32::MIN_POSITIVE);
    f64::from(f32::from_bits(x.to_bits() + 1)) - f64::from(x)
}

/// `out[m][n] = sum_k a[m][k] * b[k][n]`, `m` x `k` times `k` x `n`.
///
/// ```
/// let mut out = [0.0];
/// kernels::testing::reference::matmul(&[1.0, 2.0], &[3.0, 4.0], [1, 2, 1], &mut out);
/// assert_eq!(out, [11.0]);
/// ```
pub fn matmul(a: &[f64], b: &[f64], [m, k, n]: [usize; 3], out: &mut [f64]) {
    for i in 0..m {
        for j in 0..n {
            out[i * n + j] = (0..k).map(|p| a[i * k + p] * b[p * n + j]).sum();
        }
    }
}

/// Softmax down each column of a `rows` x `columns` matrix, in place.
///
/// ```
/// let mut x = [1.0, 1.0];
/// kernels::testing::reference::softmax(&mut x, 2, 1);
/// assert_eq!(x, [0.5, 0.5]);
/// ```
pub fn softmax(x: &mut [f64], rows: usize, columns: usize) {
    for c in 0..columns {
        let column = || (0..rows).map(|r| r * columns + c);
        let max = column().map(|i| x[i]).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = column().map(|i| libm::exp(x[i] - max)).sum();
        for i in column() {
            x[i] = libm::exp(x[i] - max) / sum;
        }
    }
}

/// Layer norm of each column of a matrix of `gamma.len()` rows, in place.
///
/// ```
/// let mut x = [1.0, 3.0];
/// kernels::testing::reference::layer_norm(&mut x, 1, &[1.0, 1.0], &[0.0, 0.0], 0.0);
/// assert_eq!(x, [-1.0, 1.0]);
/// ```
pub fn layer_norm(x: &mut [f64], columns: usize, gamma: &[f64], beta: &[f64], eps: f64) {
    let rows = gamma.len();
    for c in 0..columns {
        let column = || (0..rows).map(|r| r * columns + c);
        let mean = column().map(|i| x[i]).sum::<f64>() / rows as f64;
        let variance = column().map(|i| (x[i] - mean) * (x[i] - mean)).sum::<f64>() / rows as f64;
        for (r, i) in column().enumerate() {
            x[i] = (x[i] - mean) / libm::sqrt(variance + eps) * gamma[r] + beta[r];
        }
    }
}

/// One head of attention on token-last matrices: `q` is d x `queries`, `k` d x `keys`, `v` dv x `keys`, `out` dv x
/// `queries`; `scores` holds `keys` values.
///
/// ```
/// let (mut out, mut scores) = ([0.0], [0.0; 2]);
/// kernels::testing::reference::attention(&[1.0], &[0.0, 0.0], &[2.0, 4.0], [1, 2], 1.0, &mut out, &mut scores);
/// assert_eq!(out, [3.0]);
/// ```
pub fn attention(
    q: &[f64],
    k: &[f64],
    v: &[f64],
    [queries, keys]: [usize; 2],
    scale: f64,
    out: &mut [f64],
    scores: &mut [f64],
) {
    let (d, dv) = (k.len() / keys, v.len() / keys);
    for i in 0..queries {
        for (j, score) in scores.iter_mut().enumerate() {
            *score = (0..d).map(|r| scale * k[r * keys + j] * q[r * queries + i]).sum();
        }
        softmax(scores, keys, 1);
        for r in 0..dv {
            out[r * queries + i] = (0..keys).map(|j| v[r * keys + j] * scores[j]).sum();
        }
    }
}

/// `out[j][t] = exp(sum_r w[j][r] x[r][t] - sum_r x[r][t]^2 / 2) / sqrt(m)`, `w` m x d, `x` d x `tokens`, `out` m x `tokens`.
///
/// ```
/// let mut out = [0.0];
/// kernels::testing::reference::random_features(&[1.0, 0.0], &[1.0, 1.0], [1, 2, 1], &mut out);
/// assert_eq!(out, [1.0]);
/// ```
pub fn random_features(w: &[f64], x: &[f64], [m, d, tokens]: [usize; 3], out: &mut [f64]) {
    matmul(w, x, [m, d, tokens], out);
    for (i, y) in out.iter_mut().enumerate() {
        let squares: f64 = (0..d).map(|r| x[r * tokens + i % tokens]).map(|x| x * x).sum();
        *y = libm::exp(*y - squares / 2.0) / libm::sqrt(m as f64);
    }
}
