//! Panel layouts: every column in one panel, every panel in memory of its own; and reading across them.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::{levels, paint};
use kernels::*;

/// Column counts around every panel border of all levels.
const MOST: usize = 200;

/// What must hold of any layout of `columns` columns.
fn check(layout: PanelLayout, columns: usize, what: &str) {
    assert_eq!(layout.columns(), columns, "{what}");
    assert_eq!(layout.count() == 0, columns == 0, "{what}");
    let (mut next, mut offset, mut widest) = (0, 0, 0);
    for panel in 0..layout.count() {
        let (range, width) = (layout.range(panel), layout.width(panel));
        assert!(range.start == next && range.end > next, "{what}: panel {panel} is {range:?} and follows {next}");
        assert_eq!(layout.offset(panel), offset, "{what}: panel {panel}");
        assert!(width >= range.len(), "{what}: panel {panel} has {} columns in {width}", range.len());
        assert!(range.clone().all(|column| layout.panel_of(column) == panel), "{what}: panel {panel}");
        (next, offset, widest) = (range.end, offset + width, widest.max(width));
    }
    assert_eq!((next, offset, widest), (columns, layout.padded(), layout.max_width()), "{what}");
}

#[test]
fn every_layout_holds_each_column_once() {
    for columns in 0..=MOST {
        check(PanelLayout::single(columns), columns, &format!("one panel of {columns}"));
        for level in levels() {
            let usual = level.panels(columns);
            check(usual, columns, &format!("{level}, {columns} columns"));
            for panel in 0..usual.count() {
                assert!(usual.width(panel).is_multiple_of(level.lanes()), "{level}, {columns} columns: panel {panel}");
            }
            for width in (1..=columns.max(1)).chain([2 * MOST]) {
                let layout = level.panels_of_width(columns, width).unwrap();
                check(layout, columns, &format!("{level}, {columns} columns in panels of {width}"));
                assert_eq!(layout.count(), columns.div_ceil(width));
                // In memory each row is filled up to whole vectors, the last panel's too.
                for panel in 0..layout.count() {
                    let filled = layout.range(panel).len().next_multiple_of(level.lanes());
                    assert_eq!(layout.width(panel), filled, "{level}, {columns} columns in panels of {width}");
                }
            }
        }
    }
}

/// A last panel is worth its pass over the weights, or there is none: only a matrix that has no other panel is so narrow.
#[test]
fn no_narrow_panel_is_left_over() {
    for level in levels() {
        for columns in 1..=MOST {
            let layout = level.panels(columns);
            let last = layout.range(layout.count() - 1).len();
            assert!(
                layout.count() == 1 || last >= level.lanes(),
                "{level}, {columns} columns: the last panel has {last}"
            );
        }
    }
}

#[test]
fn sizes_that_leave_usize_saturate() {
    for level in levels() {
        for layout in [level.panels(usize::MAX), level.panels_of_width(usize::MAX, usize::MAX - 1).unwrap()] {
            assert_eq!(layout.padded(), usize::MAX, "{level}: {layout:?}");
            assert_eq!(layout.range(layout.count() - 1).end, usize::MAX, "{level}: {layout:?}");
        }
        assert_eq!(level.panels_of_width(usize::MAX, usize::MAX).unwrap().width(0), usize::MAX, "{level}");
    }
}

/// Rows and columns of panels, of all of them and of ranges, against the matrix that was cut.
#[test]
fn panels_read_as_the_matrix_they_were_cut_from() {
    let (rows, columns) = (5, 57);
    let matrix = paint(rows * columns, 1);
    let view = View::new(&matrix, rows, columns).unwrap();
    let layouts = levels()
        .into_iter()
        .flat_map(|level| [7, 8, 16, 49].map(|width| level.panels_of_width(columns, width).unwrap()));
    for layout in layouts.chain(levels().into_iter().map(|level| level.panels(columns))) {
        let mut data = vec![f32::NAN; rows * layout.padded()];
        layout.to_panels(&view, &mut data).unwrap();
        let whole = Panels::new(&data, rows, layout).unwrap();
        for (row_range, column_range) in [(0..5, 0..57), (1..4, 3..50), (2..5, 8..16), (4..5, 56..57), (5..5, 9..9)] {
            let panels = whole.row_range(row_range.clone()).unwrap().column_range(column_range.clone()).unwrap();
            assert_eq!([panels.rows(), panels.columns()], [row_range.len(), column_range.len()]);
            let at = |row: usize, column: usize| view.at(row_range.start + row, column_range.start + column);
            for column in 0..panels.columns() {
                assert!(panels.column(column).iter().eq((0..panels.rows()).map(|row| at(row, column))), "{layout:?}");
            }
            let mut next = 0;
            for slice in panels.slices() {
                assert_eq!(slice.first, next);
                for (row, column) in (0..panels.rows()).flat_map(|row| (0..slice.columns).map(move |c| (row, c))) {
                    assert_eq!(slice.data[row * slice.step + column], at(row, slice.first + column), "{layout:?}");
                }
                next = slice.first + slice.columns;
            }
            assert_eq!(next, panels.columns());
            for row in 0..panels.rows() {
                for first in 0..=panels.columns() {
                    for last in first..=panels.columns() {
                        let expected: Vec<f32> = (first..last).map(|column| at(row, column)).collect();
                        let mut copy = vec![f32::NAN; last - first];
                        panels.copy_row(row, first..last, &mut copy);
                        assert_eq!(copy, expected, "{layout:?}, row {row}, columns {first}..{last}");
                    }
                }
            }
        }
    }
}

/// A range of columns ends where it says, though its panel goes on.
#[test]
fn what_is_beyond_the_last_is_refused() {
    let data = paint(24, 1);
    let whole = Panels::single(&data, 1, 24).unwrap();
    let panels = whole.column_range(2..6).unwrap();
    let refused = |read: &dyn Fn()| catch_unwind(AssertUnwindSafe(read)).is_err();
    assert!(refused(&|| _ = panels.column(4)));
    assert!(refused(&|| panels.copy_row(0, 1..5, &mut [0.0; 4])));
    assert!(refused(&|| panels.copy_row(1, 0..1, &mut [0.0; 1])));
    assert!(refused(&|| panels.copy_row(0, 0..2, &mut [0.0; 1])));
    assert!(refused(&|| _ = whole.layout().panel_of(24)));
    assert!(refused(&|| _ = whole.layout().range(1)));
    assert!(refused(&|| _ = whole.layout().width(1)));
    assert!(refused(&|| _ = Level::PORTABLE.panels(24).width(3)));
}
