//! Work divided among threads: each gets consecutive panels, or rows, of a matrix.

use core::mem;
use core::ops::Range;

use kernels::{Error, Level, PanelLayout, ViewMut};

use super::error::RunError;
use super::executor::join;
use super::pass::{Operation, Pass};

/// How tokens are divided into panels: in even shares, one for each thread, or as the level prefers where those would be too
/// wide for a core's cache.
///
/// Tokens left over from the last whole vector cost time by their number. In panels of whole vectors they would all go to the
/// last thread, and the others would wait for it (2 % of deit_tiny on two threads).
pub(crate) fn layout(level: Level, threads: usize, tokens: usize) -> PanelLayout {
    const WIDEST: usize = 128;
    /// Every panel reads all weights; and the class tokens, two at most, are in the first.
    const NARROWEST: usize = 4;
    let share = whole_if_nearly(tokens.div_ceil(threads).max(NARROWEST), level.lanes());
    match threads > 1 && share <= WIDEST {
        true => level.panels_of_width(tokens, share).expect("panels with columns"),
        false => level.panels(tokens),
    }
}

/// `share` with its last vector filled up if more than three quarters of it are: by then that costs no more.
fn whole_if_nearly(share: usize, lanes: usize) -> usize {
    if share % lanes * 4 > 3 * lanes { share.next_multiple_of(lanes) } else { share }
}

/// Panels as the level prefers, or narrower, so that there is one for each thread, but of whole vectors, which sums over tokens
/// need.
pub(crate) fn layout_of_vectors(level: Level, threads: usize, tokens: usize) -> PanelLayout {
    let usual = level.panels(tokens);
    if usual.count() >= threads {
        return usual;
    }
    level
        .panels_of_width(tokens, tokens.div_ceil(threads).next_multiple_of(level.lanes()))
        .expect("panels with columns")
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
    for_each_panels(pass, layout, [Matrix { rows, data }], scratch, &|panel, [x], scratch| work(panel, x, scratch))
}

/// Work on the panels of N matrices with the same layout: `(panel, its columns of each, scratch)`.
pub(crate) type JointWork<'f, const N: usize> =
    dyn Fn(usize, [ViewMut; N], &mut [f32]) -> Result<(), RunError> + Sync + 'f;

/// As [`for_each_panel`], for N matrices at a time.
pub(crate) fn for_each_panels<const N: usize>(
    pass: &Pass,
    layout: &PanelLayout,
    matrices: [Matrix; N],
    scratch: &mut [f32],
    work: &JointWork<N>,
) -> Result<(), RunError> {
    Share { pass, layout, panels: 0..layout.count(), matrices, scratch }.run(pass.threads, work)
}

/// Consecutive panels of a matrix.
pub(crate) struct Matrix<'a> {
    pub rows: usize,
    pub data: &'a mut [f32],
}

impl<'a> Matrix<'a> {
    /// Takes the panels with so many columns in memory off the front.
    fn take(&mut self, columns: usize) -> Matrix<'a> {
        let (data, rest) = mem::take(&mut self.data).split_at_mut(self.rows * columns);
        self.data = rest;
        Matrix { rows: self.rows, data }
    }
}

/// Consecutive panels, and the scratch of the threads that work on them.
struct Share<'a, const N: usize> {
    pass: &'a Pass<'a>,
    layout: &'a PanelLayout,
    panels: Range<usize>,
    matrices: [Matrix<'a>; N],
    scratch: &'a mut [f32],
}

impl<'a, const N: usize> Share<'a, N> {
    fn run(mut self, threads: usize, work: &JointWork<N>) -> Result<(), RunError> {
        if threads > 1 && self.panels.len() > 1 {
            let left_threads = threads / 2;
            let executor = self.pass.executor;
            let (left, right) = self.split(left_threads, threads);
            return join(executor, || left.run(left_threads, work), || right.run(threads - left_threads, work));
        }
        if self.pass.threads > 1 {
            self.pass.done(Operation::Wait, 0);
        }
        for panel in self.panels {
            let columns = self.layout.width(panel);
            let views = self.matrices.each_mut().map(|matrix| {
                let Matrix { rows, data } = matrix.take(columns);
                self.layout.view_mut(panel, data, rows).expect("the panel that was taken")
            });
            work(panel, views, self.scratch)?;
        }
        Ok(())
    }

