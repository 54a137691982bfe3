//! The embedding: a product with windows of the image, or of the map that tokens-to-token made of it, laid out a token panel
//! at a time.

use kernels::{Error, Panels, View, ViewMut};

use crate::Tensors;
use crate::config::{T2T_WIDTH, TensorName, Tokens, VitConfig};
use crate::linear::Linear;
use crate::packing::{Cut, PackError, Packer, aligned, fetch};
use crate::pass::{Operation, Pass};
use crate::t2t;
use crate::unfold::Windows;

/// The embedding's weights, and what it adds: position embedding, convolution bias, class tokens and registers, in one matrix.
pub(crate) struct Embedding<'w> {
    proj: Linear<'w>,
    /// channels x padded tokens. Class tokens and registers have no patch, so for them it is the whole embedding.
    offsets: View<'w>,
}

impl<'w> Embedding<'w> {
    pub(crate) fn packed_len(config: &VitConfig) -> usize {
        let channels = config.channels();
        Linear::packed_len(channels, inputs(config)) + channels * aligned(config.tokens())
    }

    pub(crate) fn pack<T: Tensors>(packer: &mut Packer<T>, config: &VitConfig) -> Result<(), PackError<T::Error>> {
        use TensorName::Top;
        let (channels, tokens, stride) = (config.channels(), config.tokens(), aligned(config.tokens()));
        let shape = [channels, config.in_channels, config.patch_size, config.patch_size];
        let (weight, bias, shape) = match config.tokens {
            Tokens::Patch => ("patch_embed.proj.weight", "patch_embed.proj.bias", &shape[..]),
            _ => ("tokens_to_token.project.weight", "tokens_to_token.project.bias", &[channels, inputs(config)][..]),
        };
        Linear::pack(packer, Top(weight), None, shape)?;

        let (source, offsets) = packer.custom(channels * stride);
        let positions = config.prefix_positions() + config.patches();
        let positions = fetch(source, Top("pos_embed"), &[1, positions, channels])?;
        for (t, position) in embedded_tokens(config).zip(positions.chunks_exact(channels)) {
            position.iter().enumerate().for_each(|(e, x)| offsets[e * stride + t] = *x);
        }
        // timm leaves out a bias that a norm of the embedding would follow.
        if !(config.pre_norm && config.tokens == Tokens::Patch) {
            let bias = fetch(source, Top(bias), &[channels])?;
            for (e, bias) in bias.iter().enumerate() {
                offsets[e * stride..][config.prefix_tokens()..tokens].iter_mut().for_each(|x| *x += bias);
            }
        }
        let mut t = 0;
        for (name, count) in config.prefix() {
            let prefix = fetch(source, Top(name), &[1, count, channels])?;
            for token in prefix.chunks_exact(channels) {
                token.iter().enumerate().for_each(|(e, x)| offsets[e * stride + t] += x);
                t += 1;
            }
        }
        Ok(())
    }

    pub(crate) fn cut(cut: &mut Cut<'w>, config: &VitConfig) -> Self {
        let (channels, stride) = (config.channels(), aligned(config.tokens()));
        let proj = Linear::cut(cut, channels, inputs(config));
        let offsets = View::new(cut.take(channels * stride), channels, stride).expect("the piece has this size");
        Embedding { proj, offsets }
    }

    /// The stream's values at the tokens from `first` on, from the image's planes or tokens-to-token's map; `scratch` holds
    /// the windows of a panel.
    pub(crate) fn run(
        &self,
        pass: &Pass,
        config: &VitConfig,
        map: &Panels,
        first: usize,
        x: &mut ViewMut,
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let tokens = first..first + x.columns();
        let mut patches = pass.matrix(scratch, inputs(config), x.columns())?;
        // Class tokens and registers come first and have no window: their columns are zero.
        windows(config).unfold(map, tokens.clone().map(|t| t.checked_sub(config.prefix_tokens())), &mut patches);
        pass.done(Operation::Unfold, 0);
        for e in 0..x.rows() {
            let offsets = self.offsets.row(e).expect("a row-major matrix");
            x.row_mut(e).expect("a panel is row-major").copy_from_slice(&offsets[tokens.clone()]);
        }
        self.proj.run_residual(pass, Operation::Embedding, &patches.as_view(), 1.0, x)
    }
}

/// The tokens that have a row in the position embedding, in its order.
fn embedded_tokens(config: &VitConfig) -> impl Iterator<Item = usize> + use<> {
    let (class, prefix) = (config.class_tokens(), config.prefix_tokens());
    let (embed_class_token, embed_registers) = (config.embed_class_token, config.embed_registers);
    (0..config.tokens()).filter(move |&t| match t {
        t if t < class => embed_class_token,
        t if t < prefix => embed_registers,
        _ => true,
    })
}

/// The windows that become tokens.
fn windows(config: &VitConfig) -> Windows {
    match config.tokens {
        Tokens::Patch => {
            Windows { side: config.image_size, kernel: config.patch_size, stride: config.patch_size, padding: 0 }
        }
        _ => t2t::windows(config.image_size)[2],
    }
}

/// Values of a window.
pub(crate) fn inputs(config: &VitConfig) -> usize {
    let channels = if config.tokens == Tokens::Patch { config.in_channels } else { T2T_WIDTH };
    windows(config).values(channels)
}
