//! Sharing out panels: each thread gets a contiguous run of them, whole slices of one matrix.

use core::ops::Range;
#[cfg(feature = "parallel")]
use core::sync::atomic::{AtomicBool, Ordering};
#[cfg(feature = "parallel")]
use std::time::{Duration, Instant};

use kernels::{Error, Level, PanelLayout, ViewMut};

use crate::RunError;
use crate::pass::{Operation, Pass};

/// How tokens are cut into panels: as the level has it, but into no fewer than there are threads.
pub(crate) fn layout(level: Level, threads: usize, tokens: usize) -> PanelLayout {
    let usual = level.panels(tokens);
    if usual.count() >= threads {
        return usual;
    }
    level.panels_of_width(tokens, tokens.div_ceil(threads).next_multiple_of(level.lanes()))
}

/// Work on the panels of a matrix, one at a time: `(panel, its columns, scratch)`.
pub(crate) type Work<'f> = dyn Fn(usize, ViewMut, &mut [f32]) -> Result<(), RunError> + Sync + 'f;

/// Calls `work` for every panel of a matrix of `rows` rows, on up to the pass's threads; each has its own part of `scratch`.
pub(crate) fn for_each_panel(
    pass: &Pass,
    layout: &PanelLayout,
    rows: usize,
    data: &mut [f32],
    scratch: &mut [f32],
    work: &Work,
) -> Result<(), RunError> {
    Share { pass, layout, rows, panels: 0..layout.count(), data, scratch }.run(pass.threads, work)
}

/// Consecutive panels, and the scratch of the threads that work on them.
struct Share<'a> {
    pass: &'a Pass<'a>,
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
            let (left, right) = join(|| left.run(left_threads, work), || right.run(threads - left_threads, work));
            return left.and(right);
        }
        if self.pass.threads > 1 {
            self.pass.done(Operation::Wait, 0);
        }
        let _ = threads;
        let mut data = self.data;
        for panel in self.panels {
            let (values, rest) = data.split_at_mut(self.rows * self.layout.width(panel));
            work(panel, self.layout.view_mut(panel, values, self.rows)?, self.scratch)?;
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
        let left_len = self.rows * (self.layout.offset(middle) - self.layout.offset(first));
        let (left, right) = self.data.split_at_mut(left_len);
        let each = self.scratch.len() / threads;
        let (left_scratch, right_scratch) = self.scratch.split_at_mut(each * left_threads);
        let Share { pass, layout, rows, .. } = self;
        (
            Share { pass, layout, rows, panels: first..middle, data: left, scratch: left_scratch },
            Share { pass, layout, rows, panels: middle..last + 1, data: right, scratch: right_scratch },
        )
    }
}

/// Work on some rows of a row-major matrix: `(rows, their values)`.
pub(crate) type RowsWork<'f> = dyn Fn(Range<usize>, &mut [f32]) -> Result<(), Error> + Sync + 'f;

/// Calls `work(rows, their values)` for the rows of a row-major matrix, `columns` values each, a share for each thread.
pub(crate) fn share_rows(
    threads: usize,
    columns: usize,
    rows: Range<usize>,
    data: &mut [f32],
    work: &RowsWork,
) -> Result<(), Error> {
    #[cfg(feature = "parallel")]
    if threads > 1 && rows.len() > 1 {
        let middle = rows.start + rows.len() / 2;
        let (left, right) = data.split_at_mut((middle - rows.start) * columns);
        let (left, right) = join(
            || share_rows(threads / 2, columns, rows.start..middle, left, work),
            || share_rows(threads - threads / 2, columns, middle..rows.end, right, work),
        );
        return left.and(right);
    }
    let _ = (threads, columns);
    work(rows, data)
}

/// Both results, computed on two threads where the pool has one to spare.
///
/// Who is done first waits awake for the other: a pass has dozens of these joins, the shares are even, and a thread that
/// goes to sleep comes back later than the other is done.
#[cfg(feature = "parallel")]
pub(crate) fn join<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    let (begun, a_done, b_done) = (AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false));
    let thread = rayon::current_thread_index();
    rayon::join(
        || {
            let result = a();
            a_done.store(true, Ordering::Release);
            // Nobody may have taken `b` up: then it is this thread's to do.
            if begun.load(Ordering::Acquire) {
                wait_awake(&b_done);
            }
            result
        },
        || {
            begun.store(true, Ordering::Release);
            let result = b();
            b_done.store(true, Ordering::Release);
            // A thread that waits within `a` may take `b` up itself.
            if rayon::current_thread_index() != thread {
                wait_awake(&a_done);
            }
            result
        },
    )
}

/// Spins until `done`, but not for long: the other thread may have been given something else to do, or no core.
#[cfg(feature = "parallel")]
fn wait_awake(done: &AtomicBool) {
    const PATIENCE: Duration = Duration::from_millis(1);
    let start = Instant::now();
    while !done.load(Ordering::Acquire) && start.elapsed() < PATIENCE {
        (0..16).for_each(|_| core::hint::spin_loop());
    }
}