    /// Two shares in the ratio of `left_threads` to the rest of `threads`, as near as whole panels allow.
    fn split(mut self, left_threads: usize, threads: usize) -> (Self, Self) {
        let start = |panel: usize| self.layout.range(panel).start;
        let (first, last) = (self.panels.start, self.panels.end - 1);
        let columns = self.layout.range(last).end - start(first);
        let target = start(first) + columns * left_threads / threads;
        let middle = (first + 1..=last).min_by_key(|&panel| start(panel).abs_diff(target)).unwrap_or(last);
        let left_columns = self.layout.offset(middle) - self.layout.offset(first);
        let left_matrices = self.matrices.each_mut().map(|matrix| matrix.take(left_columns));
        let each = self.scratch.len() / threads;
        let (left_scratch, right_scratch) = self.scratch.split_at_mut(each * left_threads);
        let Share { pass, layout, matrices, .. } = self;
        (
            Share { pass, layout, panels: first..middle, matrices: left_matrices, scratch: left_scratch },
            Share { pass, layout, panels: middle..last + 1, matrices, scratch: right_scratch },
        )
    }
}

/// Work on some rows of a row-major matrix: `(rows, their values)`.
pub(crate) type RowsWork<'f> = dyn Fn(Range<usize>, &mut [f32]) -> Result<(), Error> + Sync + 'f;

