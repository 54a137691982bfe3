//! Target `checkpoint`: a whole checkpoint of some small model, and its packed file, damaged in a few places.
//!
//! Random bytes seldom get past a header whose offsets must add up; here the input says which model it is and what is done
//! to its file, and the file is written consistently around that.

#[path = "../../crates/weights/tests/common/mod.rs"]
mod builder;

use arbitrary::{Arbitrary, Unstructured};
use builder::{Builder, checkpoint_of};
use half::{bf16, f16};
use vit::{Config, ConfigError, Pool, Rescale, Stages, SwinConfig, Tokens, VitConfig};
use weights::{LoadedModel, Loader};

use crate::model::{check_message, check_model, check_packed};

#[derive(Arbitrary, Debug)]
struct Case {
    model: Model,
    dtype: Dtype,
    prefix: Prefix,
    described: bool,
    padding: u8,
    damages: Vec<Damage>,
}

/// A model whose every size is small, possible or not.
#[derive(Arbitrary, Debug)]
struct Model {
    family: Family,
    patches: u8,
    patch_size: u8,
    in_channels: u8,
    classes: u8,
    head_dim: u8,
    heads: u8,
    depth: u8,
    mlp_quarters: u8,
    qkv_bias: bool,
    distilled: bool,
    average: bool,
    norm_after_pool: bool,
    shuffle: bool,
    rescale: u8,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Family {
    Plain,
    TokensToToken { performer: bool },
    Swin { stages: u8, window: u8 },
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Dtype {
    F32,
    F16,
    Bf16,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Prefix {
    None,
    Model,
    Module,
    Both,
}

/// One change to a file. Tensors are chosen by number, modulo their count.
#[derive(Arbitrary, Debug)]
enum Damage {
    Value { tensor: u8, at: u16, bits: u32 },
    Remove { tensor: u8 },
    Duplicate { tensor: u8 },
    Rename { tensor: u8, name: String },
    Exchange { a: u8, b: u8 },
    Reshape { tensor: u8, shape: Vec<u64> },
    Retype { tensor: u8, dtype: u8 },
    Lengthen { tensor: u8, by: u8 },
    Shorten { tensor: u8, by: u8 },
    ConfigBytes { at: u16, bytes: Vec<u8> },
    ConfigValue { key: u8, value: u8 },
    FileByte { at: u16, value: u8 },
}

const DTYPES: [&str; 10] = ["F32", "F16", "BF16", "F64", "I8", "U8", "BOOL", "I64", "F4", "X"];
const VALUES: [&str; 16] = [
    "0", "1", "-1", "2", "4", "1048576", "1048577", "1e99", "0.25", "\"vit\"", "\"\"", "[]", "[null]", "{}", "null",
    "true",
];

/// Builds the file that the bytes ask for and loads it; an undamaged one must load and hold its values.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let Ok(config) = case.model.config() else { return };
    let mut file = checkpoint_of(config);
    retype(&mut file, case.dtype);
    let prefix = case.prefix.text();
    file.tensors.iter_mut().for_each(|tensor| tensor.name.insert_str(0, prefix));
    file.padding = usize::from(case.padding % 64);
    case.damages.iter().for_each(|damage| damage.apply(&mut file));
    if !case.described {
        file.config = None;
    }
    let mut bytes = file.bytes();
    case.damages.iter().for_each(|damage| damage.apply_to_bytes(&mut bytes));

    let loader = if case.described { Loader::new() } else { Loader::new().arch("shuffle_deit_tiny") };
    let loaded = loader.from_bytes(&bytes);
    match &loaded {
        Ok(loaded) => {
            check_model(loaded, bytes.len());
            pack(loaded, &case.damages);
        }
        Err(error) => check_message(error),
    }
    if case.damages.is_empty() && case.described {
        let loaded = loaded.unwrap_or_else(|error| panic!("undamaged: {error}"));
        assert_eq!(*loaded.model().config(), config);
    }
}

/// Packed, a model is what it was; damaged, it is refused or runs.
fn pack(loaded: &LoadedModel, damages: &[Damage]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("x.packed");
    weights::save_packed(&path, loaded).expect("what loads can be packed");
    let mut bytes = std::fs::read(&path).expect("it was written");
    let read = weights::load(&path).expect("what was packed loads");
    let borrowed = Loader::new().from_bytes(&bytes).expect("what was packed loads");
    for packed in [read, borrowed] {
        assert_eq!((packed.description(), packed.weight_bytes()), (loaded.description(), loaded.weight_bytes()));
        assert_eq!(packed.verify(), loaded.verify());
    }
    damages.iter().for_each(|damage| damage.apply_to_bytes(&mut bytes));
    match Loader::new().from_bytes(&bytes) {
        Ok(packed) => check_packed(&packed, bytes.len()),
        Err(error) => check_message(&error),
    }
}

impl Model {
    fn config(&self) -> Result<Config, ConfigError> {
        match self.family {
            Family::Plain => Config::new(self.plain()),
            Family::TokensToToken { performer } => Config::new(VitConfig {
                image_size: 16,
                patch_size: 16,
                tokens: if performer { Tokens::T2tPerformer } else { Tokens::T2tTransformer },
                ..self.plain()
            }),
            Family::Swin { stages, window } => Config::new(self.swin(small(stages, 3), small(window, 4))),
        }
    }

    fn plain(&self) -> VitConfig {
        let (patch_size, heads) = (small(self.patch_size, 3), small(self.heads, 3));
        VitConfig {
            image_size: patch_size * small(self.patches, 6),
            patch_size,
            in_channels: small(self.in_channels, 4),
            num_classes: small(self.classes, 10),
            dim: heads * small(self.head_dim, 5),
            depth: small(self.depth, 3),
            heads,
            mlp_ratio: self.mlp_ratio(),
            qkv_bias: self.qkv_bias,
            layer_norm_eps: 1e-6,
            distilled: self.distilled,
            pool: if self.average { Pool::Avg } else { Pool::Cls },
            norm_after_pool: self.norm_after_pool,
            shuffle: self.shuffle,
            rescale: self.rescale(),
            ..VitConfig::default()
        }
    }

    fn swin(&self, stages: usize, window: usize) -> SwinConfig {
        let (patch_size, heads) = (small(self.patch_size, 2), small(self.heads, 2));
        let each = |value: usize| Stages::new(&vec![value; stages]).expect("there are fewer stages than fit");
        SwinConfig {
            // A map that every stage halves and every window divides, or not.
            image_size: patch_size * (small(self.patches, 12) << (stages - 1)),
            patch_size,
            in_channels: small(self.in_channels, 3),
            num_classes: small(self.classes, 10),
            dim: heads * small(self.head_dim, 3),
            depths: each(small(self.depth, 2)),
            heads: each(heads),
            window: Stages::single(window),
            mlp_ratio: self.mlp_ratio(),
            qkv_bias: self.qkv_bias,
            shuffle: self.shuffle,
            rescale: self.rescale(),
            ..SwinConfig::default()
        }
    }

    fn mlp_ratio(&self) -> f64 {
        small(self.mlp_quarters, 10) as f64 / 4.0
    }

    fn rescale(&self) -> Rescale {
        [Rescale::None, Rescale::Half, Rescale::Learned][usize::from(self.rescale % 3)]
    }
}

/// A number from 1 to `most`.
fn small(value: u8, most: u8) -> usize {
    usize::from(value % most) + 1
}

fn retype(file: &mut Builder, dtype: Dtype) {
    for tensor in &mut file.tensors {
        match dtype {
            Dtype::F32 => {}
            Dtype::F16 => tensor.retype("F16", |x| f16::from_f32(x).to_bits()),
            Dtype::Bf16 => tensor.retype("BF16", |x| bf16::from_f32(x).to_bits()),
        }
    }
}

impl Prefix {
    fn text(self) -> &'static str {
        match self {
            Prefix::None => "",
            Prefix::Model => "model.",
            Prefix::Module => "module.",
            Prefix::Both => "module.model.",
        }
    }
}

impl Damage {
    /// Damages the file before it is written: it stays consistent unless the damage says otherwise.
    fn apply(&self, file: &mut Builder) {
        let count = file.tensors.len();
        let index = |tensor: u8| usize::from(tensor) % count.max(1);
        match self {
            Damage::ConfigBytes { at, bytes } => edit(&mut file.config, usize::from(*at), bytes),
            Damage::ConfigValue { key, value } => set_value(&mut file.config, usize::from(*key), usize::from(*value)),
            Damage::FileByte { .. } => {}
            _ if count == 0 => {}
            Damage::Value { tensor, at, bits } => {
                let bytes = &mut file.tensors[index(*tensor)].bytes;
                let value = bits.to_le_bytes();
                let at = usize::from(*at) * 4 % bytes.len().max(1);
                bytes.iter_mut().skip(at).zip(value).for_each(|(byte, value)| *byte = value);
            }
            Damage::Remove { tensor } => drop(file.tensors.remove(index(*tensor))),
            Damage::Duplicate { tensor } => file.tensors.push(file.tensors[index(*tensor)].clone()),
            Damage::Rename { tensor, name } => file.tensors[index(*tensor)].name.clone_from(name),
            Damage::Exchange { a, b } => {
                let (a, b) = (index(*a), index(*b));
                let name = std::mem::take(&mut file.tensors[a].name);
                let name = std::mem::replace(&mut file.tensors[b].name, name);
                if a != b {
                    file.tensors[a].name = name;
                }
            }
            Damage::Reshape { tensor, shape } => file.tensors[index(*tensor)].shape.clone_from(shape),
            Damage::Retype { tensor, dtype } => {
                file.tensors[index(*tensor)].dtype = DTYPES[usize::from(*dtype) % DTYPES.len()];
            }
            Damage::Lengthen { tensor, by } => {
                let bytes = &mut file.tensors[index(*tensor)].bytes;
                bytes.resize(bytes.len() + usize::from(*by), 0);
            }
            Damage::Shorten { tensor, by } => {
                let bytes = &mut file.tensors[index(*tensor)].bytes;
                bytes.truncate(bytes.len().saturating_sub(usize::from(*by)));
            }
        }
    }

    fn apply_to_bytes(&self, bytes: &mut [u8]) {
        if let Damage::FileByte { at, value } = self {
            let at = usize::from(*at) % bytes.len();
            bytes[at] = *value;
        }
    }
}

/// Overwrites part of the configuration's text.
fn edit(config: &mut Option<String>, at: usize, bytes: &[u8]) {
    let Some(text) = config else { return };
    let mut edited = std::mem::take(text).into_bytes();
    let at = at % edited.len().max(1);
    edited.iter_mut().skip(at).zip(bytes).for_each(|(old, new)| *old = *new);
    *text = String::from_utf8_lossy(&edited).into_owned();
}

/// Replaces the value of one key of the configuration by one of [`VALUES`].
fn set_value(config: &mut Option<String>, key: usize, value: usize) {
    let Some(text) = config else { return };
    let Ok(serde_json::Value::Object(mut object)) = serde_json::from_str(text) else { return };
    let key = object.keys().nth(key % object.len().max(1)).cloned().unwrap_or_default();
    let value = serde_json::from_str(VALUES[value % VALUES.len()]).expect("the values are JSON");
    object.insert(key, value);
    *text = serde_json::Value::Object(object).to_string();
}
