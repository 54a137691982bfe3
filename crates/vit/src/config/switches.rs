//! The switches of a configuration that have more than two positions.

/// Channel rescaling (paper section II-C): the factor on the attended channels where a residual branch joins them.
///
/// ```
/// assert_eq!(vit::Rescale::default(), vit::Rescale::None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Rescale {
    /// Both factors are 1.
    #[default]
    None,
    /// Both factors are 0.5, as in the authors' published Swin code.
    Half,
    /// `blocks.{i}.alpha` and `blocks.{i}.beta`, one learned scalar each.
    Learned,
}

impl Rescale {
    /// The word that a checkpoint's `config` has for it.
    ///
    /// ```
    /// assert_eq!(vit::Rescale::Half.name(), "half");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Rescale::None => "none",
            Rescale::Half => "half",
            Rescale::Learned => "learned",
        }
    }
}

/// How pixels become tokens.
///
/// ```
/// assert_eq!(vit::VitConfig::default().tokens, vit::Tokens::Patch);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Tokens {
    /// A projection of square patches.
    #[default]
    Patch,
    /// Tokens-to-token with the performer's linear attention (T2T-ViT); patches are 16 pixels.
    T2tPerformer,
    /// Tokens-to-token with softmax attention (T2T-ViT_t); patches are 16 pixels.
    T2tTransformer,
}

impl Tokens {
    /// The word that a checkpoint's `config` has for it.
    ///
    /// ```
    /// assert_eq!(vit::Tokens::T2tPerformer.name(), "t2t_performer");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Tokens::Patch => "patch",
            Tokens::T2tPerformer => "t2t_performer",
            Tokens::T2tTransformer => "t2t_transformer",
        }
    }
}

/// What the classification head sees.
///
/// ```
/// assert_eq!(vit::VitConfig::default().pool, vit::Pool::Cls);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Pool {
    /// The class token.
    #[default]
    Cls,
    /// The mean of the patch tokens.
    Avg,
    /// The class token, then the mean of the patch tokens: twice the channels, as DINOv2's classifier takes them.
    ClsAvg,
}

impl Pool {
    /// The word that a checkpoint's `config` has for it.
    ///
    /// ```
    /// assert_eq!(vit::Pool::ClsAvg.name(), "cls_avg");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Pool::Cls => "cls",
            Pool::Avg => "avg",
            Pool::ClsAvg => "cls_avg",
        }
    }

    /// Whether it takes a mean over the patch tokens.
    pub(crate) fn averages(self) -> bool {
        self != Pool::Cls
    }

    /// Vectors of all channels that it makes of the tokens.
    pub(crate) fn parts(self) -> usize {
        if self == Pool::ClsAvg { 2 } else { 1 }
    }
}
