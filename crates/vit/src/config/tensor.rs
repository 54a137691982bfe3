//! Public names of tensors, and the layers that they make.

use core::fmt;

/// The public name of a checkpoint's tensor, as PyTorch's state dict spells it.
///
/// ```
/// assert_eq!(vit::TensorName::Block(3, "attn.qkv.weight").to_string(), "blocks.3.attn.qkv.weight");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TensorName {
    /// A tensor outside the blocks, such as `cls_token`.
    Top(&'static str),
    /// A tensor of one block: `Block(3, "attn.qkv.weight")` is `blocks.3.attn.qkv.weight`.
    Block(usize, &'static str),
    /// A tensor of one stage: `Stage(0, "downsample.norm.bias")` is `layers.0.downsample.norm.bias`.
    Stage(usize, &'static str),
    /// A tensor of one block of a stage: `StageBlock(0, 1, "alpha")` is `layers.0.blocks.1.alpha`.
    StageBlock(usize, usize, &'static str),
}

impl TensorName {
    /// The module that owns the tensor, without `.weight` or `.bias`: the name of a row in a table of layers.
    ///
    /// ```
    /// assert_eq!(vit::TensorName::Block(3, "attn.qkv.weight").layer().to_string(), "blocks.3.attn.qkv");
    /// ```
    pub fn layer(&self) -> LayerName {
        let trim =
            |name: &'static str| name.strip_suffix(".weight").or_else(|| name.strip_suffix(".bias")).unwrap_or(name);
        LayerName(match *self {
            TensorName::Top(name) => TensorName::Top(trim(name)),
            TensorName::Block(i, name) => TensorName::Block(i, trim(name)),
            TensorName::Stage(s, name) => TensorName::Stage(s, trim(name)),
            TensorName::StageBlock(s, i, name) => TensorName::StageBlock(s, i, trim(name)),
        })
    }
}

impl fmt::Display for TensorName {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            TensorName::Top(name) => f.write_str(name),
            TensorName::Block(i, name) => write!(f, "blocks.{i}.{name}"),
            TensorName::Stage(s, name) => write!(f, "layers.{s}.{name}"),
            TensorName::StageBlock(s, i, name) => write!(f, "layers.{s}.blocks.{i}.{name}"),
        }
    }
}

/// The public name of a layer: a [`TensorName`] without its last part.
///
/// ```
/// assert_eq!(vit::TensorName::Top("head.bias").layer().to_string(), "head");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerName(TensorName);

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One row of a model's table of layers.
///
/// ```
/// let config = vit::Config::named("deit_tiny").unwrap();
/// config.visit_layers(&mut |vit::Layer { name, params, macs, .. }| println!("{name} {params} {macs}"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// The layer, as the checkpoint names it.
    pub name: LayerName,
    /// Values in its tensors.
    pub params: u64,
    /// Multiply-accumulates of its matrix products for one image; attention's products count with `attn.qkv`.
    pub macs: u64,
}
