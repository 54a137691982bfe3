//! Target `shuffle_view`: programs of strides, ranges, transposes and shuffles over a view, against copying.
//!
//! A view is mirrored by a matrix of indices into its data, on which every operation is done by moving indices around.
//! Then the view must show exactly those elements, writes through it must reach exactly those, and kernels must make of it
//! exactly what they make of a copy.

mod copy;
mod kernels_through;
mod order;
mod program;

use arbitrary::{Arbitrary, Unstructured};
use kernels::{View, ViewMut, to_contiguous};

use copy::Copied;
use program::{Source, Step};

#[derive(Arbitrary, Debug)]
enum Case {
    View { source: Source, steps: Vec<Step>, check: Check },
    Order(order::Case),
}

/// What is done with the view that a program ends in.
#[derive(Arbitrary, Debug)]
enum Check {
    Read,
    Write { writes: Vec<(u8, u8)>, rows: Vec<u8> },
    Materialise(Out),
    Kernel { operation: kernels_through::Operation, out: Out },
}

/// Where a result is written: a matrix of its shape, in an order of its own.
#[derive(Arbitrary, Debug)]
struct Out {
    source: Source,
    steps: Vec<Step>,
}

/// Runs one program.
pub fn run(data: &[u8]) {
    match Case::arbitrary_take_rest(Unstructured::new(data)) {
        Ok(Case::View { source, steps, check }) => run_view(&source, &steps, &check),
        Ok(Case::Order(case)) => case.run(),
        Err(_) => {}
    }
}

fn run_view(source: &Source, steps: &[Step], check: &Check) {
    let Some((mut copied, len)) = source.copied() else { return };
    let data: Vec<f32> = (0..len).map(|i| i as f32).collect();
    let mut view = source.view(&data).expect("the data reach to the last element");
    let mut done = Vec::new();
    for step in steps {
        let (next, expected) = (step.view(view), step.copied(&copied));
        assert_eq!(next.is_ok(), expected.is_some(), "{step:?} on {:?}: {next:?}", view.shape());
        let (Ok(next), Some(expected)) = (next, expected) else { continue };
        (view, copied) = (next, expected);
        done.push(step);
    }
    compare(&view, &copied, &data);
    match check {
        Check::Read => {}
        Check::Write { writes, rows } => write(source, &done, &copied, data, writes, rows),
        Check::Materialise(out) => out.with(view.shape(), |out| {
            to_contiguous(&view, out).expect("equal shapes");
            for_each(view.shape(), |r, c| assert_eq!(out.at(r, c), view.at(r, c)));
        }),
        Check::Kernel { operation, out } => operation.run(source, &done, &copied, len, out),
    }
}

/// The view shows the elements of the copy, row by row where it says it can, and those very elements.
fn compare(view: &View, copied: &Copied, data: &[f32]) {
    assert_eq!(view.shape(), copied.shape());
    for_each(view.shape(), |r, c| assert_eq!(view.at(r, c), data[copied.at(r, c)]));
    for r in 0..view.rows() {
        let Some(row) = view.row(r) else {
            assert!(!view.has_contiguous_rows());
            continue;
        };
        assert!(view.has_contiguous_rows());
        assert_eq!(row.len(), view.columns());
        for (c, value) in row.iter().enumerate() {
            assert!(std::ptr::eq(value, &data[copied.at(r, c)]), "row {r} lies elsewhere");
        }
    }
}

/// Writes through the view and through the copy's indices, and compares all of the data.
fn write(source: &Source, steps: &[&Step], copied: &Copied, data: Vec<f32>, writes: &[(u8, u8)], rows: &[u8]) {
    let (mut found, mut expected) = (data.clone(), data);
    let Some(mut view) = source.view_mut(&mut found, copied) else { return };
    for step in steps {
        view = step.view_mut(view).expect("it worked on the view that is read");
    }
    let [height, width] = view.shape();
    for (i, &(r, c)) in writes.iter().enumerate().filter(|_| height > 0 && width > 0) {
        let (r, c, value) = (usize::from(r) % height, usize::from(c) % width, -1.0 - i as f32);
        *view.at_mut(r, c) = value;
        expected[copied.at(r, c)] = value;
    }
    for (i, &r) in rows.iter().enumerate().filter(|_| height > 0) {
        let r = usize::from(r) % height;
        let Some(row) = view.row_mut(r) else { break };
        row.fill(-1000.0 - i as f32);
        (0..width).for_each(|c| expected[copied.at(r, c)] = -1000.0 - i as f32);
    }
    let view = view.reborrow();
    for_each(view.shape(), |r, c| assert_eq!(view.as_view().at(r, c), expected[copied.at(r, c)]));
    assert_eq!(found, expected);
}

impl Out {
    /// Calls `work` with a matrix of this shape, and checks that nothing but its elements was written.
    fn with(&self, shape: [usize; 2], work: impl FnOnce(&mut ViewMut)) {
        let source = self.source.reshaped(shape);
        let Some((mut copied, len)) = source.copied() else { return };
        let mut data: Vec<f32> = (0..len).map(|i| -0.5 - i as f32).collect();
        let before = data.clone();
        let Some(mut out) = source.view_mut(&mut data, &copied) else { return };
        for step in self.steps.iter().filter(|step| step.keeps_shape()) {
            let Some(next) = step.copied(&copied) else { continue };
            (out, copied) = (step.view_mut(out).expect("the copy could do it"), next);
        }
        work(&mut out);
        let mut inside = vec![false; len];
        for_each(copied.shape(), |r, c| inside[copied.at(r, c)] = true);
        let outside = || inside.iter().enumerate().filter(|(_, inside)| !**inside).map(|(i, _)| i);
        assert!(outside().all(|i| data[i] == before[i]), "a value beside the matrix was written");
    }
}

fn for_each([rows, columns]: [usize; 2], mut f: impl FnMut(usize, usize)) {
    (0..rows).for_each(|r| (0..columns).for_each(|c| f(r, c)));
}
