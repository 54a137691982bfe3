//! The ways in which public code names a vision transformer's tensors, each as a table of what stands for what.
//!
//! Names here are those of timm and of the models' own repositories. A row of a table ends in a dot if more of the name
//! follows, which is the same in both; `{}` stands for a number.

use self::Place::{Body, Head};

/// A family of public names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Those of timm, DeiT, T2T-ViT, DINOv2's repository and Microsoft's Swin.
    Public,
    /// timm's for Swin: patches are merged at the beginning of a stage, where Microsoft merges them at the end of the
    /// one before, and the head is a module of its own.
    TimmSwin,
    /// Those of the library transformers: query, key and value apart.
    Transformers,
}

/// Which part of a tensor another is: 0 the whole, else query, key and value in that order.
pub(crate) type Part = u8;

/// Where a tensor stands: in the model's body, or outside of it with the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Body,
    Head,
}

/// Another scheme's name and ours.
struct Row {
    place: Place,
    theirs: &'static str,
    ours: &'static str,
    part: Part,
}

const fn row(theirs: &'static str, ours: &'static str) -> Row {
    Row { place: Body, theirs, ours, part: 0 }
}

const fn part(part: Part, theirs: &'static str, ours: &'static str) -> Row {
    Row { place: Body, theirs, ours, part }
}

const fn head(theirs: &'static str, ours: &'static str) -> Row {
    Row { place: Head, theirs, ours, part: 0 }
}

/// What differs from our names in the public ones: DeiT III's LayerScale, DINOv2's registers.
const PUBLIC: [Row; 3] = [
    row("blocks.{}.gamma_1", "blocks.{}.ls1.gamma"),
    row("blocks.{}.gamma_2", "blocks.{}.ls2.gamma"),
    row("register_tokens", "reg_token"),
];

#[rustfmt::skip]
const TRANSFORMERS: [Row; 34] = [
    row("embeddings.cls_token", "cls_token"),
    row("embeddings.distillation_token", "dist_token"),
    row("embeddings.register_tokens", "reg_token"),
    row("embeddings.position_embeddings", "pos_embed"),
    row("embeddings.mask_token", "mask_token"),
    row("embeddings.patch_embeddings.projection.", "patch_embed.proj."),
    row("embeddings.norm.", "patch_embed.norm."),
    // ViT, DeiT and DINOv2
    part(1, "encoder.layer.{}.attention.attention.query.", "blocks.{}.attn.qkv."),
    part(2, "encoder.layer.{}.attention.attention.key.", "blocks.{}.attn.qkv."),
    part(3, "encoder.layer.{}.attention.attention.value.", "blocks.{}.attn.qkv."),
    row("encoder.layer.{}.attention.output.dense.", "blocks.{}.attn.proj."),
    row("encoder.layer.{}.layernorm_before.", "blocks.{}.norm1."),
    row("encoder.layer.{}.layernorm_after.", "blocks.{}.norm2."),
    row("encoder.layer.{}.intermediate.dense.", "blocks.{}.mlp.fc1."),
    row("encoder.layer.{}.output.dense.", "blocks.{}.mlp.fc2."),
    // DINOv2 alone
    row("encoder.layer.{}.norm1.", "blocks.{}.norm1."),
    row("encoder.layer.{}.norm2.", "blocks.{}.norm2."),
    row("encoder.layer.{}.mlp.", "blocks.{}.mlp."),
    row("encoder.layer.{}.layer_scale1.lambda1", "blocks.{}.ls1.gamma"),
    row("encoder.layer.{}.layer_scale2.lambda1", "blocks.{}.ls2.gamma"),
    // Swin
    part(1, "encoder.layers.{}.blocks.{}.attention.self.query.", "layers.{}.blocks.{}.attn.qkv."),
    part(2, "encoder.layers.{}.blocks.{}.attention.self.key.", "layers.{}.blocks.{}.attn.qkv."),
    part(3, "encoder.layers.{}.blocks.{}.attention.self.value.", "layers.{}.blocks.{}.attn.qkv."),
    row("encoder.layers.{}.blocks.{}.attention.output.dense.", "layers.{}.blocks.{}.attn.proj."),
    row("encoder.layers.{}.blocks.{}.attention.self.", "layers.{}.blocks.{}.attn."),
    row("encoder.layers.{}.blocks.{}.layernorm_before.", "layers.{}.blocks.{}.norm1."),
    row("encoder.layers.{}.blocks.{}.layernorm_after.", "layers.{}.blocks.{}.norm2."),
    row("encoder.layers.{}.blocks.{}.intermediate.dense.", "layers.{}.blocks.{}.mlp.fc1."),
    row("encoder.layers.{}.blocks.{}.output.dense.", "layers.{}.blocks.{}.mlp.fc2."),
    row("encoder.layers.{}.downsample.", "layers.{}.downsample."),
    row("layernorm.", "norm."),
    head("classifier.", "head."),
    head("cls_classifier.", "head."),
    head("distillation_classifier.", "head_dist."),
];

