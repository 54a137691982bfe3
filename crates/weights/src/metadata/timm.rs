//! timm's `config.json`: the architecture by name, what was changed in it, and how images are prepared.

use serde_json::Value;
use vit::{Config, Family};

use super::object::Object;
use super::table;
use super::translation::Translation;
use crate::Error;
use crate::config::Said;
use crate::contents::Contents;
use crate::infer;
use crate::json::for_each_entry;
use crate::text::printable;
use crate::told::Told;

/// Arguments that change nothing of what is computed, or only while training.
const HARMLESS: [&str; 12] = [
    "num_classes",
    "in_chans",
    "global_pool",
    "drop_rate",
    "drop_path_rate",
    "attn_drop_rate",
    "proj_drop_rate",
    "pos_drop_rate",
    "patch_drop_rate",
    "dynamic_img_size",
    "weight_init",
    "strict_img_size",
];

/// Arguments, and the only values that are understood.
const FIXED: [(&str, &[&str]); 4] = [
    ("act_layer", &["gelu"]),
    ("norm_layer", &["layernorm", "layer_norm", "LayerNorm"]),
    ("mlp_layer", &["mlp"]),
    ("embed_layer", &["patchembed"]),
];

pub(super) fn read(file: &Object, contents: &Contents) -> Result<Told, Error> {
    let name = file.text("architecture")?.unwrap_or_default();
    let mut translation = Translation::new(file);
    let tag = tag(file)?;
    let model = match &tag {
        Some(tag) => {
            table::find(&format!("{name}.{tag}")).ok().flatten().map_or_else(|| table::find(name), |m| Ok(Some(m)))
        }
        None => table::find(name),
    }?;
    let (mut layer_scale, mut base) = (false, Said::default());
    match model {
        Some(model) => {
            start_with(&mut translation, &model.config);
            (layer_scale, base) = (model.layer_scale, model.said);
        }
        None => {
            let config = by_tensors(file, contents)?;
            start_with(&mut translation, &config);
            let name = printable(name);
            translation
                .warnings
                .push(format!("{name} is no model that is known here; its sizes are those of the tensors"));
        }
    }
    set_arguments(&mut translation, &file.object("model_args")?, &mut layer_scale)?;
    let preparation = if file.has("pretrained_cfg") { file.object("pretrained_cfg")? } else { file.clone() };
    let args = file.object("model_args")?;
    set_classes(&mut translation, file, &preparation, &args)?;
    set_input(&mut translation, &preparation, &args)?;
    if let Some(pool) = args.text("global_pool")?.or(file.text("global_pool")?) {
        set_pool(&mut translation, file, pool, args.switch("fc_norm")?, contents)?;
    }
    for key in ["mean", "std", "interpolation", "crop_pct", "crop_mode"] {
        translation.copy(&preparation, key, static_key(key));
    }
    if layer_scale {
        translation.set("layer_scale", true);
    }
    translation.set("name", tag.map_or(name.into(), |tag| format!("{name}.{tag}")));
    let mut told = translation.finish(Said::default())?;
    told.said.labels = labels(file, &preparation, told.config.num_classes())?;
    told.said = told.said.or(Said { name: None, labels: None, ..base });
    Ok(told)
}

/// The configuration of a model whose name is not known.
fn by_tensors(file: &Object, contents: &Contents) -> Result<Config, Error> {
    let unknown = || file.wrong("architecture", "the name of a plain ViT, a DeiT, a DINOv2 or a Swin of timm");
    let mut seen = infer::see(contents).ok_or_else(unknown)?;
    if let Family::Vit(vit) = &mut seen.family {
        match file.object("model_args")?.whole("num_heads")? {
            Some(heads) => vit.heads = heads,
            None if vit.heads == 0 && infer::guess_heads(vit).is_none() => return Err(unknown()),
            None => {}
        }
    }
    Config::new(seen.family).map_err(|_| unknown())
}

/// A key that is the same in both dialects.
fn static_key(key: &str) -> &'static str {
    ["mean", "std", "interpolation", "crop_pct", "crop_mode"].into_iter().find(|same| *same == key).unwrap_or("mean")
}

fn tag(file: &Object) -> Result<Option<String>, Error> {
    let nested = file.object("pretrained_cfg")?;
    let tag = nested.text("tag")?.or(file.text("tag")?);
    Ok(tag.filter(|tag| !tag.is_empty()).map(String::from))
}

/// Begins with a configuration that is known.
fn start_with(translation: &mut Translation, config: &Config) {
    let json = crate::Description::new(*config).to_json();
    let _ = for_each_entry(&json, &mut |key, value| {
        if let (Some(key), Ok(value)) = (crate::config::model_key(&key), serde_json::from_str::<Value>(value.get())) {
            translation.set(key, value);
        }
    });
}

