//! Token panels: a channel-major matrix cut along its tokens into blocks that each lie in one piece.
//!
//! A panel is as wide as a register tile, or as a thread's share, and holds all its channels, row-major. It is what a product reads as B
//! without packing, what fits the near caches, and what one thread owns: panels are consecutive slices, so safe code can
//! hand them to threads. A channel is a row of every panel; a shuffled channel order is a different order of rows.
//!
//! Columns that fill no vector stand behind a panel's others: products treat them apart, and a panel of their own would read
//! all weights once more.

use core::ops::Range;

use crate::error::{check_at_least, check_len, check_shape};
use crate::{Error, View, ViewMut, materialise};

/// How the columns of a matrix are cut into panels.
///
/// ```
/// use kernels::{Level, PanelLayout};
/// let layout = Level::PORTABLE.panels(21); // vectors of 4
/// let widths: Vec<usize> = (0..layout.count()).map(|p| layout.width(p)).collect();
/// assert_eq!((widths, layout.padded()), (vec![8, 8, 8], 24)); // in memory: whole vectors
/// assert_eq!(layout.range(2), 16..21);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PanelLayout {
    columns: usize,
    /// Columns of all panels but the last.
    full: usize,
    count: usize,
    /// Columns in memory of all panels but the last, and of the last.
    widths: [usize; 2],
}

impl PanelLayout {
    /// `columns` in panels of `vectors` vectors. What is left over joins the last of them, unless it fills two vectors, or
    /// one where a panel has but two.
    pub(crate) fn new(columns: usize, lanes: usize, vectors: usize) -> Self {
        let full = vectors * lanes;
        let joins = if vectors > 2 { 2 * lanes } else { lanes };
        let count = match columns % full {
            rest if rest < joins => columns / full,
            _ => columns / full + 1,
        };
        PanelLayout::cut_at(columns, lanes, full, count.max(usize::from(columns > 0)))
    }

    /// `columns` in panels of `width`.
    pub(crate) fn of_width(columns: usize, lanes: usize, width: usize) -> Self {
        PanelLayout::cut_at(columns, lanes, width, columns.div_ceil(width))
    }

    /// One panel as wide as `columns`: an ordinary row-major matrix.
    pub fn single(columns: usize) -> Self {
        PanelLayout::cut_at(columns, 1, columns, usize::from(columns > 0))
    }

    /// `count` panels, all but the last of `full` columns.
    fn cut_at(columns: usize, lanes: usize, full: usize, count: usize) -> Self {
        let stride = |columns: usize| columns.checked_next_multiple_of(lanes).unwrap_or(usize::MAX);
        let last = columns - count.saturating_sub(1) * full;
        PanelLayout { columns, full, count, widths: [stride(full), stride(last)] }
    }

    /// Columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Columns of all panels in memory, where each row is filled up to whole vectors.
    pub fn padded(&self) -> usize {
        match self.count {
            0 => 0,
            count => self.offset(count - 1).saturating_add(self.widths[1]),
        }
    }

    /// Panels.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The columns of a panel.
    ///
    /// # Panics
    /// If there is no such panel.
    pub fn range(&self, panel: usize) -> Range<usize> {
        assert!(panel < self.count, "panel beyond the last");
        let start = panel * self.full;
        start..if panel + 1 == self.count { self.columns } else { start + self.full }
    }

    /// The panel of a column.
    ///
    /// # Panics
    /// If the column is beyond the last.
    #[inline]
    pub fn panel_of(&self, column: usize) -> usize {
        assert!(column < self.columns, "column beyond the last");
        if self.count == 1 { 0 } else { (column / self.full).min(self.count - 1) }
    }

    /// The columns in memory in front of a panel: it starts at so many times the rows of the matrix.
    #[inline]
    pub fn offset(&self, panel: usize) -> usize {
        panel.saturating_mul(self.widths[0])
    }

    /// The width of a panel in memory: the values from one of its rows to the next.
    ///
    /// # Panics
    /// If there is no such panel.
    pub fn width(&self, panel: usize) -> usize {
        assert!(panel < self.count, "panel beyond the last");
        self.widths[usize::from(panel + 1 == self.count)]
    }

    /// The columns of all panels but the last, and their width in memory; 0 where there are no others.
    pub(crate) fn alike(&self) -> [usize; 2] {
        if self.count > 1 { [self.full, self.widths[0]] } else { [0, 0] }
    }

