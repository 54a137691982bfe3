//! A packed file that is used where it is in memory: no heap, no standard library.

use core::fmt;

use vit::{Config, Model, PACKED_VERSION};

use super::checksum::Checksum;
use super::in_place::{Description, Header, configuration};
use super::json::{Json, Text};
use crate::floats::all_finite;

/// A packed model in flash or elsewhere in memory: nothing is copied, and nothing is allocated.
///
/// It needs no feature of this crate. With the standard library, [`Loader::from_bytes`](crate::Loader::from_bytes) borrows
/// the weights too, and says more about a file that is wrong.
///
/// On a microcontroller, `const MODEL: &[u8] = weights::include_aligned!("model.packed");` links the file into the flash.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("tiny.packed");
/// # let description = weights::Description::new(weights::named("deit_tiny")?);
/// # weights::save_packed(&path, &weights::LoadedModel::from_tensors(description, &mut weights::Random::new(7))?)?;
/// # let mut buffer = vec![0; std::fs::metadata(&path)?.len() as usize + 64];
/// # let start = 64 - buffer.as_ptr().addr() % 64;
/// # let bytes = &mut buffer[start..];
/// # std::io::Read::read_exact(&mut std::fs::File::open(&path)?, &mut bytes[..std::fs::metadata(&path)?.len() as usize])?;
/// # let bytes = &bytes[..std::fs::metadata(&path)?.len() as usize];
/// let file = weights::PackedFile::new(bytes)?;
/// let (model, level) = (file.model(), vit::Level::detect());
/// let image = vec![0.0; file.config().image_len()];
/// let mut logits = vec![0.0; file.config().outputs()];
/// model.run(level, &image, &mut logits, &mut vec![0.0; model.scratch_len(level)])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct PackedFile<'a> {
    config: Config,
    weights: &'a [f32],
    checksum: Checksum,
    description: Description<'a>,
}

