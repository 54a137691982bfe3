//! What is done with many f32 at once, without a heap.

/// The values' bytes as a file has them, some at a time.
pub(crate) fn little_endian<E>(values: &[f32], mut each: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut bytes = [0; 1024];
    for values in values.chunks(bytes.len() / size_of::<f32>()) {
        let (places, _) = bytes.as_chunks_mut();
        places.iter_mut().zip(values).for_each(|(place, value)| *place = value.to_le_bytes());
        each(&bytes[..size_of_val(values)])?;
    }
    Ok(())
}

/// Whether no value is NaN or infinite. A maximum over exponents, which compilers turn into vectors.
pub(crate) fn all_finite(values: &[f32]) -> bool {
    let exponent = f32::INFINITY.to_bits();
    values.iter().fold(0, |max, value| (value.to_bits() & exponent).max(max)) < exponent
}
