//! What a checkpoint holds: tensors by the model's names, and how each of the model's is made of them.

use vit::{Config, TensorName};

use crate::floats::all_finite;
use crate::names::{Entry, Names};
use crate::resample::Resample;
use crate::safetensors::convert::FLOATS;
use crate::shards::Shards;
use crate::values::not_finite;
use crate::{Error, Problem, ProblemKind};

/// A checkpoint's tensors and what they are called.
#[derive(Debug)]
pub(crate) struct Contents<'a> {
    pub shards: Shards<'a>,
    pub names: Names,
    /// How positions become those of images of another size.
    pub positions: Option<Resample>,
}

/// The end of a tensor's name in a block, and that of the factors that LayerScale multiplies what comes of it by.
const SCALED: [(&str, &str); 2] = [(".attn.proj.", ".ls1.gamma"), (".mlp.fc2.", ".ls2.gamma")];

/// The name of the factors by which LayerScale multiplies a tensor's rows, where there is one.
pub(crate) fn gamma_of(name: &str) -> Option<String> {
    SCALED.iter().find_map(|(end, gamma)| {
        let (block, last) = name.split_once(end)?;
        matches!(last, "weight" | "bias").then(|| format!("{block}{gamma}"))
    })
}

impl<'a> Contents<'a> {
    /// What messages call the checkpoint.
    pub(crate) fn label(&self) -> &str {
        self.shards.label()
    }

