//! Values that no model can compute with.

use safetensors::Dtype;

use crate::floats::all_finite;
use crate::safetensors::convert::describe_non_finite;
use crate::{Problem, ProblemKind, TensorInfo};

/// The problem of a tensor with NaN or infinite values, or with values beyond the range of f32.
pub(crate) fn not_finite(info: &TensorInfo, values: &[f32]) -> Option<Problem> {
    let expected = match info.dtype {
        Dtype::F64 => "finite values that f32 can hold, up to 3.4e38",
        _ => "finite values",
    };
    let problem = || Problem::new(ProblemKind::NotFinite, &info.name, expected, describe_non_finite(values));
    (!all_finite(values)).then(problem)
}
