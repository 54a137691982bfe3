//! A model whose packed weights are a static array, in flash on a microcontroller.

use vit::{Config, Level, Model, VitConfig};

use crate::memory::{len, read, write};
use crate::{Status, status};

const CONFIG: VitConfig = include!(concat!(env!("OUT_DIR"), "/config.rs"));
const BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/packed.f32"));
const LEN: usize = BYTES.len() / size_of::<f32>();

/// Aligned as the kernels like it on CPUs with caches; on others it costs at most 60 bytes.
#[repr(align(64))]
struct Aligned([f32; LEN]);

static WEIGHTS: Aligned = Aligned(floats());

/// The file's little-endian values, when the library is compiled.
#[allow(long_running_const_eval, reason = "once for each weight")]
const fn floats() -> [f32; LEN] {
    let (values, _) = BYTES.as_chunks::<4>();
    let mut out = [0.0; LEN];
    let mut i = 0;
    while i < LEN {
        out[i] = f32::from_le_bytes(values[i]);
        i += 1;
    }
    out
}

fn model() -> Result<Model<'static>, Status> {
    Model::new(&Config::Vit(CONFIG), &WEIGHTS.0).map_err(|_| Status::Size)
}

/// Values of an image: planes of normalised pixels.
#[unsafe(no_mangle)]
pub extern "C" fn bare_model_image_len() -> usize {
    Config::Vit(CONFIG).image_len()
}

/// Logits.
#[unsafe(no_mangle)]
pub extern "C" fn bare_model_classes() -> usize {
    CONFIG.num_classes
}

/// Bytes of the weights.
#[unsafe(no_mangle)]
pub extern "C" fn bare_model_weight_bytes() -> usize {
    size_of_val(&WEIGHTS)
}

/// Scratch values that a run needs.
#[unsafe(no_mangle)]
pub extern "C" fn bare_model_scratch_len() -> usize {
    model().map_or(0, |model| model.scratch_len(Level::detect()))
}

/// The logits of one image.
///
/// # Safety
/// Pointers that are neither null nor misaligned point to [`bare_model_image_len`], [`bare_model_classes`] and `scratch_len`
/// `float`s; none of the three overlaps another.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bare_model_run(
    image: *const f32,
    logits: *mut f32,
    scratch: *mut f32,
    scratch_len: usize,
) -> Status {
    status(|| {
        // SAFETY: the caller's promise.
        let (image, logits, scratch) = unsafe {
            let image = read(image, bare_model_image_len())?;
            (image, write(logits, bare_model_classes())?, write(scratch, len(&[scratch_len])?)?)
        };
        model()?.run(Level::detect(), image, logits, scratch).map_err(|_| Status::Size)
    })
}
