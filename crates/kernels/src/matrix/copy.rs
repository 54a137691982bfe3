//! Copies of matrices, which is what a view saves.

use super::layout::PanelLayout;
use super::view::View;
use super::view_mut::ViewMut;
use crate::element::Element;
use crate::error::{Error, check_shape};

/// Copies `view` to `out`, element by element: what a shuffle costs where it is not free.
///
/// ```
/// use kernels::{View, ViewMut, to_contiguous};
/// let x = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
/// let channels = View::new(&x, 6, 1)?.shuffle_rows(2)?;
/// let mut copy = [0.0; 6];
/// to_contiguous(&channels, &mut ViewMut::new(&mut copy, 6, 1)?)?;
/// assert_eq!(copy, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] if the shapes differ.
pub fn to_contiguous<T: Element>(view: &View<T>, out: &mut ViewMut<T>) -> Result<(), Error> {
    check_shape("to_contiguous", "out", view.shape(), out.shape())?;
    // A matrix without columns may have any number of rows.
    let rows = if view.is_empty() { 0 } else { view.rows() };
    for r in 0..rows {
        match (view.row(r), out.row_mut(r)) {
            (Some(from), Some(to)) => to.copy_from_slice(from),
            _ => (0..view.columns()).for_each(|c| *out.at_mut(r, c) = view.at(r, c)),
        }
    }
    Ok(())
}

impl PanelLayout {
    /// Copies a matrix into panels.
    ///
    /// ```
    /// use kernels::{Level, Panels, View};
    /// let x: Vec<f32> = (0..36).map(|i| i as f32).collect();
    /// let layout = Level::PORTABLE.panels(18); // 8 columns, and 10
    /// let mut data = vec![0.0; 2 * layout.padded()];
    /// layout.to_panels(&View::new(&x, 2, 18)?, &mut data)?;
    /// assert_eq!(Panels::new(&data, 2, layout)?.column(17).at(1), 35.0);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] if the matrix has other columns, [`Error::OutOfBounds`] if `data` is too short.
    pub fn to_panels<T: Element>(&self, matrix: &View<T>, data: &mut [T]) -> Result<(), Error> {
        let rows = matrix.rows();
        check_shape("PanelLayout::to_panels", "the matrix", [rows, self.columns()], matrix.shape())?;
        // A matrix without rows may have any number of columns, and panels.
        let panels = if rows == 0 { 0 } else { self.count() };
        for panel in 0..panels {
            let data = data.get_mut(rows * self.offset(panel)..).unwrap_or_default();
            to_contiguous(&matrix.column_range(self.range(panel))?, &mut self.view_mut(panel, data, rows)?)?;
        }
        Ok(())
    }
}