/// The module in which transformers keeps a model's body when it also has a head.
const BODIES: [&str; 5] = ["vit.", "deit.", "swin.", "dinov2.", "dinov2_with_registers."];

/// Beginnings by which a model's own tensors are told from others, whatever stands in front of them.
const TELLING: [&str; 5] =
    ["blocks.{}.", "layers.{}.blocks.{}.", "layers.{}.downsample.", "patch_embed.", "tokens_to_token."];

/// Tensors that play no part in what is computed here, by our names.
const UNUSED: [&str; 2] = ["pooler.", "mask_token"];

impl Scheme {
    /// What messages call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Scheme::Public => "names of timm and the models' own repositories",
            Scheme::TimmSwin => "timm's names",
            Scheme::Transformers => "names of Hugging Face transformers",
        }
    }

    fn rows(self) -> &'static [Row] {
        match self {
            Scheme::Public | Scheme::TimmSwin => &PUBLIC,
            Scheme::Transformers => &TRANSFORMERS,
        }
    }

    /// The scheme of which this name, whose prefix was taken off, is certainly one.
    pub(crate) fn telling(name: &str) -> Option<Scheme> {
        let body = ["embeddings.", "encoder."].iter().any(|start| name.starts_with(start));
        if body && TRANSFORMERS.iter().any(|row| rewrite(name, row.theirs, "").is_some()) {
            return Some(Scheme::Transformers);
        }
        TELLING.iter().any(|start| rewrite(name, start, "").is_some()).then_some(Scheme::Public)
    }

    /// Where the head's tensors are, of a model whose body is under `prefix`.
    pub(crate) fn head_prefix(self, prefix: &str) -> &str {
        let outside = |body: &&str| {
            let outside = prefix.strip_suffix(body)?;
            (outside.is_empty() || outside.ends_with('.')).then_some(outside)
        };
        let outside = BODIES.iter().find_map(outside).filter(|_| self == Scheme::Transformers);
        outside.unwrap_or(prefix)
    }

    /// Our name for a tensor of the model; none if it is not the model's.
    pub(crate) fn translate(self, prefix: &str, name: &str) -> Option<Translated> {
        let body = name.strip_prefix(prefix).filter(|rest| !rest.is_empty());
        let head = name.strip_prefix(self.head_prefix(prefix));
        let by_row = |(at, row): (usize, &Row)| {
            let name = rewrite(if row.place == Body { body? } else { head? }, row.theirs, row.ours)?;
            Some(Translated { name, part: row.part, row: Some(at) })
        };
        let plain = |name: String| Translated { name, part: 0, row: None };
        self.rows().iter().enumerate().find_map(by_row).or_else(|| match self {
            Scheme::Public => body.map(|body| plain(body.into())),
            Scheme::TimmSwin => body.map(|body| plain(from_timm_swin(body))),
            Scheme::Transformers => body.filter(|body| is_unused(body)).map(|body| plain(body.into())),
        })
    }

    /// The scheme's names of what we call `name`: one, or one for each part. Of several rows that fit, `used` says of which
    /// the file has others.
    pub(crate) fn names_of(self, prefix: &str, name: &str, used: impl Fn(usize) -> bool) -> Vec<String> {
        let fitting = || self.rows().iter().enumerate().filter(|(_, row)| rewrite(name, row.ours, "").is_some());
        let any_used = fitting().any(|(at, _)| used(at));
        let chosen = || fitting().filter(|(at, _)| used(*at) || !any_used && self == Scheme::Transformers);
        let theirs = |(_, row): (usize, &Row)| {
            let prefix = if row.place == Body { prefix } else { self.head_prefix(prefix) };
            rewrite(name, row.ours, row.theirs).map(|theirs| format!("{prefix}{theirs}"))
        };
        let plain = || if self == Scheme::TimmSwin { to_timm_swin(name) } else { name.into() };
        match chosen().next() {
            Some((_, row)) if row.part > 0 => chosen().filter(|(_, row)| row.part > 0).filter_map(theirs).collect(),
            Some(first) => theirs(first).into_iter().collect(),
            None => vec![format!("{prefix}{}", plain())],
        }
    }
}

