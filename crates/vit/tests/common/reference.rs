//! Both families as plain loops in f64, read off the papers and the public code: what the crate's results are compared with.

use std::collections::HashMap;
use std::convert::Infallible;

use vit::{Config, Family, Pool, Rescale, SwinConfig, TensorName, Tensors, Tokens, VitConfig};

/// Tokens, each with its channels.
pub type Rows = Vec<Vec<f64>>;

/// A model's tensors by name.
pub struct Weights(HashMap<String, Vec<f64>>);

impl Weights {
    /// Takes each tensor of a configuration from a source.
    pub fn new(config: &Config, source: &mut impl Tensors<Error = Infallible>) -> Self {
        let mut weights = HashMap::new();
        config.visit_tensors(&mut |name: TensorName, shape: &[usize]| {
            let values = source.tensor(name, shape).unwrap();
            weights.insert(name.to_string(), values.iter().map(|&x| f64::from(x)).collect());
        });
        Weights(weights)
    }

    fn get(&self, name: &str) -> &[f64] {
        self.0.get(name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    /// `W x + b`; a layer without a bias has none.
    fn linear(&self, layer: &str, x: &[f64]) -> Vec<f64> {
        let weight = self.get(&format!("{layer}.weight"));
        let bias = self.0.get(&format!("{layer}.bias"));
        assert!(weight.len().is_multiple_of(x.len()), "{layer} does not read {} values", x.len());
        weight.chunks_exact(x.len()).enumerate().map(|(o, row)| dot(row, x) + bias.map_or(0.0, |b| b[o])).collect()
    }

    fn norm(&self, layer: &str, x: &[f64], eps: f64) -> Vec<f64> {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
        let (gain, offset) = (self.get(&format!("{layer}.weight")), self.get(&format!("{layer}.bias")));
        assert_eq!(gain.len(), x.len(), "{layer}");
        let normed = x.iter().map(|x| (x - mean) / (variance + eps).sqrt());
        normed.zip(gain.iter().zip(offset)).map(|(x, (gain, offset))| x * gain + offset).collect()
    }

    /// The vectors of a token's tensor.
    fn tokens(&self, name: &str, channels: usize) -> Rows {
        self.get(name).chunks_exact(channels).map(<[f64]>::to_vec).collect()
    }

    /// The factors on both residuals of a block.
    fn factors(&self, block: &str, rescale: Rescale) -> [f64; 2] {
        match rescale {
            Rescale::None => [1.0; 2],
            Rescale::Half => [0.5; 2],
            _ => ["alpha", "beta"].map(|name| self.get(&format!("{block}.{name}"))[0]),
        }
    }

    /// The first classifier on some features; without classes, the features.
    fn classify(&self, head: &str, classes: usize, features: Vec<f64>) -> Vec<f64> {
        if classes == 0 { features } else { self.linear(head, &features) }
    }
}

/// The outputs of one image, and its tokens after each block (plain) or stage (Swin).
pub fn run(config: &Config, weights: &Weights, image: &[f32]) -> (Vec<f64>, Vec<Rows>) {
    let image: Vec<f64> = image.iter().map(|&x| f64::from(x)).collect();
    match config.family() {
        Family::Vit(config) => plain(config, weights, &image),
        Family::Swin(config) => swin(config, weights, &image),
        _ => panic!("a family without a reference"),
    }
}

fn plain(config: &VitConfig, weights: &Weights, image: &[f64]) -> (Vec<f64>, Vec<Rows>) {
    let (channels, eps) = (config.channels(), config.layer_norm_eps);
    let patches = match config.tokens {
        Tokens::Patch => patches(weights, image, config.image_size, config.patch_size, config.in_channels),
        tokens => tokens_to_token(weights, image, config.image_size, tokens),
    };
    let prefix = [
        ("cls_token", config.class_token, config.embed_class_token),
        ("dist_token", config.distilled, config.embed_class_token),
        ("reg_token", config.register_tokens > 0, config.embed_registers),
    ];
    let mut tokens: Vec<(Vec<f64>, bool)> = Vec::new();
    for (name, _, embedded) in prefix.into_iter().filter(|(_, present, _)| *present) {
        tokens.extend(weights.tokens(name, channels).into_iter().map(|token| (token, embedded)));
    }
    let first_patch = tokens.len();
    tokens.extend(patches.into_iter().map(|patch| (patch, true)));

    let mut positions = weights.tokens("pos_embed", channels).into_iter();
    let mut x: Rows = tokens
        .into_iter()
        .map(|(token, embedded)| if embedded { sum(&token, &positions.next().unwrap()) } else { token })
        .collect();
    assert!(positions.next().is_none(), "more positions than tokens");
    if config.pre_norm {
        x = x.iter().map(|token| weights.norm("norm_pre", token, eps)).collect();
    }
    let mut streams = Vec::new();
    for i in 0..config.depth {
        let sizes = Block { name: format!("blocks.{i}"), dim: config.dim, heads: config.heads, eps };
        let everything = |_, _| Some(Vec::new());
        x = block(weights, &sizes, weights.factors(&sizes.name, config.rescale), config.qk_norm, &x, &everything);
        if config.shuffle {
            x = x.iter().map(|token| shuffle(token)).collect();
        }
        streams.push(x.clone());
    }
    let norm = if config.norm_after_pool { "fc_norm" } else { "norm" };
    let normed: Rows = x.iter().map(|token| weights.norm(norm, token, eps)).collect();
    let features = match config.pool {
        Pool::Cls => normed[0].clone(),
        Pool::Avg if config.norm_after_pool => weights.norm(norm, &mean(&x[first_patch..]), eps),
        Pool::Avg => mean(&normed[first_patch..]),
        _ => [normed[0].clone(), mean(&normed[first_patch..])].concat(),
    };
    let mut outputs = weights.classify("head", config.num_classes, features);
    if config.distilled {
        let distilled = weights.classify("head_dist", config.num_classes, normed[1].clone());
        outputs = sum(&outputs, &distilled).iter().map(|x| x / 2.0).collect();
    }
    (outputs, streams)
}

fn swin(config: &SwinConfig, weights: &Weights, image: &[f64]) -> (Vec<f64>, Vec<Rows>) {
    let eps = config.layer_norm_eps;
    let mut x: Rows = patches(weights, image, config.image_size, config.patch_size, config.in_channels)
        .iter()
        .map(|token| weights.norm("patch_embed.norm", token, eps))
        .collect();
    let mut side = config.image_size / config.patch_size;
    let mut dim = config.dim;
    let mut streams = Vec::new();
    for (s, (&depth, &heads)) in config.depths.iter().zip(&*config.heads).enumerate() {
        let window = if config.window.len() == 1 { config.window[0] } else { config.window[s] };
        let (window, shifts) = if side <= window { (side, false) } else { (window, true) };
        for i in 0..depth {
            let sizes = Block { name: format!("layers.{s}.blocks.{i}"), dim, heads, eps };
            let table = weights.get(&format!("{}.attn.relative_position_bias_table", sizes.name));
            let shift = if shifts && i % 2 == 1 { window / 2 } else { 0 };
            // Rolled by `shift`, and which part of the map came round the edge.
            let rolled = |p: usize| ((p + side - shift) % side, p < shift);
            let attends = |query: usize, key: usize| {
                let places = [query / side, query % side, key / side, key % side].map(rolled);
                let [(yq, wrapped_yq), (xq, wrapped_xq), (yk, wrapped_yk), (xk, wrapped_xk)] = places;
                let together = yq / window == yk / window && xq / window == xk / window;
                let joined = wrapped_yq == wrapped_yk && wrapped_xq == wrapped_xk;
                let offset = |q: usize, k: usize| q % window + window - 1 - k % window;
                let row = offset(yq, yk) * (2 * window - 1) + offset(xq, xk);
                (together && joined).then(|| table[row * heads..][..heads].to_vec())
            };
            x = block(weights, &sizes, weights.factors(&sizes.name, config.rescale), false, &x, &attends);
            if config.shuffle {
                x = x.iter().map(|token| shuffle(token)).collect();
            }
        }
        streams.push(x.clone());
        if s + 1 < config.depths.len() {
            let name = format!("layers.{s}.downsample");
            let merge = |part: usize, suffix: &str| -> Rows {
                let cells = (0..side / 2).flat_map(|y| (0..side / 2).map(move |x| [2 * y, 2 * x]));
                let merged = cells.map(|[cy, cx]| {
                    let quadrants = [[0, 0], [1, 0], [0, 1], [1, 1]];
                    let cell: Rows = quadrants
                        .iter()
                        .map(|[dy, dx]| x[(cy + dy) * side + cx + dx][part * dim..(part + 1) * dim].to_vec())
                        .collect();
                    let normed = weights.norm(&format!("{name}.norm{suffix}"), &cell.concat(), eps);
                    weights.linear(&format!("{name}.reduction{suffix}"), &normed)
                });
                merged.collect()
            };
            x = match config.shuffle {
                true => merge(0, "_1").into_iter().zip(merge(1, "_2")).map(|(a, b)| [a, b].concat()).collect(),
                false => merge(0, ""),
            };
            (side, dim) = (side / 2, 2 * dim);
        }
    }
    let normed: Rows = x.iter().map(|token| weights.norm("norm", token, eps)).collect();
    (weights.classify("head", config.num_classes, mean(&normed)), streams)
}

/// A block's name and sizes.
struct Block {
    name: String,
    dim: usize,
    heads: usize,
    eps: f64,
}

/// What a query may see: for the tokens of a query and a key, each head's bias (none: 0), or nothing if it may not.
type Attends<'a> = dyn Fn(usize, usize) -> Option<Vec<f64>> + 'a;

/// A block on the first `dim` channels of each token.
fn block(
    weights: &Weights,
    sizes: &Block,
    [alpha, beta]: [f64; 2],
    qk_norm: bool,
    x: &Rows,
    attends: &Attends,
) -> Rows {
    let &Block { ref name, dim, heads, eps } = sizes;
    let layer = |suffix: &str| format!("{name}.{suffix}");
    let head_dim = dim / heads;
    let qkv: Rows = x
        .iter()
        .map(|token| weights.linear(&layer("attn.qkv"), &weights.norm(&layer("norm1"), &token[..dim], eps)))
        .collect();
    let part = |token: usize, part: usize, head: usize| -> Vec<f64> {
        let rows = qkv[token][part * dim + head * head_dim..][..head_dim].to_vec();
        match part {
            0 if qk_norm => weights.norm(&layer("attn.q_norm"), &rows, eps),
            1 if qk_norm => weights.norm(&layer("attn.k_norm"), &rows, eps),
            _ => rows,
        }
    };
    let attended = (0..x.len()).map(|query| {
        let mut context = vec![0.0; dim];
        for head in 0..heads {
            let q = part(query, 0, head);
            let score = |key: usize| {
                let bias = attends(query, key)?;
                Some(dot(&q, &part(key, 1, head)) / (head_dim as f64).sqrt() + bias.get(head).unwrap_or(&0.0))
            };
            let scores: Vec<(usize, f64)> = (0..x.len()).filter_map(|key| Some((key, score(key)?))).collect();
            let largest = scores.iter().fold(f64::NEG_INFINITY, |max, (_, score)| max.max(*score));
            let total: f64 = scores.iter().map(|(_, score)| (score - largest).exp()).sum();
            for (key, score) in scores {
                let share = (score - largest).exp() / total;
                let out = &mut context[head * head_dim..][..head_dim];
                out.iter_mut().zip(part(key, 2, head)).for_each(|(y, v)| *y += share * v);
            }
        }
        context
    });
    let tokens = x.iter().zip(attended).map(|(token, context)| {
        let mut token = token.clone();
        let attention = weights.linear(&layer("attn.proj"), &context);
        token[..dim].iter_mut().zip(attention).for_each(|(x, y)| *x = alpha * *x + y);
        let normed = weights.norm(&layer("norm2"), &token[..dim], eps);
        let hidden: Vec<f64> = weights.linear(&layer("mlp.fc1"), &normed).into_iter().map(gelu).collect();
        let mlp = weights.linear(&layer("mlp.fc2"), &hidden);
        token[..dim].iter_mut().zip(mlp).for_each(|(x, y)| *x = beta * *x + y);
        token
    });
    tokens.collect()
}

/// The convolution whose stride is its kernel: tokens row by row.
fn patches(weights: &Weights, image: &[f64], size: usize, patch: usize, planes: usize) -> Rows {
    let grid = size / patch;
    let corners = (0..grid).flat_map(|y| (0..grid).map(move |x| [y * patch, x * patch]));
    let tokens = corners.map(|[y, x]| {
        let at = |plane: usize, ky: usize, kx: usize| image[(plane * size + y + ky) * size + x + kx];
        let values = (0..planes).flat_map(|c| (0..patch).flat_map(move |ky| (0..patch).map(move |kx| [c, ky, kx])));
        weights.linear("patch_embed.proj", &values.map(|[c, ky, kx]| at(c, ky, kx)).collect::<Vec<_>>())
    });
    tokens.collect()
}

/// T2T-ViT's embedding: three unfoldings, and attention among the tokens after the first and the second.
fn tokens_to_token(weights: &Weights, image: &[f64], size: usize, tokens: Tokens) -> Rows {
    let mut map: Rows =
        (0..size * size).map(|p| image.iter().skip(p).step_by(size * size).copied().collect()).collect();
    for (round, [kernel, stride, padding]) in [("attention1", [7, 4, 2]), ("attention2", [3, 2, 1])] {
        let windows = unfold(&map, kernel, stride, padding);
        map = attend_to_all(weights, &format!("tokens_to_token.{round}"), &windows, tokens == Tokens::T2tPerformer);
    }
    unfold(&map, 3, 2, 1).iter().map(|window| weights.linear("tokens_to_token.project", window)).collect()
}

/// The square windows of a square map in the order of `torch.nn.Unfold`: channel, row, column; zeros beyond the edge.
fn unfold(map: &Rows, kernel: usize, stride: usize, padding: usize) -> Rows {
    let side = map.len().isqrt();
    let grid = (side + 2 * padding - kernel) / stride + 1;
    let corners = (0..grid).flat_map(|y| (0..grid).map(move |x| [y * stride, x * stride]));
    let windows = corners.map(|[top, left]| {
        let places = (0..kernel * kernel).map(|i| [top + i / kernel, left + i % kernel]);
        let inside = |p: usize| (padding..padding + side).contains(&p);
        let at = |[y, x]: [usize; 2], channel: usize| match inside(y) && inside(x) {
            true => map[(y - padding) * side + x - padding][channel],
            false => 0.0,
        };
        (0..map[0].len()).flat_map(|channel| places.clone().map(move |place| at(place, channel))).collect()
    });
    windows.collect()
}

/// A round of T2T-ViT: linear attention by the performer's random features, or softmax attention with one head.
fn attend_to_all(weights: &Weights, round: &str, x: &Rows, performer: bool) -> Rows {
    // Norms of the rounds have PyTorch's default, whatever the blocks have.
    const EPS: f64 = 1e-5;
    const WIDTH: usize = 64;
    let [qkv, proj, fc1, fc2] = match performer {
        true => ["kqv", "proj", "mlp.0", "mlp.2"],
        false => ["attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"],
    };
    let layer = |suffix: &str| format!("{round}.{suffix}");
    let qkv: Rows =
        x.iter().map(|token| weights.linear(&layer(qkv), &weights.norm(&layer("norm1"), token, EPS))).collect();
    let part = |token: usize, part: usize| &qkv[token][part * WIDTH..(part + 1) * WIDTH];
    let (q_part, k_part) = if performer { (1, 0) } else { (0, 1) };
    let tokens = 0..x.len();
    let features: Vec<[Vec<f64>; 2]> = match performer {
        true => tokens.clone().map(|t| [q_part, k_part].map(|p| random_features(weights, round, part(t, p)))).collect(),
        false => Vec::new(),
    };
    // How much each key's value counts for a query, up to a common factor; and what is added to the factors' sum.
    let similarity = |query: usize, key: usize| match performer {
        true => dot(&features[query][0], &features[key][1]),
        false => (dot(part(query, q_part), part(key, k_part)) / (x[0].len() as f64).sqrt()).exp(),
    };
    let added = if performer { 1e-8 } else { 0.0 };
    let attended = tokens.map(|query| {
        let shares: Vec<f64> = (0..x.len()).map(|key| similarity(query, key)).collect();
        let total = shares.iter().sum::<f64>() + added;
        let context: Vec<f64> = (0..WIDTH)
            .map(|c| shares.iter().enumerate().map(|(key, share)| share * part(key, 2)[c]).sum::<f64>() / total)
            .collect();
        let x = sum(part(query, 2), &weights.linear(&layer(proj), &context));
        let hidden = weights.linear(&layer(fc1), &weights.norm(&layer("norm2"), &x, EPS));
        sum(&x, &weights.linear(&layer(fc2), &hidden.into_iter().map(gelu).collect::<Vec<_>>()))
    });
    attended.collect()
}

/// `exp(w u - |u|^2 / 2) / sqrt(m)` for the m rows of `w`.
fn random_features(weights: &Weights, round: &str, u: &[f64]) -> Vec<f64> {
    let w = weights.get(&format!("{round}.w"));
    let rows = w.chunks_exact(u.len());
    let m = rows.len() as f64;
    rows.map(|row| (dot(row, u) - dot(u, u) / 2.0).exp() / m.sqrt()).collect()
}

/// The paper's `shuffle([a | i])`.
fn shuffle(token: &[f64]) -> Vec<f64> {
    let (attended, idle) = token.split_at(token.len() / 2);
    attended.iter().zip(idle).flat_map(|(a, i)| [*a, *i]).collect()
}

fn gelu(x: f64) -> f64 {
    x / 2.0 * (1.0 + libm::erf(x / std::f64::consts::SQRT_2))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn mean(tokens: &[Vec<f64>]) -> Vec<f64> {
    let total = tokens.iter().fold(vec![0.0; tokens[0].len()], |total, token| sum(&total, token));
    total.iter().map(|x| x / tokens.len() as f64).collect()
}
