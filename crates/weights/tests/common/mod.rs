//! Small checkpoints in memory, to be damaged in one place each.
#![allow(dead_code)] // each test binary uses its part

use std::fmt::Write as _;
use std::ops::{Deref, Range};

use vit::{Config, Level, Stages, SwinConfig, TensorName, Tensors, Tokens, VitConfig};
use weights::{Checkpoint, Description, Error, LoadedModel, Loader, Random, TensorFile};

/// One tensor of a file, which may lie about itself.
#[derive(Clone)]
pub struct Tensor {
    pub name: String,
    pub dtype: &'static str,
    pub shape: Vec<u64>,
    pub bytes: Vec<u8>,
}

/// A file before it is written.
#[derive(Clone)]
pub struct Builder {
    pub config: Option<String>,
    pub tensors: Vec<Tensor>,
    /// Spaces after the header, which shift the values.
    pub padding: usize,
}

/// Shuffled, rescaled, one block of four attended channels.
pub fn small() -> VitConfig {
    VitConfig {
        image_size: 8,
        patch_size: 4,
        in_channels: 1,
        num_classes: 3,
        dim: 4,
        depth: 1,
        heads: 2,
        mlp_ratio: 2.0,
        shuffle: true,
        rescale: vit::Rescale::Learned,
        ..VitConfig::default()
    }
}

/// A whole checkpoint of that configuration, F32, with the configuration in its metadata.
pub fn checkpoint(config: VitConfig) -> Builder {
    checkpoint_of(Config::new(config).unwrap())
}

/// As [`checkpoint`], of any family.
pub fn checkpoint_of(config: Config) -> Builder {
    let mut random = Random::new(1);
    build(config, &mut |name, shape| random.tensor(name, shape).unwrap().iter().flat_map(|x| x.to_le_bytes()).collect())
}

/// As [`checkpoint_of`], all zeros: for models too large to make up in a moment.
pub fn zeros_of(config: Config) -> Builder {
    build(config, &mut |_, shape| vec![0; 4 * shape.iter().product::<usize>()])
}

fn build(config: Config, bytes: &mut dyn FnMut(TensorName, &[usize]) -> Vec<u8>) -> Builder {
    let mut tensors = Vec::new();
    config.visit_tensors(&mut |name, shape| {
        tensors.push(Tensor {
            name: name.to_string(),
            dtype: "F32",
            shape: shape.iter().map(|&size| size as u64).collect(),
            bytes: bytes(name, shape),
        });
    });
    Builder { config: Some(Description::new(config).to_json()), tensors, padding: 0 }
}

/// Shuffled and rescaled tokens-to-token, of one token.
pub fn small_t2t(tokens: Tokens) -> VitConfig {
    VitConfig { image_size: 16, patch_size: 16, tokens, layer_norm_eps: 1e-5, ..small() }
}

/// Shuffled, rescaled, two stages of two blocks on maps of 6 x 6 and 3 x 3 tokens.
pub fn small_swin() -> SwinConfig {
    SwinConfig {
        image_size: 12,
        patch_size: 2,
        in_channels: 1,
        num_classes: 3,
        dim: 4,
        depths: Stages::new(&[2, 2]).unwrap(),
        heads: Stages::new(&[1, 2]).unwrap(),
        window: Stages::single(3),
        mlp_ratio: 2.0,
        shuffle: true,
        rescale: vit::Rescale::Learned,
        ..SwinConfig::default()
    }
}

/// The checkpoint that the tests of errors damage.
pub fn good() -> Builder {
    checkpoint(small())
}

impl Builder {
    pub fn tensor(&mut self, name: &str) -> &mut Tensor {
        self.tensors.iter_mut().find(|tensor| tensor.name == name).unwrap()
    }

    pub fn remove(&mut self, name: &str) {
        self.tensors.retain(|tensor| tensor.name != name);
    }

    /// Replaces a piece of the configuration's text, which must be there.
    pub fn edit_config(&mut self, from: &str, to: &str) {
        let config = self.config.as_mut().unwrap();
        assert!(config.contains(from), "{config} lacks {from}");
        *config = config.replace(from, to);
    }

