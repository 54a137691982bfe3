//! Token panels: a channel-major matrix whose tokens are divided into groups, each with all its channels in one run of memory.
//!
//! A panel is as wide as a register tile, or as a thread's share, and row-major. A product reads it as B without packing, it
//! fits the caches next to a core, and one thread owns it: panels are consecutive slices, so safe code can hand them to threads.
//! A channel is a row of every panel; a shuffled channel order is a different order of rows.
//!
//! Columns left over from the last full vector are the last columns of the last panel: products treat them apart, and in a
//! panel of their own all weights would be read once more for them.

use core::ops::Range;

use super::layout::PanelLayout;
use super::view::View;
use crate::element::Element;
use crate::error::{Error, check_at_least, check_len};

/// A matrix in panels, to read: what attention takes keys and values from.
///
/// ```
/// use kernels::{Level, Panels};
/// let layout = Level::PORTABLE.panels(18); // 8 columns, and 8 with 2 more
/// let data = vec![0.0; 6 * layout.padded()];
/// let panels = Panels::new(&data, 6, layout)?.row_range(2..4)?;
/// assert_eq!(panels.panel(1).shape(), [2, 10]);
/// # Ok::<(), kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Panels<'a, T = f32> {
    data: &'a [T],
    /// Rows that every panel has in memory.
    stored_rows: usize,
    /// The first row and how many.
    rows: (usize, usize),
    /// The first column and how many.
    columns: (usize, usize),
    layout: PanelLayout,
}

