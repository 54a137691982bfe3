//! Writing one tensor row by row.

use safetensors::Dtype;
use safetensors::tensor::TensorInfo;

use super::write::{Entries, checked_len, header, pad};
use crate::{Error, Output, Problem, ProblemKind};

/// Writes a file of one F32 tensor whose rows are appended as they come, so that none of them has to be kept.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("images.safetensors");
/// let mut images = weights::RowWriter::new(weights::Output::create(&path)?, "image", &[3, 2, 2])?;
/// images.push(&[0.5; 12])?;
/// images.push(&[0.1; 24])?; // two rows at once
/// images.finish()?;
/// assert_eq!(weights::TensorFile::from_file(&path)?.info("image").unwrap().shape, [3, 3, 2, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RowWriter {
    output: Output,
    name: String,
    row: Vec<usize>,
    row_len: usize,
    rows: usize,
    /// Of the header, which is written last and has a number that is not known before.
    header_len: usize,
}

impl RowWriter {
    /// A tensor of that name, whose rows have the shape `row`.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// let output = weights::Output::create(folder.path().join("images.safetensors"))?;
    /// assert!(weights::RowWriter::new(output, "image", &[3, 0]).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(mut output: Output, name: &str, row: &[usize]) -> Result<Self, Error> {
        let Some(row_len) = checked_len(row).filter(|len| *len > 0) else {
            let problem = Problem::new(ProblemKind::Shape, name, "rows with values", format!("rows of {row:?}"));
            return Err(Error::one(output.label(), problem));
        };
        let longest = one_tensor(name, usize::MAX, row, usize::MAX);
        output.append(&longest)?;
        Ok(RowWriter { output, name: name.into(), row: row.into(), row_len, rows: 0, header_len: longest.len() })
    }

    /// Appends whole rows.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let output = weights::Output::create(folder.path().join("rows.safetensors"))?;
    /// let mut rows = weights::RowWriter::new(output, "x", &[2])?;
    /// assert!(rows.push(&[1.0, 2.0, 3.0]).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push(&mut self, values: &[f32]) -> Result<(), Error> {
        if !values.len().is_multiple_of(self.row_len) {
            let expected = format!("rows of {} values", self.row_len);
            let problem = Problem::new(ProblemKind::Shape, &self.name, expected, format!("{} values", values.len()));
            return Err(Error::one(self.output.label(), problem));
        }
        self.rows += values.len() / self.row_len;
        self.output.values(values)
    }

    /// Completes the file; returns its length in bytes.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("rows.safetensors");
    /// let rows = weights::RowWriter::new(weights::Output::create(&path)?, "x", &[2])?;
    /// let bytes = rows.finish()?; // a tensor of no rows
    /// assert_eq!(bytes, std::fs::metadata(&path)?.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn finish(mut self) -> Result<u64, Error> {
        let bytes = self.rows * self.row_len * size_of::<f32>();
        let mut header = one_tensor(&self.name, self.rows, &self.row, bytes);
        pad(&mut header, self.header_len);
        self.output.rewrite_start(&header)?;
        self.output.finish()
    }
}

/// The header of a file of one tensor.
fn one_tensor(name: &str, rows: usize, row: &[usize], bytes: usize) -> Vec<u8> {
    let shape = [&[rows], row].concat();
    let tensor = TensorInfo { dtype: Dtype::F32, shape, data_offsets: (0, bytes) };
    header([(name.into(), tensor)].into_iter(), &Entries::new())
}
