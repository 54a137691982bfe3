//! Programs over views: where a matrix lies, and the steps from one view of it to the next.

use arbitrary::Arbitrary;
use kernels::{ChannelOrder, Error, View, ViewMut};

use super::copy::{Copied, invert, shuffle};

/// Most rows and columns.
const MOST: u8 = 48;
/// Most values of data.
const MOST_VALUES: u128 = 1 << 14;

/// A matrix somewhere in some data.
#[derive(Arbitrary, Debug, Clone)]
pub struct Source {
    rows: u8,
    columns: u8,
    strides: Strides,
    slack: u8,
}

#[derive(Arbitrary, Debug, Clone)]
enum Strides {
    RowMajor { gap: u8 },
    ColumnMajor { gap: u8 },
    Small(u8, u8),
    Any(usize, usize),
}

impl Source {
    pub fn shape(&self) -> [usize; 2] {
        [usize::from(self.rows % (MOST + 1)), usize::from(self.columns % (MOST + 1))]
    }

    /// The same layout for another shape.
    pub fn reshaped(&self, [rows, columns]: [usize; 2]) -> Source {
        Source { rows: rows as u8, columns: columns as u8, ..self.clone() }
    }

    fn strides(&self) -> [usize; 2] {
        let [rows, columns] = self.shape();
        match self.strides {
            Strides::RowMajor { gap } => [columns + usize::from(gap % 8), 1],
            Strides::ColumnMajor { gap } => [1, rows + usize::from(gap % 8)],
            Strides::Small(row, column) => [usize::from(row % 64), usize::from(column % 64)],
            Strides::Any(row, column) => [row, column],
        }
    }

    /// How many values of data the matrix reaches over.
    fn reach(&self) -> u128 {
        let ([rows, columns], [row_stride, column_stride]) = (self.shape(), self.strides());
        if rows == 0 || columns == 0 {
            return 0;
        }
        let last = |len: usize, stride: usize| (len as u128 - 1) * stride as u128;
        last(rows, row_stride) + last(columns, column_stride) + 1
    }

    /// The matrix of indices and the length of the data; none if it reaches too far, which is checked to be an error.
    pub fn copied(&self) -> Option<(Copied, usize)> {
        let (reach, strides) = (self.reach(), self.strides());
        let short = vec![0.0; reach.min(MOST_VALUES).saturating_sub(1) as usize];
        if reach > 0 {
            let error = self.view(&short).expect_err("the data are too short");
            assert!(matches!(error, Error::OutOfBounds { .. }), "{error:?}");
        }
        let len = reach + u128::from(self.slack % 4);
        // Where an axis has one index its stride may be anything, and is not multiplied.
        let index = move |r: usize, c: usize| r.wrapping_mul(strides[0]).wrapping_add(c.wrapping_mul(strides[1]));
        (reach <= MOST_VALUES).then(|| (Copied::new(self.shape(), index), len as usize))
    }

    pub fn view<'a>(&self, data: &'a [f32]) -> Result<View<'a>, Error> {
        View::with_strides(data, self.shape(), self.strides())
    }

    /// The matrix to write to; none if two elements might lie in one place, as they never may where it is given.
    pub fn view_mut<'a>(&self, data: &'a mut [f32], copied: &Copied) -> Option<ViewMut<'a>> {
        match ViewMut::with_strides(data, self.shape(), self.strides()) {
            Ok(view) => {
                let mut indices: Vec<usize> = copied.indices().collect();
                indices.sort_unstable();
                assert!(indices.windows(2).all(|pair| pair[0] != pair[1]), "two elements in one place: {self:?}");
                Some(view)
            }
            Err(error) => {
                let plain = matches!(self.strides, Strides::RowMajor { .. } | Strides::ColumnMajor { .. });
                assert!(matches!(error, Error::Overlap { .. }) && !plain, "{error:?}: {self:?}");
                None
            }
        }
    }
}

/// One operation on a view. Small numbers are taken as they come, so that impossible ones are tried too.
#[derive(Arbitrary, Debug, Clone)]
pub enum Step {
    Transpose,
    ShuffleRows(u8),
    ShuffleColumns(u8),
    Reorder { groups: Vec<u8>, inverse: bool, channels: Option<u8> },
    RowRange(u8, u8),
    ColumnRange(u8, u8),
}

/// A step on a [`View`] and on a [`ViewMut`]: the same calls.
macro_rules! step_on {
    ($step:expr, $view:expr) => {{
        let view = $view;
        match $step {
            Step::Transpose => Ok(view.transpose()),
            Step::ShuffleRows(groups) => view.shuffle_rows((*groups).into()),
            Step::ShuffleColumns(groups) => view.shuffle_columns((*groups).into()),
            Step::Reorder { .. } => {
                let (order, _) = $step.order(view.rows());
                view.reorder_rows(order)
            }
            Step::RowRange(start, end) => view.row_range((*start).into()..(*end).into()),
            Step::ColumnRange(start, end) => view.column_range((*start).into()..(*end).into()),
        }
    }};
}

impl Step {
    pub fn view<'a>(&self, view: View<'a>) -> Result<View<'a>, Error> {
        step_on!(self, view)
    }

    pub fn view_mut<'a>(&self, view: ViewMut<'a>) -> Result<ViewMut<'a>, Error> {
        step_on!(self, view)
    }

    /// The step by copying; none where it is an error.
    pub fn copied(&self, copied: &Copied) -> Option<Copied> {
        let all = |rows: usize| (0..rows).collect::<Vec<_>>();
        let shuffle_rows =
            |copied: &Copied, groups: u8| copied.reorder(&shuffle(&all(copied.shape()[0]), groups.into())?);
        match self {
            Step::Transpose => Some(copied.transpose()),
            Step::ShuffleRows(groups) => shuffle_rows(copied, *groups),
            Step::ShuffleColumns(groups) => Some(shuffle_rows(&copied.transpose(), *groups)?.transpose()),
            Step::Reorder { .. } => copied.reorder(&self.order(copied.shape()[0]).1),
            Step::RowRange(start, end) => copied.row_range((*start).into()..(*end).into()),
            Step::ColumnRange(start, end) => {
                Some(copied.transpose().row_range((*start).into()..(*end).into())?.transpose())
            }
        }
    }

    /// Whether the shape is the same afterwards.
    pub fn keeps_shape(&self) -> bool {
        matches!(self, Step::ShuffleRows(_) | Step::ShuffleColumns(_) | Step::Reorder { .. })
    }

    /// A composition of shuffles as an order and as the list that copying gives.
    fn order(&self, rows: usize) -> (ChannelOrder, Vec<usize>) {
        let Step::Reorder { groups, inverse, channels } = self else { panic!("only a reordering has an order") };
        let n = channels.map_or(rows, usize::from);
        let (mut order, mut list) = (ChannelOrder::identity(n), (0..n).collect::<Vec<_>>());
        for &groups in groups {
            let (next, shuffled) = (ChannelOrder::shuffle(n, groups.into()), shuffle(&list, groups.into()));
            assert_eq!(next.is_ok(), shuffled.is_some(), "{groups} groups of {n} channels");
            let (Ok(next), Some(shuffled)) = (next, shuffled) else { continue };
            (order, list) = (order.then(next).expect("the same channels"), shuffled);
        }
        if *inverse {
            (order, list) = (order.inverse(), invert(&list));
        }
        assert!(order.iter().eq(list.iter().copied()), "{order:?}");
        (order, list)
    }
}
