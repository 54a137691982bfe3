//! How the columns of a matrix are divided into token panels.

use core::ops::Range;

use super::view::View;
use super::view_mut::ViewMut;
use crate::element::Element;
use crate::error::Error;

/// How the columns of a matrix are divided into panels.
///
/// ```
/// use kernels::{Level, PanelLayout};
/// let layout = Level::PORTABLE.panels(21); // vectors of 4
/// let widths: Vec<usize> = (0..layout.count()).map(|p| layout.width(p)).collect();
/// assert_eq!((widths, layout.padded()), (vec![8, 8, 8], 24)); // in memory: whole vectors
/// assert_eq!(layout.range(2), 16..21);
/// ```
///
/// Methods that take the index of a panel or column panic where there is none, as indexing a slice does; everything that takes
/// data or sizes returns an error.
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
        PanelLayout::with_panels(columns, lanes, full, count.max(usize::from(columns > 0)))
    }

    /// `columns` in panels of `width`.
    pub(crate) fn of_width(columns: usize, lanes: usize, width: usize) -> Result<Self, Error> {
        if width == 0 {
            return Err(Error::PanelWidth);
        }
        Ok(PanelLayout::with_panels(columns, lanes, width, columns.div_ceil(width)))
    }

    /// One panel as wide as `columns`: an ordinary row-major matrix.
    ///
    /// ```
    /// let layout = kernels::PanelLayout::single(197);
    /// assert_eq!((layout.count(), layout.width(0)), (1, 197));
    /// ```
    pub fn single(columns: usize) -> Self {
        PanelLayout::with_panels(columns, 1, columns, usize::from(columns > 0))
    }

    /// `count` panels, all but the last of `full` columns.
    fn with_panels(columns: usize, lanes: usize, full: usize, count: usize) -> Self {
        let stride = |columns: usize| columns.checked_next_multiple_of(lanes).unwrap_or(usize::MAX);
        let last = columns - count.saturating_sub(1) * full;
        PanelLayout { columns, full, count, widths: [stride(full), stride(last)] }
    }

    /// Columns.
    ///
    /// ```
    /// let layout = kernels::Level::PORTABLE.panels(21); // 8, 8 and 5 columns, the last filled up to 8
    /// assert_eq!(layout.columns(), 21);
    /// ```
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Columns of all panels in memory, where each row is filled up to whole vectors.
    ///
    /// ```
    /// let layout = kernels::Level::PORTABLE.panels(21); // 8, 8 and 5 columns, the last filled up to 8
    /// assert_eq!(layout.padded(), 24);
    /// ```
    pub fn padded(&self) -> usize {
        match self.count {
            0 => 0,
            count => self.offset(count - 1).saturating_add(self.widths[1]),
        }
    }

    /// Panels.
    ///
    /// ```
    /// let layout = kernels::Level::PORTABLE.panels(21); // 8, 8 and 5 columns, the last filled up to 8
    /// assert_eq!(layout.count(), 3);
    /// ```
    pub fn count(&self) -> usize {
        self.count
    }

    /// The columns of a panel.
    ///
    /// ```
    /// let layout = kernels::Level::PORTABLE.panels(21); // 8, 8 and 5 columns, the last filled up to 8
    /// assert_eq!(layout.range(2), 16..21);
    /// ```
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
    /// ```
    /// let layout = kernels::Level::PORTABLE.panels(21); // 8, 8 and 5 columns, the last filled up to 8
    /// assert_eq!(layout.panel_of(16), 2);
    /// ```
    ///
    /// # Panics
    /// If the column is beyond the last.
    #[inline]
    pub fn panel_of(&self, column: usize) -> usize {
        assert!(column < self.columns, "column beyond the last");
        if self.count == 1 { 0 } else { (column / self.full).min(self.count - 1) }
    }

    /// The columns in memory in front of a panel: it starts at so many times the rows of the matrix.
    ///
    /// ```
    /// let layout = kernels::Level::PORTABLE.panels(21); // 8, 8 and 5 columns, the last filled up to 8
    /// let rows = 3;
    /// assert_eq!(rows * layout.offset(2), 48); // where the last panel of a matrix with 3 rows starts
    /// ```
    #[inline]
    pub fn offset(&self, panel: usize) -> usize {
        panel.saturating_mul(self.widths[0])
    }

    /// The width of a panel in memory: the values from one of its rows to the next.
    ///
    /// ```
    /// let layout = kernels::Level::PORTABLE.panels(21); // 8, 8 and 5 columns, the last filled up to 8
    /// assert_eq!(layout.width(2), 8);
    /// ```
    ///
    /// # Panics
    /// If there is no such panel.
    pub fn width(&self, panel: usize) -> usize {
        assert!(panel < self.count, "panel beyond the last");
        self.widths[usize::from(panel + 1 == self.count)]
    }

    /// The columns of all panels but the last, and their width in memory; 0 where there are no others.
    pub(crate) fn uniform(&self) -> [usize; 2] {
        if self.count > 1 { [self.full, self.widths[0]] } else { [0, 0] }
    }

    /// The width of the widest panel.
    ///
    /// ```
    /// let layout = kernels::Level::PORTABLE.panels(21); // 8, 8 and 5 columns, the last filled up to 8
    /// assert_eq!(layout.max_width(), 8);
    /// ```
    pub fn max_width(&self) -> usize {
        // All panels but the last have one width; the last may be wider or narrower.
        let last = self.count.saturating_sub(1);
        [0, last].into_iter().filter(|&panel| panel < self.count).map(|panel| self.width(panel)).max().unwrap_or(0)
    }

    /// Whether every panel starts at a multiple of `lanes` columns.
    pub(crate) fn has_whole_vectors(&self, lanes: usize) -> bool {
        self.count <= 1 || self.full.is_multiple_of(lanes)
    }

    /// A panel of a matrix with `rows` rows, of which `data` holds this panel first: the columns that hold data.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] if `data` is too short, [`Error::Range`] if there is no such panel.
    ///
    /// ```
    /// let layout = kernels::Level::PORTABLE.panels(10); // one panel, 12 columns in memory
    /// let data = [0.0; 24];
    /// assert_eq!(layout.view(0, &data, 2)?.shape(), [2, 10]);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub fn view<'a, T: Element>(&self, panel: usize, data: &'a [T], rows: usize) -> Result<View<'a, T>, Error> {
        self.check_panel(panel)?;
        View::new(data, rows, self.width(panel))?.column_range(0..self.range(panel).len())
    }

    /// As [`PanelLayout::view`], to write.
    ///
    /// ```
    /// let layout = kernels::Level::PORTABLE.panels(10); // one panel, 12 columns in memory
    /// let mut data = [0.0; 24];
    /// layout.view_mut(0, &mut data, 2)?.row_mut(1).unwrap().fill(1.0);
    /// assert_eq!(data[10..24], [0., 0., 1., 1., 1., 1., 1., 1., 1., 1., 1., 1., 0., 0.]);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] if `data` is too short, [`Error::Range`] if there is no such panel.
    pub fn view_mut<'a, T: Element>(
        &self,
        panel: usize,
        data: &'a mut [T],
        rows: usize,
    ) -> Result<ViewMut<'a, T>, Error> {
        self.check_panel(panel)?;
        ViewMut::new(data, rows, self.width(panel))?.column_range(0..self.range(panel).len())
    }

    fn check_panel(&self, panel: usize) -> Result<(), Error> {
        match panel < self.count {
            true => Ok(()),
            false => {
                Err(Error::Range { what: "PanelLayout", start: panel, end: panel.saturating_add(1), len: self.count })
            }
        }
    }
}
