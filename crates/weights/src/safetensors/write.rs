//! Writing safetensors files: F32, laid out so that the values can be read without copying them.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde::{Serialize, Serializer};
use vit::{TensorName, Tensors};

use super::header::PREFIX;
use crate::aligned::ALIGNMENT;
use crate::floats::little_endian;
use crate::{Description, Error, Output, Problem, ProblemKind};

/// The metadata, by its keys.
pub(crate) type Entries = BTreeMap<&'static str, String>;

/// Writes a checkpoint as F32 with its description; returns the file's length in bytes.
///
/// One tensor at a time is asked of the source. The path names what an [`Output`] can be.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("tiny.safetensors");
/// let config = vit::VitConfig { dim: 4, depth: 1, heads: 2, image_size: 8, patch_size: 4, ..Default::default() };
/// let description = weights::Description::new(vit::Config::new(config)?);
/// let bytes = weights::save(&path, &description, &mut weights::Random::new(7))?;
/// assert_eq!(bytes, std::fs::metadata(&path)?.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn save<T: Tensors>(path: impl AsRef<Path>, description: &Description, tensors: &mut T) -> Result<u64, Error>
where
    Error: From<T::Error>,
{
    Output::create(path)?.save(description, tensors)
}

/// Writes named tensors, each with its shape and values, as an F32 file; returns its length in bytes.
///
/// The path names what an [`Output`] can be.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("logits.safetensors");
/// weights::write_tensors(&path, &[("logits", &[1, 3], &[0.1, 0.7, 0.2])])?;
/// assert_eq!(weights::TensorFile::from_file(&path)?.info("logits").unwrap().shape, [1, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_tensors(path: impl AsRef<Path>, tensors: &[(&str, &[usize], &[f32])]) -> Result<u64, Error> {
    Output::create(path)?.write_tensors(tensors)
}

impl Output {
    /// As [`save`](crate::save()), into an output that was created before.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("tiny.safetensors");
    /// let output = weights::Output::create(&path)?;
    /// let description = weights::Description::new(weights::named("deit_tiny")?);
    /// output.save(&description, &mut weights::Random::new(7))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save<T: Tensors>(self, description: &Description, tensors: &mut T) -> Result<u64, Error>
    where
        Error: From<T::Error>,
    {
        let mut list: Vec<(TensorName, Vec<usize>)> = Vec::new();
        description.config.visit_tensors(&mut |name, shape| list.push((name, shape.to_vec())));
        list.sort_by_key(|(_, shape)| is_ragged(shape));
        let declared = list.iter().map(|(name, shape)| (name.to_string(), shape.clone())).collect();
        let metadata = [("config", description.to_json())].into();
        self.write(declared, metadata, |out| {
            list.iter().try_for_each(|(name, shape)| out.values(tensors.tensor(*name, shape)?))
        })
    }

    /// As [`write_tensors`](crate::write_tensors()), into an output that was created before.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("logits.safetensors");
    /// let output = weights::Output::create(&path)?;
    /// output.write_tensors(&[("logits", &[1, 3], &[0.1, 0.7, 0.2])])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_tensors(self, tensors: &[(&str, &[usize], &[f32])]) -> Result<u64, Error> {
        for (name, shape, values) in tensors {
            let twice = tensors.iter().filter(|(other, ..)| other == name).count() > 1;
            if twice || checked_len(shape) != Some(values.len()) {
                let expected = format!("one tensor of that name, and as many values as {shape:?} has");
                let problem = Problem::new(ProblemKind::Shape, name, expected, format!("{} values", values.len()));
                return Err(Error::one(self.label(), problem));
            }
        }
        let mut tensors = tensors.to_vec();
        tensors.sort_by_key(|(_, shape, _)| is_ragged(shape));
        let declared = tensors.iter().map(|(name, shape, _)| (name.to_string(), shape.to_vec())).collect();
        self.write(declared, Entries::new(), |out| tensors.iter().try_for_each(|(.., values)| out.values(values)))
    }

    /// Declares the tensors in that order, and lets `fill` write their values.
    pub(crate) fn write(
        mut self,
        declared: Vec<(String, Vec<usize>)>,
        metadata: Entries,
        fill: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let mut end = 0;
        let place = |(name, shape): (String, Vec<usize>)| {
            let begin = end;
            end += byte_len(&shape);
            (name, TensorInfo { dtype: Dtype::F32, shape, data_offsets: (begin, end) })
        };
        let header = header(declared.into_iter().map(place), &metadata);
        self.append(&header)?;
        fill(&mut self)?;
        self.finish()
    }

    pub(crate) fn values(&mut self, values: &[f32]) -> Result<(), Error> {
        little_endian(values, |bytes| self.append(bytes))
    }
}

/// How many values a shape has, if they can be counted.
pub(super) fn checked_len(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size))
}

/// Whether a tensor of F32 would leave what follows it off a cache line.
fn is_ragged(shape: &[usize]) -> bool {
    !byte_len(shape).is_multiple_of(ALIGNMENT)
}

fn byte_len(shape: &[usize]) -> usize {
    shape.iter().product::<usize>() * size_of::<f32>()
}

/// The header with its length in front, padded so that the values begin on a cache line.
pub(super) fn header(tensors: impl Iterator<Item = (String, TensorInfo)>, metadata: &Entries) -> Vec<u8> {
    let metadata = (!metadata.is_empty()).then(|| ("__metadata__".into(), Entry::Metadata(metadata)));
    let tensors = tensors.map(|(name, tensor)| (name, Entry::Tensor(tensor)));
    let mut bytes = vec![0; PREFIX];
    serde_json::Serializer::new(&mut bytes)
        .collect_map(metadata.into_iter().chain(tensors))
        .expect("names, numbers and strings can be written as JSON");
    let len = bytes.len().next_multiple_of(ALIGNMENT);
    pad(&mut bytes, len);
    bytes
}

/// Makes a header longer, with spaces.
pub(super) fn pad(header: &mut Vec<u8>, len: usize) {
    header.resize(len, b' ');
    let len = (len - PREFIX) as u64;
    header[..PREFIX].copy_from_slice(&len.to_le_bytes());
}

#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    Metadata(&'a Entries),
    Tensor(TensorInfo),
}
