//! What is said about images, classes and the model's name: by a file, by the loader's settings, by nobody.

use vit::{Config, Family};

use super::values::Value;
use crate::keys::{Value as _, set};
use crate::{CropMode, Description, Interpolation, Preparation, Problem, ProblemKind, Report};

/// The keys, in the order that messages list them.
pub(crate) const IMAGE_KEYS: [&str; 8] =
    ["name", "labels", "resize", "crop_pct", "crop_mode", "interpolation", "mean", "std"];

/// One source's word on each of [`IMAGE_KEYS`]; none where it says nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Said {
    pub name: Option<String>,
    pub labels: Option<Vec<Option<String>>>,
    pub resize: Option<usize>,
    pub crop_pct: Option<f64>,
    pub crop_mode: Option<CropMode>,
    pub interpolation: Option<Interpolation>,
    pub mean: Option<Vec<f32>>,
    pub std: Option<Vec<f32>>,
}

impl Said {
    /// Takes one key's value.
    pub(super) fn set(&mut self, mut value: Value) {
        match value.key {
            "name" => self.name = value.take("a string or null").flatten(),
            "labels" => self.labels = value.take("a list of strings and nulls"),
            "resize" => self.resize = value.size(Preparation::MAX_SIDE),
            "crop_pct" => self.crop_pct = value.positive(),
            "mean" => self.mean = value.finite_list(),
            "std" => self.std = value.positive_list(),
            "crop_mode" => {
                set(&mut self.crop_mode, value.word(CropMode::ALL.map(|mode| (mode.name(), mode))).map(Some));
            }
            _ => {
                let filters = Interpolation::ALL.map(|filter| (filter.name(), filter));
                set(&mut self.interpolation, value.word(filters).map(Some));
            }
        }
    }

    /// Reports lists of another length than the model's, and a part of the image that no size has.
    pub(crate) fn check(&self, config: &Family, report: &mut Report) {
        let mut check = |key, len: Option<usize>, expected: usize, of| {
            let judged = report.problems().iter().all(|problem| problem.name != of);
            if let Some(len) = len.filter(|len| judged && *len != expected) {
                let expected = format!("{expected} values, as {of} says");
                report.push(Problem::new(ProblemKind::Config, key, expected, len.to_string()));
            }
        };
        check("labels", self.labels.as_ref().map(Vec::len), config.num_classes(), "num_classes");
        check("mean", self.mean.as_ref().map(Vec::len), config.in_channels(), "in_channels");
        check("std", self.std.as_ref().map(Vec::len), config.in_channels(), "in_channels");
        let resize = self.resize_for(config.image_size());
        if let Some(part) = self.crop_pct.filter(|_| !(1..=Preparation::MAX_SIDE).contains(&resize)) {
            let expected = format!("a part of the image that makes resize 1 to {}", Preparation::MAX_SIDE);
            report.push(Problem::new(ProblemKind::Config, "crop_pct", expected, part.to_string()));
        }
    }

    /// The short side before the crop: as said, or as the part of it that the crop keeps makes it.
    fn resize_for(&self, image_size: usize) -> usize {
        let crop_pct = self.crop_pct.unwrap_or(Preparation::CROP_PCT);
        self.resize.unwrap_or_else(|| Preparation::resize_for(image_size, crop_pct))
    }

    /// What is said for images of so many channels.
    pub(crate) fn for_channels(mut self, channels: usize) -> Self {
        self.mean = self.mean.filter(|mean| mean.len() == channels);
        self.std = self.std.filter(|std| std.len() == channels);
        self
    }

    /// The same part of an image, for a model whose images are of another size.
    pub(crate) fn resize_with(&mut self, from: usize, to: usize) {
        let resized = |resize: usize| (resize as u64).saturating_mul(to as u64).checked_div(from as u64);
        self.resize = self.resize.and_then(resized).and_then(|resize| usize::try_from(resize).ok());
    }

    /// The keys that both sources say, with different values.
    pub(crate) fn contradictions(&self, other: &Said) -> Vec<&'static str> {
        let size = |said: &Said| (said.resize, said.crop_pct);
        let differ = |key: &str| match key {
            "name" => differ(&self.name, &other.name),
            "labels" => differ(&self.labels, &other.labels),
            "resize" => self.resize.is_some() && other.says_size() && size(self) != size(other),
            "crop_pct" => self.crop_pct.is_some() && other.says_size() && size(self) != size(other),
            "crop_mode" => differ(&self.crop_mode, &other.crop_mode),
            "interpolation" => differ(&self.interpolation, &other.interpolation),
            "mean" => differ(&self.mean, &other.mean),
            _ => differ(&self.std, &other.std),
        };
        IMAGE_KEYS.into_iter().filter(|key| differ(key)).collect()
    }

    fn says_size(&self) -> bool {
        self.resize.is_some() || self.crop_pct.is_some()
    }

    /// What this source says and, where it says nothing, what the other does.
    pub(crate) fn or(self, other: Said) -> Said {
        let (resize, crop_pct) =
            if self.says_size() { (self.resize, self.crop_pct) } else { (other.resize, other.crop_pct) };
        Said {
            name: self.name.or(other.name),
            labels: self.labels.or(other.labels),
            resize,
            crop_pct,
            crop_mode: self.crop_mode.or(other.crop_mode),
            interpolation: self.interpolation.or(other.interpolation),
            mean: self.mean.or(other.mean),
            std: self.std.or(other.std),
        }
    }

    /// The description of a model about which this was said, the rest being assumed.
    pub(crate) fn describe(self, config: Config) -> Description {
        let mut description = Description::new(config);
        let preparation = &mut description.preparation;
        preparation.resize = self.resize_for(config.image_size());
        set(&mut preparation.crop_mode, self.crop_mode);
        set(&mut preparation.interpolation, self.interpolation);
        set(&mut preparation.mean, self.mean);
        set(&mut preparation.std, self.std);
        description.name = self.name;
        description.labels = self.labels.unwrap_or_default();
        description
    }

    /// What of the description nobody said, in a line; none if all of it was said.
    pub(crate) fn assumed(&self, description: &Description) -> Option<String> {
        let preparation = &description.preparation;
        let mut assumed = Vec::new();
        if self.mean.is_none() {
            assumed.push(format!("mean {:?}", preparation.mean));
        }
        if self.std.is_none() {
            assumed.push(format!("std {:?}", preparation.std));
        }
        if !self.says_size() {
            assumed.push(format!("crop_pct {} (resize {})", Preparation::CROP_PCT, preparation.resize));
        }
        if self.interpolation.is_none() {
            assumed.push(format!("interpolation {}", preparation.interpolation));
        }
        let how = "how images are prepared is not said in full; assumed";
        (!assumed.is_empty()).then(|| format!("{how} {}", assumed.join(", ")))
    }
}

/// Whether both are said and not the same.
fn differ<T: PartialEq>(a: &Option<T>, b: &Option<T>) -> bool {
    a.is_some() && b.is_some() && a != b
}
