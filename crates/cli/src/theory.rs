//! Multiply-accumulates by theory: what a layer costs and what the channel-shuffle module adds (arXiv 2310.05642, section
//! II-D), by formula rather than by counting a model's tensors. Every built-in model is a pair, vanilla and shuffled.

use std::iter::zip;
use std::ops::Sub;

use vit::{Config, Family, SwinConfig, Tokens, VitConfig};

/// The name of the shuffled version of a model.
pub(crate) fn shuffled(vanilla: &str) -> String {
    format!("shuffle_{vanilla}")
}

/// Layers of one size: a plain model's blocks, or those of one stage of Swin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layers {
    /// How many there are.
    pub depth: u64,
    /// N: tokens.
    pub tokens: u64,
    /// Tokens that each token attends to: all N, or those of its window.
    pub keys: u64,
    /// C: channels that a layer computes on.
    pub dim: u64,
    /// r: hidden channels of the MLP for each of C. Whole in every built-in model.
    pub ratio: u64,
}

impl Layers {
    /// The layers of a model, stage by stage.
    pub fn of(config: &Config) -> Vec<Layers> {
        match config.family() {
            Family::Vit(c) => {
                let (depth, tokens) = (c.depth as u64, c.tokens() as u64);
                vec![Layers { depth, tokens, keys: tokens, dim: c.dim as u64, ratio: c.mlp_ratio as u64 }]
            }
            Family::Swin(c) => (0..c.depths.len()).map(|s| Layers::of_stage(c, s)).collect(),
            _ => Vec::new(),
        }
    }

    fn of_stage(c: &SwinConfig, s: usize) -> Layers {
        let side = stage_side(c, s);
        let window = side.min(c.window_at(s) as u64);
        let (depth, dim) = (c.depths[s] as u64, stage_dim(c, s));
        Layers { depth, tokens: side * side, keys: window * window, dim, ratio: c.mlp_ratio as u64 }
    }

    /// A vanilla layer: `(4+2r) N C^2 + 2 N^2 C`.
    pub fn vanilla(&self) -> u64 {
        let &Layers { tokens: n, keys, dim: c, ratio: r, .. } = self;
        (4 + 2 * r) * n * c * c + 2 * n * keys * c
    }

    /// A layer with the module at a total of T = 2C channels, of which it computes on half: `(4+2r) N T^2 / 4 + N^2 T`.
    pub fn with_module(&self) -> u64 {
        let &Layers { tokens: n, keys, ratio: r, .. } = self;
        let total = 2 * self.dim;
        (4 + 2 * r) * n * total * total / 4 + n * keys * total
    }

    /// A vanilla layer that computes on all 2C channels.
    pub fn twice_as_wide(&self) -> u64 {
        Layers { dim: 2 * self.dim, ..*self }.vanilla()
    }
}

/// Multiply-accumulates by part of a model, or the difference of two models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Pixels or unfolded tokens to channels.
    pub embedding: i64,
    /// All layers.
    pub layers: i64,
    /// Swin's patch mergings.
    pub mergings: i64,
    /// Channels to classes.
    pub head: i64,
    /// T2T-ViT's token modules, which the module leaves as they are.
    pub tokens: i64,
}

impl Parts {
    /// What each part of a model costs, counted.
    pub fn counted(config: &Config) -> Parts {
        let mut parts = Parts::default();
        config.visit_layers(&mut |layer| {
            let name = layer.name.to_string();
            let part = match name.as_str() {
                "patch_embed.proj" | "tokens_to_token.project" => &mut parts.embedding,
                "head" | "head_dist" => &mut parts.head,
                _ if name.contains("blocks.") => &mut parts.layers,
                _ if name.contains(".downsample.") => &mut parts.mergings,
                _ => &mut parts.tokens,
            };
            *part += layer.macs as i64;
        });
        parts
    }

    /// What the module adds to a vanilla model, by theory: at the embedding `N C p^2 in_channels` (T2T: `576 N C`), at each
    /// merging `2 N C^2`, at each head `C classes`, and in the layers nothing but their number.
    pub fn added(vanilla: &Config, shuffled: &Config) -> Parts {
        let layers = zip(Layers::of(vanilla), Layers::of(shuffled))
            .map(|(before, after)| {
                (after.depth * after.with_module()) as i64 - (before.depth * before.vanilla()) as i64
            })
            .sum();
        match vanilla.family() {
            Family::Vit(c) => Parts { layers, ..added_to_vit(c) },
            Family::Swin(c) => Parts { layers, ..added_to_swin(c) },
            _ => Parts::default(),
        }
    }

