//! Whether and how a file's position embeddings are resampled: for images of another size, when it is asked for.

use vit::{Config, Family, Tokens, VitConfig};

use crate::config::problem_of;
use crate::contents::Contents;
use crate::resample::Resample;
use crate::told::Told;
use crate::{Error, Problem};

/// Makes the model one of images of `size` pixels, or of as many as its description says; how positions are resampled then,
/// if they have to be.
pub(crate) fn plan(told: &mut Told, size: Option<usize>, contents: &Contents) -> Result<Option<Resample>, Error> {
    let wanted = size.or(told.image_size).ok_or_else(|| {
        fails(contents, "nothing says for which size: give one, such as --resize-positions=224".into())
    })?;
    let mut family = *told.config.family();
    let resample = match &mut family {
        Family::Vit(vit) => plan_plain(vit, wanted, contents)?,
        Family::Swin(swin) => {
            // Windows have positions of their own, which stay.
            swin.image_size = wanted;
            None
        }
        _ => None,
    };
    let before = told.config.image_size();
    told.config = Config::new(family).map_err(|error| wrong_size(contents, problem_of(&error)))?;
    told.said.resize_with(before, wanted);
    Ok(resample)
}

fn plan_plain(config: &mut VitConfig, wanted: usize, contents: &Contents) -> Result<Option<Resample>, Error> {
    if config.tokens != Tokens::Patch {
        return Err(fails(
            contents,
            "those of a T2T-ViT are fixed waves, of which others do not come by resampling".into(),
        ));
    }
    if wanted == 0 || !wanted.is_multiple_of(config.patch_size) {
        let patch = config.patch_size;
        let (below, above) = (wanted / patch * patch, (wanted / patch).saturating_add(1).saturating_mul(patch));
        let sizes = if below > 0 { format!("{below} or {above}") } else { above.to_string() };
        return Err(fails(contents, format!("{wanted} pixels are not whole patches of {patch}; {sizes} would be")));
    }
    config.image_size = wanted;
    let (to, prefix) = (wanted / config.patch_size, config.prefix_positions());
    let Some(from) = side_in_file(contents, prefix) else { return Ok(None) };
    Ok((from != to).then_some(Resample { prefix, from, to }))
}

/// Patches a side that the file's positions are for, behind `prefix` others; none if they are not those of a square, which
/// is reported with the other tensors.
pub(crate) fn side_in_file(contents: &Contents, prefix: usize) -> Option<usize> {
    let [_, rows, _] = contents.shape("pos_embed")?.try_into().ok()?;
    let rows: usize = rows;
    let patches = rows.checked_sub(prefix).filter(|patches| *patches > 0)?;
    let side = patches.isqrt();
    (side * side == patches).then_some(side)
}

fn fails(contents: &Contents, why: String) -> Error {
    Error::Positions { file: contents.label().into(), why }
}

fn wrong_size(contents: &Contents, problem: Problem) -> Error {
    fails(contents, format!("{} would have to be {}, found {}", problem.name, problem.expected, problem.found))
}