impl<'a, T: Element> Panels<'a, T> {
    /// `rows` rows in panels of the given layout: panel p starts at value `rows * layout.offset(p)`.
    ///
    /// ```
    /// use kernels::{Panels, PanelLayout};
    /// let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    /// let panels = Panels::new(&data, 2, PanelLayout::single(3))?;
    /// assert!(Panels::new(&data, 3, PanelLayout::single(3)).is_err());
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] unless `data` holds exactly `rows * layout.padded()` values.
    pub fn new(data: &'a [T], rows: usize, layout: PanelLayout) -> Result<Self, Error> {
        check_len("Panels::new", "data", rows.saturating_mul(layout.padded()), data.len())?;
        Ok(Panels { data, stored_rows: rows, rows: (0, rows), columns: (0, layout.columns()), layout })
    }

    /// An ordinary row-major matrix as one panel.
    ///
    /// ```
    /// use kernels::{Panels, PanelLayout};
    /// let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    /// assert_eq!(Panels::single(&data, 2, 3)?.panel(0).at(1, 0), 4.0);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] if `data` is too short.
    pub fn single(data: &'a [T], rows: usize, columns: usize) -> Result<Self, Error> {
        let len = rows.saturating_mul(columns);
        check_at_least("Panels::single", "data", len, data.len())?;
        Panels::new(&data[..len], rows, PanelLayout::single(columns))
    }

    /// Some of the rows of every panel.
    ///
    /// ```
    /// use kernels::{Panels, PanelLayout};
    /// let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    /// assert_eq!(Panels::single(&data, 2, 3)?.row_range(1..2)?.panel(0).row(0), Some(&data[3..]));
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Range`] if the range reaches past the last row.
    pub fn row_range(mut self, range: Range<usize>) -> Result<Self, Error> {
        let (first, len) = self.rows;
        if range.start > range.end || range.end > len {
            return Err(Error::Range { what: "Panels::row_range", start: range.start, end: range.end, len });
        }
        self.rows = (first + range.start, range.len());
        Ok(self)
    }

    /// Some of the columns, in one or several panels: a window of tokens.
    ///
    /// ```
    /// use kernels::{Panels, PanelLayout};
    /// let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    /// assert!(Panels::single(&data, 2, 3)?.column_range(1..3)?.column(0).iter().eq([2.0, 5.0]));
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Range`] if the range reaches past the last column.
    pub fn column_range(mut self, range: Range<usize>) -> Result<Self, Error> {
        let (first, len) = self.columns;
        if range.start > range.end || range.end > len {
            return Err(Error::Range { what: "Panels::column_range", start: range.start, end: range.end, len });
        }
        self.columns = (first + range.start, range.len());
        Ok(self)
    }

    /// Columns that hold data.
    ///
    /// ```
    /// use kernels::{Panels, PanelLayout};
    /// let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    /// assert_eq!(Panels::single(&data, 2, 3)?.columns(), 3);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub fn columns(&self) -> usize {
        self.columns.1
    }

    /// Whether these are all columns of the layout.
    pub(crate) fn has_all_columns(&self) -> bool {
        self.columns.1 == self.layout.columns()
    }

    /// The slices of the columns, one a panel.
    ///
    /// ```
    /// use kernels::{Level, Panels};
    /// let x: Vec<f32> = (0..24).map(|i| i as f32).collect();
    /// let panels = Panels::new(&x, 1, Level::PORTABLE.panels(24))?; // 8 columns each
    /// let slices = panels.column_range(6..11)?.slices();
    /// assert!(slices.map(|slice| (slice.first, slice.columns)).eq([(0, 2), (2, 3)]));
    /// # Ok::<(), kernels::Error>(())
    /// ```
    #[inline(always)]
    pub fn slices(&self) -> impl Iterator<Item = PanelSlice<'a, T>> + use<'a, T> {
        let (panels, (first, len)) = (*self, self.columns);
        let layout = panels.layout;
        let range = if len == 0 { 0..0 } else { layout.panel_of(first)..layout.panel_of(first + len - 1) + 1 };
        range.map(move |panel| {
            let range = layout.range(panel);
            let (start, end) = (range.start.max(first), range.end.min(first + len));
            let at = if panels.rows() == 0 { 0 } else { panels.start(panel, panels.rows.0) + start - range.start };
            PanelSlice {
                first: start - first,
                columns: end - start,
                data: &panels.data[at..],
                step: layout.width(panel),
            }
        })
    }

    /// Rows of every panel.
    ///
    /// ```
    /// use kernels::{Panels, PanelLayout};
    /// let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    /// assert_eq!(Panels::single(&data, 2, 3)?.rows(), 2);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub fn rows(&self) -> usize {
        self.rows.1
    }

    /// How the columns are divided.
    ///
    /// ```
    /// use kernels::{Panels, PanelLayout};
    /// let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    /// assert_eq!(*Panels::single(&data, 2, 3)?.layout(), PanelLayout::single(3));
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub fn layout(&self) -> &PanelLayout {
        &self.layout
    }

    /// The values of a column.
    ///
    /// ```
    /// use kernels::{Panels, PanelLayout};
    /// let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    /// assert_eq!(Panels::single(&data, 2, 3)?.column(2).at(1), 6.0);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Panics
    /// If the column is beyond the last.
    #[inline]
    pub fn column(&self, column: usize) -> Column<'a, T> {
        let (start, stride, _) = self.place(column);
        Column { data: self.data.get(start..).unwrap_or(&[]), stride, len: self.rows.1 }
    }

    /// Where a column's first value is in [`Panels::data`], the values from one row to the next, and how many columns follow
    /// in its panel, itself included.
    #[inline]
    pub(crate) fn place(&self, column: usize) -> (usize, usize, usize) {
        assert!(column < self.columns.1, "column beyond the last");
        let column = self.columns.0 + column;
        let panel = self.layout.panel_of(column);
        let range = self.layout.range(panel);
        let start = self.start(panel, self.rows.0) + column - range.start;
        (start, self.layout.width(panel), range.end.min(self.columns.0 + self.columns.1) - column)
    }

    /// All panels' values, whatever rows and columns were taken.
    #[inline(always)]
    pub(crate) fn data(&self) -> &'a [T] {
        self.data
    }

    /// One panel's values from its first row on, and the values from one row to the next, whatever range of columns was
    /// taken.
    #[inline(always)]
    pub(crate) fn panel_rows(&self, panel: usize) -> (&'a [T], usize) {
        (&self.data[self.start(panel, self.rows.0)..], self.layout.width(panel))
    }

    /// All panels but the last, which have one width, each from its first row on, whatever range of columns was taken.
    #[inline(always)]
    pub(crate) fn uniform_panels(&self) -> impl Iterator<Item = &'a [T]> + use<'a, T> {
        let [_, width] = self.layout.uniform();
        let (first, len) = (self.rows.0 * width, self.stored_rows * width);
        let uniform = &self.data[..len * self.layout.count().saturating_sub(1)];
        uniform.chunks_exact(len.max(1)).map(move |panel| &panel[first..])
    }

    /// Copies a row's values at some columns, from as many panels as they lie in.
    ///
    /// ```
    /// use kernels::{Level, Panels};
    /// let x: Vec<f32> = (0..24).map(|i| i as f32).collect();
    /// let panels = Panels::new(&x, 1, Level::PORTABLE.panels(24))?; // 8 columns each
    /// let mut out = [0.0; 3];
    /// panels.copy_row(0, 6..9, &mut out);
    /// assert_eq!(out, [6.0, 7.0, 8.0]);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Panics
    /// If the row or a column is beyond the last, or `out` is not as long as the range.
    pub fn copy_row(&self, row: usize, columns: Range<usize>, out: &mut [T]) {
        assert!(out.len() == columns.len(), "as many values as columns");
        assert!(columns.end <= self.columns.1, "column beyond the last");
        let (mut column, mut rest) = (columns.start, out);
        while !rest.is_empty() {
            let (panel, values) = self.row_from(row, column);
            let count = rest.len().min(panel.end - column - self.columns.0);
            let (front, after) = rest.split_at_mut(count);
            front.copy_from_slice(&values[..count]);
            column += count;
            rest = after;
        }
    }

    /// The panel of a column, and what follows from there on in a row.
    #[inline]
    fn row_from(&self, row: usize, column: usize) -> (Range<usize>, &'a [T]) {
        assert!(row < self.rows.1, "row beyond the last");
        assert!(column < self.columns.1, "column beyond the last");
        let column = self.columns.0 + column;
        let panel = self.layout.panel_of(column);
        let range = self.layout.range(panel);
        let start = self.start(panel, self.rows.0 + row) + column - range.start;
        (range, &self.data[start..])
    }

    /// Where a stored row of a panel starts.
    #[inline(always)]
    fn start(&self, panel: usize, row: usize) -> usize {
        self.stored_rows * self.layout.offset(panel) + row * self.layout.width(panel)
    }

    /// One panel, whatever range of columns was taken.
    ///
    /// ```
    /// use kernels::{Panels, PanelLayout};
    /// let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    /// assert_eq!(Panels::single(&data, 2, 3)?.panel(0).shape(), [2, 3]);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Panics
    /// If there is no such panel.
    pub fn panel(&self, panel: usize) -> View<'a, T> {
        let view = self.layout.view(panel, &self.data[self.start(panel, self.rows.0)..], self.rows.1);
        view.expect("a panel lies within the data checked by new")
    }
}

