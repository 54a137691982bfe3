//! What the steps of a forward pass have in common: instruction set, threads, and who is told what was done.

use core::fmt;

use kernels::{Error, Level, ViewMut};

/// A kind of step in a forward pass.
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

/// Told of each step when it is done, by the thread that did it: what it was, and its multiply-accumulates.
pub type Watch<'f> = dyn Fn(Operation, u64) + Sync + 'f;

/// How a forward pass is run.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'r> {
    pub level: Level,
    pub threads: usize,
    pub watch: Option<&'r Watch<'r>>,
}

impl Pass<'_> {
    /// Tells of a step.
    pub(crate) fn done(&self, operation: Operation, macs: usize) {
        if let Some(watch) = self.watch {
            watch(operation, macs as u64);
        }
    }

    /// A matrix at the front of scratch, its rows whole vectors apart.
    pub(crate) fn matrix<'s>(&self, scratch: &'s mut [f32], rows: usize, columns: usize) -> Result<ViewMut<'s>, Error> {
        ViewMut::new(scratch, rows, columns.next_multiple_of(self.level.lanes()))?.column_range(0..columns)
    }
}
