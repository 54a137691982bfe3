//! A checkpoint: a file whose tensors are exactly those that its description asks for.

use vit::{Config, TensorName, Tensors};

use crate::config::Said;
use crate::names::Names;
use crate::options::{Described, Options};
use crate::text::printable;
use crate::{Description, Error, Problem, ProblemKind, Report, TensorFile, TensorInfo, arch, config, matching, packed};

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
/// let description = weights::Description::new(vit::Config::Vit(config));
/// weights::save(&path, &description, &mut weights::Random::new(7))?;
///
/// let mut checkpoint = weights::Loader::new().checkpoint(weights::TensorFile::from_file(&path)?)?;
/// assert_eq!(checkpoint.description(), &description);
/// assert_eq!(checkpoint.tensor(TensorName::Block(0, "norm1.weight"), &[4])?.len(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Checkpoint<'a> {
    file: TensorFile<'a>,
    names: Names,
    described: Described,
    buffer: Vec<f32>,
}

impl<'a> Checkpoint<'a> {
    /// Checks a file against its own description or, if it has none, against the model that the options name.
    pub(crate) fn open(file: TensorFile<'a>, options: &Options) -> Result<Self, Error> {
        if packed::is_packed(&file) {
            return Err(Error::Packed { file: file.label().into() });
        }
        let names = Names::new(&file);
        let arch = options.arch.as_deref();
        let (config, said, mut warnings) = match (file.metadata("config"), arch) {
            (Some(text), _) => described(text, &file, &names)?,
            (None, Some(name)) => known(name, &file, &names)?,
            (None, None) => return Err(Error::NoDescription { file: file.label().into(), known: arch::known() }),
        };
        if let (Some(_), Some(name)) = (file.metadata("config"), arch) {
            warnings.push(ignored_arch(name));
        }
        let described = options.describe(config, said, warnings)?;
        let buffer = conversion_buffer(&file);
        Ok(Checkpoint { file, names, described, buffer })
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
        let mut report = Report::new(self.file.label());
        matching::check_values(&self.file, &self.names, &self.described.description.config, &mut report)?;
        report.into_result()
    }
}

impl Tensors for Checkpoint<'_> {
    type Error = Error;

    fn tensor(&mut self, name: TensorName, shape: &[usize]) -> Result<&[f32], Error> {
        let name = self.names.of(name);
        // By the number of values: the shape was checked when the file was opened, and may be asked for as a vector.
        let len: usize = shape.iter().product();
        let Some(info) = self.file.info(&name).filter(|info| info.len() == len) else {
            let problem = Problem::new(ProblemKind::Missing, &name, format!("a tensor {shape:?}"), "none");
            return Err(Error::one(self.file.label(), problem));
        };
        let values = self.file.values(info, &mut self.buffer)?;
        match matching::not_finite(&name, values) {
            Some(problem) => Err(Error::one(self.file.label(), problem)),
            None => Ok(values),
        }
    }
}

/// The warning about a name that is not needed.
pub(crate) fn ignored_arch(name: &str) -> String {
    format!("arch {} is ignored: the file describes itself", printable(name))
}

/// Reads the description, then holds the tensors against it before anything of the size it claims is built.
fn described(text: &str, file: &TensorFile, names: &Names) -> Result<(Config, Said, Vec<String>), Error> {
    let mut report = Report::new(file.label());
    let entry = config::read(text, &mut report);
    report.into_result()?;
    matching::check(file, names, &entry.config())?;
    Ok(entry.finish())
}

/// The named model, as far as the file's tensors are of it.
fn known(name: &str, file: &TensorFile, names: &Names) -> Result<(Config, Said, Vec<String>), Error> {
    let config = arch::configure(name, file, names)?;
    matching::check(file, names, &config)?;
    Ok((config, Said { name: Some(name.into()), ..Said::default() }, Vec::new()))
}

/// Room for the largest tensor that cannot be borrowed.
fn conversion_buffer(file: &TensorFile) -> Vec<f32> {
    let converted = file.tensors().iter().filter(|tensor| file.borrowed(tensor).is_none());
    Vec::with_capacity(converted.map(TensorInfo::len).max().unwrap_or(0))
}