/// Columns of [`Panels`] that lie in one panel: a row-major matrix.
///
/// ```
/// use kernels::Panels;
/// let panels = Panels::single(&[1.0, 2.0, 3.0, 4.0], 2, 2)?;
/// let slice = panels.slices().next().unwrap();
/// assert_eq!(slice.data[slice.step], 3.0); // the second row
/// # Ok::<(), kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PanelSlice<'a, T = f32> {
    /// The first column's index among those of all slices.
    pub first: usize,
    /// How many there are.
    pub columns: usize,
    /// The values from the first row's first column on.
    pub data: &'a [T],
    /// The values from one row to the next.
    pub step: usize,
}

/// A column of [`Panels`]: a token's channels.
///
/// ```
/// use kernels::Panels;
/// let panels = Panels::single(&[1.0, 2.0, 3.0, 4.0], 2, 2)?;
/// assert_eq!(panels.column(1).at(1), 4.0);
/// assert!(panels.column(0).iter().eq([1.0, 3.0]));
/// # Ok::<(), kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Column<'a, T = f32> {
    data: &'a [T],
    stride: usize,
    len: usize,
}

impl<'a, T: Element> Column<'a, T> {
    /// The value in a row.
    ///
    /// ```
    /// use kernels::{Panels, PanelLayout};
    /// let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    /// assert_eq!(Panels::single(&data, 2, 3)?.column(0).at(1), 4.0);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Panics
    /// If the row is beyond the last.
    #[inline]
    pub fn at(&self, row: usize) -> T {
        assert!(row < self.len, "row beyond the last");
        self.data[row * self.stride]
    }

    /// The values row by row.
    ///
    /// ```
    /// use kernels::{Panels, PanelLayout};
    /// let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    /// assert_eq!(Panels::single(&data, 2, 3)?.column(1).iter().sum::<f32>(), 7.0);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub fn iter(self) -> impl ExactSizeIterator<Item = T> + use<'a, T> {
        (0..self.len).map(move |row| self.at(row))
    }
}
