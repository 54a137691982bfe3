//! The forward passes, one a family: each lists its weights, plans its scratch and runs an image.
//!
//! Adding a family is a file here, a variant of [`Network`], a configuration and a feature.

#[cfg(feature = "plain")]
mod plain;
#[cfg(feature = "swin")]
mod swin;
#[cfg(feature = "t2t")]
mod t2t;

#[cfg(not(any(feature = "plain", feature = "swin")))]
use core::{convert::Infallible, marker::PhantomData};

use kernels::Level;

use crate::config::{Config, Family};
use crate::exec::error::RunError;
use crate::exec::pass::Pass;
use crate::layers::stream::Intermediate;
use crate::packed::layout::Layout;

/// A model of one of the families over its packed weights.
#[derive(Clone, Copy)]
pub(crate) enum Network<'w> {
    #[cfg(feature = "plain")]
    Plain(plain::Plain<'w>),
    #[cfg(feature = "swin")]
    Swin(swin::Swin<'w>),
    /// A build without families has no models.
    #[cfg(not(any(feature = "plain", feature = "swin")))]
    None(Infallible, PhantomData<&'w ()>),
}

/// Lists a model's weights; those of a family that is not built in, which no valid configuration has, are none.
pub(crate) fn list<L: Layout>(layout: &mut L, config: &Config) {
    match config.family() {
        #[cfg(feature = "plain")]
        Family::Vit(c) => plain::list(layout, c),
        #[cfg(feature = "swin")]
        Family::Swin(c) => swin::list(layout, c),
        #[cfg(not(all(feature = "plain", feature = "swin")))]
        _ => {}
    }
}

impl<'w> Network<'w> {
    /// A model over exactly the values that [`list`] lists; none if its family is not built in, which no configuration then has.
    pub(crate) fn new(config: &Config, packed: &'w [f32]) -> Option<Self> {
        match *config.family() {
            #[cfg(feature = "plain")]
            Family::Vit(c) => Some(Network::Plain(plain::Plain::new(c, packed))),
            #[cfg(feature = "swin")]
            Family::Swin(c) => Some(Network::Swin(swin::Swin::new(c, packed))),
            #[cfg(not(all(feature = "plain", feature = "swin")))]
            _ => None,
        }
    }

    /// Scratch values of one image on some threads.
    pub(crate) fn scratch_len(&self, level: Level, threads: usize) -> usize {
        match self {
            #[cfg(feature = "plain")]
            Network::Plain(model) => model.scratch_len(level, threads),
            #[cfg(feature = "swin")]
            Network::Swin(model) => model.scratch_len(level, threads),
            #[cfg(not(any(feature = "plain", feature = "swin")))]
            Network::None(never, _) => match *never {},
        }
    }

    /// The outputs of one image, with at least [`Network::scratch_len`] values of scratch.
    pub(crate) fn run(
        &self,
        pass: &Pass,
        image: &[f32],
        outputs: &mut [f32],
        scratch: &mut [f32],
        on_intermediate: Option<&mut dyn FnMut(Intermediate)>,
    ) -> Result<(), RunError> {
        match self {
            #[cfg(feature = "plain")]
            Network::Plain(model) => model.run(pass, image, outputs, scratch, on_intermediate),
            #[cfg(feature = "swin")]
            Network::Swin(model) => model.run(pass, image, outputs, scratch, on_intermediate),
            #[cfg(not(any(feature = "plain", feature = "swin")))]
            Network::None(never, _) => match *never {},
        }
    }
}