/// Why bytes are no packed file that can be used where they are.
///
/// ```
/// let error = weights::PackedFile::new(&[0; 64]).err().unwrap();
/// assert!(error.to_string().contains("pack the checkpoint again"));
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PackedError {
    /// The values would not be aligned.
    #[error(
        "the packed file begins {beyond} bytes beyond a multiple of {alignment}, expected none: align the bytes \
         (weights::include_aligned! does so), best to 64"
    )]
    Misaligned {
        /// How many bytes too far it begins.
        beyond: usize,
        /// What its address must be a multiple of.
        alignment: usize,
    },
    /// The header cannot be read.
    #[error("no packed file: expected {expected}; pack the checkpoint again (shuffle-vit pack)")]
    Malformed {
        /// What is not there.
        expected: &'static str,
    },
    /// The values are in the order of another version.
    #[error("packed in order {found} where this one reads {expected}; pack the checkpoint again (shuffle-vit pack)")]
    Version {
        /// The order that is understood, [`vit::PACKED_VERSION`].
        expected: u32,
        /// The order of the file.
        found: u32,
    },
    /// No model has that configuration.
    #[error("the packed file's configuration is impossible: {0}")]
    Config(#[from] vit::ConfigError),
    /// The configuration needs another number of values.
    #[error("the packed file has {found} values, expected {expected} for its configuration; pack the checkpoint again")]
    Length {
        /// How many the configuration takes.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A value is NaN or infinite.
    #[error("the packed file has a value that is not finite; pack the checkpoint again (shuffle-vit pack)")]
    NotFinite,
    /// The values or the description are no longer those that were packed.
    #[error("the packed file is damaged: its checksum is another than the one it was packed with")]
    Checksum,
    /// The processor reads numbers from the other end.
    #[error("the packed file's values are little-endian and this processor is not: read it with the feature `std`")]
    BigEndian,
}

/// Includes a file in the program, from a 64-byte boundary on, so that its values can be used where they are.
///
/// ```
/// static BYTES: &[u8] = weights::include_aligned!("../../Cargo.toml"); // of a program, such as "model.packed"
/// assert_eq!(BYTES.as_ptr().addr() % 64, 0);
/// ```
#[macro_export]
macro_rules! include_aligned {
    ($path:expr) => {{
        #[repr(C, align(64))]
        struct Aligned<T: ?Sized>(T);
        static ALIGNED: &Aligned<[u8]> = &Aligned(*include_bytes!($path));
        &ALIGNED.0
    }};
}

impl<'a> PackedFile<'a> {
    /// Checks the header and the lengths; no value is looked at, which [`PackedFile::verify`] does.
    ///
    /// ```
    /// let error = weights::PackedFile::new(b"no packed file").err().unwrap();
    /// assert!(matches!(error, weights::PackedError::Malformed { .. }));
    /// ```
    pub fn new(bytes: &'a [u8]) -> Result<Self, PackedError> {
        let header = Header::read(bytes).ok_or(malformed("a safetensors header with the entries of a packed file"))?;
        if header.version != PACKED_VERSION {
            return Err(PackedError::Version { expected: PACKED_VERSION, found: header.version });
        }
        let config = configuration(&header.description).ok_or(malformed("a `config` entry that describes a model"))?;
        let config = Config::new(config)?;
        let expected = vit::packed_len(&config);
        let weights = floats(header.values)?;
        if weights.len() != expected {
            return Err(PackedError::Length { expected, found: weights.len() });
        }
        Ok(PackedFile { config, weights, checksum: header.checksum, description: header.description })
    }

    /// What the model is.
    ///
    /// ```
    /// # fn example(file: weights::PackedFile) {
    /// let images_have = file.config().image_len();
    /// # }
    /// ```
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The weights, in the order in which a [`Model`] takes them.
    ///
    /// ```
    /// # fn example(file: weights::PackedFile) {
    /// let flash = size_of_val(file.weights());
    /// # }
    /// ```
    pub fn weights(&self) -> &'a [f32] {
        self.weights
    }

    /// The model over the weights; a small value, made anew at each call.
    ///
    /// ```
    /// # fn example(file: weights::PackedFile) {
    /// let scratch_values = file.model().scratch_len(vit::Level::detect());
    /// # }
    /// ```
    pub fn model(&self) -> Model<'a> {
        Model::new(&self.config, self.weights).expect("the number of values is that of the configuration")
    }

    /// Checks every value: that none is NaN or infinite, and that they and the description have the checksum that was
    /// written when they were packed.
    ///
    /// ```
    /// # fn example(file: weights::PackedFile) -> Result<(), weights::PackedError> {
    /// file.verify() // once, after the flash was written
    /// # }
    /// ```
    pub fn verify(&self) -> Result<(), PackedError> {
        let text = self
            .description
            .clone()
            .fold(Checksum::of_text(""), |checksum, character| checksum.then_text(character.encode_utf8(&mut [0; 4])));
        if text.then(self.weights) != self.checksum {
            return Err(PackedError::Checksum);
        }
        if all_finite(self.weights) { Ok(()) } else { Err(PackedError::NotFinite) }
    }

    /// What the class is called, if the file says.
    ///
    /// ```
    /// # fn example(file: weights::PackedFile, class: usize) {
    /// if let Some(label) = file.label(class) {
    ///     println!("{label}");
    /// }
    /// # }
    /// ```
    pub fn label(&self, class: usize) -> Option<Label<'a>> {
        self.element("labels", class, |json| json.string()).map(Label)
    }

    /// What is subtracted from a channel's pixels, which are between 0 and 1.
    ///
    /// ```
    /// # fn example(file: weights::PackedFile, red: f32) {
    /// let value = (red - file.mean(0).unwrap_or(0.5)) / file.std(0).unwrap_or(0.5);
    /// # }
    /// ```
    pub fn mean(&self, channel: usize) -> Option<f32> {
        self.element("mean", channel, |json| json.number())
    }

    /// What a channel's pixels are divided by after the [mean](Self::mean) is subtracted.
    ///
    /// ```
    /// # fn example(file: weights::PackedFile) {
    /// let deviation = file.std(0);
    /// # }
    /// ```
    pub fn std(&self, channel: usize) -> Option<f32> {
        self.element("std", channel, |json| json.number())
    }

    /// Element `index` of the description's list of that name, if it is what `read` takes.
    fn element<T>(
        &self,
        list: &str,
        index: usize,
        read: impl Fn(&mut Json<Description<'a>>) -> Option<T>,
    ) -> Option<T> {
        let (mut element, mut at) = (None, 0);
        Json::new(self.description.clone()).entries(&mut |key, json| {
            if !key.is(list) {
                return json.skip();
            }
            json.items(&mut |json| {
                if at == index {
                    element = read(&mut json.clone());
                }
                at += 1;
                json.skip()
            })
        })?;
        element
    }
}

impl fmt::Debug for PackedFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("PackedFile").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The name of a class: displays without a heap.
///
/// ```
/// # fn example(label: weights::Label) {
/// let is_cat = label.chars().eq("cat".chars());
/// # }
/// ```
#[derive(Clone)]
pub struct Label<'a>(Text<Description<'a>>);

impl Label<'_> {
    /// The characters, one by one.
    ///
    /// ```
    /// # fn example(label: weights::Label) {
    /// let letters = label.chars().count();
    /// # }
    /// ```
    pub fn chars(&self) -> impl Iterator<Item = char> {
        self.0.clone()
    }
}

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.chars().try_for_each(|character| fmt::Write::write_char(f, character))
    }
}

impl fmt::Debug for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

fn malformed(expected: &'static str) -> PackedError {
    PackedError::Malformed { expected }
}

/// The values in the memory that they are in.
fn floats(bytes: &[u8]) -> Result<&[f32], PackedError> {
    if cfg!(target_endian = "big") {
        return Err(PackedError::BigEndian);
    }
    let alignment = align_of::<f32>();
    let misaligned = |_| PackedError::Misaligned { beyond: bytes.as_ptr().addr() % alignment, alignment };
    bytemuck::try_cast_slice(bytes).map_err(misaligned)
}
