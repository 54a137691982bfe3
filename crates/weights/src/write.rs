//! Writing safetensors files: F32, atomically, laid out so that they can be read where they lie.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde::{Serialize, Serializer};
use vit::{TensorName, Tensors};

use crate::aligned::ALIGNMENT;
use crate::convert::little_endian;
use crate::error::display;
use crate::{Description, Error, Problem, ProblemKind};

/// The metadata, by its keys.
pub(crate) type Entries = BTreeMap<&'static str, String>;

/// Who may write to the file when it is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whom the user's umask lets.
    Usual,
    /// Nobody; it can still be replaced.
    ReadOnly,
}

/// Writes a checkpoint as F32 with its description; returns the file's length in bytes.
///
/// One tensor at a time is asked of the source. The file appears under its name when it is complete: it is written
/// beside its place and renamed, so that whoever has the old file open, or mapped, keeps the old one.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("tiny.safetensors");
/// let config = vit::VitConfig { dim: 4, depth: 1, heads: 2, image_size: 8, patch_size: 4, ..Default::default() };
/// let description = weights::Description::new(vit::Config::Vit(config));
/// let bytes = weights::save(&path, &description, &mut weights::Random::new(7))?;
/// assert_eq!(bytes, std::fs::metadata(&path)?.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn save<T: Tensors>(path: impl AsRef<Path>, description: &Description, tensors: &mut T) -> Result<u64, Error>
where
    Error: From<T::Error>,
{
    let label = display(path.as_ref());
    description.config.validate().map_err(|error| Error::one(&label, crate::config::problem_of(&error)))?;
    let mut list: Vec<(TensorName, Vec<usize>)> = Vec::new();
    description.config.visit_tensors(&mut |name, shape| list.push((name, shape.to_vec())));
    list.sort_by_key(|(_, shape)| is_ragged(shape));
    let declared = list.iter().map(|(name, shape)| (name.to_string(), shape.clone())).collect();
    let metadata = [("config", description.to_json())].into();
    write(path.as_ref(), Access::Usual, declared, metadata, |out| {
        list.iter().try_for_each(|(name, shape)| out.values(tensors.tensor(*name, shape)?))
    })
}

/// Writes named tensors, each with its shape and values, as an F32 file; returns its length in bytes.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("logits.safetensors");
/// weights::write_tensors(&path, &[("logits", &[1, 3], &[0.1, 0.7, 0.2])])?;
/// assert_eq!(weights::TensorFile::from_file(&path)?.info("logits").unwrap().shape, [1, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_tensors(path: impl AsRef<Path>, tensors: &[(&str, &[usize], &[f32])]) -> Result<u64, Error> {
    for (name, shape, values) in tensors {
        let twice = tensors.iter().filter(|(other, ..)| other == name).count() > 1;
        let len = shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size));
        if twice || len != Some(values.len()) {
            let expected = format!("one tensor of that name, and as many values as {shape:?} has");
            let problem = Problem::new(ProblemKind::Shape, name, expected, format!("{} values", values.len()));
            return Err(Error::one(&display(path.as_ref()), problem));
        }
    }
    let mut tensors = tensors.to_vec();
    tensors.sort_by_key(|(_, shape, _)| is_ragged(shape));
    let declared = tensors.iter().map(|(name, shape, _)| (name.to_string(), shape.to_vec())).collect();
    write(path.as_ref(), Access::Usual, declared, Entries::new(), |out| {
        tensors.iter().try_for_each(|(.., values)| out.values(values))
    })
}

/// Whether a tensor of F32 would leave what follows it off a cache line.
fn is_ragged(shape: &[usize]) -> bool {
    !byte_len(shape).is_multiple_of(ALIGNMENT)
}

fn byte_len(shape: &[usize]) -> usize {
    shape.iter().product::<usize>() * size_of::<f32>()
}

/// Declares the tensors in that order, lets `fill` write their values, and moves the file into place.
pub(crate) fn write(
    path: &Path,
    access: Access,
    declared: Vec<(String, Vec<usize>)>,
    metadata: Entries,
    fill: impl FnOnce(&mut Output) -> Result<(), Error>,
) -> Result<u64, Error> {
    let fail =
        |action, e: &io::Error| Error::io(&display(path), action, e, "name a file in a folder that can be written");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    check_place(path, folder).map_err(|e| fail("create", &e))?;
    let file = temporary(folder, access).map_err(|e| fail("create", &e))?;
    let header = header(declared, &metadata).map_err(|e| fail("describe", &e.into()))?;
    let mut out = Output { label: display(path), out: BufWriter::with_capacity(1 << 16, file.as_file()), bytes: 0 };
    out.bytes(&header)?;
    fill(&mut out)?;
    let bytes = out.finish()?;
    file.persist(path).map_err(|e| fail("rename into place", &e.error))?;
    Ok(bytes)
}

/// Tells early and plainly what the operating system would tell late.
fn check_place(path: &Path, folder: &Path) -> io::Result<()> {
    let plain = |text: String| io::Error::new(io::ErrorKind::NotFound, text);
    if !folder.is_dir() {
        return Err(plain(format!("the folder {} does not exist; create it", display(folder))));
    }
    if path.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "a folder of that name exists"));
    }
    Ok(())
}

/// A new file that the user's umask applies to, as to any file a program creates.
fn temporary(folder: &Path, access: Access) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".weights-").suffix(".part");
    #[cfg(unix)]
    builder.permissions(<fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(match access {
        Access::Usual => 0o666,
        Access::ReadOnly => 0o444,
    }));
    builder.tempfile_in(folder)
}

/// The header with its length in front, padded so that the values begin on a cache line.
fn header(declared: Vec<(String, Vec<usize>)>, metadata: &Entries) -> serde_json::Result<Vec<u8>> {
    let mut end = 0;
    let mut place = |shape: Vec<usize>| {
        let begin = end;
        end += byte_len(&shape);
        TensorInfo { dtype: Dtype::F32, shape, data_offsets: (begin, end) }
    };
    let metadata = (!metadata.is_empty()).then(|| ("__metadata__".into(), Entry::Metadata(metadata)));
    let tensors = declared.into_iter().map(|(name, shape)| (name, Entry::Tensor(place(shape))));
    let mut bytes = vec![0; crate::header::PREFIX];
    serde_json::Serializer::new(&mut bytes).collect_map(metadata.into_iter().chain(tensors))?;
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), b' ');
    let len = (bytes.len() - crate::header::PREFIX) as u64;
    bytes[..crate::header::PREFIX].copy_from_slice(&len.to_le_bytes());
    Ok(bytes)
}

#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    Metadata(&'a Entries),
    Tensor(TensorInfo),
}

/// The file being written.
pub(crate) struct Output<'f> {
    label: String,
    out: BufWriter<&'f fs::File>,
    bytes: u64,
}

impl Output<'_> {
    pub(crate) fn values(&mut self, values: &[f32]) -> Result<(), Error> {
        little_endian(values, |bytes| self.bytes(bytes))
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).map_err(|e| write_failed(&self.label, &e))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn finish(mut self) -> Result<u64, Error> {
        self.out.flush().map_err(|e| write_failed(&self.label, &e))?;
        Ok(self.bytes)
    }
}

fn write_failed(label: &str, error: &io::Error) -> Error {
    Error::io(label, "write", error, "see that the disk has room")
}