/// What was changed in the architecture.
fn set_arguments(translation: &mut Translation, args: &Object, layer_scale: &mut bool) -> Result<(), Error> {
    for key in args.keys().filter(|key| args.has(key)) {
        match key {
            "img_size" => drop(translation.copy_square(args, key, "image_size")?),
            "patch_size" => drop(translation.copy_square(args, key, "patch_size")?),
            "embed_dim" => drop(translation.copy(args, key, "dim")),
            "depth" => drop(translation.copy(args, key, "depth")),
            "depths" => drop(translation.copy(args, key, "depths")),
            "num_heads" => drop(translation.copy(args, key, "heads")),
            "window_size" => drop(translation.copy(args, key, "window")),
            "mlp_ratio" => drop(translation.copy(args, key, "mlp_ratio")),
            "qkv_bias" => drop(translation.copy(args, key, "qkv_bias")),
            "qk_norm" => drop(translation.copy(args, key, "qk_norm")),
            "class_token" => drop(translation.copy(args, key, "class_token")),
            "reg_tokens" => drop(translation.copy(args, key, "register_tokens")),
            "pre_norm" => drop(translation.copy(args, key, "pre_norm")),
            "init_values" => *layer_scale = args.number(key)?.is_some_and(|value| value != 0.0),
            "no_embed_class" | "fc_norm" => {}
            _ if HARMLESS.contains(&key) => {}
            _ => match FIXED.iter().find(|(fixed, _)| *fixed == key) {
                Some((_, values)) => check_fixed(args, key, values)?,
                None => translation.warnings.push(format!(
                    "{}: `{}` is unknown and ignored",
                    printable(args.label()),
                    printable(&args.name_of(key))
                )),
            },
        }
    }
    let is_plain = translation.entries.iter().any(|(key, value)| *key == "arch" && *value == "vit");
    if is_plain && (args.has("no_embed_class") || args.has("reg_tokens")) {
        let embedded = !args.switch("no_embed_class")?.unwrap_or(false);
        translation.set("embed_class_token", embedded);
        translation.set("embed_registers", embedded);
    }
    Ok(())
}

fn check_fixed(args: &Object, key: &str, values: &[&str]) -> Result<(), Error> {
    match args.text(key)? {
        Some(value) if !values.contains(&value) => Err(args.wrong(key, values[0])),
        _ => Ok(()),
    }
}

fn set_classes(translation: &mut Translation, file: &Object, preparation: &Object, args: &Object) -> Result<(), Error> {
    let source = [args, file, preparation].into_iter().find(|source| source.has("num_classes"));
    if let Some(source) = source {
        source.whole("num_classes")?;
        translation.copy(source, "num_classes", "num_classes");
    }
    Ok(())
}

/// The image's size and channels.
fn set_input(translation: &mut Translation, preparation: &Object, args: &Object) -> Result<(), Error> {
    if let Some(size) = preparation.get("input_size").filter(|size| !size.is_null()) {
        let sizes: Option<Vec<u64>> = size.as_array().and_then(|list| list.iter().map(Value::as_u64).collect());
        let Some([channels, height, width]) = sizes.as_deref() else {
            return Err(preparation.wrong("input_size", "channels, height and width"));
        };
        if height != width {
            return Err(preparation.wrong("input_size", "a height and a width that are equal"));
        }
        translation.set("in_channels", *channels);
        if !args.has("img_size") {
            translation.set("image_size", *height);
        }
    }
    if args.has("in_chans") {
        translation.copy(args, "in_chans", "in_channels");
    }
    Ok(())
}

/// What the head sees: timm norms the mean, and not the tokens, unless it is told not to.
fn set_pool(
    translation: &mut Translation,
    file: &Object,
    pool: &str,
    fc_norm: Option<bool>,
    contents: &Contents,
) -> Result<(), Error> {
    let is_plain = translation.entries.iter().any(|(key, value)| *key == "arch" && *value == "vit");
    match pool {
        _ if !is_plain && matches!(pool, "avg" | "") => {}
        "token" | "" if is_plain => {
            translation.set("pool", "cls");
            translation.set("norm_after_pool", false);
        }
        "avg" if is_plain => {
            translation.set("pool", "avg");
            let seen = contents.has("fc_norm.weight") && !contents.has("norm.weight");
            translation.set("norm_after_pool", fc_norm.unwrap_or(seen));
        }
        _ => return Err(file.wrong("global_pool", if is_plain { "token or avg" } else { "avg" })),
    }
    Ok(())
}

fn labels(file: &Object, preparation: &Object, classes: usize) -> Result<Option<Vec<Option<String>>>, Error> {
    if classes == 0 {
        return Ok(None);
    }
    let source = [file, preparation].into_iter().find(|source| source.has("label_names"));
    let labels = source.map(|source| source.labels("label_names", classes)).transpose()?.flatten();
    match labels {
        Some(labels) if labels.len() != classes => {
            Err(source.unwrap_or(file).wrong("label_names", &format!("{classes} names, one for each class")))
        }
        labels => Ok(labels),
    }
}
