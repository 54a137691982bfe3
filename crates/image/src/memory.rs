//! Memory for pixels, without an abort where there is not enough.

use crate::Problem;

/// An empty vector with room for `count` values.
pub(crate) fn reserved<T>(count: usize) -> Result<Vec<T>, Problem> {
    let mut values = Vec::new();
    let bytes = count.saturating_mul(size_of::<T>());
    values.try_reserve_exact(count).map_err(|_| Problem::Memory { bytes })?;
    Ok(values)
}

/// `count` times `value`.
pub(crate) fn filled<T: Clone>(value: T, count: usize) -> Result<Vec<T>, Problem> {
    let mut values = reserved(count)?;
    values.resize(count, value);
    Ok(values)
}

/// Fails where that many bytes cannot be had; for code of others that would abort then.
pub(crate) fn require(bytes: usize) -> Result<(), Problem> {
    reserved::<u8>(bytes).map(drop)
}
