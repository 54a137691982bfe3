//! How a checkpoint's tensors are called: the public code's names, under prefixes that training wrappers put in front.

use crate::TensorInfo;

/// What a wrapper module prepends to every name of a state dict.
const WRAPPERS: [&str; 2] = ["model.", "module."];

/// The wrappers' prefixes that every tensor of the file has, outermost first.
pub(crate) fn common_prefix(tensors: &[TensorInfo]) -> &str {
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
