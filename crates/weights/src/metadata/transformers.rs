//! transformers' `config.json` and `preprocessor_config.json`.

use super::object::Object;
use super::translation::Translation;
use crate::Error;
use crate::config::Said;
use crate::contents::Contents;
use crate::told::Told;
use crate::{CropMode, Interpolation};

/// The kinds of models that are understood.
const KINDS: [&str; 5] = ["vit", "deit", "swin", "dinov2", "dinov2_with_registers"];

pub(super) fn read(
    file: &Object,
    kind: &str,
    preprocessor: Option<&Object>,
    contents: &Contents,
) -> Result<Told, Error> {
    if !KINDS.contains(&kind) {
        return Err(file.wrong("model_type", "vit, deit, swin, dinov2 or dinov2_with_registers"));
    }
    check_fixed(file)?;
    let mut translation = Translation::new(file);
    translation.set("arch", if kind == "swin" { "swin" } else { "vit" });
    match kind {
        "swin" => set_swin(&mut translation)?,
        _ => set_plain(&mut translation, kind, contents)?,
    }
    if !translation.copy_square(file, "image_size", "image_size")? {
        translation.set("image_size", 224);
    }
    translation.copy(file, "num_channels", "in_channels");
    translation.copy(file, "qkv_bias", "qkv_bias");
    translation.copy(file, "layer_norm_eps", "layer_norm_eps");
    let classes = contents.shape("head.weight").and_then(|shape| shape.first().copied()).unwrap_or(0);
    set_classes(&mut translation, classes)?;
    let mut told = translation.finish(Said::default())?;
    if classes > 0 {
        told.said.labels = file.labels("id2label", classes)?;
    }
    if let Some(preprocessor) = preprocessor {
        let size = told.config.image_size();
        let channels = told.config.in_channels();
        told.said = preparation(preprocessor, kind, size, channels, &mut told.warnings)?.or(told.said);
    }
    Ok(told)
}

/// Switches that have one value here.
fn check_fixed(file: &Object) -> Result<(), Error> {
    if file.text("hidden_act")?.is_some_and(|act| act != "gelu") {
        return Err(file.wrong("hidden_act", "gelu, the exact one"));
    }
    if file.switch("use_absolute_embeddings")?.unwrap_or(false) {
        return Err(file.wrong("use_absolute_embeddings", "false"));
    }
    if file.switch("use_swiglu_ffn")?.unwrap_or(false) {
        return Err(file.wrong("use_swiglu_ffn", "false: gated MLPs, as of DINOv2's largest model, are not supported"));
    }
    Ok(())
}

/// Takes over a key, or sets the value that transformers has for it.
fn copy_or(translation: &mut Translation, theirs: &str, ours: &'static str, otherwise: impl Into<serde_json::Value>) {
    let file = translation.source;
    if !translation.copy(file, theirs, ours) {
        translation.set(ours, otherwise);
    }
}

fn set_plain(translation: &mut Translation, kind: &str, contents: &Contents) -> Result<(), Error> {
    let file = translation.source;
    let dinov2 = kind.starts_with("dinov2");
    copy_or(translation, "hidden_size", "dim", 768);
    copy_or(translation, "num_hidden_layers", "depth", 12);
    copy_or(translation, "num_attention_heads", "heads", 12);
    translation.set("layer_norm_eps", if dinov2 { 1e-6 } else { 1e-12 });
    if !translation.copy_square(file, "patch_size", "patch_size")? {
        translation.set("patch_size", if dinov2 { 14 } else { 16 });
    }
    if dinov2 {
        copy_or(translation, "mlp_ratio", "mlp_ratio", 4);
        translation.set("layer_scale", true);
        if kind == "dinov2_with_registers" {
            copy_or(translation, "num_register_tokens", "register_tokens", 4);
        }
        let pool = if contents.has("head.weight") { "cls_avg" } else { "cls" };
        translation.set("pool", pool);
        return Ok(());
    }
    let dim = file.whole("hidden_size")?.unwrap_or(768);
    let hidden = file.whole("intermediate_size")?.unwrap_or(3072);
    // Half a channel more, so that rounding down finds it again.
    translation.set(
        "mlp_ratio",
        if hidden % dim.max(1) == 0 { (hidden / dim.max(1)) as f64 } else { (hidden as f64 + 0.5) / dim as f64 },
    );
    translation.keys.push(("dim * mlp_ratio", "intermediate_size".into()));
    translation.keys.push(("mlp_ratio", "intermediate_size".into()));
    if kind == "deit" {
        // Without a head of its own, the distillation token is one that no head reads.
        let distilled = contents.has("head_dist.weight");
        translation.set("distilled", distilled);
        if !distilled {
            translation.set("register_tokens", 1);
            translation.set("embed_registers", true);
        }
    }
    Ok(())
}