    /// The width of the widest panel.
    pub fn max_width(&self) -> usize {
        // All panels but the last are alike, and the last may be wider or narrower.
        let last = self.count.saturating_sub(1);
        [0, last].into_iter().filter(|&panel| panel < self.count).map(|panel| self.width(panel)).max().unwrap_or(0)
    }

    /// Whether every panel starts at a multiple of `lanes` columns.
    pub(crate) fn has_whole_vectors(&self, lanes: usize) -> bool {
        self.count <= 1 || self.full.is_multiple_of(lanes)
    }

    /// Copies a matrix into panels.
    ///
    /// ```
    /// use kernels::{Level, Panels, View};
    /// let x: Vec<f32> = (0..36).map(|i| i as f32).collect();
    /// let layout = Level::PORTABLE.panels(18); // 8 columns, and 10
    /// let mut data = vec![0.0; 2 * layout.padded()];
    /// layout.cut(&View::new(&x, 2, 18)?, &mut data)?;
    /// assert_eq!(Panels::new(&data, 2, layout)?.column(17).at(1), 35.0);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] if the matrix has other columns, [`Error::OutOfBounds`] if `data` is too short.
    pub fn cut(&self, matrix: &View, data: &mut [f32]) -> Result<(), Error> {
        let rows = matrix.rows();
        check_shape("PanelLayout::cut", "the matrix", [rows, self.columns], matrix.shape())?;
        // A matrix without rows may have any number of columns, and panels.
        let panels = if rows == 0 { 0 } else { self.count };
        for panel in 0..panels {
            let data = data.get_mut(rows * self.offset(panel)..).unwrap_or_default();
            materialise(&matrix.column_range(self.range(panel))?, &mut self.view_mut(panel, data, rows)?)?;
        }
        Ok(())
    }

    /// A panel of a matrix with `rows` rows, of which `data` holds this panel first: the columns that hold data.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] if `data` is too short.
    ///
    /// # Panics
    /// If there is no such panel.
    ///
    /// ```
    /// let layout = kernels::Level::PORTABLE.panels(10); // one panel, 12 columns in memory
    /// let data = [0.0; 24];
    /// assert_eq!(layout.view(0, &data, 2)?.shape(), [2, 10]);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub fn view<'a>(&self, panel: usize, data: &'a [f32], rows: usize) -> Result<View<'a>, Error> {
        View::new(data, rows, self.width(panel))?.column_range(0..self.range(panel).len())
    }

    /// As [`PanelLayout::view`], to write.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] if `data` is too short.
    ///
    /// # Panics
    /// If there is no such panel.
    pub fn view_mut<'a>(&self, panel: usize, data: &'a mut [f32], rows: usize) -> Result<ViewMut<'a>, Error> {
        ViewMut::new(data, rows, self.width(panel))?.column_range(0..self.range(panel).len())
    }
}

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
pub struct Panels<'a> {
    data: &'a [f32],
    /// Rows that every panel has in memory.
    stored_rows: usize,
    /// The first row and how many.
    rows: (usize, usize),
    /// The first column and how many.
    columns: (usize, usize),
    layout: PanelLayout,
}

impl<'a> Panels<'a> {
    /// `rows` rows in panels of the given layout: panel p starts at value `rows * layout.offset(p)`.
    ///
    /// # Errors
    /// [`Error::Length`] unless `data` holds exactly `rows * layout.padded()` values.
    pub fn new(data: &'a [f32], rows: usize, layout: PanelLayout) -> Result<Self, Error> {
        check_len("Panels::new", "data", rows.saturating_mul(layout.padded()), data.len())?;
        Ok(Panels { data, stored_rows: rows, rows: (0, rows), columns: (0, layout.columns()), layout })
    }

    /// An ordinary row-major matrix as one panel.
    ///
    /// # Errors
    /// [`Error::Length`] if `data` is too short.
    pub fn single(data: &'a [f32], rows: usize, columns: usize) -> Result<Self, Error> {
        let len = rows.saturating_mul(columns);
        check_at_least("Panels::single", "data", len, data.len())?;
        Panels::new(&data[..len], rows, PanelLayout::single(columns))
    }

    /// Some of the rows of every panel.
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
    pub fn columns(&self) -> usize {
        self.columns.1
    }

    /// Whether these are all columns of the layout.
    pub(crate) fn has_all_columns(&self) -> bool {
        self.columns == (0, self.layout.columns())
    }

