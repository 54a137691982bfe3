//! A checkpoint: a file whose tensors are exactly those that its description asks for.

use vit::{TensorName, Tensors};

use crate::contents::Contents;
use crate::metadata::folder::Beside;
use crate::names::Names;
use crate::options::{Described, Options};
use crate::shards::Shards;
use crate::{Description, Error, Report, advice, matching, metadata, positions};

/// A file that describes its model and has each of its tensors, no other, all of the right shape and type.
///
/// It is a source of tensors for [`vit::pack`], by their public names whatever prefix the file puts in front. Values are
/// borrowed where they can be and converted into one buffer where not; values that are not finite are an error.
///
/// ```
/// use vit::{TensorName, Tensors};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("tiny.safetensors");
/// let config = vit::VitConfig { dim: 4, depth: 1, heads: 2, image_size: 8, patch_size: 4, ..Default::default() };
/// let description = weights::Description::new(vit::Config::new(config)?);
/// weights::save(&path, &description, &mut weights::Random::new(7))?;
///
/// let mut checkpoint = weights::Loader::new().checkpoint(weights::TensorFile::from_file(&path)?)?;
/// assert_eq!(checkpoint.description(), &description);
/// assert_eq!(checkpoint.tensor(TensorName::Block(0, "norm1.weight"), &[4])?.len(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Checkpoint<'a> {
    contents: Contents<'a>,
    described: Described,
    buffer: Vec<f32>,
}

impl<'a> Checkpoint<'a> {
    /// Checks a file against its description, or against the model that the options name.
    pub(crate) fn open(shards: Shards<'a>, beside: &Beside, options: &Options) -> Result<Self, Error> {
        let tensors: Vec<_> = shards.tensors().collect();
        let names = Names::new(shards.label(), &tensors, options.prefix.as_deref(), &options.ignored)?;
        let mut contents = Contents { shards, names, positions: None };
        let mut told = metadata::tell(&contents, beside, options)?;
        if let Some(size) = options.positions {
            contents.positions = positions::plan(&mut told, size, &contents)?;
        }
        matching::check(&contents, &told.config, told.layer_scale, || advice::about(&contents, &told.config))?;
        told.warnings.extend_from_slice(contents.names.notes());
        let mut described = options.describe(told.config, told.said, told.warnings)?;
        described.assumed.append(&mut told.assumed);
        let buffer = Vec::with_capacity(contents.largest_made(&told.config));
        Ok(Checkpoint { contents, described, buffer })
    }

    /// What the file says about its model.
    ///
    /// ```
    /// # fn example(checkpoint: weights::Checkpoint) {
    /// println!("{}", checkpoint.description().config.params());
    /// # }
    /// ```
    pub fn description(&self) -> &Description {
        &self.described.description
    }

    /// What is odd about the file but harms nothing, a line each.
    ///
    /// ```
    /// # fn example(checkpoint: weights::Checkpoint) {
    /// checkpoint.warnings().iter().for_each(|warning| eprintln!("warning: {warning}"));
    /// # }
    /// ```
    pub fn warnings(&self) -> &[String] {
        &self.described.warnings
    }

    /// What was assumed because nobody said it, a line each.
    ///
    /// ```
    /// # fn example(checkpoint: weights::Checkpoint) {
    /// checkpoint.assumed().iter().for_each(|line| eprintln!("{line}"));
    /// # }
    /// ```
    pub fn assumed(&self) -> &[String] {
        &self.described.assumed
    }

    pub(crate) fn into_described(self) -> Described {
        self.described
    }

    /// Everything that is wrong with the values.
    pub(crate) fn check_values(&self) -> Result<(), Error> {
        let mut report = Report::new(self.contents.label());
        matching::check_values(&self.contents, &self.description().config, &mut report)?;
        report.into_result()
    }
}

impl Tensors for Checkpoint<'_> {
    type Error = Error;

    fn tensor(&mut self, name: TensorName, shape: &[usize]) -> Result<&[f32], Error> {
        // By the number of values: the shape was checked when the file was opened, and may be asked for as a vector.
        self.contents.tensor(name, shape.iter().product(), &mut self.buffer)
    }
}
