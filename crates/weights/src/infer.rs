//! What a model is, read from the names and shapes of its tensors alone.

use vit::{Family, Pool, Rescale, Stages, SwinConfig, Tokens, VitConfig};

use crate::contents::Contents;

/// Channels of an attention head in most vision transformers.
const USUAL_HEAD: usize = 64;
/// Values of a T2T-ViT's window for each channel of the image.
const WINDOW: usize = 7 * 7;

/// A model's configuration as far as tensors show it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    /// Its number of heads is 0 where it cannot be seen.
    pub family: Family,
    /// What was guessed, each with how to say otherwise.
    pub guesses: Vec<String>,
}

/// The configuration of the tensors; none if they are not a vision transformer's.
pub(crate) fn see(contents: &Contents) -> Option<Seen> {
    if contents.has("layers.0.blocks.0.norm1.weight") {
        return see_swin(contents);
    }
    let mut guesses = Vec::new();
    let config = see_plain(contents)?;
    if config.shuffle && config.rescale == Rescale::None {
        guesses.push("channels are taken not to be rescaled, since there is no `blocks.0.alpha`".into());
    }
    Some(Seen { family: config.into(), guesses })
}

/// A tensor's number of dimensions and sizes, if it has so many.
fn shape<const N: usize>(contents: &Contents, name: &str) -> Option<[usize; N]> {
    contents.shape(name)?.try_into().ok()
}

/// How many modules in a row the model has under that name: one more than the largest number that stands in it.
fn count(contents: &Contents, start: &str) -> usize {
    let numbers = contents.names.entries().iter().filter_map(|entry| {
        let (number, _) = entry.name.strip_prefix(start)?.split_once('.')?;
        number.parse::<usize>().ok()
    });
    numbers.max().map_or(0, |last| last.saturating_add(1))
}

/// The ratio of which `floor(dim * ratio)` is the number of hidden channels.
fn mlp_ratio(hidden: usize, dim: usize) -> f64 {
    let ratio = hidden as f64 / dim as f64;
    let exact = (dim as f64 * ratio).floor() as usize == hidden;
    if exact { ratio } else { (hidden as f64 + 0.5) / dim as f64 }
}

fn rescale(contents: &Contents, alpha: &str) -> Rescale {
    if contents.has(alpha) { Rescale::Learned } else { Rescale::None }
}

fn see_plain(contents: &Contents) -> Option<VitConfig> {
    let [dim] = shape(contents, "blocks.0.norm1.weight")?;
    let [hidden, _] = shape(contents, "blocks.0.mlp.fc1.weight")?;
    let mut config = VitConfig {
        dim,
        depth: count(contents, "blocks."),
        mlp_ratio: mlp_ratio(hidden, dim),
        qkv_bias: contents.has("blocks.0.attn.qkv.bias"),
        rescale: rescale(contents, "blocks.0.alpha"),
        pre_norm: contents.has("norm_pre.weight"),
        qk_norm: contents.has("blocks.0.attn.q_norm.weight"),
        ..VitConfig::default()
    };
    let channels = set_embedding(&mut config, contents)?;
    config.shuffle = dim != 0 && channels == 2 * dim;
    set_tokens(&mut config, contents);
    set_head(&mut config, contents);
    set_heads(&mut config, contents);
    if contents.names.are_transformers() && !has_layer_scale(contents) {
        config.layer_norm_eps = 1e-12;
    }
    if let Some([_, positions, _]) = shape(contents, "pos_embed") {
        set_positions(&mut config, positions);
    }
    Some(config)
}

/// Whether LayerScale's factors are among the tensors.
pub(crate) fn has_layer_scale(contents: &Contents) -> bool {
    contents.names.entries().iter().any(|entry| entry.name.ends_with(".ls1.gamma"))
}

