//! Token panels: a channel-major matrix cut along its tokens into blocks that each lie in one piece.
//!
//! A panel is as wide as a register tile (3 vectors; the last may have 1, 2 or 4) and holds all its channels, row-major.
//! Columns that fill no vector stand behind the last panel's: products treat them apart, and a panel of their own would
//! read all weights once more. A panel is what a product reads as B without packing, what fits the near caches, and what
//! one thread owns: panels are consecutive slices, so safe code can hand them to threads. A channel is a row of every
//! panel; a shuffled channel order is a different order of rows.

use core::ops::Range;

use crate::error::{check_at_least, check_len};
use crate::{Error, View, ViewMut};

/// How the columns of a matrix are cut into panels.
///
/// ```
/// use kernels::{Level, PanelLayout};
/// let layout = Level::PORTABLE.panels(21); // vectors of 4
/// let widths: Vec<usize> = (0..layout.count()).map(|p| layout.width(p)).collect();
/// assert_eq!((widths, layout.padded()), (vec![8, 8, 8], 24)); // in memory: whole vectors
/// assert_eq!(layout.valid(2), 5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PanelLayout {
    columns: usize,
    lanes: usize,
    /// Vectors of all panels but the last few.
    full: usize,
    /// Panels of `full` vectors.
    full_count: usize,
    /// Vectors of each panel after those.
    last: usize,
    /// Panels of `last` vectors.
    last_count: usize,
}

impl PanelLayout {
    /// `columns` in vectors of `lanes`, `full` vectors a panel; whole vectors that are left over go where a tile of their
    /// width is densest: a single vector joins the panel before it if a tile that wide exists, or shares with it if not.
    pub(crate) fn new(columns: usize, lanes: usize, full: usize, tile_rows: &[usize; 5]) -> Self {
        let vectors = columns / lanes;
        let (count, rest) = (vectors / full, vectors % full);
        let (full_count, last, last_count) = match rest {
            0 => (count, 0, usize::from(count == 0 && columns > 0)),
            1 if count > 0 && full < 4 && tile_rows[full + 1] > 0 => (count - 1, full + 1, 1),
            1 if count > 0 && full == 3 => (count - 1, 2, 2),
            _ => (count, rest, 1),
        };
        PanelLayout { columns, lanes, full, full_count, last, last_count }
    }

    /// One panel as wide as `columns`: an ordinary row-major matrix.
    pub fn single(columns: usize) -> Self {
        PanelLayout {
            columns,
            lanes: columns.max(1),
            full: 1,
            full_count: usize::from(columns > 0),
            last: 0,
            last_count: 0,
        }
    }

    /// Columns that hold data.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Columns of all panels in memory, where each row is filled up to whole vectors.
    pub fn padded(&self) -> usize {
        self.columns.checked_next_multiple_of(self.lanes).unwrap_or(usize::MAX)
    }

    /// Panels.
    pub fn count(&self) -> usize {
        self.full_count + self.last_count
    }

    /// The columns of a panel in memory, padding included.
    ///
    /// # Panics
    /// If there is no such panel.
    pub fn range(&self, panel: usize) -> Range<usize> {
        assert!(panel < self.count(), "panel beyond the last");
        let end = if panel + 1 == self.count() { self.padded() } else { self.start(panel + 1) };
        self.start(panel)..end
    }

    /// The first column of a panel.
    fn start(&self, panel: usize) -> usize {
        let full = panel.min(self.full_count);
        (full * self.full + (panel - full) * self.last) * self.lanes
    }

    /// The panel of a column.
    ///
    /// # Panics
    /// If the column is beyond the last, padding included.
    #[inline]
    pub fn panel_of(&self, column: usize) -> usize {
        assert!(column < self.padded(), "column beyond the last");
        let last = self.count() - 1;
        if last == 0 {
            return 0;
        }
        let vector = column / self.lanes;
        let panel = match vector.checked_sub(self.full * self.full_count) {
            Some(rest) if self.last_count > 0 => self.full_count + rest / self.last,
            _ => vector / self.full,
        };
        panel.min(last)
    }

