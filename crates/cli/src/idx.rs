//! Labelled images in IDX files, the format of MNIST and Fashion-MNIST: plain or compressed by gzip.
//!
//! A file is two zero bytes, the type of its values (8: unsigned bytes), the number of dimensions, each dimension as a
//! big-endian u32, and the values. Images have the dimensions count, rows, columns; labels have one, the count.

mod gzip;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::text::shown;

/// Most bytes that a header may announce; Fashion-MNIST's larger file has 47 MB.
const MAX_BYTES: u64 = 1 << 30;

/// What images and labels are called, and how they are called where Windows unpacked them.
const NAMES: [(&str, &str); 2] = [("images-idx3", "labels-idx1"), ("images.idx3", "labels.idx1")];

/// Grey images of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdxImages {
    /// Pixels from top to bottom.
    pub rows: usize,
    /// Pixels from left to right.
    pub columns: usize,
    data: Vec<u8>,
}

impl IdxImages {
    /// How many images there are.
    pub fn count(&self) -> usize {
        self.data.len() / (self.rows * self.columns)
    }

    /// The pixels of image `i`, row by row.
    pub fn image(&self, i: usize) -> &[u8] {
        let len = self.rows * self.columns;
        &self.data[i * len..][..len]
    }
}

/// The images of an IDX file, and the labels of the file beside it: the one of the same name but for `labels-idx1` in
/// place of `images-idx3`, with or without `.gz`.
pub(crate) fn read_pair(path: &Path) -> Result<(IdxImages, Vec<u8>)> {
    let images = named(path, read_images)?;
    let beside = named(path, labels_beside)?;
    let labels = named(&beside, read_labels)?;
    let (expected, found) = (images.count(), labels.len());
    ensure!(
        found == expected,
        "{}: has {found} labels for the {expected} images beside it, expected one each",
        shown(&beside)
    );
    Ok((images, labels))
}

/// The path in front of what is wrong with it.
fn named<T>(path: &Path, read: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    read(path).with_context(|| shown(path))
}

fn read_images(path: &Path) -> Result<IdxImages> {
    let ([_, rows, columns], data) = read(path, "images")?;
    Ok(IdxImages { rows: rows as usize, columns: columns as usize, data })
}

fn read_labels(path: &Path) -> Result<Vec<u8>> {
    let ([_], data) = read(path, "labels")?;
    Ok(data)
}

/// The file with the labels of an images file.
fn labels_beside(images: &Path) -> Result<PathBuf> {
    let name = images.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((at, (part, labels))) = NAMES.iter().find_map(|pair| Some((name.rfind(pair.0)?, pair))) else {
        bail!(
            "its labels cannot be found, because its name does not contain \"images-idx3\"; rename the pair like \
             t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte"
        );
    };
    let plain = format!("{}{labels}{}", &name[..at], &name[at + part.len()..]);
    let other = plain.strip_suffix(".gz").map_or_else(|| format!("{plain}.gz"), String::from);
    let (same, other) = (images.with_file_name(plain), images.with_file_name(other));
    match (same.exists(), other.exists()) {
        (true, _) => Ok(same),
        (false, true) => Ok(other),
        (false, false) => bail!("its labels are missing, expected them in {}", shown(&same)),
    }
}

/// The dimensions and the values of an IDX file of unsigned bytes. Memory grows with the values that are there, not
/// with those that the header announces.
fn read<const DIMS: usize>(path: &Path, what: &str) -> Result<([u32; DIMS], Vec<u8>)> {
    let mut source = Source::open(path)?;
    let header = source.read(4 * (1 + DIMS as u64))?;
    let magic = [0, 0, 8, DIMS as u8];
    ensure!(
        header.starts_with(&magic) && header.len() == 4 * (1 + DIMS),
        "{}, expected an IDX file of {what}, which begins with {}; check that it is the right file",
        describe(&header, magic),
        hex(&magic)
    );
    let (words, _) = header.as_chunks::<4>();
    let shape: [u32; DIMS] = std::array::from_fn(|i| u32::from_be_bytes(words[1 + i]));
    let text = shape.map(|size| size.to_string()).join(" x ");
    let announced = shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size.into()));
    let Some(expected) = announced.filter(|bytes| (1..=MAX_BYTES).contains(bytes)) else {
        bail!("its header announces {text} bytes, expected at least 1 and at most {MAX_BYTES}");
    };
    let data = source.read(expected + 1)?;
    let found = match data.len() as u64 {
        length if length == expected => return Ok((shape, data)),
        length if length < expected => format!("only {length}"),
        _ => format!("more than {expected}"),
    };
    bail!("holds {found} bytes behind the header, which announces {text} = {expected}; copy or download it again")
}

/// A file, decompressed if it begins as gzip does.
struct Source {
    reader: Box<dyn Read>,
    gzip: bool,
}

impl Source {
    fn open(path: &Path) -> Result<Self> {
        const ADVICE: &str = "cannot be read; check the path and its permissions";
        let kind = path.metadata().context(ADVICE)?.file_type();
        ensure!(!kind.is_dir(), "is a folder, expected an IDX file; name the images file inside it");
        // A pipe may have nobody who writes to it, and then opening it would wait for ever.
        ensure!(kind.is_file(), "is a pipe or device, expected an IDX file; save it as a file");
        let mut file = BufReader::new(File::open(path).context(ADVICE)?);
        let gzip = file.fill_buf().context(ADVICE)?.starts_with(&[0x1F, 0x8B]);
        let reader: Box<dyn Read> = if gzip { Box::new(gzip::Decoder::new(file)) } else { Box::new(file) };
        Ok(Self { reader, gzip })
    }

    /// Up to `limit` bytes, fewer only where the file ends.
    fn read(&mut self, limit: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let advice = match self.gzip {
            true => "its gzip data is damaged; copy or download it again",
            false => "cannot be read; see that nothing writes to it, and try again",
        };
        self.reader.by_ref().take(limit).read_to_end(&mut bytes).context(advice)?;
        Ok(bytes)
    }
}

/// What a file is that begins with these bytes, and not with `magic` and its sizes.
fn describe(header: &[u8], magic: [u8; 4]) -> String {
    match header {
        [] => "is empty".into(),
        _ if header.starts_with(&magic) => "ends within its header".into(),
        [0, 0, 8, 1, ..] => "holds IDX labels".into(),
        [0, 0, 8, 3, ..] => "holds IDX images".into(),
        [0, 0, 8, dims, ..] => format!("is an IDX file of {dims} dimensions"),
        _ if header.starts_with(b"version http") => {
            "is a Git LFS pointer, which stands for a file that `git lfs pull` fetches".into()
        }
        [b'<', b'!' | b'h' | b'H', ..] => "is a web page (HTML)".into(),
        [b'P', b'K', 3, 4, ..] => "is a zip archive".into(),
        [0x89, b'P', b'N', b'G', ..] | [0xFF, 0xD8, 0xFF, ..] | [b'R', b'I', b'F', b'F', ..] => {
            "is a single image, as `classify` takes it".into()
        }
        [0, 0, 9 | 11..=14, ..] => format!("is an IDX file of type {:02x}, not unsigned bytes", header[2]),
        _ => format!("begins with {}", hex(&header[..header.len().min(4)])),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