/// The patches' size and the image's channels; returns the channels of the stream.
fn set_embedding(config: &mut VitConfig, contents: &Contents) -> Option<usize> {
    if let Some([channels, in_channels, patch, _]) = shape(contents, "patch_embed.proj.weight") {
        (config.in_channels, config.patch_size) = (in_channels, patch);
        return Some(channels);
    }
    let [channels, _] = shape(contents, "tokens_to_token.project.weight")?;
    let [values] = shape(contents, "tokens_to_token.attention1.norm1.weight")?;
    let performer = contents.has("tokens_to_token.attention1.w");
    config.tokens = if performer { Tokens::T2tPerformer } else { Tokens::T2tTransformer };
    (config.in_channels, config.layer_norm_eps) = (values / WINDOW, 1e-5);
    Some(channels)
}

fn set_tokens(config: &mut VitConfig, contents: &Contents) {
    config.class_token = contents.has("cls_token");
    config.distilled = contents.has("dist_token");
    if let Some([_, registers, _]) = shape(contents, "reg_token") {
        config.register_tokens = registers;
    }
}

fn set_head(config: &mut VitConfig, contents: &Contents) {
    let head = shape(contents, "head.weight");
    config.num_classes = head.map_or(0, |[classes, _]| classes);
    config.norm_after_pool = contents.has("fc_norm.weight") && !contents.has("norm.weight");
    config.pool = match head {
        _ if config.norm_after_pool || !config.class_token => Pool::Avg,
        Some([_, inputs]) if inputs == 2 * config.channels() => Pool::ClsAvg,
        _ => Pool::Cls,
    };
}

/// The heads, where the norm of queries or T2T-ViT's habit tells how wide one is.
fn set_heads(config: &mut VitConfig, contents: &Contents) {
    let head_dim = match shape(contents, "blocks.0.attn.q_norm.weight") {
        Some([head_dim]) => head_dim,
        None if config.tokens != Tokens::Patch => USUAL_HEAD,
        None => 0,
    };
    config.heads = config.dim.checked_div(head_dim).filter(|heads| heads * head_dim == config.dim).unwrap_or(0);
}

/// The image's size and which tokens have positions: of the patches there is a square number.
pub(crate) fn set_positions(config: &mut VitConfig, positions: usize) {
    let (class, registers) = (config.class_tokens(), config.register_tokens);
    for (embed_class_token, embed_registers) in [(true, registers > 0), (true, false), (false, false)] {
        let prefix = if embed_class_token { class } else { 0 } + if embed_registers { registers } else { 0 };
        let patches = positions.saturating_sub(prefix);
        if patches > 0 && patches.isqrt().pow(2) == patches {
            (config.embed_class_token, config.embed_registers) = (embed_class_token, embed_registers);
            config.image_size = patches.isqrt().saturating_mul(config.patch_size);
            return;
        }
    }
}

/// Gives a plain model heads of the usual width, if its channels can be divided so; what to warn about then.
pub(crate) fn guess_heads(config: &mut VitConfig) -> Option<String> {
    let heads = config.dim / USUAL_HEAD;
    if heads == 0 || !config.dim.is_multiple_of(USUAL_HEAD) {
        return None;
    }
    config.heads = heads;
    Some(format!("{heads} heads are assumed, of {USUAL_HEAD} channels each as usual; --heads says otherwise"))
}

fn see_swin(contents: &Contents) -> Option<Seen> {
    let [channels, in_channels, patch_size, _] = shape(contents, "patch_embed.proj.weight")?;
    let [dim] = shape(contents, "layers.0.blocks.0.norm1.weight")?;
    let [hidden, _] = shape(contents, "layers.0.blocks.0.mlp.fc1.weight")?;
    let stages = 0..count(contents, "layers.").min(vit::MAX_STAGES + 1);
    let depths: Vec<usize> = stages.clone().map(|s| count(contents, &format!("layers.{s}.blocks."))).collect();
    let table = |s| shape(contents, &format!("layers.{s}.blocks.0.attn.relative_position_bias_table"));
    let tables: Option<Vec<[usize; 2]>> = stages.map(table).collect();
    let tables = tables?;
    // A table has a row for each of (2w - 1)^2 differences of two places in a window.
    let windows: Vec<usize> = tables.iter().map(|[rows, _]| rows.isqrt().div_ceil(2)).collect();
    let heads: Vec<usize> = tables.iter().map(|[_, heads]| *heads).collect();
    let same = windows.iter().all(|window| *window == windows[0]);
    let mut config = SwinConfig {
        patch_size,
        in_channels,
        num_classes: shape(contents, "head.weight").map_or(0, |[classes, _]: [usize; 2]| classes),
        dim,
        depths: Stages::new(&depths)?,
        heads: Stages::new(&heads)?,
        window: if same { Stages::single(windows[0]) } else { Stages::new(&windows)? },
        mlp_ratio: mlp_ratio(hidden, dim),
        qkv_bias: contents.has("layers.0.blocks.0.attn.qkv.bias"),
        shuffle: dim != 0 && channels == 2 * dim,
        rescale: rescale(contents, "layers.0.blocks.0.alpha"),
        ..SwinConfig::default()
    };
    let mut guesses = Vec::new();
    if config.shuffle && config.rescale == Rescale::None {
        guesses.push("channels are taken not to be rescaled, since there is no `layers.0.blocks.0.alpha`".into());
    }
    guesses.extend(set_swin_size(&mut config, contents));
    Some(Seen { family: config.into(), guesses })
}

