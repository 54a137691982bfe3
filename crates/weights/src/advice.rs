//! What to do about a file that is not of the model that it was said to be.

use vit::{Config, Family};

use crate::contents::Contents;
use crate::text::printable;
use crate::{arch, infer, positions};

/// What the file looks like and how it would load; none if it is of the model and only damaged.
pub(crate) fn about(contents: &Contents, config: &Config) -> Option<String> {
    if is_shard(contents.label()) {
        let advice =
            "the file is one of several of a checkpoint: name their folder, or model.safetensors.index.json in it";
        return Some(advice.into());
    }
    if let Family::Vit(vit) = config.family()
        && let Some(side) = positions::side_in_file(contents, vit.prefix_positions())
        && let (file, described) = (side.saturating_mul(vit.patch_size), vit.image_size)
        && file != described
        && let Some(Family::Vit(seen)) = infer::see(contents).map(|seen| seen.family)
        && (seen.dim, seen.patch_size) == (vit.dim, vit.patch_size)
    {
        return Some(format!(
            "its positions are for images of {file} x {file} pixels, described are {described} x {described}: \
             --resize-positions resamples them"
        ));
    }
    let seen = infer::see(contents)?;
    if infer::same_tensors(&seen.family, config.family()) {
        return None;
    }
    let looks = looks(contents, &seen.family);
    Some(format!("the file has {looks}; it would load with {}", command(&seen.family)))
}

/// What the file's tensors look like: `names of Hugging Face transformers, a Swin of 96 channels`.
pub(crate) fn looks(contents: &Contents, seen: &Family) -> String {
    format!("{}, {}", contents.names.title(), infer::describe(seen))
}

fn command(seen: &Family) -> String {
    if let Some(name) = arch::name_of(seen) {
        return format!("--arch {}", printable(&name));
    }
    match seen {
        Family::Vit(vit) if vit.heads == 0 => "--heads N and no --arch".into(),
        _ => "no --arch".into(),
    }
}

/// Whether a file is named as the hub names the parts of a checkpoint: `model-00001-of-00002.safetensors`.
fn is_shard(label: &str) -> bool {
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    label
        .strip_suffix(".safetensors")
        .and_then(|stem| stem.rsplit_once("-of-"))
        .and_then(|(rest, count)| Some((rest.rsplit_once('-')?.1, count)))
        .is_some_and(|(number, count)| is_number(number) && is_number(count))
}
