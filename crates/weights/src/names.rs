//! How a checkpoint's tensors are called: the public code's names, under prefixes that training wrappers put in front.

use vit::TensorName;

use crate::{TensorFile, TensorInfo};

/// What a wrapper module prepends to every name of a state dict.
const WRAPPERS: [&str; 2] = ["model.", "module."];

/// How a file calls a model's tensors.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: String,
    /// timm's Swin merges patches at the beginning of a stage, where Microsoft's does so at the end of the one before, and
    /// has its head in a module of its own.
    timm_swin: bool,
}

impl Names {
    pub(crate) fn new(file: &TensorFile) -> Self {
        let prefix = common_prefix(file.tensors()).to_string();
        let has = |start: &str| file.tensors().iter().any(|tensor| tensor.name[prefix.len()..].starts_with(start));
        let timm_swin = has("layers.") && has("head.fc.");
        Names { prefix, timm_swin }
    }

    /// The file's name of a tensor that the public code calls `name`.
    pub(crate) fn of(&self, name: TensorName) -> String {
        let prefix = &self.prefix;
        match name {
            TensorName::Stage(s, last) if self.timm_swin => format!("{prefix}{}", TensorName::Stage(s + 1, last)),
            TensorName::Top("head.weight") if self.timm_swin => format!("{prefix}head.fc.weight"),
            TensorName::Top("head.bias") if self.timm_swin => format!("{prefix}head.fc.bias"),
            _ => format!("{prefix}{name}"),
        }
    }

    /// Whether a tensor only tells what follows from a Swin's sizes: the regions of a shifted map, and the row of the bias
    /// table for each pair of tokens.
    pub(crate) fn is_buffer(&self, name: &str) -> bool {
        let block = name.strip_prefix(&self.prefix).and_then(|name| name.strip_prefix("layers."));
        block.is_some_and(|name| name.ends_with(".attn_mask") || name.ends_with(".attn.relative_position_index"))
    }
}

/// The wrappers' prefixes that every tensor of the file has, outermost first.
fn common_prefix(tensors: &[TensorInfo]) -> &str {
    let mut len = 0;
    while let Some(wrapper) = WRAPPERS.iter().find(|wrapper| all_start_with(tensors, len, wrapper)) {
        len += wrapper.len();
    }
    tensors.first().map_or("", |tensor| &tensor.name[..len])
}

fn all_start_with(tensors: &[TensorInfo], at: usize, wrapper: &str) -> bool {
    let starts = |name: &str| name[at..].strip_prefix(wrapper).is_some_and(|rest| !rest.is_empty());
    !tensors.is_empty() && tensors.iter().all(|tensor| starts(&tensor.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::Dtype;

    fn prefix(names: &[&str]) -> String {
        let tensor = |&name: &&str| TensorInfo { name: name.into(), dtype: Dtype::F32, shape: vec![], range: (0, 4) };
        common_prefix(&names.iter().map(tensor).collect::<Vec<_>>()).into()
    }

    #[test]
    fn only_what_every_name_has_is_a_prefix() {
        assert_eq!(prefix(&[]), "");
        assert_eq!(prefix(&["model.norm.weight", "model.norm.bias"]), "model.");
        assert_eq!(prefix(&["module.model.a", "module.model.b"]), "module.model.");
        assert_eq!(prefix(&["module.model.a", "module.b"]), "module.");
        assert_eq!(prefix(&["model.a", "b"]), "");
        assert_eq!(prefix(&["model."]), "");
        assert_eq!(prefix(&["model.model.é"]), "model.model.");
        assert_eq!(prefix(&["modelé", "modelé"]), "");
    }
}