    /// The width of a panel in memory: the values from one of its rows to the next.
    ///
    /// # Panics
    /// If there is no such panel.
    pub fn width(&self, panel: usize) -> usize {
        self.range(panel).len()
    }

    /// The width of the widest panel.
    pub fn max_width(&self) -> usize {
        (0..self.count()).map(|panel| self.width(panel)).max().unwrap_or(0)
    }

    /// The columns of a panel that hold data.
    ///
    /// # Panics
    /// If there is no such panel.
    pub fn valid(&self, panel: usize) -> usize {
        let range = self.range(panel);
        range.len().min(self.columns - range.start)
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
        View::new(data, rows, self.width(panel))?.column_range(0..self.valid(panel))
    }

    /// As [`PanelLayout::view`], to write.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] if `data` is too short.
    ///
    /// # Panics
    /// If there is no such panel.
    pub fn view_mut<'a>(&self, panel: usize, data: &'a mut [f32], rows: usize) -> Result<ViewMut<'a>, Error> {
        ViewMut::new(data, rows, self.width(panel))?.column_range(0..self.valid(panel))
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
    /// `rows` rows in panels of the given layout: panel p starts at value `rows * layout.range(p).start`.
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

    /// The pieces of the columns, one a panel: the first column's index here, and the piece as a matrix.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (usize, View<'a>)> + use<'a> {
        let Panels { data, stored_rows, rows: (row, rows), columns: (first, len), layout } = *self;
        let panels = if len == 0 { 0..0 } else { layout.panel_of(first)..layout.panel_of(first + len - 1) + 1 };
        panels.map(move |panel| {
            let range = layout.range(panel);
            let (start, end) = (range.start.max(first), range.end.min(first + len));
            let at = if rows == 0 { 0 } else { stored_rows * range.start + row * range.len() + start - range.start };
            let view = View::with_strides(&data[at..], [rows, end - start], [range.len(), 1]);
            (start - first, view.expect("a piece lies within the data checked by new"))
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
        assert!(column < self.columns.1, "column beyond the last");
        let column = self.columns.0 + column;
        let range = self.layout.range(self.layout.panel_of(column));
        let start = self.stored_rows * range.start + self.rows.0 * range.len() + column - range.start;
        Column { data: self.data.get(start..).unwrap_or(&[]), stride: range.len(), len: self.rows.1 }
    }

    /// A row's values at some columns, if they lie in one panel.
    ///
    /// ```
    /// use kernels::{Level, Panels};
    /// let x: Vec<f32> = (0..24).map(|i| i as f32).collect();
    /// let panels = Panels::new(&x, 1, Level::PORTABLE.panels(24))?; // 8 columns each
    /// assert_eq!(panels.row_slice(0, 3..5), Some(&[3.0, 4.0][..]));
    /// assert_eq!(panels.row_slice(0, 7..9), None);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Panics
    /// If the row or a column is beyond the last.
    #[inline]
    pub fn row_slice(&self, row: usize, columns: Range<usize>) -> Option<&'a [f32]> {
        if columns.is_empty() {
            return Some(&[]);
        }
        let (panel, slice) = self.row_from(row, columns.start);
        (columns.end + self.columns.0 <= panel.end).then(|| &slice[..columns.len()])
    }

    /// One panel's values from its first row on, and the values from one row to the next, whatever range of columns was
    /// taken.
    #[inline(always)]
    pub(crate) fn panel_rows(&self, panel: usize) -> (&'a [f32], usize) {
        let range = self.layout.range(panel);
        (&self.data[self.stored_rows * range.start + self.rows.0 * range.len()..], range.len())
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
        let range = self.layout.range(self.layout.panel_of(column));
        let start = self.stored_rows * range.start + (self.rows.0 + row) * range.len() + column - range.start;
        (range, &self.data[start..])
    }

    /// One panel, whatever range of columns was taken.
    ///
    /// # Panics
    /// If there is no such panel.
    pub fn panel(&self, panel: usize) -> View<'a> {
        let range = self.layout.range(panel);
        let start = self.stored_rows * range.start + self.rows.0 * range.len();
        let view = self.layout.view(panel, &self.data[start..], self.rows.1);
        view.expect("a panel lies within the data checked by new")
    }
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
