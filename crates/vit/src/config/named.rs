//! The built-in models by name.

use super::Config;
use super::swin::{Stages, SwinConfig};
use super::switches::{Rescale, Tokens};
use super::vit::VitConfig;

/// A built-in model: its name, dim, depth, heads, MLP ratio and tokens.
type Named = (&'static str, usize, usize, usize, f64, Tokens);

#[rustfmt::skip]
const NAMED: [Named; 7] = [
    ("deit_tiny", 192, 12, 3, 4.0, Tokens::Patch),
    ("deit_small", 384, 12, 6, 4.0, Tokens::Patch),
    ("t2t_vit_7", 256, 7, 4, 2.0, Tokens::T2tPerformer),
    ("t2t_vit_10", 256, 10, 4, 2.0, Tokens::T2tPerformer),
    ("t2t_vit_12", 256, 12, 4, 2.0, Tokens::T2tPerformer),
    ("t2t_vit_14", 384, 14, 6, 3.0, Tokens::T2tPerformer),
    ("t2t_vit_t_14", 384, 14, 6, 3.0, Tokens::T2tTransformer),
];

/// Names that [`Config::named`] knows, vanilla next to shuffled.
const NAMES: [&str; 22] = [
    "deit_tiny",
    "shuffle_deit_tiny",
    "deit_tiny_distilled",
    "shuffle_deit_tiny_distilled",
    "deit_small",
    "shuffle_deit_small",
    "deit_small_distilled",
    "shuffle_deit_small_distilled",
    "t2t_vit_7",
    "shuffle_t2t_vit_7",
    "t2t_vit_10",
    "shuffle_t2t_vit_10",
    "t2t_vit_12",
    "shuffle_t2t_vit_12",
    "t2t_vit_14",
    "shuffle_t2t_vit_14",
    "t2t_vit_t_14",
    "shuffle_t2t_vit_t_14",
    "swin_extra_tiny",
    "shuffle_swin_extra_tiny",
    "swin_tiny",
    "shuffle_swin_tiny",
];

impl Config {
    /// The names of the built-in models, vanilla next to shuffled.
    ///
    /// ```
    /// assert!(vit::Config::names().contains(&"shuffle_swin_tiny"));
    /// ```
    pub fn names() -> &'static [&'static str] {
        &NAMES
    }

    /// The built-in model of that name, if there is one and its family's feature is on: 224x224x3 pixels, 1000 classes;
    /// `shuffle_` in front plugs the module in, with learned rescaling.
    ///
    /// ```
    /// assert!(vit::Config::named("t2t_vit_7").is_some());
    /// assert!(vit::Config::named("t2t_vit_8").is_none());
    /// ```
    pub fn named(name: &str) -> Option<Config> {
        if !NAMES.contains(&name) {
            return None;
        }
        let (base, shuffle) = match name.strip_prefix("shuffle_") {
            Some(base) => (base, true),
            None => (name, false),
        };
        let rescale = if shuffle { Rescale::Learned } else { Rescale::None };
        // The module's Swin has one block fewer in stage 3, as in the paper.
        let swin = match base {
            "swin_extra_tiny" => Some((48, 5 - usize::from(shuffle))),
            "swin_tiny" => Some((96, 6 - usize::from(shuffle))),
            _ => None,
        };
        if let Some((dim, depth)) = swin {
            let (depths, heads) = (Stages::new(&[2, 2, depth, 2])?, Stages::new(&[3, 6, 12, 24])?);
            return Config::new(SwinConfig { dim, depths, heads, shuffle, rescale, ..SwinConfig::default() }).ok();
        }
        let (plain, distilled) = match base.strip_suffix("_distilled") {
            Some(plain) => (plain, true),
            None => (base, false),
        };
        let &(_, dim, depth, heads, mlp_ratio, tokens) = NAMED.iter().find(|named| named.0 == plain)?;
        let deit = tokens == Tokens::Patch;
        Config::new(VitConfig {
            dim,
            depth,
            heads,
            mlp_ratio,
            qkv_bias: deit,
            layer_norm_eps: if deit { 1e-6 } else { 1e-5 },
            tokens,
            distilled,
            shuffle,
            rescale,
            ..VitConfig::default()
        })
        .ok()
    }
}
