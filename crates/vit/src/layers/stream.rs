//! The residual stream between layers, and how it is shown to the caller.

use core::fmt;
use core::ops::Range;

use kernels::internal::gather_columns;
use kernels::{ChannelOrder, Error, PanelLayout, Panels, View, ViewMut};

#[cfg(feature = "swin")]
use super::window::WindowOrder;
use crate::exec::error::RunError;

/// The residual stream of one image: all channels of all tokens in panels, and the orders in which they are to be read.
pub(crate) struct Stream<'a> {
    pub data: &'a [f32],
    pub layout: PanelLayout,
    pub order: ChannelOrder,
    pub tokens: TokenOrder,
}

/// The order of a stream's tokens.
pub(crate) enum TokenOrder {
    /// As they are to be read.
    AsStored,
    /// Window by window, to be read row by row of the map.
    #[cfg(feature = "swin")]
    Windows(WindowOrder),
}

impl<'a> Stream<'a> {
    /// One panel, its channels in logical order.
    pub(crate) fn panel(&self, panel: usize) -> Result<View<'a>, Error> {
        let channels = self.order.channels();
        self.layout.view(panel, &self.data[channels * self.layout.offset(panel)..], channels)?.reorder_rows(self.order)
    }

    /// All panels, their channels as stored.
    pub(crate) fn panels(&self) -> Result<Panels<'a>, Error> {
        Panels::new(self.data, self.order.channels(), self.layout)
    }

    /// Column `c` of `out` becomes some channels, counted in logical order, of the token stored at the c-th place.
    pub(crate) fn gather(
        &self,
        channels: Range<usize>,
        places: impl Iterator<Item = usize>,
        out: &mut ViewMut,
    ) -> Result<(), Error> {
        let rows = channels.map(|position| self.order.channel(position));
        gather_columns(&self.panels()?, rows, places, out)
    }

    /// Writes tokens x channels, row-major, both in logical order.
    pub(crate) fn write(&self, out: &mut [f32]) -> Result<(), Error> {
        let (panels, channels) = (self.panels()?, self.order.channels());
        for (t, token) in out.chunks_exact_mut(channels).enumerate() {
            let place = match &self.tokens {
                TokenOrder::AsStored => t,
                #[cfg(feature = "swin")]
                TokenOrder::Windows(windows) => windows.place([t / windows.side, t % windows.side]),
            };
            let column = panels.column(place);
            token.iter_mut().zip(self.order.iter()).for_each(|(y, channel)| *y = column.at(channel));
        }
        Ok(())
    }
}

/// The residual stream of an image after one block, or after one stage before it is merged.
///
/// [`RunOptions::intermediate_outputs`](crate::RunOptions::intermediate_outputs) has an example.
///
/// ```
/// let mut largest = 0.0f32;
/// let mut watch = |_image: usize, output: vit::Intermediate| {
///     let mut values = vec![0.0; output.shape().iter().product()];
///     output.write(&mut values).expect("the buffer has the output's shape");
///     largest = values.iter().fold(largest, |most, x| most.max(x.abs()));
/// };
/// let watch: &mut vit::OnIntermediate = &mut watch;
/// ```
pub struct Intermediate<'a> {
    pub(crate) index: usize,
    pub(crate) tokens: usize,
    pub(crate) stream: Stream<'a>,
}

impl Intermediate<'_> {
    /// The block or stage that this is the output of, from 0.
    ///
    /// ```
    /// let print: &mut vit::OnIntermediate = &mut |image, output| println!("image {image}, block {}", output.index());
    /// ```
    pub fn index(&self) -> usize {
        self.index
    }

    /// Tokens and channels.
    ///
    /// ```
    /// let print: &mut vit::OnIntermediate = &mut |_, output| println!("{:?}", output.shape()); // [tokens, channels]
    /// ```
    pub fn shape(&self) -> [usize; 2] {
        [self.tokens, self.stream.order.channels()]
    }

    /// Writes tokens x channels, row-major: class tokens first, then registers, then patches row by row; channels in logical
    /// order.
    ///
    /// # Errors
    /// [`RunError::Length`] unless `out` holds exactly that many values.
    ///
    /// ```
    /// let check: &mut vit::OnIntermediate = &mut |_, output| assert!(output.write(&mut []).is_err());
    /// ```
    pub fn write(&self, out: &mut [f32]) -> Result<(), RunError> {
        let (expected, found) = (self.shape().iter().product(), out.len());
        if found != expected {
            return Err(RunError::Length { what: "the buffer for the intermediate output", expected, found });
        }
        Ok(self.stream.write(out)?)
    }
}

impl fmt::Debug for Intermediate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Intermediate").field("index", &self.index).field("shape", &self.shape()).finish_non_exhaustive()
    }
}
