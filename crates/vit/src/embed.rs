//! Patch embedding: the strided convolution as a product with patches laid out a token panel at a time.

use core::ops::Range;

use kernels::{Error, Level, View, ViewMut};

use crate::Tensors;
use crate::config::{TensorName, VitConfig};
use crate::linear::Linear;
use crate::packing::{Cut, PackError, Packer, aligned, fetch};

/// The embedding's weights, and what it adds: position embedding, convolution bias and class tokens, in one matrix.
pub(crate) struct Embedding<'w> {
    proj: Linear<'w>,
    /// channels x padded tokens. Class tokens have no patch, so for them it is the whole embedding.
    offsets: View<'w>,
}

impl<'w> Embedding<'w> {
    pub(crate) fn packed_len(config: &VitConfig) -> usize {
        let channels = config.channels();
        Linear::packed_len(channels, config.patch_values()) + channels * aligned(config.tokens())
    }

    pub(crate) fn pack<T: Tensors>(packer: &mut Packer<T>, config: &VitConfig) -> Result<(), PackError<T::Error>> {
        use TensorName::Top;
        let (channels, tokens, stride) = (config.channels(), config.tokens(), aligned(config.tokens()));
        let shape = [channels, config.in_channels, config.patch_size, config.patch_size];
        Linear::pack(packer, Top("patch_embed.proj.weight"), None, &shape)?;

        let (source, offsets) = packer.custom(channels * stride);
        let positions = fetch(source, Top("pos_embed"), &[1, tokens, channels])?;
        for (t, position) in positions.chunks_exact(channels).enumerate() {
            position.iter().enumerate().for_each(|(e, x)| offsets[e * stride + t] = *x);
        }
        let bias = fetch(source, Top("patch_embed.proj.bias"), &[channels])?;
        for (e, bias) in bias.iter().enumerate() {
            offsets[e * stride..][config.class_tokens()..tokens].iter_mut().for_each(|x| *x += bias);
        }
        for (t, name) in ["cls_token", "dist_token"].into_iter().take(config.class_tokens()).enumerate() {
            let token = fetch(source, Top(name), &[1, 1, channels])?;
            token.iter().enumerate().for_each(|(e, x)| offsets[e * stride + t] += x);
        }
        Ok(())
    }

    pub(crate) fn cut(cut: &mut Cut<'w>, config: &VitConfig) -> Self {
        let (channels, stride) = (config.channels(), aligned(config.tokens()));
        let proj = Linear::cut(cut, channels, config.patch_values());
        let offsets = View::new(cut.take(channels * stride), channels, stride).expect("the piece has this size");
        Embedding { proj, offsets }
    }

    /// The stream's values at the columns `tokens` of one image; `patches` is scratch of patch values x columns.
    pub(crate) fn run(
        &self,
        level: Level,
        config: &VitConfig,
        image: &[f32],
        tokens: Range<usize>,
        x: &mut ViewMut,
        patches: &mut [f32],
    ) -> Result<(), Error> {
        let width = tokens.len();
        gather_patches(config, image, tokens.start, width, patches);
        let available = tokens.start..tokens.end.min(self.offsets.columns());
        for e in 0..x.rows() {
            let offsets = self.offsets.row(e).expect("a row-major matrix");
            let row = x.row_mut(e).expect("a panel is row-major");
            row[..available.len()].copy_from_slice(&offsets[available.clone()]);
            row[available.len()..].fill(0.0);
        }
        self.proj.run_residual(level, &View::new(patches, config.patch_values(), width)?, 1.0, x)
    }
}

/// Column `c` of `patches` (patch values x `width`) becomes the patch of token `first + c`, in the order channel, y, x; the
/// columns of class tokens and of padding are zero.
fn gather_patches(config: &VitConfig, image: &[f32], first: usize, width: usize, patches: &mut [f32]) {
    let (size, p) = (config.image_size, config.patch_size);
    let side = size / p;
    for column in 0..width {
        let patch = (first + column).checked_sub(config.class_tokens()).filter(|&patch| patch < config.patches());
        let mut values = patches[column..].iter_mut().step_by(width).take(config.patch_values());
        let Some(patch) = patch else {
            values.for_each(|value| *value = 0.0);
            continue;
        };
        let (top, left) = (patch / side * p, patch % side * p);
        for plane in image.chunks_exact(size * size) {
            for y in top..top + p {
                let line = &plane[y * size + left..][..p];
                line.iter().zip(&mut values).for_each(|(pixel, value)| *value = *pixel);
            }
        }
    }
}
