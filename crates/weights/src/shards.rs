//! The tensors of a checkpoint, in one file or in several.

use crate::{Error, TensorFile, TensorInfo};

/// Files whose tensors make one checkpoint.
#[derive(Debug)]
pub(crate) struct Shards<'a> {
    label: String,
    files: Vec<TensorFile<'a>>,
    /// File and place in it of every tensor, sorted by the tensors' names.
    order: Vec<(usize, usize)>,
}

impl<'a> Shards<'a> {
    pub(crate) fn single(file: TensorFile<'a>) -> Self {
        let order = (0..file.tensors().len()).map(|at| (0, at)).collect();
        Shards { label: file.label().into(), files: vec![file], order }
    }

    /// What messages call the checkpoint.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// The metadata entry `key` of the first file that has it.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.files.iter().find_map(|file| file.metadata(key))
    }

    /// Every tensor, sorted by name.
    pub(crate) fn tensors(&self) -> impl ExactSizeIterator<Item = &TensorInfo> {
        self.order.iter().map(|&(file, at)| &self.files[file].tensors()[at])
    }

    pub(crate) fn info(&self, tensor: usize) -> &TensorInfo {
        let (file, at) = self.order[tensor];
        &self.files[file].tensors()[at]
    }

    /// The values where they are, if they can be read there.
    pub(crate) fn borrowed(&self, tensor: usize) -> Option<&[f32]> {
        self.files[self.order[tensor].0].borrowed(self.info(tensor))
    }

    /// Reads and converts the values into a slice of as many.
    pub(crate) fn read(&self, tensor: usize, into: &mut [f32]) -> Result<(), Error> {
        self.files[self.order[tensor].0].read_into(self.info(tensor), into)
    }
}
