//! What a checkpoint says about itself: the model, its name, its classes and how images are prepared for it.

use serde::Serialize;
use vit::{Config, Family, SwinConfig, VitConfig};

use crate::{CropMode, Preparation};

/// The description in a checkpoint's metadata entry `config`.
///
/// ```
/// let mut description = weights::Description::new(vit::Config::named("shuffle_deit_tiny").unwrap());
/// description.name = Some("shuffle_deit_tiny".into());
/// assert!(description.to_json().starts_with(r#"{"arch":"vit","name":"shuffle_deit_tiny","image_size":224,"#));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Description {
    /// The model.
    pub config: Config,
    /// What the model is called.
    pub name: Option<String>,
    /// What the classes are called, in the order of the logits; empty if the file does not say.
    pub labels: Vec<Option<String>>,
    /// From pixels to the model's input.
    pub preparation: Preparation,
}

impl Description {
    /// A description that says no more than the configuration: no name, no labels, the default preparation.
    ///
    /// ```
    /// let description = weights::Description::new(vit::Config::named("deit_tiny").unwrap());
    /// assert_eq!(description.preparation.resize, 248);
    /// ```
    pub fn new(config: Config) -> Self {
        // Beyond the bound the configuration is invalid, and what uses it says so.
        let channels = config.in_channels().min(vit::MAX_SIZE);
        let preparation = Preparation::new(config.image_size(), channels);
        Description { config, name: None, labels: Vec::new(), preparation }
    }

    /// What class `index` is called, if the file says.
    ///
    /// ```
    /// let mut description = weights::Description::new(vit::Config::named("deit_tiny").unwrap());
    /// assert_eq!(description.label(0), None);
    /// description.labels = vec![Some("tench".into())];
    /// assert_eq!(description.label(0), Some("tench"));
    /// ```
    pub fn label(&self, index: usize) -> Option<&str> {
        self.labels.get(index)?.as_deref()
    }

    /// The metadata entry `config`: a JSON object with every key of the model.
    ///
    /// ```
    /// let description = weights::Description::new(weights::named("deit_tiny")?);
    /// assert!(description.to_json().contains(r#""depth":12"#));
    /// # Ok::<(), weights::Error>(())
    /// ```
    pub fn to_json(&self) -> String {
        match self.config.family() {
            Family::Vit(config) => self.text("vit", VitJson::from(config)),
            Family::Swin(config) => self.text("swin", SwinJson::from(config)),
            // Configurations of other families come with their own entry above; until then none can be made.
            _ => String::new(),
        }
    }

    fn text(&self, arch: &'static str, model: impl Serialize) -> String {
        let json = Json {
            arch,
            name: self.name.as_deref(),
            model,
            labels: &self.labels,
            resize: self.preparation.resize,
            crop_mode: Some(self.preparation.crop_mode).filter(|mode| *mode != CropMode::Center).map(CropMode::name),
            interpolation: self.preparation.interpolation.name(),
            mean: &self.preparation.mean,
            std: &self.preparation.std,
        };
        // Strings and finite numbers only, so that writing cannot fail.
        serde_json::to_string(&json).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Json<'a, M> {
    arch: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(flatten)]
    model: M,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    labels: &'a [Option<String>],
    resize: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    crop_mode: Option<&'static str>,
    interpolation: &'static str,
    mean: &'a [f32],
    std: &'a [f32],
}

fn is_true(switch: &bool) -> bool {
    *switch
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[derive(Serialize)]
struct VitJson {
    image_size: usize,
    patch_size: usize,
    in_channels: usize,
    num_classes: usize,
    dim: usize,
    depth: usize,
    heads: usize,
    mlp_ratio: f64,
    qkv_bias: bool,
    layer_norm_eps: f64,
    tokens: &'static str,
    #[serde(skip_serializing_if = "is_true")]
    class_token: bool,
    distilled: bool,
    #[serde(skip_serializing_if = "is_zero")]
    register_tokens: usize,
    #[serde(skip_serializing_if = "is_true")]
    embed_class_token: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    embed_registers: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pre_norm: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    qk_norm: bool,
    pool: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    norm_after_pool: bool,
    shuffle: bool,
    rescale: &'static str,
}

impl From<&VitConfig> for VitJson {
    fn from(config: &VitConfig) -> Self {
        VitJson {
            image_size: config.image_size,
            patch_size: config.patch_size,
            in_channels: config.in_channels,
            num_classes: config.num_classes,
            dim: config.dim,
            depth: config.depth,
            heads: config.heads,
            mlp_ratio: config.mlp_ratio,
            qkv_bias: config.qkv_bias,
            layer_norm_eps: config.layer_norm_eps,
            tokens: config.tokens.name(),
            class_token: config.class_token,
            distilled: config.distilled,
            register_tokens: config.register_tokens,
            embed_class_token: config.embed_class_token,
            embed_registers: config.embed_registers,
            pre_norm: config.pre_norm,
            qk_norm: config.qk_norm,
            pool: config.pool.name(),
            norm_after_pool: config.norm_after_pool,
            shuffle: config.shuffle,
            rescale: config.rescale.name(),
        }
    }
}

/// One number for all stages, or a list.
#[derive(Serialize)]
#[serde(untagged)]
enum WindowJson<'a> {
    Single(usize),
    Stages(&'a [usize]),
}

#[derive(Serialize)]
struct SwinJson<'a> {
    image_size: usize,
    patch_size: usize,
    in_channels: usize,
    num_classes: usize,
    dim: usize,
    depths: &'a [usize],
    heads: &'a [usize],
    window: WindowJson<'a>,
    mlp_ratio: f64,
    qkv_bias: bool,
    layer_norm_eps: f64,
    shuffle: bool,
    rescale: &'static str,
}

impl<'a> From<&'a SwinConfig> for SwinJson<'a> {
    fn from(config: &'a SwinConfig) -> Self {
        SwinJson {
            image_size: config.image_size,
            patch_size: config.patch_size,
            in_channels: config.in_channels,
            num_classes: config.num_classes,
            dim: config.dim,
            depths: &config.depths,
            heads: &config.heads,
            window: match config.window[..] {
                [window] => WindowJson::Single(window),
                _ => WindowJson::Stages(&config.window),
            },
            mlp_ratio: config.mlp_ratio,
            qkv_bias: config.qkv_bias,
            layer_norm_eps: config.layer_norm_eps,
            shuffle: config.shuffle,
            rescale: config.rescale.name(),
        }
    }
}
