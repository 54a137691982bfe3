//! A model whose packed weights are a static array, in flash on a microcontroller.

use kernels::Level;
use weights::PackedFile;

use crate::memory::{len, read, write};
use crate::{Status, status};

/// The packed file that `build.rs` made of the checkpoint.
static MODEL: &[u8] = weights::include_aligned!(concat!(env!("OUT_DIR"), "/model.packed"));

fn file() -> Result<PackedFile<'static>, Status> {
    PackedFile::new(MODEL).map_err(|_| Status::Size)
}

/// Values of an image: planes of normalised pixels.
#[unsafe(no_mangle)]
pub extern "C" fn bare_model_image_len() -> usize {
    file().map_or(0, |file| file.config().image_len())
}

/// Logits.
#[unsafe(no_mangle)]
pub extern "C" fn bare_model_classes() -> usize {
    file().map_or(0, |file| file.config().outputs())
}

/// Bytes of the weights.
#[unsafe(no_mangle)]
pub extern "C" fn bare_model_weight_bytes() -> usize {
    file().map_or(0, |file| size_of_val(file.weights()))
}

/// Scratch values that a run needs.
#[unsafe(no_mangle)]
pub extern "C" fn bare_model_scratch_len() -> usize {
    file().map_or(0, |file| file.model().scratch_len(Level::detect()))
}

/// The logits of one image. The lengths say what the buffers hold, so that an image of another size is an error.
///
/// # Safety
/// Pointers that are neither null nor misaligned point to `image_len`, `logits_len` and `scratch_len` `float`s; no buffer
/// overlaps another.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bare_model_run(
    image: *const f32,
    image_len: usize,
    logits: *mut f32,
    logits_len: usize,
    scratch: *mut f32,
    scratch_len: usize,
) -> Status {
    status(|| {
        if image_len != bare_model_image_len() || logits_len != bare_model_classes() {
            return Err(Status::Size);
        }
        // SAFETY: the caller's promise.
        let (image, logits, scratch) = unsafe {
            let image = read(image, image_len)?;
            (image, write(logits, logits_len)?, write(scratch, len(&[scratch_len])?)?)
        };
        file()?.model().run(Level::detect(), image, logits, scratch).map_err(|_| Status::Size)
    })
}
