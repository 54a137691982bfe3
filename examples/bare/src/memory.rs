//! From C's pointers to slices.

use core::slice;

use crate::Status;

/// A number of values that fits in memory: a product that neither overflows nor exceeds what a slice may hold.
pub fn len(factors: &[usize]) -> Result<usize, Status> {
    let product = factors.iter().try_fold(1_usize, |product, &factor| product.checked_mul(factor));
    let bytes = product.and_then(|product| product.checked_mul(size_of::<f32>()));
    match (product, bytes) {
        (Some(product), Some(bytes)) if isize::try_from(bytes).is_ok() => Ok(product),
        _ => Err(Status::Size),
    }
}

/// The values at `pointer`.
///
/// # Safety
/// If it is neither null nor misaligned, `pointer` points to `len` values, `len` being what [`len`] gave; nothing writes to
/// them during `'a`.
pub unsafe fn read<'a>(pointer: *const f32, len: usize) -> Result<&'a [f32], Status> {
    check(pointer)?;
    // SAFETY: the pointer was checked above, `len` fits a slice by `len`; the rest is the caller's promise.
    Ok(unsafe { slice::from_raw_parts(pointer, len) })
}

/// The values at `pointer`, to write.
///
/// # Safety
/// As for [`read`], and nothing else reads or writes them during `'a`.
pub unsafe fn write<'a>(pointer: *mut f32, len: usize) -> Result<&'a mut [f32], Status> {
    check(pointer)?;
    // SAFETY: as in `read`; nobody else has the values by the caller's promise.
    Ok(unsafe { slice::from_raw_parts_mut(pointer, len) })
}

fn check(pointer: *const f32) -> Result<(), Status> {
    if pointer.is_null() || !pointer.is_aligned() { Err(Status::Pointer) } else { Ok(()) }
}
