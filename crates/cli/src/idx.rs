//! Labelled images in IDX files, the format of MNIST and Fashion-MNIST: plain or compressed by gzip.
//!
//! A file is two zero bytes, the type of its values (8: unsigned bytes), the number of dimensions, each dimension as a
//! big-endian u32, and the values. Images have the dimensions count, rows, columns; labels have one, the count.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

/// Most bytes that a header may announce; Fashion-MNIST's larger file has 47 MB.
const MAX_BYTES: u64 = 1 << 30;

/// Grey images of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdxImages {
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

    /// The images' pixels, `rows * columns` bytes each, row by row.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.data.chunks_exact(self.rows * self.columns)
    }
}

/// What was wrong, with which file, what was expected, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdxError {
    /// The operating system refused.
    #[error("{}: cannot be read: {reason}; check the path and its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's message.
        reason: String,
    },
    /// The path is a folder.
    #[error("{}: is a folder, expected an IDX file; name the images file inside it", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// The gzip stream is damaged or ends early.
    #[error("{}: its gzip data is damaged: {reason}; copy or download it again", path.display())]
    Gzip {
        /// The file.
        path: PathBuf,
        /// What the decompressor met.
        reason: String,
    },
    /// The first bytes are not those of such an IDX file.
    #[error("{}: {found}, expected an IDX file of {expected}; check that it is the right file", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// The images or labels that were asked for, and the bytes that announce them.
        expected: String,
        /// What the file begins with.
        found: String,
    },
    /// The header announces more than is possible, or nothing.
    #[error("{}: its header announces {shape} bytes, expected at least 1 and at most {MAX_BYTES}", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// The dimensions, joined by " x ".
        shape: String,
    },
    /// The file's length is not what its header announces.
    #[error(
        "{}: holds {found} bytes behind the header, which announces {shape} = {expected}; copy or download it again",
        path.display()
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// The dimensions, joined by " x ".
        shape: String,
        /// Their product.
        expected: u64,
        /// "only N" or "more than N".
        found: String,
    },
    /// The images' name does not say what the labels are called.
    #[error(
        "{}: its labels cannot be found, because its name does not contain \"{IMAGES}\"; rename the pair like \
         t10k-{IMAGES}-ubyte and t10k-{LABELS}-ubyte", path.display()
    )]
    Name {
        /// The images file.
        path: PathBuf,
    },
    /// There is no labels file.
    #[error("{}: its labels are missing, expected them in {}", path.display(), expected.display())]
    NoLabels {
        /// The images file.
        path: PathBuf,
        /// Where they should be; with or without `.gz`.
        expected: PathBuf,
    },
    /// Images and labels do not belong together.
    #[error("{}: has {found} labels for the {expected} images beside it, expected one each", path.display())]
    Count {
        /// The labels file.
        path: PathBuf,
        /// How many images there are.
        expected: usize,
        /// How many labels there are.
        found: usize,
    },
}

const IMAGES: &str = "images-idx3";
const LABELS: &str = "labels-idx1";

/// The images of an IDX file, and the labels of the file beside it: the one of the same name but for `labels-idx1` in
/// place of `images-idx3`, with or without `.gz`.
pub fn read_pair(path: &Path) -> Result<(IdxImages, Vec<u8>), IdxError> {
    let images = read_images(path)?;
    let beside = labels_beside(path)?;
    let labels = read_labels(&beside)?;
    if labels.len() != images.count() {
        return Err(IdxError::Count { path: beside, expected: images.count(), found: labels.len() });
    }
    Ok((images, labels))
}

/// The images of an IDX file.
pub fn read_images(path: &Path) -> Result<IdxImages, IdxError> {
    let ([_, rows, columns], data) = read(path, "images")?;
    Ok(IdxImages { rows: rows as usize, columns: columns as usize, data })
}

