//! What is known of a checkpoint's model: by its own description, by what other libraries write beside it, by its name, or
//! by its tensors alone.

pub(crate) mod folder;
mod object;
pub(crate) mod table;
mod timm;
mod transformers;
mod translation;

use vit::{Config, Family};

use crate::config::{self, Said, problem_of};
use crate::contents::Contents;
use crate::options::Options;
use crate::text::printable;
use crate::told::Told;
use crate::{Error, Report, advice, arch, infer};
use folder::{Beside, Text};
use object::Object;

/// The model of a checkpoint, by the first source that says what it is.
pub(crate) fn tell(contents: &Contents, beside: &Beside, options: &Options) -> Result<Told, Error> {
    let mut warnings = Vec::new();
    let described = match (contents.shards.metadata("config"), &beside.config) {
        (Some(text), _) => Some(own(text, contents)?),
        (None, Some(config)) => match read_beside(config, beside.preprocessor.as_ref(), contents)? {
            Ok(told) => Some(told),
            Err(warning) => {
                warnings.push(warning);
                None
            }
        },
        (None, None) => None,
    };
    let mut told = match (described, &options.arch) {
        (Some(mut told), _) => {
            told.warnings.extend(options.ignored_arch());
            told.warnings.extend(options.heads.map(|_| "heads are ignored: the file describes itself".into()));
            told
        }
        (None, Some(name)) => arch::tell(name, options.heads, contents)?,
        (None, None) => by_tensors(contents, options.heads)?,
    };
    told.warnings.append(&mut warnings);
    Ok(told)
}

/// What the file says itself.
fn own(text: &str, contents: &Contents) -> Result<Told, Error> {
    let mut report = Report::new(contents.label());
    let entry = config::read(text, &mut report);
    report.into_result()?;
    let layer_scale = entry.layer_scale();
    let (config, said, warnings) = entry.finish();
    let image_size = Some(config.image_size());
    Ok(Told { config, said, layer_scale, warnings, assumed: Vec::new(), image_size })
}

/// Reads `config.json`, whoever wrote it; a warning instead if it is of neither dialect.
fn read_beside(config: &Text, preprocessor: Option<&Text>, contents: &Contents) -> Result<Result<Told, String>, Error> {
    let object = Object::parse(&config.label, &config.text)?;
    if object.has("architecture") {
        return timm::read(&object, contents).map(Ok);
    }
    if let Some(kind) = object.text("model_type")? {
        let preprocessor = preprocessor.map(|text| Object::parse(&text.label, &text.text)).transpose()?;
        return transformers::read(&object, kind, preprocessor.as_ref(), contents).map(Ok);
    }
    let label = printable(&config.label);
    Ok(Err(format!("{label} has neither timm's `architecture` nor transformers' `model_type` and is ignored")))
}

/// What the tensors show, with a warning of what they do not.
fn by_tensors(contents: &Contents, heads: Option<usize>) -> Result<Told, Error> {
    let undescribed = |looks| Error::NoDescription { file: contents.label().into(), looks, known: arch::known() };
    let Some(mut seen) = infer::see(contents) else {
        let is_empty = contents.names.entries().is_empty();
        let looks = if is_empty { "" } else { " (its tensors look like no ViT or Swin that runs here)" };
        return Err(undescribed(looks.into()));
    };
    if let Family::Vit(vit) = &mut seen.family {
        match (heads, vit.heads) {
            (Some(heads), _) => vit.heads = heads,
            (None, 0) => match infer::guess_heads(vit) {
                Some(warning) => seen.guesses.push(warning),
                None => {
                    let looks = advice::looks(contents, &seen.family);
                    return Err(undescribed(format!(" or its heads counted ({looks}: --heads N)")));
                }
            },
            (None, _) => {}
        }
    }
    let config = Config::new(seen.family).map_err(|error| Error::of_flags(contents.label(), problem_of(&error)))?;
    let looks = advice::looks(contents, &seen.family);
    let mut warnings = vec![format!("nothing says what the model is; it is taken for what it looks like: {looks}")];
    warnings.extend(seen.guesses);
    Ok(Told { config, said: Said::default(), layer_scale: false, warnings, assumed: Vec::new(), image_size: None })
}
