//! Layer norm through a shuffle, packed products and attention, as C calls them.
//!
//! # Safety
//! Each function makes the same demands: every pointer that is neither null nor misaligned points to as many `float`s as the
//! header says, initialised where they are read, and no buffer that is written overlaps another. Sizes need no promise:
//! they are checked.

use kernels::{
    Attention, Epilogue, Level, PackedMatrix, Panels, View, ViewMut, attention, attention_scratch_len, layer_norm,
    packed_matmul,
};

use crate::memory::{len, read, write};
use crate::{Status, status};

/// Norms the first `attended` of `channels` channels of `x` after `shuffles` shuffles with `groups` groups, moving none.
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bare_layer_norm(
    x: *const f32,
    channels: usize,
    tokens: usize,
    groups: usize,
    shuffles: u32,
    attended: usize,
    gamma: *const f32,
    beta: *const f32,
    eps: f32,
    out: *mut f32,
) -> Status {
    status(|| {
        // SAFETY: the caller's promise, with the lengths of the header.
        let (x, gamma, beta, out) = unsafe {
            let x = read(x, len(&[channels, tokens])?)?;
            (x, read(gamma, len(&[attended])?)?, read(beta, attended)?, write(out, len(&[attended, tokens])?)?)
        };
        let mut view = View::new(x, channels, tokens)?;
        for _ in 0..shuffles {
            view = view.shuffle_rows(groups)?;
        }
        let view = view.row_range(0..attended)?;
        Ok(layer_norm(Level::detect(), &view, gamma, beta, eps, &mut ViewMut::new(out, attended, tokens)?)?)
    })
}

/// Values of the packed form of a `rows` x `columns` weight; 0 if there is no such memory.
#[unsafe(no_mangle)]
pub extern "C" fn bare_packed_len(rows: usize, columns: usize) -> usize {
    // The packed form rounds rows up to at most 8 more.
    match len(&[rows.saturating_add(8), columns]) {
        Ok(_) => PackedMatrix::<f32>::packed_len(rows, columns),
        Err(_) => 0,
    }
}

/// Packs a row-major weight; `packed` has room for [`bare_packed_len`] values.
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bare_pack(weight: *const f32, rows: usize, columns: usize, packed: *mut f32) -> Status {
    status(|| {
        len(&[rows.saturating_add(8), columns])?;
        // SAFETY: the caller's promise, with the lengths of the header.
        let (weight, packed) =
            unsafe { (read(weight, len(&[rows, columns])?)?, write(packed, bare_packed_len(rows, columns))?) };
        PackedMatrix::pack(&View::new(weight, rows, columns)?, packed)?;
        Ok(())
    })
}

/// `out = weight * x + bias` for packed weights (`rows` x `columns`) and `tokens` tokens.
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bare_linear(
    packed: *const f32,
    rows: usize,
    columns: usize,
    bias: *const f32,
    x: *const f32,
    tokens: usize,
    out: *mut f32,
) -> Status {
    status(|| {
        len(&[rows.saturating_add(8), columns])?;
        // SAFETY: the caller's promise, with the lengths of the header.
        let (packed, bias, x, out) = unsafe {
            let packed = read(packed, bare_packed_len(rows, columns))?;
            let x = read(x, len(&[columns, tokens])?)?;
            (packed, read(bias, len(&[rows])?)?, x, write(out, len(&[rows, tokens])?)?)
        };
        let weight = PackedMatrix::from_packed(rows, columns, packed)?;
        let x = View::new(x, columns, tokens)?;
        let mut out = ViewMut::new(out, rows, tokens)?;
        Ok(packed_matmul(Level::detect(), &weight, &x, Epilogue::Bias(bias), &mut out)?)
    })
}

/// Scratch values of [`bare_attention`] for so many tokens; 0 if there is no such memory.
#[unsafe(no_mangle)]
pub extern "C" fn bare_attention_scratch_len(tokens: usize) -> usize {
    match len(&[tokens, attention_scratch_len(1)]) {
        Ok(_) => attention_scratch_len(tokens),
        Err(_) => 0,
    }
}

/// One head: `out = softmax(scale * q^T k) v`, each `head_dim` x `tokens`.
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bare_attention(
    q: *const f32,
    k: *const f32,
    v: *const f32,
    head_dim: usize,
    tokens: usize,
    scale: f32,
    out: *mut f32,
    scratch: *mut f32,
    scratch_len: usize,
) -> Status {
    status(|| {
        let values = len(&[head_dim, tokens])?;
        if len(&[scratch_len])? < bare_attention_scratch_len(tokens) {
            return Err(Status::Size);
        }
        // SAFETY: the caller's promise, with the lengths of the header.
        let (q, k, v) = unsafe { (read(q, values)?, read(k, values)?, read(v, values)?) };
        // SAFETY: as above.
        let (out, scratch) = unsafe { (write(out, values)?, write(scratch, scratch_len)?) };
        let (k, v) = (Panels::single(k, head_dim, tokens)?, Panels::single(v, head_dim, tokens)?);
        let operands = Attention::new(View::new(q, head_dim, tokens)?, k, v, scale)?;
        Ok(attention(Level::detect(), &operands, &mut ViewMut::new(out, head_dim, tokens)?, scratch)?)
    })
}