    /// Whether the file has the tensor that we call `name`, whole or in part.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.has(name)
    }

    /// The shape of a tensor; of parts that are one below the other, that of all together.
    pub(crate) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let (first, rest) = self.names.find(name).split_first()?;
        let mut shape = self.shards.info(first.tensor).shape.clone();
        for part in rest {
            let rows = self.shards.info(part.tensor).shape.first().copied().unwrap_or(0);
            let all = shape.first_mut()?;
            *all = all.saturating_add(rows);
        }
        Some(shape)
    }

    /// Every tensor of the file that the configuration's are made of, each with our name for it.
    pub(crate) fn visit_used(&self, config: &Config, visit: &mut dyn FnMut(&Entry)) {
        config.visit_tensors(&mut |name, _| {
            let name = name.to_string();
            self.names.find(&name).iter().for_each(&mut *visit);
            // The weight stands for the bias, too.
            let gamma = gamma_of(&name).filter(|_| name.ends_with(".weight"));
            gamma.iter().flat_map(|gamma| self.names.find(gamma)).for_each(&mut *visit);
        });
    }

    /// The most values that a tensor of the model takes which cannot be borrowed from the file.
    pub(crate) fn largest_made(&self, config: &Config) -> usize {
        let mut largest = self.largest_read();
        config.visit_tensors(&mut |name, shape| {
            if self.positions.is_some() && name == TensorName::Top("pos_embed") {
                largest = largest.max(shape.iter().product());
            }
        });
        largest
    }

    fn largest_read(&self) -> usize {
        let len = |entry: &Entry| self.shards.info(entry.tensor).len();
        let mut largest = 0;
        for entries in self.names.entries().chunk_by(|a, b| a.name == b.name) {
            let made = match entries {
                [only] => self.is_scaled(&only.name) || self.shards.borrowed(only.tensor).is_none(),
                _ => true,
            };
            let total = entries.iter().map(len).fold(0, usize::saturating_add);
            largest = if made { largest.max(total) } else { largest };
        }
        largest
    }

    fn is_scaled(&self, name: &str) -> bool {
        gamma_of(name).is_some_and(|gamma| self.has(&gamma))
    }

    /// The values of the tensor that we call `name`, of `len` values: where they are in the file, if they need no work, else
    /// made in `buffer`.
    pub(crate) fn tensor<'b>(
        &'b self,
        name: TensorName,
        len: usize,
        buffer: &'b mut Vec<f32>,
    ) -> Result<&'b [f32], Error> {
        if let (Some(positions), TensorName::Top("pos_embed")) = (self.positions, name) {
            return self.resampled(&positions, len, buffer);
        }
        let name = name.to_string();
        let entries = self.names.find(&name);
        let found = entries.iter().map(|entry| self.shards.info(entry.tensor).len()).fold(0, usize::saturating_add);
        if entries.is_empty() || found != len {
            let what = if entries.is_empty() { "none".into() } else { format!("{found} values") };
            return Err(self.problem(ProblemKind::Missing, &name, format!("a tensor of {len} values"), what));
        }
        let gamma = gamma_of(&name).filter(|gamma| self.has(gamma));
        if let ([entry], None) = (entries, &gamma)
            && let Some(values) = self.shards.borrowed(entry.tensor)
        {
            return self.finite(entry, values).map(|()| values);
        }
        resize(buffer, len);
        let mut rest = &mut buffer[..];
        for entry in entries {
            let (part, after) = rest.split_at_mut(self.shards.info(entry.tensor).len());
            self.shards.read(entry.tensor, part)?;
            self.finite(entry, part)?;
            rest = after;
        }
        if let Some(gamma) = gamma {
            self.scale(&name, &gamma, buffer)?;
        }
        Ok(buffer)
    }

    /// The positions of images of another size than the file's.
    fn resampled<'b>(&self, positions: &Resample, len: usize, buffer: &'b mut Vec<f32>) -> Result<&'b [f32], Error> {
        let [entry] = self.names.find("pos_embed") else { return Ok(&[]) };
        let mut file = vec![0.0; self.shards.info(entry.tensor).len()];
        self.shards.read(entry.tensor, &mut file)?;
        self.finite(entry, &file)?;
        resize(buffer, len);
        positions.apply(&file, file.len() / positions.rows(), buffer);
        Ok(buffer)
    }

    /// Multiplies each row by its factor: `gamma * (W x + b)` is `(gamma W) x + gamma b`.
    fn scale(&self, name: &str, gamma: &str, rows: &mut [f32]) -> Result<(), Error> {
        let [entry] = self.names.find(gamma) else { return Ok(()) };
        let mut factors = vec![0.0; self.shards.info(entry.tensor).len()];
        self.shards.read(entry.tensor, &mut factors)?;
        self.finite(entry, &factors)?;
        if factors.is_empty() || !rows.len().is_multiple_of(factors.len()) {
            return Ok(());
        }
        let row_len = rows.len() / factors.len();
        for (row, factor) in rows.chunks_mut(row_len).zip(&factors) {
            row.iter_mut().for_each(|value| *value *= factor);
        }
        if all_finite(rows) {
            return Ok(());
        }
        let expected = format!("values that are finite when multiplied by {}", self.names.of(gamma).concat());
        Err(self.problem(ProblemKind::NotFinite, name, expected, "values beyond them".into()))
    }

    fn finite(&self, entry: &Entry, values: &[f32]) -> Result<(), Error> {
        let info = self.shards.info(entry.tensor);
        not_finite(info, values).map_or(Ok(()), |problem| Err(Error::one(self.label(), problem)))
    }

    fn problem(&self, kind: ProblemKind, name: &str, expected: String, found: String) -> Error {
        let name = self.names.of(name).swap_remove(0);
        Error::one(self.label(), Problem::new(kind, &name, expected, found))
    }

    /// The problem of a tensor of the file whose values are not finite, if it has one; none for a type that is no number.
    pub(crate) fn not_finite(&self, tensor: usize, buffer: &mut Vec<f32>) -> Result<Option<Problem>, Error> {
        let info = self.shards.info(tensor);
        if !FLOATS.contains(&info.dtype) {
            return Ok(None);
        }
        if let Some(values) = self.shards.borrowed(tensor) {
            return Ok(not_finite(info, values));
        }
        resize(buffer, info.len());
        self.shards.read(tensor, buffer)?;
        Ok(not_finite(info, buffer))
    }
}

/// Makes room for exactly `len` values, whatever they are.
fn resize(buffer: &mut Vec<f32>, len: usize) {
    if buffer.capacity() < len {
        buffer.clear();
        buffer.reserve_exact(len);
    }
    buffer.resize(len, 0.0);
}