/// Calls `work(rows, their values)` for the rows of a row-major matrix, `columns` values each, a share for each of the pass's
/// threads.
pub(crate) fn for_each_row_share(
    pass: &Pass,
    columns: usize,
    rows: Range<usize>,
    data: &mut [f32],
    work: &RowsWork,
) -> Result<(), RunError> {
    if pass.threads > 1 && rows.len() > 1 {
        let left_threads = pass.threads / 2;
        let middle = rows.start + (rows.len() * left_threads / pass.threads).max(1);
        let (left, right) = data.split_at_mut((middle - rows.start) * columns);
        let (left_pass, right_pass) =
            (Pass { threads: left_threads, ..*pass }, Pass { threads: pass.threads - left_threads, ..*pass });
        return join(
            pass.executor,
            || for_each_row_share(&left_pass, columns, rows.start..middle, left, work),
            || for_each_row_share(&right_pass, columns, middle..rows.end, right, work),
        );
    }
    Ok(work(rows, data)?)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::exec::executor::Executor;
    use std::vec;

    /// A new thread for every part.
    struct NewThreads(usize);

    impl Executor for NewThreads {
        fn threads(&self) -> usize {
            self.0
        }
        fn join(&self, a: &mut (dyn FnMut() + Send), b: &mut (dyn FnMut() + Send)) {
            std::thread::scope(|scope| {
                scope.spawn(b);
                a();
            });
        }
    }

    fn pass(executor: &NewThreads) -> Pass<'_> {
        Pass { level: Level::PORTABLE, threads: executor.0, executor, profiler: None }
    }

    #[test]
    fn layouts_are_even_shares() {
        for level in Level::available() {
            for tokens in 1..200 {
                for threads in 2..20 {
                    let layout = layout(level, threads, tokens);
                    let widths = (0..layout.count()).map(|panel| layout.range(panel).len());
                    assert_eq!(widths.clone().sum::<usize>(), tokens);
                    let share = tokens.div_ceil(threads).max(4);
                    let widest = widths.max().unwrap();
                    assert!(
                        (share.min(tokens)..=share + level.lanes() / 4).contains(&widest),
                        "{level}, {tokens} tokens on {threads} threads"
                    );
                    assert!(widest == share.min(tokens) || widest.is_multiple_of(level.lanes()) || layout.count() == 1);
                    let nearly_whole = 4 * (widest % level.lanes()) > 3 * level.lanes();
                    assert!(!nearly_whole || layout.count() == 1, "{level}, {tokens} tokens on {threads} threads");
                }
            }
            let tokens = 3000;
            assert_eq!([1, 2, 20].map(|threads| layout(level, threads, tokens)), [level.panels(tokens); 3]);
        }
    }

    #[test]
    fn layouts_of_vectors_have_a_panel_for_each_thread_as_far_as_vectors_go() {
        for level in Level::available() {
            for tokens in 1..200 {
                for threads in 1..20 {
                    let layout = layout_of_vectors(level, threads, tokens);
                    let vectors = tokens.div_ceil(level.lanes());
                    let count = layout.count();
                    assert_eq!(layout.columns(), tokens);
                    // Rounding the width up to vectors may cost a panel or more, but never half of them.
                    assert!(2 * count > threads.min(vectors), "{level}, {tokens} tokens on {threads} threads: {count}");
                    assert!((0..count - 1).all(|panel| layout.range(panel).len().is_multiple_of(level.lanes())));
                }
            }
        }
    }

    /// Every panel is worked on once, in its own place, with scratch that no other thread has; errors come back.
    #[test]
    fn panels_and_scratch_are_shared_out() {
        const ROWS: usize = 2;
        let level = Level::PORTABLE;
        for threads in 1..=9 {
            let executor = NewThreads(threads);
            let pass = pass(&executor);
            for tokens in [1, 4, 21, 50] {
                let layout = level.panels_of_width(tokens, 4).expect("panels with columns");
                let (mut data, mut scratch) = (vec![0.0; ROWS * layout.padded()], vec![0.0; 3 * threads]);
                let work = |panel: usize, mut x: ViewMut, scratch: &mut [f32]| {
                    assert!(scratch.len() >= 3);
                    scratch.iter_mut().for_each(|x| *x += 1.0);
                    (0..ROWS).for_each(|row| x.row_mut(row).unwrap().iter_mut().for_each(|x| *x += panel as f32 + 1.0));
                    Ok(())
                };
                for_each_panel(&pass, &layout, ROWS, &mut data, &mut scratch, &work).unwrap();
                let panels = kernels::Panels::new(&data, ROWS, layout).unwrap();
                for token in 0..tokens {
                    let expected = layout.panel_of(token) as f32 + 1.0;
                    assert!(panels.column(token).iter().eq([expected; ROWS]), "{threads} threads, token {token}");
                }
                let fail = |panel: usize, _: ViewMut, _: &mut [f32]| match panel + 1 == layout.count() {
                    true => Err(RunError::Length { what: "a test", expected: 1, found: 2 }),
                    false => Ok(()),
                };
                let result = for_each_panel(&pass, &layout, ROWS, &mut data, &mut scratch, &fail);
                assert!(result.is_err());
            }
        }
    }

    /// Matrices of different heights are handed out together, the same panel of each.
    #[test]
    fn panels_of_two_matrices_are_shared_out() {
        let level = Level::PORTABLE;
        for threads in 1..=9 {
            let executor = NewThreads(threads);
            let pass = pass(&executor);
            let layout = level.panels_of_width(50, 4).expect("panels with columns");
            let (mut first, mut second) = (vec![0.0; layout.padded()], vec![0.0; 3 * layout.padded()]);
            let matrices = [Matrix { rows: 1, data: &mut first }, Matrix { rows: 3, data: &mut second }];
            let work = |panel: usize, matrices: [ViewMut; 2], _: &mut [f32]| {
                for mut x in matrices {
                    assert_eq!(x.columns(), layout.range(panel).len());
                    let rows = 0..x.rows();
                    rows.for_each(|row| x.row_mut(row).unwrap().iter_mut().for_each(|x| *x += panel as f32 + 1.0));
                }
                Ok(())
            };
            for_each_panels(&pass, &layout, matrices, &mut vec![0.0; threads], &work).unwrap();
            for (data, rows) in [(&first, 1), (&second, 3)] {
                let panels = kernels::Panels::new(data, rows, layout).unwrap();
                let expected = |token: usize| layout.panel_of(token) as f32 + 1.0;
                assert!((0..50).all(|token| panels.column(token).iter().all(|x| x == expected(token))));
            }
        }
    }

    #[test]
    fn rows_are_shared_out() {
        for threads in 1..=9 {
            let executor = NewThreads(threads);
            let pass = pass(&executor);
            for rows in [0, 1, 2, 7, 65] {
                let mut data = vec![0.0; 3 * rows];
                let work = |rows: Range<usize>, data: &mut [f32]| {
                    assert_eq!(data.len(), 3 * rows.len());
                    data.iter_mut().enumerate().for_each(|(i, x)| *x += (3 * rows.start + i) as f32);
                    Ok(())
                };
                for_each_row_share(&pass, 3, 0..rows, &mut data, &work).unwrap();
                assert!(data.iter().enumerate().all(|(i, x)| *x == i as f32), "{threads} threads, {rows} rows");
            }
        }
    }
}
