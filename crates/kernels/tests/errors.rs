//! Wrong arguments: an error that says what was expected and what was found, and nothing written.

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
