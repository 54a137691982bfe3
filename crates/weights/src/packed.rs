//! Packed files: a model's weights as they lie in memory, which leaves nothing to do when they are loaded.
//!
//! A packed file is a safetensors file of one F32 tensor, `packed`: what [`vit::pack`] made of a checkpoint's tensors,
//! beginning on a cache line. Its metadata has the description (`config`), the number of the order in which the values lie
//! (`packed`, [`vit::PACKED_VERSION`]) and the CRC-32 of the description's text and the values after it (`checksum`).
//! Packing has checked the values; loading checks the header and the lengths; [`LoadedModel::verify`] the checksum.

use std::convert::Infallible;
use std::ops::Deref;
use std::path::Path;

use crc32fast::Hasher;
use safetensors::Dtype;
use vit::{Config, PACKED_VERSION};

use crate::aligned::Aligned;
use crate::checkpoint::ignored_arch;
use crate::config::problem_of;
use crate::convert::little_endian;
use crate::map::Mapped;
use crate::options::Options;
use crate::text::printable;
use crate::{Error, LoadedModel, Output, Problem, ProblemKind, Report, TensorFile, TensorInfo, config};

/// The only tensor, and the metadata entry with the number of its order.
const PACKED: &str = "packed";
/// The metadata entry with the checksum, and how that begins.
const CHECKSUM: &str = "checksum";
const ALGORITHM: &str = "crc32:";

/// What to do about whatever is wrong with a packed file.
const ADVICE: &str =
    "the packed file is damaged or made up: fetch it again, or pack the checkpoint again (shuffle-vit pack)";

/// Packed weights: in memory of their own, or in the file that they were mapped from.
pub(crate) enum Packed {
    Owned(Aligned),
    Mapped(Mapped),
}

impl Deref for Packed {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Packed::Owned(values) => values,
            Packed::Mapped(values) => values,
        }
    }
}

/// What a packed file says that it holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seal {
    /// The file, for messages.
    pub file: String,
    /// CRC-32 of the description's text.
    description: u32,
    /// The same, and of the values after it.
    checksum: u32,
}

impl Seal {
    /// The seal of values whose description is this text.
    pub(crate) fn of(file: &str, description: &str, values: &[f32]) -> Self {
        let description = crc32fast::hash(description.as_bytes());
        Seal { file: file.into(), description, checksum: continued(description, values) }
    }

    /// `crc32:1c2d3e4f`
    pub(crate) fn text(&self) -> String {
        text(self.checksum)
    }

    /// Whether these are the values.
    pub(crate) fn check(&self, values: &[f32]) -> Result<(), Error> {
        match continued(self.description, values) {
            found if found == self.checksum => Ok(()),
            found => Err(Error::Checksum { file: self.file.clone(), expected: self.text(), found: text(found) }),
        }
    }
}

fn text(checksum: u32) -> String {
    format!("{ALGORITHM}{checksum:08x}")
}

fn continued(checksum: u32, values: &[f32]) -> u32 {
    let mut hasher = Hasher::new_with_initial(checksum);
    let Ok(()) = little_endian(values, |bytes| {
        hasher.update(bytes);
        Ok::<_, Infallible>(())
    });
    hasher.finalize()
}

/// Writes a model as a packed file, which [`load`](crate::load) maps; returns the file's length in bytes.
///
/// Values that are not finite are an error. The path names what an [`Output`] can be.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("tiny.packed");
/// let description = weights::Description::new(weights::named("shuffle_deit_tiny")?);
/// let model = weights::LoadedModel::from_tensors(description, &mut weights::Random::new(7))?;
/// weights::save_packed(&path, &model)?;
/// let loaded = weights::load(&path)?; // no value is read
/// assert_eq!(loaded.verify()?, model.verify()?); // every value is
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn save_packed(path: impl AsRef<Path>, model: &LoadedModel) -> Result<u64, Error> {
    Output::create(path)?.save_packed(model)
}

