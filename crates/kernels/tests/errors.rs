//! Wrong arguments: an error that says what was expected and what was found, and nothing written.

use kernels::internal::{add_gathered_columns, gather_columns};
use kernels::*;

fn message(result: Result<(), Error>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn views_prove_their_bounds() {
    let x = [0.0; 12];
    assert!(View::new(&x, 3, 4).is_ok());
    let error = View::new(&x, 3, 5).unwrap_err().to_string();
    assert!(error.contains("3x5") && error.contains("12"), "{error}");
    for (len, shape, strides) in [(11, [3, 4], [4, 1]), (12, [2, 2], [11, 1]), (0, [1, 1], [1, 1])] {
        let error = View::with_strides(&x[..len], shape, strides).unwrap_err();
        assert!(matches!(error, Error::OutOfBounds { last, len, .. } if last == len), "one value too few: {error}");
    }
    assert!(View::with_strides(&x, [3, 4], [usize::MAX, 1]).is_err());
    assert!(View::with_strides(&x, [usize::MAX, usize::MAX], [1, 1]).is_err());
    assert!(View::with_strides(&x, [0, 100], [1, 1]).is_ok(), "an empty view reaches nothing");
    assert!(View::with_strides(&x, [100, 100], [0, 0]).is_ok(), "a view that is read may repeat a value");
    assert!(View::new(&x, 3, 4).unwrap().row_range(2..4).is_err());
    assert!(View::new(&x, 4, 3).unwrap().row_range(0..2).unwrap().shuffle_rows(2).is_err(), "half a shuffle");
}

#[test]
fn mutable_views_reach_nothing_twice() {
    let mut x = [0.0; 12];
    for (shape, strides, fits) in [
        ([3, 4], [4, 1], true),
        ([3, 4], [1, 3], true),
        ([3, 4], [2, 1], false),
        ([3, 4], [0, 1], false),
        ([2, 2], [1, 1], false),
        ([3, 2], [2, 7], true),
        ([1, 4], [0, 1], true),
    ] {
        assert_eq!(ViewMut::with_strides(&mut x, shape, strides).is_ok(), fits, "{shape:?} {strides:?}");
    }
}

#[test]
fn kernels_name_what_does_not_fit() {
    let level = Level::detect();
    let data = [0.0; 64];
    let mut out = [5.0; 64];
    let mut buffer = [0.0; 64];
    let packed = PackedMatrix::pack(&View::new(&data, 4, 3).unwrap(), &mut buffer).unwrap();
    let b = View::new(&data, 3, 2).unwrap();
    let store = Epilogue::Store;

    let bad_b = message(packed_matmul(
        level,
        &packed,
        &View::new(&data, 5, 2).unwrap(),
        store,
        &mut ViewMut::new(&mut out, 4, 2).unwrap(),
    ));
    assert_eq!(bad_b, "packed_matmul: b is 5x2, expected 3x2");
    let bad_out = message(packed_matmul(level, &packed, &b, store, &mut ViewMut::new(&mut out, 4, 3).unwrap()));
    assert_eq!(bad_out, "packed_matmul: out is 4x3, expected 4x2");
    let bad_bias = message(packed_matmul(
        level,
        &packed,
        &b,
        Epilogue::Bias(&[0.0; 3]),
        &mut ViewMut::new(&mut out, 4, 2).unwrap(),
    ));
    assert_eq!(bad_bias, "packed_matmul: bias holds 3 values, expected 4");
    let columns = View::new(&data, 2, 3).unwrap().transpose();
    let bad_rows = packed_matmul(level, &packed, &columns, store, &mut ViewMut::new(&mut out, 4, 2).unwrap());
    assert_eq!(bad_rows, Err(Error::RowsNotContiguous { operation: "packed_matmul", what: "b" }));
    let six = PackedMatrix::from_packed(8, 6, &data[..48]).unwrap();
    let shuffled = View::new(&data, 6, 2).unwrap().shuffle_rows(2).unwrap();
    let uneven = packed_matmul(level, &six, &shuffled, store, &mut ViewMut::new(&mut out, 8, 2).unwrap());
    assert_eq!(uneven, Err(Error::RowsNotStrided { operation: "packed_matmul", what: "b" }));

    assert!(PackedMatrix::from_packed(4, 3, &data[..23]).is_err());
    assert!(PackedMatrix::pack(&View::new(&data, 4, 3).unwrap(), &mut [0.0; 23]).is_err());
    assert!(softmax(level, &mut ViewMut::new(&mut out, 4, 3).unwrap().transpose()).is_err());
    let mut view = ViewMut::new(&mut out, 3, 2).unwrap();
    assert!(message(layer_norm(level, &b, &[1.0; 2], &[0.0; 3], 1e-6, &mut view)).contains("gamma"));
    assert!(message(matmul(level, &b, &b, &mut view)).contains("b is 3x2, expected 2x2"));

    let k = Panels::single(&data, 3, 5).unwrap();
    let v = Panels::single(&data, 3, 6).unwrap();
    let bad_v = Attention::new(b, k, v, 1.0).unwrap_err();
    assert_eq!(bad_v.to_string(), "attention: v is 3x6, expected 3x5");
    let operands = Attention::new(b, k, k, 1.0).unwrap();
    let mut scratch = [0.0; attention_scratch_len(5)];
    let short = message(attention(level, &operands, &mut view, &mut scratch[..10]));
    assert_eq!(short, format!("attention: scratch holds 10 values, expected at least {}", attention_scratch_len(5)));
    assert_eq!(out, [5.0; 64], "an error writes nothing");
}

#[test]
fn levels_by_name() {
    for level in Level::available() {
        assert_eq!(level.name().parse(), Ok(level));
    }
    let message = |name: &str| name.parse::<Level>().unwrap_err().to_string();
    let names: Vec<&str> = Level::available().map(Level::name).collect();
    let available = format!("available here: {}", names.join(", "));
    assert_eq!(message("avx9000"), format!("no instruction-set level \"avx9000\" here; {available}"));
    // A name may be anything, and is neither passed on to a terminal nor kept at any length.
    assert_eq!(message("a\x1b[31m"), format!("no instruction-set level \"a\\u{{1b}}[31m\" here; {available}"));
    let long = message(&"é".repeat(1000));
    assert_eq!(long, format!("no instruction-set level \"{}\"... here; {available}", "é".repeat(12)));
}

/// Sizes whose products leave `usize`: bounds must not wrap around and let a kernel read beyond its slices.
#[test]
fn products_of_sizes_do_not_wrap() {
    let huge = usize::MAX / 8 + 2; // times 8, a packed group's rows, is 8 again
    let data = [1.0; 64];
    assert!(PackedMatrix::from_packed(8, huge, &data[..8]).is_err());
    assert!(PackedMatrix::pack(&View::with_strides(&data, [8, huge], [0, 0]).unwrap(), &mut [0.0; 8]).is_err());
    assert!(Panels::single(&data, huge, 8).is_err());
    assert!(Panels::new(&data[..8], huge, PanelLayout::single(8)).is_err());
    assert!(View::with_strides(&data, [huge, 8], [8, 1]).is_err());
    for level in Level::available() {
        assert!(Panels::<f32>::new(&[], 3, level.panels(usize::MAX)).is_err());
    }
    let mut out = [0.0; 8];
    let single = View::with_strides(&data, [1, 8], [usize::MAX, 1]).unwrap();
    matmul(Level::detect(), &single, &single.transpose(), &mut ViewMut::new(&mut out, 1, 1).unwrap()).unwrap();
    assert_eq!(out[0], 8.0);
}

#[test]
fn attention_names_what_does_not_fit() {
    let data = [0.0; 64];
    let q = View::new(&data, 3, 4).unwrap();
    let (k, v) = (Panels::single(&data, 3, 5).unwrap(), Panels::single(&data, 2, 5).unwrap());
    let refused = |operands: Result<Attention, Error>| operands.unwrap_err().to_string();
    let short_k = Panels::single(&data, 2, 5).unwrap();
    assert_eq!(refused(Attention::new(q, short_k, v, 1.0)), "attention: k is 2x5, expected 3x5");
    let operands = Attention::new(q, k, v, 1.0).unwrap();
    assert_eq!((operands.keys(), operands.queries(), operands.macs()), (5, 4, (3 + 2) * 5 * 4));
    for shape @ [rows, columns] in [[4, 4], [6, 4], [5, 3], [5, 5], [4, 5]] {
        let view = View::new(&data, rows, columns).unwrap();
        let found = format!("is {}x{}, expected 5x4", shape[0], shape[1]);
        assert_eq!(refused(operands.with_bias(view)), format!("attention: bias {found}"));
        assert_eq!(refused(operands.with_mask(view)), format!("attention: mask {found}"));
    }
    let columns = View::new(&data, 4, 5).unwrap().transpose();
    let not_contiguous = |what| Err(Error::RowsNotContiguous { operation: "attention", what });
    assert_eq!(operands.with_bias(columns).map(|_| ()), not_contiguous("bias"));
    assert_eq!(operands.with_mask(columns).map(|_| ()), not_contiguous("mask"));
    let six = Panels::single(&data, 3, 6).unwrap();
    let shuffled = View::new(&data, 6, 4).unwrap().shuffle_rows(2).unwrap();
    let not_strided = |what| Err(Error::RowsNotStrided { operation: "attention", what });
    let with_six = Attention::new(q, six, six, 1.0).unwrap();
    assert_eq!(with_six.with_mask(shuffled).map(|_| ()), not_strided("mask"));
    let k_of_6 = Panels::single(&data, 6, 5).unwrap();
    assert_eq!(Attention::new(shuffled, k_of_6, k_of_6, 1.0).map(|_| ()), not_strided("q"));

    let (mut out, mut scratch) = ([5.0; 8], [0.0; attention_scratch_len(5)]);
    for level in Level::available() {
        let mut transposed = ViewMut::new(&mut out, 4, 2).unwrap().transpose();
        assert_eq!(attention(level, &operands, &mut transposed, &mut scratch), not_contiguous("out"));
        let mut wrong = ViewMut::new(&mut out, 2, 3).unwrap();
        let error = message(attention(level, &operands, &mut wrong, &mut scratch));
        assert_eq!(error, "attention: out is 2x3, expected 2x4");
        assert_eq!(out, [5.0; 8], "an error writes nothing");
    }
}

#[test]
fn sums_over_tokens_want_the_same_whole_panels() {
    let (rows, tokens) = (2, 40);
    for level in Level::available() {
        let lanes = level.lanes();
        let mut out = [0.0; 4];
        let data = vec![1.0; 400];
        let panels = |layout: PanelLayout| Panels::new(&data[..rows * layout.padded()], rows, layout).unwrap();
        let vectors = panels(level.panels_of_width(tokens, lanes).unwrap());
        assert_eq!(token_products(level, &vectors, &vectors, &mut out), Ok(()));
        assert_eq!(out, [40.0; 4]);
        let refused = Err(Error::Layout { operation: "token_products" });
        let single = panels(PanelLayout::single(tokens));
        assert_eq!(token_products(level, &vectors, &single, &mut out), refused, "{level}: different panels");
        let uneven = panels(level.panels_of_width(tokens, lanes + 1).unwrap());
        assert_eq!(token_products(level, &uneven, &uneven, &mut out), refused, "{level}: no whole vectors");
        let some = vectors.column_range(0..tokens - 1).unwrap();
        assert_eq!(token_products(level, &some, &vectors, &mut out), refused, "{level}: a range of a's columns");
        assert_eq!(token_products(level, &vectors, &some, &mut out), refused, "{level}: a range of b's columns");
        let later = vectors.column_range(1..tokens).unwrap();
        assert_eq!(token_products(level, &later, &later, &mut out), refused, "{level}: ranges of both");
        let error = token_products(level, &vectors, &vectors, &mut out[..3]).unwrap_err().to_string();
        assert_eq!(error, "token_products: out holds 3 values, expected 4");
    }
}

/// A buffer that is too long was packed for another shape.
#[test]
fn packed_data_have_exactly_their_length() {
    let data = [0.0; 64];
    for (len, fits) in [(23, false), (24, true), (25, false)] {
        assert_eq!(PackedMatrix::from_packed(4, 3, &data[..len]).is_ok(), fits, "{len}");
        assert_eq!(Panels::new(&data[..len], 3, PanelLayout::single(8)).is_ok(), fits, "{len}");
    }
    let error = PackedMatrix::from_packed(4, 3, &data[..25]).unwrap_err().to_string();
    assert_eq!(error, "PackedMatrix::from_packed: data holds 25 values, expected 24");
    let error = PackedMatrix::pack(&View::new(&data, 4, 3).unwrap(), &mut [0.0; 23]).unwrap_err().to_string();
    assert_eq!(error, "PackedMatrix::pack: buffer holds 23 values, expected at least 24");
}

#[test]
fn gathering_refuses_what_is_beyond_the_last() {
    let data: Vec<f32> = (0..6).map(|i| i as f32).collect();
    let source = Panels::single(&data, 2, 3).unwrap();
    let mut out = [7.0; 4];
    let mut gather = |rows: [usize; 2], columns: [usize; 2]| {
        let mut view = ViewMut::new(&mut out, 2, 2).unwrap();
        gather_columns(&source, rows.into_iter(), columns.into_iter(), &mut view)
    };
    let beyond = |what, index, len| Err(Error::Range { what, start: index, end: index + 1, len });
    assert_eq!(gather([0, 2], [0, 1]), beyond("gather_columns", 2, 2));
    assert_eq!(gather([0, 1], [1, 3]), beyond("gather_columns", 3, 3));
    assert_eq!(gather([0, 1], [2, 0]), Ok(()));
    assert_eq!(out, [2.0, 0.0, 5.0, 3.0]);
    let mut view = ViewMut::new(&mut out, 2, 2).unwrap();
    let result = add_gathered_columns(1.0, &source, [0, 3].into_iter(), &mut view);
    assert_eq!(result, beyond("add_gathered_columns", 3, 3));
    let mut transposed = ViewMut::new(&mut out, 2, 2).unwrap().transpose();
    let result = add_gathered_columns(1.0, &source, [0].into_iter(), &mut transposed);
    assert_eq!(result, Err(Error::RowsNotContiguous { operation: "add_gathered_columns", what: "out" }));
}

#[test]
fn panels_refuse_what_they_have_not() {
    let layout = Level::PORTABLE.panels(21);
    let mut data = [0.0; 64];
    let beyond = Error::Range { what: "PanelLayout", start: 3, end: 4, len: 3 };
    assert_eq!(layout.view(3, &data, 2).unwrap_err(), beyond);
    assert_eq!(layout.view_mut(3, &mut data, 2).unwrap_err(), beyond);
    assert_eq!(Level::PORTABLE.panels_of_width(21, 0), Err(Error::PanelWidth));
}

/// Strides of an axis with one index mean nothing.
#[test]
fn single_rows_and_columns_have_no_stride() {
    let x: Vec<f32> = (0..30).map(|i| i as f32).collect();
    let row = View::with_strides(&x, [1, 4], [usize::MAX, 1]).unwrap();
    assert_eq!(row.strided_rows(), Some((&x[..], 0)));
    let two = View::with_strides(&x, [2, 4], [9, 1]).unwrap();
    assert_eq!(two.strided_rows(), Some((&x[..], 9)));
    assert_eq!(two.row_range(1..2).unwrap().strided_rows(), Some((&x[9..], 0)));
    let column = View::with_strides(&x, [3, 1], [9, 5]).unwrap();
    assert!(column.has_contiguous_rows());
    assert_eq!(column.row(2), Some(&x[18..19]));
    assert_eq!(column.strided_rows(), Some((&x[..], 9)));
    let of_two = View::with_strides(&x, [3, 2], [9, 5]).unwrap();
    assert!(!of_two.has_contiguous_rows() && of_two.row(0).is_none() && of_two.strided_rows().is_none());
    let last_of_two = of_two.column_range(1..2).unwrap();
    assert!(last_of_two.has_contiguous_rows());
    assert_eq!(last_of_two.row(1), Some(&x[14..15]));
}

/// Both parts of a view, against its rows by index; what cannot be parted is refused.
#[test]
fn views_split_at_rows() {
    let shapes =
        [([6, 4], [4, 1]), ([6, 4], [7, 1]), ([6, 1], [3, 1]), ([6, 1], [1, 40]), ([6, 2], [9, 4]), ([6, 0], [0, 1])];
    for (shape, strides) in shapes {
        for (columns, row) in [(0..shape[1], 0), (0..shape[1], 2), (shape[1] / 2..shape[1], 5), (0..shape[1], 6)] {
            let mut data: Vec<f32> = (0..64).map(|i| i as f32).collect();
            let before = data.clone();
            let expected = View::with_strides(&before, shape, strides).unwrap().column_range(columns.clone()).unwrap();
            let view = ViewMut::with_strides(&mut data, shape, strides).unwrap();
            let view = view.column_range(columns.clone()).unwrap().row_range(1..6).unwrap();
            let Ok((mut front, mut back)) = view.split_at_row(row.min(5)) else { panic!("{shape:?} {strides:?}") };
            assert_eq!([front.rows(), back.rows()], [row.min(5), 5 - row.min(5)]);
            for r in 0..5 {
                let (part, r_in_part) = if r < front.rows() { (&mut front, r) } else { (&mut back, r - row.min(5)) };
                for c in 0..columns.len() {
                    assert_eq!(part.at(r_in_part, c), expected.at(r + 1, c), "{shape:?} {strides:?} {row}");
                    *part.at_mut(r_in_part, c) = -1.0;
                }
            }
            let written = data.iter().filter(|x| **x == -1.0).count();
            assert_eq!(written, 5 * columns.len(), "{shape:?} {strides:?}");
        }
    }
    // A column taken from a transposed matrix lies behind others.
    let mut data: Vec<f32> = (0..12).map(|i| i as f32).collect();
    let turned = ViewMut::new(&mut data, 3, 4).unwrap().transpose().column_range(2..3).unwrap();
    let (front, back) = turned.split_at_row(1).unwrap();
    assert_eq!((front.at(0, 0), back.at(0, 0), back.at(2, 0)), (8.0, 9.0, 11.0));
    let shuffled = ViewMut::new(&mut data, 4, 3).unwrap().shuffle_rows(2).unwrap();
    assert!(matches!(shuffled.split_at_row(2), Err(Error::RowsNotStrided { .. })));
    let turned = ViewMut::new(&mut data, 4, 3).unwrap().transpose();
    assert!(matches!(turned.split_at_row(2), Err(Error::RowsNotContiguous { .. })));
    let beyond = ViewMut::new(&mut data, 4, 3).unwrap().split_at_row(5);
    assert!(matches!(beyond, Err(Error::Range { .. })));
    let (front, back) = ViewMut::new(&mut data, 4, 3).unwrap().shuffle_rows(2).unwrap().split_at_row(4).unwrap();
    assert_eq!([front.shape(), back.shape()], [[4, 3], [0, 3]]);
}