    pub fn sum(&self) -> i64 {
        let Parts { embedding, layers, mergings, head, tokens } = self;
        embedding + layers + mergings + head + tokens
    }
}

impl Sub for Parts {
    type Output = Parts;

    fn sub(self, other: Parts) -> Parts {
        Parts {
            embedding: self.embedding - other.embedding,
            layers: self.layers - other.layers,
            mergings: self.mergings - other.mergings,
            head: self.head - other.head,
            tokens: self.tokens - other.tokens,
        }
    }
}

fn added_to_vit(c: &VitConfig) -> Parts {
    let inputs = match c.tokens {
        Tokens::Patch => c.patch_size * c.patch_size * c.in_channels,
        _ => 576,
    };
    let heads = if c.distilled { 2 } else { 1 };
    Parts {
        embedding: (c.patches() * c.dim * inputs) as i64,
        head: (heads * c.dim * c.num_classes) as i64,
        ..Parts::default()
    }
}

fn added_to_swin(c: &SwinConfig) -> Parts {
    let last = c.depths.len() - 1;
    let patches = stage_side(c, 0).pow(2);
    let merging = |s| 2 * stage_side(c, s).pow(2) * stage_dim(c, s).pow(2);
    Parts {
        embedding: (patches * c.dim as u64 * (c.patch_size * c.patch_size * c.in_channels) as u64) as i64,
        mergings: (0..last).map(merging).sum::<u64>() as i64,
        head: (stage_dim(c, last) * c.num_classes as u64) as i64,
        ..Parts::default()
    }
}

/// The multiply-accumulates of the first layer of stage `s`, counted.
pub(crate) fn counted_layer(config: &Config, s: usize) -> u64 {
    let prefix = match config.family() {
        Family::Swin(_) => format!("layers.{s}.blocks.0."),
        _ => "blocks.0.".into(),
    };
    let mut sum = 0;
    config.visit_layers(&mut |layer| {
        if layer.name.to_string().starts_with(&prefix) {
            sum += layer.macs;
        }
    });
    sum
}

fn stage_side(c: &SwinConfig, s: usize) -> u64 {
    ((c.image_size / c.patch_size) >> s) as u64
}

fn stage_dim(c: &SwinConfig, s: usize) -> u64 {
    (c.dim << s) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The built-in models, (name, vanilla, shuffled).
    fn pairs() -> Vec<(&'static str, Config, Config)> {
        let named = |name: &str| Config::named(name).unwrap();
        let vanilla = Config::names().iter().filter(|name| !name.starts_with("shuffle_"));
        vanilla.map(|name| (*name, named(name), named(&shuffled(name)))).collect()
    }

    #[test]
    fn every_layer_costs_what_theory_says() {
        assert_eq!(pairs().len(), 11);
        for (name, vanilla, shuffled) in pairs() {
            for (s, layers) in Layers::of(&vanilla).iter().enumerate() {
                assert_eq!(counted_layer(&vanilla, s), layers.vanilla(), "{name}, stage {s}");
                assert_eq!(counted_layer(&shuffled, s), layers.with_module(), "shuffle_{name}, stage {s}");
            }
            for (config, layer) in [(&vanilla, Layers::vanilla as fn(&Layers) -> u64), (&shuffled, Layers::with_module)]
            {
                let sum: u64 = Layers::of(config).iter().map(|layers| layers.depth * layer(layers)).sum();
                assert_eq!(Parts::counted(config).layers, sum as i64, "{name}");
            }
        }
    }

    #[test]
    fn the_module_adds_what_theory_says() {
        for (name, vanilla, shuffled) in pairs() {
            let added = Parts::added(&vanilla, &shuffled);
            assert_eq!(Parts::counted(&shuffled) - Parts::counted(&vanilla), added, "{name}");
            assert_eq!(shuffled.macs() as i64 - vanilla.macs() as i64, added.sum(), "{name}");
            assert_eq!(Parts::counted(&vanilla).sum(), vanilla.macs() as i64, "{name}: a part is missing");
        }
    }

    /// A layer of all 2C channels costs about four times as much: (4+2r) N C^2 grows fourfold, 2 N^2 C twofold.
    #[test]
    fn the_module_saves_most_of_a_wider_layer() {
        for layers in pairs().iter().flat_map(|(_, vanilla, _)| Layers::of(vanilla)) {
            let share = layers.with_module() as f64 / layers.twice_as_wide() as f64;
            assert!((0.25..0.32).contains(&share), "{layers:?}: {share}");
        }
    }
}