/// The labels of an IDX file.
pub fn read_labels(path: &Path) -> Result<Vec<u8>, IdxError> {
    let ([_], data) = read(path, "labels")?;
    Ok(data)
}

/// The file with the labels of an images file.
fn labels_beside(images: &Path) -> Result<PathBuf, IdxError> {
    let name = images.file_name().and_then(|name| name.to_str());
    let Some(name) = name.filter(|name| name.contains(IMAGES)) else {
        return Err(IdxError::Name { path: images.into() });
    };
    let plain = name.replace(IMAGES, LABELS);
    let other = plain.strip_suffix(".gz").map_or_else(|| format!("{plain}.gz"), String::from);
    let (same, other) = (images.with_file_name(plain), images.with_file_name(other));
    match (same.exists(), other.exists()) {
        (true, _) => Ok(same),
        (false, true) => Ok(other),
        (false, false) => Err(IdxError::NoLabels { path: images.into(), expected: same }),
    }
}

/// The dimensions and the values of an IDX file of unsigned bytes. Memory grows with the values that are there, not
/// with those that the header announces.
fn read<const DIMS: usize>(path: &Path, what: &str) -> Result<([u32; DIMS], Vec<u8>), IdxError> {
    let mut source = Source::open(path)?;
    let mut header = Vec::new();
    source.read(&mut header, 4 * (1 + DIMS as u64))?;
    let magic = [0, 0, 8, DIMS as u8];
    if !header.starts_with(&magic) || header.len() != 4 * (1 + DIMS) {
        let expected = format!("{what}, which begins with {}", hex(&magic));
        return Err(IdxError::Header { path: path.into(), expected, found: describe(&header, magic) });
    }
    let (words, _) = header.as_chunks::<4>();
    let shape: [u32; DIMS] = std::array::from_fn(|i| u32::from_be_bytes(words[1 + i]));
    let text = shape.map(|size| size.to_string()).join(" x ");
    let announced = shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size.into()));
    let Some(expected) = announced.filter(|bytes| (1..=MAX_BYTES).contains(bytes)) else {
        return Err(IdxError::Size { path: path.into(), shape: text });
    };
    let mut data = Vec::new();
    source.read(&mut data, expected + 1)?;
    let found = match data.len() as u64 {
        length if length == expected => return Ok((shape, data)),
        length if length < expected => format!("only {length}"),
        _ => format!("more than {expected}"),
    };
    Err(IdxError::Length { path: path.into(), shape: text, expected, found })
}

/// A file, decompressed if it begins as gzip does.
struct Source<'a> {
    path: &'a Path,
    reader: Box<dyn Read>,
    gzip: bool,
}

impl<'a> Source<'a> {
    fn open(path: &'a Path) -> Result<Self, IdxError> {
        let refused = |error: std::io::Error| IdxError::Read { path: path.into(), reason: error.to_string() };
        if path.is_dir() {
            return Err(IdxError::Folder { path: path.into() });
        }
        let mut file = BufReader::new(File::open(path).map_err(refused)?);
        let gzip = file.fill_buf().map_err(refused)?.starts_with(&[0x1F, 0x8B]);
        let reader: Box<dyn Read> = if gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        Ok(Self { path, reader, gzip })
    }

    /// Appends up to `limit` bytes, fewer only where the file ends.
    fn read(&mut self, bytes: &mut Vec<u8>, limit: u64) -> Result<(), IdxError> {
        let result = self.reader.by_ref().take(limit).read_to_end(bytes);
        let (path, gzip) = (self.path.to_path_buf(), self.gzip);
        result.map(|_| ()).map_err(|error| match (gzip, error.to_string()) {
            (true, reason) => IdxError::Gzip { path, reason },
            (false, reason) => IdxError::Read { path, reason },
        })
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
        [0, 0, 9 | 11..=14, ..] => format!("is an IDX file of type {:02x}, not unsigned bytes", header[2]),
        _ => format!("begins with {}", hex(&header[..header.len().min(4)])),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