/// The image's size: by the masks of shifted windows where the file has them, else the smallest of which every stage's
/// windows are whole; what to warn about then.
fn set_swin_size(config: &mut SwinConfig, contents: &Contents) -> Option<String> {
    let patch = config.patch_size;
    if let Some([windows, _, _]) = shape(contents, "layers.0.blocks.1.attn_mask") {
        config.image_size = windows.isqrt().saturating_mul(config.window_at(0)).saturating_mul(patch);
        return None;
    }
    let last = config.depths.len() - 1;
    let smallest = config.window_at(last).saturating_mul(patch).checked_shl(last as u32)?;
    let sizes = (1..=16).map(|times| smallest.saturating_mul(times));
    let whole = |size: &usize| {
        let side = size / patch.max(1);
        (0..=last).all(|s| (side >> s) >= config.window_at(s) && (side >> s).is_multiple_of(config.window_at(s).max(1)))
    };
    config.image_size = sizes.into_iter().find(whole).unwrap_or(smallest);
    let size = config.image_size;
    Some(format!(
        "images of {size} x {size} pixels are assumed, since a Swin's tensors suit several sizes; --arch says otherwise"
    ))
}

/// What the file looks like, in words: `a Swin of 96 channels, with 2, 2, 6 and 2 blocks`.
pub(crate) fn describe(family: &Family) -> String {
    match family {
        Family::Vit(c) => {
            let module = if c.shuffle { " with the channel-shuffle module" } else { "" };
            let family = if c.tokens == Tokens::Patch { "plain ViT" } else { "T2T-ViT" };
            let (dim, depth, patch) = (c.dim, c.depth, c.patch_size);
            format!("a {family}{module} of {dim} channels, {depth} block(s) and patches of {patch}")
        }
        Family::Swin(c) => {
            let module = if c.shuffle { " with the channel-shuffle module" } else { "" };
            let depths: Vec<String> = c.depths.iter().map(usize::to_string).collect();
            format!("a Swin{module} of {} channels with {} blocks", c.dim, depths.join(", "))
        }
        _ => "a model".into(),
    }
}

/// Whether two configurations are of the same tensors but for the classes, the image and what no tensor shows.
pub(crate) fn same_tensors(a: &Family, b: &Family) -> bool {
    let plain = |c: &VitConfig| VitConfig {
        image_size: 224,
        in_channels: 3,
        num_classes: 1000,
        heads: 1,
        layer_norm_eps: 1e-6,
        pool: Pool::Cls,
        norm_after_pool: false,
        rescale: if c.rescale == Rescale::Learned { Rescale::Learned } else { Rescale::None },
        mlp_ratio: c.hidden() as f64,
        ..*c
    };
    let swin = |c: &SwinConfig| SwinConfig {
        image_size: 224,
        in_channels: 3,
        num_classes: 1000,
        layer_norm_eps: 1e-5,
        rescale: if c.rescale == Rescale::Learned { Rescale::Learned } else { Rescale::None },
        ..*c
    };
    match (a, b) {
        (Family::Vit(a), Family::Vit(b)) => plain(a) == plain(b),
        (Family::Swin(a), Family::Swin(b)) => swin(a) == swin(b),
        _ => false,
    }
}