impl Output {
    /// As [`save_packed`](crate::save_packed()), into an output that was created before.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("tiny.packed");
    /// let output = weights::Output::create(&path)?;
    /// let description = weights::Description::new(weights::named("deit_tiny")?);
    /// output.save_packed(&weights::LoadedModel::from_tensors(description, &mut weights::Random::new(7))?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save_packed(self, model: &LoadedModel) -> Result<u64, Error> {
        let (checksum, description) = (model.verify()?, model.description().to_json());
        let metadata = [("config", description), (PACKED, PACKED_VERSION.to_string()), (CHECKSUM, checksum)];
        let declared = vec![(PACKED.into(), vec![model.packed().len()])];
        self.write(declared, metadata.into(), |out| out.values(model.packed()))
    }
}

/// Whether the file says that it is packed, in whatever order.
pub(crate) fn is_packed(file: &TensorFile) -> bool {
    file.metadata(PACKED).is_some()
}

/// A model over the values of a packed file, of which only the header is looked at.
pub(crate) fn open(file: TensorFile, options: &Options) -> Result<LoadedModel, Error> {
    check_version(&file)?;
    let mut report = empty_report(&file);
    let text = file.metadata("config").unwrap_or_default();
    let entry = config::read(text, &mut report);
    let checksum = checksum(&file, &mut report);
    report.into_result()?;
    let info = tensor(&file, &entry.config())?.clone();
    let seal = Seal { file: file.label().into(), description: crc32fast::hash(text.as_bytes()), checksum };
    let packed = file.keep(&info)?;
    let (config, said, mut warnings) = entry.finish();
    warnings.extend(options.arch.as_deref().map(ignored_arch));
    Ok(LoadedModel::of_packed(options.describe(config, said, warnings)?, packed, seal))
}

fn empty_report(file: &TensorFile) -> Report {
    Report::new(file.label()).advising(ADVICE.into())
}

fn check_version(file: &TensorFile) -> Result<(), Error> {
    let found = file.metadata(PACKED).unwrap_or_default();
    let by = match found.parse::<u32>() {
        Ok(PACKED_VERSION) => return Ok(()),
        Ok(0) | Err(_) => "another program",
        Ok(version) if version < PACKED_VERSION => "an older version of this program",
        Ok(_) => "a newer version of this program",
    };
    Err(Error::PackedVersion { file: file.label().into(), by, expected: PACKED_VERSION, found: printable(found) })
}

/// The checksum that the file should have; 0 if it says none, which is reported.
fn checksum(file: &TensorFile, report: &mut Report) -> u32 {
    let text = file.metadata(CHECKSUM).unwrap_or_default();
    let digits = text.strip_prefix(ALGORITHM).filter(|digits| digits.len() == 8);
    let checksum = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    checksum.filter(|checksum| self::text(*checksum) == text).unwrap_or_else(|| {
        let found = format!("`{CHECKSUM}` \"{}\"", printable(text));
        let expected = format!("`{CHECKSUM}` {ALGORITHM} and eight hexadecimal digits");
        report.push(Problem::new(ProblemKind::Header, "__metadata__", expected, found));
        0
    })
}

/// The one tensor, of as many values as the description asks for.
fn tensor<'f>(file: &'f TensorFile, config: &Config) -> Result<&'f TensorInfo, Error> {
    let mut report = empty_report(file);
    let len = vit::packed_len(config).unwrap_or_else(|error| {
        report.push(problem_of(&error));
        0
    });
    let mut problem = |kind, name: &str, expected: String, found: String| {
        report.push(Problem::new(kind, name, expected, found));
    };
    for extra in file.tensors().iter().filter(|tensor| tensor.name != PACKED) {
        problem(ProblemKind::Extra, &extra.name, format!("no tensor but `{PACKED}`"), extra.describe());
    }
    let info = file.info(PACKED);
    match info {
        None => problem(ProblemKind::Missing, PACKED, format!("F32 [{len}]"), "no such tensor".into()),
        Some(info) if info.dtype != Dtype::F32 => {
            problem(ProblemKind::Type, PACKED, format!("F32 [{len}]"), info.describe());
        }
        Some(info) if info.shape != [len] => {
            problem(ProblemKind::Shape, PACKED, format!("[{len}], as `config` says"), format!("{:?}", info.shape));
        }
        Some(_) => {}
    }
    match info {
        Some(info) if report.total() == 0 => Ok(info),
        _ => Err(Error::Invalid(Box::new(report))),
    }
}
