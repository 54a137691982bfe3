//! The embedding: a product with windows of the image, or of the map that tokens-to-token made of it, laid out a token panel
//! at a time.

use kernels::{Error, Panels, View, ViewMut};

use super::linear::Linear;
use super::norm::Norm;
use crate::config::{TensorName, VitConfig};
use crate::exec::pass::{Operation, Pass};
use crate::exec::workspace::Workspace;
use crate::packed::layout::{Layout, Reader, Source, aligned};

/// The embedding's weights, and what it adds: position embedding, convolution bias, class tokens and registers, in one matrix.
pub(crate) struct Embedding<L: Layout> {
    proj: Linear<L>,
    /// channels x padded tokens. Class tokens and registers have no patch, so for them it is the whole embedding.
    offsets: L::Vector,
    /// What follows the sum, if anything does.
    norm: Option<Norm<L>>,
}

impl<L: Layout> Embedding<L> {
    pub(crate) fn list(layout: &mut L, config: &VitConfig) -> Self {
        use TensorName::Top;
        let channels = config.channels();
        let [weight, _] = config.embedding_names();
        Embedding {
            proj: Linear::list(layout, Top(weight), None, config.embedding_shape().as_slice()),
            offsets: layout
                .values(channels * aligned(config.tokens()), |source, out| fill_offsets(config, source, out)),
            norm: config.pre_norm.then(|| Norm::list(layout, ["norm_pre.weight", "norm_pre.bias"].map(Top), channels)),
        }
    }
}

/// Position embedding, convolution bias, class tokens and registers, summed: a row for each channel.
fn fill_offsets(config: &VitConfig, source: &mut dyn Source, offsets: &mut [f32]) -> Option<()> {
    use TensorName::Top;
    let (channels, tokens, stride) = (config.channels(), config.tokens(), aligned(config.tokens()));
    let positions = source.tensor(Top("pos_embed"), &[1, config.positions(), channels])?;
    for (t, position) in embedded_tokens(config).zip(positions.chunks_exact(channels)) {
        position.iter().enumerate().for_each(|(e, x)| offsets[e * stride + t] = *x);
    }
    if let Some(bias) = config.embedding_bias() {
        let bias = source.tensor(Top(bias), &[channels])?;
        for (e, bias) in bias.iter().enumerate() {
            offsets[e * stride..][config.prefix_tokens()..tokens].iter_mut().for_each(|x| *x += bias);
        }
    }
    let mut t = 0;
    for (name, count) in config.prefix() {
        let prefix = source.tensor(Top(name), &[1, count, channels])?;
        for token in prefix.chunks_exact(channels) {
            token.iter().enumerate().for_each(|(e, x)| offsets[e * stride + t] += x);
            t += 1;
        }
    }
    Some(())
}

impl Embedding<Reader<'_>> {
    /// The stream's values at the tokens from `first` on, from the image's planes or tokens-to-token's map.
    pub(crate) fn run(
        &self,
        pass: &Pass,
        config: &VitConfig,
        map: &Panels,
        first: usize,
        x: &mut ViewMut,
        workspace: &mut Workspace,
    ) -> Result<(), Error> {
        let Some(norm) = &self.norm else { return self.embed(pass, config, map, first, x, workspace.wide) };
        let mut embedded = pass.matrix(workspace.narrow, x.rows(), x.columns())?;
        self.embed(pass, config, map, first, &mut embedded, workspace.wide)?;
        norm.run(pass, &embedded.as_view(), config.layer_norm_eps as f32, x)
    }

    /// As [`Embedding::run`] before the norm; `scratch` holds the windows of a panel.
    fn embed(
        &self,
        pass: &Pass,
        config: &VitConfig,
        map: &Panels,
        first: usize,
        x: &mut ViewMut,
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let tokens = first..first + x.columns();
        let mut patches = pass.matrix(scratch, config.embedding_inputs(), x.columns())?;
        // Class tokens and registers come first and have no window: their columns are zero.
        let windows = tokens.clone().map(|t| t.checked_sub(config.prefix_tokens()));
        config.embedding_windows().unfold(map, windows, &mut patches);
        pass.done(Operation::Unfold, 0);
        let offsets = View::new(self.offsets, x.rows(), aligned(config.tokens()))?;
        for e in 0..x.rows() {
            let offsets = offsets.row(e).expect("a row-major matrix");
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