/// A tensor's name in ours.
pub(crate) struct Translated {
    pub name: String,
    pub part: Part,
    /// The row of the table that said so.
    pub row: Option<usize>,
}

/// Whether a tensor plays no part in what is computed here.
pub(crate) fn is_unused(name: &str) -> bool {
    UNUSED.iter().any(|unused| rewrite(name, unused, "").is_some())
}

/// Whether a tensor only tells what follows from a Swin's sizes: the regions of a shifted map, and the row of the bias
/// table for each pair of tokens.
pub(crate) fn is_buffer(name: &str) -> bool {
    name.starts_with("layers.") && (name.ends_with(".attn_mask") || name.ends_with(".attn.relative_position_index"))
}

fn from_timm_swin(name: &str) -> String {
    if let Some(rest) = name.strip_prefix("head.fc.") {
        return format!("head.{rest}");
    }
    moved(name, |stage| stage.checked_sub(1))
}

fn to_timm_swin(name: &str) -> String {
    match name.strip_prefix("head.") {
        Some(rest) => format!("head.fc.{rest}"),
        None => moved(name, |stage| stage.checked_add(1)),
    }
}

/// The name of a merging's tensor, of another stage.
fn moved(name: &str, stage: impl Fn(usize) -> Option<usize>) -> String {
    let parts = name.strip_prefix("layers.").and_then(|rest| rest.split_once(".downsample."));
    let moved = parts.and_then(|(number, rest)| Some((stage(number.parse().ok()?)?, rest)));
    moved.map_or_else(|| name.into(), |(stage, rest)| format!("layers.{stage}.downsample.{rest}"))
}

/// The name with the pattern `from`, at its beginning, replaced by `to`: numbers go where `{}` stands, and after a final
/// dot the rest of the name follows. None if the name is not of the pattern.
fn rewrite(name: &str, from: &str, to: &str) -> Option<String> {
    let mut numbers = Vec::new();
    let mut rest = name;
    for (i, piece) in from.split("{}").enumerate() {
        if i > 0 {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            numbers.push(&rest[..digits]);
            rest = if digits > 0 { &rest[digits..] } else { return None };
        }
        rest = rest.strip_prefix(piece)?;
    }
    if rest.is_empty() == from.ends_with('.') {
        return None;
    }
    let mut out = String::new();
    for (i, piece) in to.split("{}").enumerate() {
        if i > 0 {
            out.push_str(numbers.get(i - 1).copied().unwrap_or_default());
        }
        out.push_str(piece);
    }
    out.push_str(rest);
    Some(out)
}
