//! Opening packed files: the header is checked, values are only counted.

use safetensors::Dtype;
use vit::{Config, PACKED_VERSION};

use super::checksum::Checksum;
use super::entries::{CHECKSUM, PACKED};
use super::values::Packed;
use crate::loaded::Recorded;
use crate::options::Options;
use crate::text::printable;
use crate::{Error, LoadedModel, Problem, ProblemKind, Report, TensorFile, TensorInfo, config};

/// What to do about whatever is wrong with a packed file.
const ADVICE: &str =
    "the packed file is damaged or made up: fetch it again, or pack the checkpoint again (shuffle-vit pack)";

/// Whether the file says that it is packed, in whatever order.
pub(crate) fn is_packed(file: &TensorFile) -> bool {
    file.metadata(PACKED).is_some()
}

/// A model over the values of a packed file, of which only the header is looked at.
pub(crate) fn open<'a>(file: TensorFile<'a>, options: &Options) -> Result<LoadedModel<'a>, Error> {
    if let Some(option) = options.about_tensors() {
        return Err(Error::AlreadyPacked { file: file.label().into(), option });
    }
    check_version(&file)?;
    let mut report = empty_report(&file);
    let text = file.metadata("config").unwrap_or_default();
    let entry = config::read(text, &mut report);
    let checksum = checksum(&file, &mut report);
    report.into_result()?;
    let info = tensor(&file, &entry.config())?.clone();
    let recorded = Recorded { file: file.label().into(), text: Checksum::of_text(text), whole: checksum };
    let packed = Packed::of(file, &info)?;
    let (config, said, mut warnings) = entry.finish();
    warnings.extend(options.ignored_arch());
    Ok(LoadedModel::of_packed(options.describe(config, said, warnings)?, packed, recorded))
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

/// The checksum that the file should have; any if it says none, which is reported.
fn checksum(file: &TensorFile, report: &mut Report) -> Checksum {
    let text = file.metadata(CHECKSUM).unwrap_or_default();
    Checksum::parse(text).unwrap_or_else(|| {
        let found = format!("`{CHECKSUM}` \"{}\"", printable(text));
        let expected = format!("`{CHECKSUM}` crc32: and eight hexadecimal digits");
        report.push(Problem::new(ProblemKind::Header, "__metadata__", expected, found));
        Checksum::of_text("")
    })
}

/// The one tensor, of as many values as the description asks for.
fn tensor<'f>(file: &'f TensorFile, config: &Config) -> Result<&'f TensorInfo, Error> {
    let mut report = empty_report(file);
    let len = vit::packed_len(config);
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
