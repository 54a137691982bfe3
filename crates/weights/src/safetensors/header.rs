//! The header of a safetensors file: names, types, shapes and offsets, believed only after they were checked against
//! each other and against the file's length.
//!
//! The `safetensors` crate reads the same format. It stops at the first contradiction, mostly without saying in which
//! tensor, keeps the last of two tensors of one name, and holds the header in memory several times over; the tests
//! compare against it what is accepted here.

use safetensors::Dtype;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{Short, for_each_entry};
use crate::text::{printable, sentence};
use crate::{Problem, ProblemKind, Report};

/// Bytes in front of the header: its length as a little-endian 64-bit number.
pub(crate) const PREFIX: usize = 8;
/// The format's own bound on the header's length.
const MAX_HEADER: u64 = 100_000_000;
/// Most dimensions of a tensor; checkpoints have up to 4.
const MAX_RANK: usize = 8;

/// A tensor as the file's header declares it, found consistent with the file.
///
/// ```
/// let mut bytes = 64u64.to_le_bytes().to_vec();
/// bytes.extend(br#"{"x":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}        "#);
/// bytes.extend([0; 8]);
/// let file = weights::TensorFile::from_bytes(&bytes).unwrap();
/// let info = &file.tensors()[0];
/// assert_eq!((info.name.as_str(), info.dtype, &info.shape[..]), ("x", weights::Dtype::F32, &[2, 1][..]));
/// assert_eq!(info.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorInfo {
    /// The name in the file.
    pub name: String,
    /// The type of the values.
    pub dtype: Dtype,
    /// The dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Where the values begin and end, in bytes from the end of the header.
    pub(crate) range: (u64, u64),
}

impl TensorInfo {
    /// How many values the tensor has.
    ///
    /// ```
    /// # fn example(file: weights::TensorFile) {
    /// let values: usize = file.tensors().iter().map(|tensor| tensor.len()).sum();
    /// # }
    /// ```
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether a dimension is zero.
    ///
    /// ```
    /// # fn example(file: weights::TensorFile) {
    /// let has_values = file.info("image").is_some_and(|image| !image.is_empty());
    /// # }
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Type and shape as messages write them: `F32 [24, 3]`.
    pub(crate) fn describe(&self) -> String {
        format!("{} {:?}", self.dtype, self.shape)
    }
}

/// Everything in front of the values.
pub(crate) struct Header {
    /// Sorted by name.
    pub tensors: Vec<TensorInfo>,
    pub metadata: Vec<(String, String)>,
    /// Where the values begin, in bytes from the start of the file.
    pub data_start: u64,
}

/// The header's length in bytes, if the file can hold it.
pub(crate) fn header_len(prefix: &[u8], file_len: u64) -> Result<usize, String> {
    let Some(prefix) = prefix.first_chunk::<PREFIX>() else {
        return Err(format!("expected at least {PREFIX} bytes, found {file_len}"));
    };
    let announced = u64::from_le_bytes(*prefix);
    let left = file_len - PREFIX as u64;
    match usize::try_from(announced) {
        Ok(len) if announced <= left.min(MAX_HEADER) => Ok(len),
        _ if announced <= left => Err(format!("its header has {announced} bytes, expected at most {MAX_HEADER}")),
        _ => Err(format!(
            "its first {PREFIX} bytes announce a header of {announced} bytes, found {left} more in the file"
        )),
    }
}

/// Reads the header's text; contradictions go to the report, text that is no header at all is an error.
pub(crate) fn parse(text: &[u8], file_len: u64, report: &mut Report) -> Result<Header, String> {
    let text = std::str::from_utf8(text)
        .map_err(|e| format!("its header is no UTF-8 text from byte {} on", e.valid_up_to()))?;
    let data_start = (PREFIX + text.len()) as u64;
    let mut header = Header { tensors: Vec::new(), metadata: Vec::new(), data_start };
    for_each_entry(text, &mut |name, value| match name.as_str() {
        "__metadata__" => read_metadata(value, &mut header.metadata, report),
        _ => match read_tensor(&name, value) {
            Ok(tensor) => header.tensors.push(tensor),
            Err(problem) => report.push(problem),
        },
    })
    .map_err(|error| format!("its header is no JSON object of tensors: {error}"))?;
    if report.total() == 0 {
        // An entry that could not be read would look like a gap.
        check_layout(&mut header.tensors, file_len - data_start, report);
    }
    check_names(&mut header, report);
    Ok(header)
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    dtype: &'a RawValue,
    shape: Short<u64, MAX_RANK>,
    data_offsets: (u64, u64),
}

