//! Sharing out panels: each thread gets a contiguous run of them, whole slices of one matrix.

use core::ops::Range;

use kernels::PanelLayout;

use crate::RunError;

/// Work on the panels of a matrix, one at a time: `(panel, its values, scratch)`.
pub(crate) type Work<'f> = dyn Fn(usize, &mut [f32], &mut [f32]) -> Result<(), RunError> + Sync + 'f;

/// Calls `work` for every panel of a matrix of `rows` rows, on up to `threads` threads; each has its own part of `scratch`.
pub(crate) fn for_each_panel(
    threads: usize,
    layout: &PanelLayout,
    rows: usize,
    data: &mut [f32],
    scratch: &mut [f32],
    work: &Work,
) -> Result<(), RunError> {
    let share = Share { layout, rows, panels: 0..layout.count(), data, scratch };
    share.run(threads, work)
}

/// Consecutive panels, and the scratch of the threads that work on them.
struct Share<'a> {
    layout: &'a PanelLayout,
    rows: usize,
    panels: Range<usize>,
    data: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl<'a> Share<'a> {
    fn run(self, threads: usize, work: &Work) -> Result<(), RunError> {
        #[cfg(feature = "parallel")]
        if threads > 1 && self.panels.len() > 1 {
            let left_threads = threads / 2;
            let (left, right) = self.split(left_threads, threads);
            let (left, right) =
                rayon::join(|| left.run(left_threads, work), || right.run(threads - left_threads, work));
            return left.and(right);
        }
        let _ = threads;
        let mut data = self.data;
        for panel in self.panels {
            let (values, rest) = data.split_at_mut(self.rows * self.layout.width(panel));
            work(panel, values, self.scratch)?;
            data = rest;
        }
        Ok(())
    }

    /// Two shares in the ratio of `left_threads` to the rest of `threads`, as near as whole panels allow.
    #[cfg(feature = "parallel")]
    fn split(self, left_threads: usize, threads: usize) -> (Share<'a>, Share<'a>) {
        let start = |panel: usize| self.layout.range(panel).start;
        let (first, last) = (self.panels.start, self.panels.end - 1);
        let columns = self.layout.range(last).end - start(first);
        let target = start(first) + columns * left_threads / threads;
        let middle = (first + 1..=last).min_by_key(|&panel| start(panel).abs_diff(target)).unwrap_or(last);
        let (left, right) = self.data.split_at_mut(self.rows * (start(middle) - start(first)));
        let each = self.scratch.len() / threads;
        let (left_scratch, right_scratch) = self.scratch.split_at_mut(each * left_threads);
        let Share { layout, rows, .. } = self;
        (
            Share { layout, rows, panels: first..middle, data: left, scratch: left_scratch },
            Share { layout, rows, panels: middle..last + 1, data: right, scratch: right_scratch },
        )
    }
}