fn set_swin(translation: &mut Translation) -> Result<(), Error> {
    let file = translation.source;
    copy_or(translation, "embed_dim", "dim", 96);
    copy_or(translation, "depths", "depths", vec![2, 2, 6, 2]);
    copy_or(translation, "num_heads", "heads", vec![3, 6, 12, 24]);
    copy_or(translation, "window_size", "window", 7);
    copy_or(translation, "mlp_ratio", "mlp_ratio", 4);
    translation.set("layer_norm_eps", 1e-5);
    if !translation.copy_square(file, "patch_size", "patch_size")? {
        translation.set("patch_size", 4);
    }
    Ok(())
}

/// As many classes as have names, unless the file has no head.
fn set_classes(translation: &mut Translation, in_file: usize) -> Result<(), Error> {
    let file = translation.source;
    let named = match file.get("id2label") {
        Some(serde_json::Value::Object(map)) => Some(map.len()),
        _ => file.whole("num_labels")?,
    };
    translation.set("num_classes", if in_file == 0 { 0 } else { named.unwrap_or(in_file) });
    translation.keys.push(("num_classes", "id2label".into()));
    Ok(())
}

/// What image processors do where their file does not say, by how their names start.
const PROCESSORS: [(&str, &str); 4] = [
    ("ViT", r#"{"size": {"height": 224, "width": 224}, "resample": 2}"#),
    ("DeiT", r#"{"size": {"height": 256, "width": 256}, "crop_size": 224, "do_center_crop": true, "resample": 3}"#),
    (
        "Bit",
        r#"{"size": {"shortest_edge": 224}, "crop_size": 224, "do_center_crop": true, "resample": 3,
            "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}"#,
    ),
    ("ConvNext", r#"{"size": {"shortest_edge": 384}, "crop_pct": 0.875, "resample": 3}"#),
];

/// The file of an image processor with what the processor does where the file does not say.
fn complete(file: &Object, kind: &str, channels: usize) -> Result<Object, Error> {
    let named = match file.text("image_processor_type")? {
        None => file.text("feature_extractor_type")?,
        named => named,
    };
    let usual = match kind {
        "vit" | "swin" => "ViT",
        "deit" => "DeiT",
        _ => "Bit",
    };
    let of = |name: &str| PROCESSORS.iter().find(|(start, _)| name.starts_with(start));
    let Some((_, defaults)) = named.and_then(of).or_else(|| of(usual)) else { return Ok(file.clone()) };
    let mut complete = file.clone();
    complete.fill(&Object::parse(file.label(), defaults)?);
    if channels == 3 {
        // Theirs whose defaults have none have these.
        complete
            .fill(&Object::parse(file.label(), r#"{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"#)?);
    }
    Ok(complete)
}

/// How images are prepared, in our terms, for a model of images of `size` pixels.
fn preparation(
    file: &Object,
    kind: &str,
    size: usize,
    channels: usize,
    warnings: &mut Vec<String>,
) -> Result<Said, Error> {
    let file = &complete(file, kind, channels)?;
    let mut said = Said { interpolation: interpolation(file)?, ..Said::default() };
    set_scale(&mut said, file, channels)?;
    if !file.switch("do_resize")?.unwrap_or(true) {
        warnings
            .push(format!("{}: do_resize is false, but images are resized here to what the model takes", file.label()));
    }
    let Some(resize) = resize(file, kind)? else { return Ok(said) };
    let crop = if file.switch("do_center_crop")?.unwrap_or(false) { side(file, "crop_size")? } else { None };
    let taken = crop.unwrap_or(resize.crop);
    said.crop_mode = Some(resize.mode);
    said.resize = Some(resize.side);
    if taken != size && taken > 0 {
        // The same part of the picture, at the size that the model takes.
        said.resize = Some(((resize.side as u64).saturating_mul(size as u64) / taken as u64) as usize);
        let positions = "its positions are resized with --resize-positions";
        warnings.push(format!(
            "{}: images of {taken} pixels are described, but the model takes {size}; they are prepared for {size} ({positions})",
            file.label()
        ));
    }
    Ok(said)
}

/// What pictures are resized to before a crop.
struct Resize {
    side: usize,
    mode: CropMode,
    /// What is cut out of it where the file does not say.
    crop: usize,
}

fn resize(file: &Object, kind: &str) -> Result<Option<Resize>, Error> {
    let Some(size) = file.get("size").filter(|size| !size.is_null()) else { return Ok(None) };
    let is_map = size.is_object();
    let object = if is_map { file.object("size")? } else { file.clone() };
    if is_map && object.has("shortest_edge") {
        let side = object.whole("shortest_edge")?.unwrap_or(0);
        // What ConvNeXT's processor does: below 384 pixels a part is cut out, from there on pictures are squashed.
        let (part, crop) = (file.number("crop_pct")?, side);
        return Ok(Some(match part {
            Some(part) if part > 0.0 && side < 384 => {
                Resize { side: (side as f64 / part) as usize, mode: CropMode::Center, crop }
            }
            Some(_) => Resize { side, mode: CropMode::Squash, crop },
            None => Resize { side, mode: CropMode::Center, crop },
        }));
    }
    // A bare number is both sides to ViT's processors, and the short one to DINOv2's.
    let mode = if is_map || !kind.starts_with("dinov2") { CropMode::Squash } else { CropMode::Center };
    Ok(side(file, "size")?.map(|side| Resize { side, mode, crop: side }))
}

/// A side as a number, or as a height and a width that are equal.
fn side(file: &Object, key: &str) -> Result<Option<usize>, Error> {
    if !file.get(key).is_some_and(serde_json::Value::is_object) {
        return file.square(key);
    }
    let object = file.object(key)?;
    match (object.whole("height")?, object.whole("width")?, object.whole("shortest_edge")?) {
        (Some(height), Some(width), _) if height == width => Ok(Some(height)),
        (None, None, Some(side)) => Ok(Some(side)),
        _ => Err(file.wrong(key, "a height and a width that are equal")),
    }
}

/// Pillow's numbers of its filters.
fn interpolation(file: &Object) -> Result<Option<Interpolation>, Error> {
    match file.whole("resample")? {
        None => Ok(None),
        Some(0) => Ok(Some(Interpolation::Nearest)),
        Some(2) => Ok(Some(Interpolation::Bilinear)),
        Some(3) => Ok(Some(Interpolation::Bicubic)),
        Some(_) => Err(file.wrong("resample", "0 (nearest), 2 (bilinear) or 3 (bicubic)")),
    }
}

/// Mean and deviation, with which the factor is made up for that replaces a division by 255.
fn set_scale(said: &mut Said, file: &Object, channels: usize) -> Result<(), Error> {
    let scale = match file.switch("do_rescale")? {
        Some(false) => 255.0,
        _ => file
            .number("rescale_factor")?
            .map_or(1.0, |factor| if (factor * 255.0 - 1.0).abs() < 1e-6 { 1.0 } else { factor * 255.0 }),
    };
    if !(scale.is_finite() && scale > 0.0) {
        return Err(file.wrong("rescale_factor", "a finite number above 0"));
    }
    let normed = file.switch("do_normalize")?.unwrap_or(true);
    for (key, plain, place) in [("image_mean", 0.0, &mut said.mean), ("image_std", 1.0, &mut said.std)] {
        let values = if normed { numbers(file, key)? } else { Some(vec![plain; channels]) };
        *place = values.map(|values| values.iter().map(|value| (value / scale) as f32).collect());
        let good = |value: &f32| value.is_finite() && (key == "image_mean" || *value > 0.0);
        if place.as_ref().is_some_and(|values| values.len() != channels || !values.iter().all(good)) {
            return Err(file.wrong(key, &format!("{channels} finite numbers, deviations above 0")));
        }
    }
    Ok(())
}

fn numbers(file: &Object, key: &str) -> Result<Option<Vec<f64>>, Error> {
    let Some(value) = file.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
    let list = value.as_array().and_then(|list| list.iter().map(serde_json::Value::as_f64).collect());
    list.map(Some).ok_or_else(|| file.wrong(key, "a list of numbers"))
}
