//! The tensors of a checkpoint, in one file or in several.

use crate::{Error, Problem, ProblemKind, Report, TensorFile, TensorInfo};

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

    /// Several files, of which no two may have tensors of one name.
    pub(crate) fn several(label: String, files: Vec<TensorFile<'a>>) -> Result<Self, Error> {
        let all = files.iter().enumerate();
        let mut order: Vec<_> = all.flat_map(|(i, file)| (0..file.tensors().len()).map(move |at| (i, at))).collect();
        order.sort_by(|&(a, i), &(b, j)| files[a].tensors()[i].name.cmp(&files[b].tensors()[j].name));
        let mut report = Report::new(&label);
        for pair in order.windows(2) {
            let [(a, i), (b, j)] = [pair[0], pair[1]];
            if files[a].tensors()[i].name == files[b].tensors()[j].name {
                let found = format!("it in {} and in {}", files[a].label(), files[b].label());
                let name = &files[a].tensors()[i].name;
                report.push(Problem::new(ProblemKind::Header, name, "the tensor in one of the files", found));
            }
        }
        report.into_result().map(|()| Shards { label, files, order })
    }

    /// What messages call the checkpoint.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// The metadata entry `key` of the first file that has it.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.files.iter().find_map(|file| file.metadata(key))
    }

    /// The only file, if there is one.
    pub(crate) fn only(&self) -> Option<&TensorFile<'a>> {
        if let [file] = &self.files[..] { Some(file) } else { None }
    }

    /// That file, if there is only one; else all of them as they were.
    pub(crate) fn into_only(mut self) -> Result<TensorFile<'a>, Self> {
        match self.files.pop() {
            Some(file) if self.files.is_empty() => Ok(file),
            last => {
                self.files.extend(last);
                Err(self)
            }
        }
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