fn read_tensor(name: &str, value: &RawValue) -> Result<TensorInfo, Problem> {
    let problem = |expected: &str, found: String| Problem::new(ProblemKind::Header, name, expected, found);
    let fields = "dtype, shape and data_offsets of that format";
    let entry: Entry = serde_json::from_str(value.get()).map_err(|e| problem(fields, sentence(e)))?;
    let dtype: Dtype = serde_json::from_str(entry.dtype.get())
        .map_err(|_| problem("a dtype of the format, such as \"F32\"", printable(entry.dtype.get())))?;
    let shape: Result<Vec<usize>, _> = entry.shape.0.iter().map(|&size| usize::try_from(size)).collect();
    let (begin, end) = entry.data_offsets;
    let Some((shape, bytes)) = shape.ok().and_then(|shape| byte_len(dtype, &shape).map(|bytes| (shape, bytes))) else {
        return Err(problem("a shape whose bytes can be counted", format!("{dtype} {:?}", entry.shape.0)));
    };
    if end.checked_sub(begin) != Some(bytes) {
        let expected = format!("data_offsets {bytes} bytes apart for {dtype} {shape:?}");
        return Err(problem(&expected, format!("[{begin}, {end}]")));
    }
    Ok(TensorInfo { name: name.into(), dtype, shape, range: (begin, end) })
}

/// Bytes of a tensor; none if they overflow or end inside a byte.
fn byte_len(dtype: Dtype, shape: &[usize]) -> Option<u64> {
    let values = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size))?;
    let bits = values.checked_mul(dtype.bitsize())?;
    bits.is_multiple_of(8).then_some((bits / 8) as u64)
}

/// The values must follow one another without gaps or overlaps, from the header's end to the file's.
fn check_layout(tensors: &mut [TensorInfo], data_len: u64, report: &mut Report) {
    tensors.sort_by_key(|tensor| tensor.range);
    let mut position = 0;
    for tensor in tensors.iter() {
        let (begin, end) = tensor.range;
        let mut problem = |expected: String| {
            let found = format!("data_offsets [{begin}, {end}]");
            report.push(Problem::new(ProblemKind::Header, &tensor.name, expected, found));
        };
        if begin != position {
            problem(format!("values from byte {position} on, where those before them end"));
        }
        if end > data_len {
            problem(format!("values within the {data_len} bytes that follow the header"));
        }
        position = end;
    }
    if position < data_len {
        let last = tensors.last().map_or("(none)", |tensor| &tensor.name);
        let expected = format!("the file to end with its last tensor, at byte {position} of the values");
        report.push(Problem::new(ProblemKind::Header, last, expected, format!("{} bytes more", data_len - position)));
    }
}

/// Sorts by name and reports names that occur twice.
fn check_names(header: &mut Header, report: &mut Report) {
    header.tensors.sort_by(|a, b| a.name.cmp(&b.name));
    let tensors = header.tensors.windows(2).map(|pair| (&pair[0].name, &pair[1].name));
    header.metadata.sort();
    let entries = header.metadata.windows(2).map(|pair| (&pair[0].0, &pair[1].0));
    for (name, _) in tensors.chain(entries).filter(|(a, b)| a == b) {
        report.push(Problem::new(ProblemKind::Header, name, "a name that occurs once", "the name again"));
    }
}

fn read_metadata(value: &RawValue, metadata: &mut Vec<(String, String)>, report: &mut Report) {
    // The reference reader takes a null for none.
    if value.get() == "null" {
        return;
    }
    let mut problem = |found: String| {
        report.push(Problem::new(ProblemKind::Header, "__metadata__", "an object of strings", found));
    };
    let read = for_each_entry(value.get(), &mut |key, value| match serde_json::from_str(value.get()) {
        Ok(text) => metadata.push((key, text)),
        Err(error) => problem(format!("in `{}`: {}", printable(&key), sentence(error))),
    });
    if let Err(error) = read {
        problem(error);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_header_is_as_long_as_the_format_allows_and_as_the_file_has_room_for() {
        let header_len = |announced: u64, file: u64| super::header_len(&announced.to_le_bytes(), file);
        assert_eq!(header_len(100_000_000, 1 << 40), Ok(100_000_000));
        let error = header_len(100_000_001, 1 << 40).unwrap_err();
        assert_eq!(error, "its header has 100000001 bytes, expected at most 100000000");
        assert_eq!(header_len(20, 28), Ok(20));
        let error = header_len(21, 28).unwrap_err();
        assert_eq!(error, "its first 8 bytes announce a header of 21 bytes, found 20 more in the file");
        assert!(header_len(u64::MAX, 28).is_err() && header_len(u64::MAX, u64::MAX).is_err());
        assert_eq!(super::header_len(&[0; 7], 7), Err("expected at least 8 bytes, found 7".into()));
    }
}