    pub fn header(&self) -> String {
        let mut header = String::from("{");
        if let Some(config) = &self.config {
            write!(header, r#""__metadata__":{{"config":{}}},"#, serde_json::to_string(config).unwrap()).unwrap();
        }
        let mut begin = 0;
        for tensor in &self.tensors {
            let (name, end) = (serde_json::to_string(&tensor.name).unwrap(), begin + tensor.bytes.len());
            let (dtype, shape) = (tensor.dtype, &tensor.shape);
            write!(header, r#"{name}:{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{begin},{end}]}},"#)
                .unwrap();
            begin = end;
        }
        header.truncate(header.trim_end_matches(',').len());
        header + "}" + &" ".repeat(self.padding)
    }

    pub fn bytes(&self) -> Vec<u8> {
        let data: Vec<u8> = self.tensors.iter().flat_map(|tensor| tensor.bytes.iter().copied()).collect();
        raw(&self.header(), &data)
    }
}

impl Tensor {
    pub fn set_values(&mut self, values: &[(usize, f32)]) {
        for (at, value) in values {
            self.bytes[4 * at..][..4].copy_from_slice(&value.to_le_bytes());
        }
    }

    /// Keeps what the shape says consistent with the bytes.
    pub fn reshape(&mut self, shape: &[u64]) {
        self.shape = shape.to_vec();
        self.bytes.resize(4 * shape.iter().product::<u64>() as usize, 0);
    }

    /// The same values as F64.
    pub fn widen(&mut self) {
        let values = self.bytes.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
        self.bytes = values.flat_map(|value| f64::from(value).to_le_bytes()).collect();
        self.dtype = "F64";
    }

    pub fn retype(&mut self, dtype: &'static str, convert: impl Fn(f32) -> u16) {
        let values = self.bytes.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
        self.bytes = values.flat_map(|value| convert(value).to_le_bytes()).collect();
        self.dtype = dtype;
    }
}

/// A file of any header and values.
pub fn raw(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

/// A packed file of a model with random weights.
pub fn packed(config: Config) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.packed");
    let mut random = Random::new(1).for_model(&config);
    let model = LoadedModel::from_tensors(Description::new(config), &mut random).unwrap();
    weights::save_packed(&path, &model).unwrap();
    std::fs::read(&path).unwrap()
}

/// A file with its header's JSON or its values edited, the values beginning `shift` bytes beyond a cache line.
pub fn edited(bytes: &[u8], shift: usize, edit: impl FnOnce(&mut serde_json::Value, &mut Vec<u8>)) -> Vec<u8> {
    let (len, rest) = bytes.split_first_chunk().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*len) as usize);
    let (mut header, mut data) = (serde_json::from_slice(header).unwrap(), data.to_vec());
    edit(&mut header, &mut data);
    let header = header.to_string();
    let padding = 64 - (len.len() + header.len()) % 64 + shift;
    raw(&(header + &" ".repeat(padding)), &data)
}

/// Everything that loading does with bytes, up to the model itself.
pub fn open<'a>(bytes: &'a [u8], arch: Option<&str>) -> Result<Checkpoint<'a>, Error> {
    loader(arch).checkpoint(TensorFile::from_bytes(bytes)?)
}

/// A loader that names the model, or not.
pub fn loader(arch: Option<&str>) -> Loader {
    match arch {
        Some(name) => Loader::new().arch(name),
        None => Loader::new(),
    }
}

/// A model from memory.
pub fn from_bytes<'a>(bytes: &'a [u8], arch: Option<&str>) -> Result<LoadedModel<'a>, Error> {
    loader(arch).from_bytes(bytes)
}

/// The bytes from `shift` bytes beyond a cache line on.
pub fn aligned(bytes: &[u8], shift: usize) -> AlignedBytes {
    let mut storage = vec![0; bytes.len() + 2 * 64];
    let start = 64 - storage.as_ptr().addr() % 64 + shift;
    storage[start..][..bytes.len()].copy_from_slice(bytes);
    AlignedBytes { storage, range: start..start + bytes.len() }
}

/// Bytes that begin where they were asked to.
pub struct AlignedBytes {
    storage: Vec<u8>,
    range: Range<usize>,
}

impl Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.storage[self.range.clone()]
    }
}

/// The levels of this CPU. `KERNELS_REQUIRE=avx2,avx512` makes a missing one fail, so that no test passes by absence.
pub fn levels() -> Vec<Level> {
    let levels: Vec<Level> = Level::available().collect();
    for name in std::env::var("KERNELS_REQUIRE").unwrap_or_default().split(',').filter(|name| !name.is_empty()) {
        assert!(levels.iter().any(|level| level.name() == name), "KERNELS_REQUIRE: this CPU lacks {name}");
    }
    levels
}

/// Opens and reads every value; the message of what is wrong, if anything is.
pub fn complaint(bytes: &[u8], arch: Option<&str>) -> Option<String> {
    let mut checkpoint = match open(bytes, arch) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return Some(error.to_string()),
    };
    let config = checkpoint.description().config;
    let mut complaint = None;
    config.visit_tensors(&mut |name, shape| {
        if let Err(error) = checkpoint.tensor(name, shape) {
            complaint.get_or_insert(error.to_string());
        }
    });
    complaint
}

/// Damages a good checkpoint; the message must have each of the needles.
pub fn check(good: Builder, damage: impl Fn(&mut Builder), needles: &[&str]) {
    let mut builder = good;
    assert_eq!(complaint(&builder.bytes(), None), None);
    damage(&mut builder);
    let message = complaint(&builder.bytes(), None).expect("damaged files are errors");
    for needle in needles.iter().chain(&["(bytes in memory): "]) {
        assert!(message.contains(needle), "{message:?} lacks {needle:?}");
    }
}

/// As [`check`], with a piece of the configuration replaced.
pub fn check_config(good: Builder, from: &str, to: &str, needles: &[&str]) {
    check(good, |builder| builder.edit_config(from, to), needles);
}

/// Writes a checkpoint of random weights with a description, and reads the description back.
pub fn round_trip(config: Config) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let mut description = Description::new(config);
    description.name = Some("small".into());
    description.labels = vec![Some("a".into()), None, Some("c".into())];
    weights::save(&path, &description, &mut Random::new(3).for_model(&config)).unwrap();
    let loaded = weights::load(&path).unwrap();
    assert_eq!(loaded.description(), &description);
    assert_eq!(loaded.warnings(), [""; 0]);
    assert_eq!(loaded.model().config(), &config);
}
