//! timm's models by name: what their pretrained weights are and how images are prepared for them.

use vit::{Config, Family};

use crate::config::{self, Said};
use crate::text::{alternatives, nearest, printable};
use crate::{Error, Report};

/// Architecture, tag of the weights and description, a line each; of an architecture timm's default weights come first.
const TABLE: &str = include_str!("timm.tsv");
/// What may stand in front of a name.
const PREFIXES: [&str; 2] = ["timm:", "timm/"];

/// A line of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub architecture: &'static str,
    pub tag: &'static str,
    /// The description in the keys of the metadata entry `config`.
    pub json: &'static str,
}

pub(crate) fn rows() -> impl Iterator<Item = Row> {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut columns = line.split('\t');
        Some(Row { architecture: columns.next()?, tag: columns.next()?, json: columns.next()? })
    })
}

/// A model of the table.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub config: Config,
    pub said: Said,
    pub layer_scale: bool,
    /// Whether the name says which weights, and so how images are prepared.
    pub tagged: bool,
}

/// The model of a name, such as `timm:vit_small_patch32_224` or `vit_tiny_patch16_224.augreg_in21k`; none if the table has
/// no such architecture, an error if it has not with these weights.
pub(crate) fn find(name: &str) -> Result<Option<Model>, Error> {
    let bare = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    let (architecture, tag) = bare.split_once('.').map_or((bare, None), |(name, tag)| (name, Some(tag)));
    let mut of_name = rows().filter(|row| row.architecture == architecture).peekable();
    if of_name.peek().is_none() {
        return Ok(None);
    }
    let Some(row) = of_name.find(|row| tag.is_none_or(|tag| row.tag == tag)) else {
        let tags: Vec<&str> = rows().filter(|row| row.architecture == architecture).map(|row| row.tag).collect();
        let found = format!("timm has no such weights of {architecture}");
        let near = nearest(tag.unwrap_or_default(), tags.iter().copied());
        let found = near.map_or(found.clone(), |near| format!("{found}; nearest: {near}"));
        return Err(Error::UnknownArch { name: printable(name), found, known: alternatives(tags) });
    };
    match read(row, tag.is_some()) {
        Some(model) => Ok(Some(model)),
        None => {
            let found = format!("{architecture} has more weights than 32-bit addresses reach");
            Err(Error::UnknownArch { name: printable(name), found, known: "a smaller one".into() })
        }
    }
}

/// The model of a row; none where addresses have 32 bits, which its weights need more than.
fn read(row: Row, tagged: bool) -> Option<Model> {
    let mut report = Report::new(row.architecture);
    let entry = config::read(row.json, &mut report);
    if report.total() > 0 {
        return None;
    }
    let layer_scale = entry.layer_scale();
    let (config, mut said, _) = entry.finish();
    let dot = if row.tag.is_empty() { "" } else { "." };
    said.name = Some(format!("{}{dot}{}", row.architecture, row.tag));
    Some(Model { config, said, layer_scale, tagged: tagged || row.tag.is_empty() })
}

/// The architecture most like the name, which is none.
pub(crate) fn nearest_name(name: &str) -> Option<&'static str> {
    let bare = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    nearest(bare.split('.').next().unwrap_or(bare), rows().map(|row| row.architecture))
}

/// The first architecture with tensors like those of the configuration.
pub(crate) fn like(is_like: impl Fn(&Family) -> bool) -> Option<&'static str> {
    let found = |row: &Row| read(*row, false).is_some_and(|model| is_like(model.config.family()));
    rows().find(found).map(|row| row.architecture)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_is_a_model_that_can_be() {
        let mut names = BTreeSet::new();
        for row in rows() {
            assert!(names.insert((row.architecture, row.tag)), "{} {} twice", row.architecture, row.tag);
            let mut report = Report::new(row.architecture);
            let entry = config::read(row.json, &mut report);
            // The largest are too large for 32 bits.
            if usize::BITS == 32 && find(row.architecture).is_err() {
                continue;
            }
            assert_eq!(report.total(), 0, "{report}");
            let config = entry.config();
            let (_, said, warnings) = entry.finish();
            assert_eq!(warnings, [""; 0], "{}", row.json);
            assert!(said.mean.is_some() && said.std.is_some() && said.interpolation.is_some(), "{}", row.json);
            assert!(config.params() > 0);
        }
        assert!(names.len() >= 200, "{} rows", names.len());
    }

    #[test]
    fn names_may_have_a_tag_and_say_whose_they_are() {
        for name in ["timm:vit_small_patch32_224", "timm/vit_small_patch32_224", "vit_small_patch32_224"] {
            let Some(Model { config, tagged: false, .. }) = find(name).unwrap() else { panic!() };
            let Family::Vit(config) = config.family() else { panic!() };
            assert_eq!((config.dim, config.patch_size, config.heads), (384, 32, 6), "{name}");
        }
        let tagged = find("timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k").unwrap().unwrap();
        assert_eq!((tagged.tagged, tagged.said.mean), (true, Some(vec![0.5; 3])));
        let error = find("vit_tiny_patch16_224.augreg_in21k_ft_in1").unwrap_err().to_string();
        assert!(error.contains("no such weights of vit_tiny_patch16_224; nearest: augreg_in21k_ft_in1k"), "{error}");
        assert!(find("resnet50").unwrap().is_none());
        assert_eq!(nearest_name("timm:vit_smal_patch32_224"), Some("vit_small_patch32_224"));
    }

    /// Built-in names take no other preparation than timm's weights of the same models.
    #[test]
    fn built_in_names_prepare_images_as_timms_do() {
        for (built_in, timm) in [
            ("deit_tiny", "deit_tiny_patch16_224.fb_in1k"),
            ("deit_tiny_distilled", "deit_tiny_distilled_patch16_224.fb_in1k"),
            ("deit_small", "deit_small_patch16_224.fb_in1k"),
            ("deit_small_distilled", "deit_small_distilled_patch16_224.fb_in1k"),
            ("swin_tiny", "swin_tiny_patch4_window7_224.ms_in1k"),
        ] {
            let model = find(timm).unwrap().unwrap();
            assert_eq!(Some(model.config), Config::named(built_in), "{built_in}");
            let theirs = model.said.describe(model.config).preparation;
            assert_eq!(crate::Description::new(model.config).preparation, theirs, "{built_in}");
        }
    }
}
