//! A model whose packed weights are a static array, in flash on a microcontroller.

use vit::{Config, Level, Model, VitConfig};

use crate::memory::{len, read, write};
use crate::{Status, status};

const CONFIG: VitConfig = include!(concat!(env!("OUT_DIR"), "/config.rs"));

/// Bytes aligned as the kernels like them on CPUs with caches; on others that costs at most 60 bytes.
#[repr(C, align(64))]
struct Aligned<Bytes: ?Sized>(Bytes);

/// The weights as `build.rs` packed them, in the target's byte order.
static WEIGHTS: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/packed.f32")));

fn model() -> Result<Model<'static>, Status> {
    let weights = bytemuck::try_cast_slice(&WEIGHTS.0).map_err(|_| Status::Size)?;
    let config = Config::new(CONFIG).map_err(|_| Status::Size)?;
    Model::new(&config, weights).map_err(|_| Status::Size)
}

/// Values of an image: planes of normalised pixels.
#[unsafe(no_mangle)]
pub extern "C" fn bare_model_image_len() -> usize {
    model().map_or(0, |model| model.config().image_len())
}

/// Logits.
#[unsafe(no_mangle)]
pub extern "C" fn bare_model_classes() -> usize {
    CONFIG.num_classes
}

/// Bytes of the weights.
#[unsafe(no_mangle)]
pub extern "C" fn bare_model_weight_bytes() -> usize {
    WEIGHTS.0.len()
}

/// Scratch values that a run needs.
#[unsafe(no_mangle)]
pub extern "C" fn bare_model_scratch_len() -> usize {
    model().map_or(0, |model| model.scratch_len(Level::detect()))
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
        model()?.run(Level::detect(), image, logits, scratch).map_err(|_| Status::Size)
    })
}
