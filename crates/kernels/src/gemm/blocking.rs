//! How wide a level's token panels are.

use crate::error::Error;
use crate::isa::level::Level;
use crate::matrix::layout::PanelLayout;

impl Level {
    /// How this level wants `columns` columns divided into panels.
    ///
    /// ```
    /// use kernels::Level;
    /// assert_eq!(Level::PORTABLE.panels(21).count(), 3); // 8, 8 and 5 columns
    /// ```
    pub fn panels(self, columns: usize) -> PanelLayout {
        PanelLayout::new(columns, self.lanes(), self.panel_vectors())
    }

    /// As [`Level::panels`], but each panel being `width` columns: a thread's share of the tokens, or those of a few attention
    /// windows.
    ///
    /// ```
    /// use kernels::Level;
    /// let layout = Level::PORTABLE.panels_of_width(21, 7)?;
    /// assert_eq!((layout.count(), layout.width(0)), (3, 8)); // 7 columns, filled up to two vectors of 4
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::PanelWidth`] if `width` is zero.
    pub fn panels_of_width(self, columns: usize, width: usize) -> Result<PanelLayout, Error> {
        PanelLayout::of_width(columns, self.lanes(), width)
    }
}
