//! What the steps of a forward pass have in common: instruction set, threads and profiler.

use core::fmt;

use kernels::{Error, Level, ViewMut};

use super::executor::Executor;

/// A kind of step in a forward pass, as a profiler hears of it.
///
/// ```
/// assert_eq!(vit::Operation::LayerNorm.to_string(), "layer_norm");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Operation {
    /// Windows of a map laid out as columns.
    Unfold,
    /// The product that makes tokens of patches, and the positions' embedding.
    Embedding,
    /// Layer norm, of a block's input or in between.
    LayerNorm,
    /// Queries, keys and values.
    Qkv,
    /// The performer's random features.
    RandomFeatures,
    /// Scores, softmax and context.
    Attention,
    /// The product behind attention, and the residual.
    Projection,
    /// The MLP's first product and GELU.
    Fc1,
    /// The MLP's second product and the residual.
    Fc2,
    /// Tokens brought into another order.
    Gather,
    /// The product that merges patches.
    Merging,
    /// Pooling and classifier.
    Head,
    /// Where threads wait for each other, and for work.
    Wait,
}

impl Operation {
    /// A short name that does not change.
    ///
    /// ```
    /// assert_eq!(vit::Operation::Fc1.name(), "fc1");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Operation::Unfold => "unfold",
            Operation::Embedding => "embedding",
            Operation::LayerNorm => "layer_norm",
            Operation::Qkv => "qkv",
            Operation::RandomFeatures => "random_features",
            Operation::Attention => "attention",
            Operation::Projection => "proj",
            Operation::Fc1 => "fc1",
            Operation::Fc2 => "fc2",
            Operation::Gather => "gather",
            Operation::Merging => "merging",
            Operation::Head => "head",
            Operation::Wait => "wait",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Called by each thread when it has done a step: with the kind of step and its multiply-accumulates.
///
/// ```
/// let print: &vit::Profiler = &|step, macs| println!("{step:?}: {macs} multiply-accumulates");
/// ```
pub type Profiler<'f> = dyn Fn(Operation, u64) + Sync + 'f;

/// How a forward pass is run.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'r> {
    pub level: Level,
    pub threads: usize,
    pub executor: &'r dyn Executor,
    pub profiler: Option<&'r Profiler<'r>>,
}

impl Pass<'_> {
    /// Reports a step to the profiler.
    pub(crate) fn done(&self, operation: Operation, macs: usize) {
        if let Some(profiler) = self.profiler {
            profiler(operation, macs as u64);
        }
    }

    /// A matrix at the front of scratch, its rows whole vectors apart.
    pub(crate) fn matrix<'s>(&self, scratch: &'s mut [f32], rows: usize, columns: usize) -> Result<ViewMut<'s>, Error> {
        ViewMut::new(scratch, rows, columns.next_multiple_of(self.level.lanes()))?.column_range(0..columns)
    }
}