    /// The pieces of the columns, one a panel.
    ///
    /// ```
    /// use kernels::{Level, Panels};
    /// let x: Vec<f32> = (0..24).map(|i| i as f32).collect();
    /// let panels = Panels::new(&x, 1, Level::PORTABLE.panels(24))?; // 8 columns each
    /// let pieces = panels.column_range(6..11)?.pieces();
    /// assert!(pieces.map(|piece| (piece.first, piece.columns)).eq([(0, 2), (2, 3)]));
    /// # Ok::<(), kernels::Error>(())
    /// ```
    #[inline(always)]
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'a>> + use<'a> {
        let (panels, (first, len)) = (*self, self.columns);
        let layout = panels.layout;
        let range = if len == 0 { 0..0 } else { layout.panel_of(first)..layout.panel_of(first + len - 1) + 1 };
        range.map(move |panel| {
            let range = layout.range(panel);
            let (start, end) = (range.start.max(first), range.end.min(first + len));
            let at = if panels.rows() == 0 { 0 } else { panels.start(panel, panels.rows.0) + start - range.start };
            Piece { first: start - first, columns: end - start, data: &panels.data[at..], step: layout.width(panel) }
        })
    }

    /// Rows of every panel.
    pub fn rows(&self) -> usize {
        self.rows.1
    }

    /// How the columns are cut.
    pub fn layout(&self) -> &PanelLayout {
        &self.layout
    }

    /// The values of a column.
    ///
    /// # Panics
    /// If the column is beyond the last.
    #[inline]
    pub fn column(&self, column: usize) -> Column<'a> {
        let (start, stride, _) = self.place(column);
        Column { data: self.data.get(start..).unwrap_or(&[]), stride, len: self.rows.1 }
    }

    /// Where a column's first value lies in [`Panels::data`], the values from one row to the next, and how many columns follow
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
    pub(crate) fn data(&self) -> &'a [f32] {
        self.data
    }

    /// One panel's values from its first row on, and the values from one row to the next, whatever range of columns was
    /// taken.
    #[inline(always)]
    pub(crate) fn panel_rows(&self, panel: usize) -> (&'a [f32], usize) {
        (&self.data[self.start(panel, self.rows.0)..], self.layout.width(panel))
    }

    /// All panels but the last, which are alike, each from its first row on, whatever range of columns was taken.
    #[inline(always)]
    pub(crate) fn alike_panels(&self) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        let [_, width] = self.layout.alike();
        let (first, len) = (self.rows.0 * width, self.stored_rows * width);
        let alike = &self.data[..len * self.layout.count.saturating_sub(1)];
        alike.chunks_exact(len.max(1)).map(move |panel| &panel[first..])
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
    pub fn copy_row(&self, row: usize, columns: Range<usize>, out: &mut [f32]) {
        assert!(out.len() == columns.len(), "as many values as columns");
        assert!(columns.end <= self.columns.1, "column beyond the last");
        let (mut column, mut rest) = (columns.start, out);
        while !rest.is_empty() {
            let (panel, slice) = self.row_from(row, column);
            let count = rest.len().min(panel.end - column - self.columns.0);
            let (piece, after) = rest.split_at_mut(count);
            piece.copy_from_slice(&slice[..count]);
            column += count;
            rest = after;
        }
    }

    /// The panel of a column, and what follows from there on in a row.
    #[inline]
    fn row_from(&self, row: usize, column: usize) -> (Range<usize>, &'a [f32]) {
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
    /// # Panics
    /// If there is no such panel.
    pub fn panel(&self, panel: usize) -> View<'a> {
        let view = self.layout.view(panel, &self.data[self.start(panel, self.rows.0)..], self.rows.1);
        view.expect("a panel lies within the data checked by new")
    }
}

/// Columns of [`Panels`] that lie in one panel: a row-major matrix.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Piece<'a> {
    /// The first column's index among those of all pieces.
    pub first: usize,
    /// How many there are.
    pub columns: usize,
    /// The values from the first row's first column on.
    pub data: &'a [f32],
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
pub struct Column<'a> {
    data: &'a [f32],
    stride: usize,
    len: usize,
}

impl<'a> Column<'a> {
    /// The value in a row.
    ///
    /// # Panics
    /// If the row is beyond the last.
    #[inline]
    pub fn at(&self, row: usize) -> f32 {
        assert!(row < self.len, "row beyond the last");
        self.data[row * self.stride]
    }

    /// The values row by row.
    pub fn iter(self) -> impl ExactSizeIterator<Item = f32> + use<'a> {
        (0..self.len).map(move |row| self.at(row))
    }
}
