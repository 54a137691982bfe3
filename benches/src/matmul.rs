//! A product of one of the models' shapes, with packed weights and by a general one.

use kernels::{Epilogue, Level, PackedMatrix, PanelLayout, Panels, View, ViewMut, packed_matmul};

use crate::Aligned;

/// `weight x`, M x K by K x N, both row-major.
pub struct Matmul {
    m: usize,
    k: usize,
    n: usize,
    /// M x K.
    pub weight: Aligned,
    /// K x N.
    pub x: Aligned,
    packed: Aligned,
}

impl Matmul {
    /// Painted factors of such an M, K and N.
    pub fn new([m, k, n]: [usize; 3]) -> Self {
        let weight = Aligned::painted(m * k);
        let mut packed = Aligned::zeros(PackedMatrix::<f32>::packed_len(m, k));
        let view = View::new(&weight, m, k).expect("M x K values");
        PackedMatrix::pack(&view, &mut packed).expect("a buffer of the packed length");
        Matmul { m, k, n, weight, x: Aligned::painted(k * n), packed }
    }

    /// M, K and N.
    pub fn shape(&self) -> [usize; 3] {
        [self.m, self.k, self.n]
    }

    /// Multiply-accumulates.
    pub fn macs(&self) -> usize {
        self.m * self.k * self.n
    }

    /// By `matrixmultiply`, into M x N values.
    pub fn matrixmultiply(&self, out: &mut [f32]) {
        let [m, k, n] = self.shape();
        assert_eq!(out.len(), m * n, "M x N values");
        let (a, b, out) = (self.weight.as_ptr(), self.x.as_ptr(), out.as_mut_ptr());
        let (row_of_a, row) = (k as isize, n as isize);
        // SAFETY: `new` made the factors m x k and k x n values, the assertion is about `out`; all are row-major.
        unsafe { matrixmultiply::sgemm(m, k, n, 1.0, a, row_of_a, 1, b, row, 1, 0.0, out, row, 1) };
    }

    /// By [`packed_matmul`], x being in panels already.
    pub fn packed(&self, level: Level) -> PackedCall<'_> {
        let layout = level.panels(self.n);
        let mut x = Aligned::zeros(self.k * layout.padded());
        let tokens = View::new(&self.x, self.k, self.n).expect("K x N values");
        layout.to_panels(&tokens, &mut x).expect("a buffer of the padded length");
        let weight = PackedMatrix::from_packed(self.m, self.k, &self.packed).expect("packed by `new`");
        let y = Aligned::zeros(self.m * layout.padded());
        PackedCall { weight, level, layout, x, y }
    }
}

/// A packed product's operands at a level.
pub struct PackedCall<'a> {
    weight: PackedMatrix<'a>,
    level: Level,
    layout: PanelLayout,
    x: Aligned,
    y: Aligned,
}

impl PackedCall<'_> {
    /// `y = epilogue(weight x)`
    pub fn run(&mut self, epilogue: Epilogue) {
        let [m, k] = self.weight.shape();
        for_each_panel(&self.layout, (&self.x, k), (&mut self.y, m), |x, mut y| {
            packed_matmul(self.level, &self.weight, &x, epilogue, &mut y).expect("shapes that fit");
        });
    }

    /// y, row-major.
    pub fn output(&self) -> Vec<f32> {
        let [m, n] = [self.weight.shape()[0], self.layout.columns()];
        let mut out = vec![0.0; m * n];
        let panels = Panels::new(&self.y, m, self.layout).expect("M rows of padded columns");
        out.chunks_mut(n).enumerate().for_each(|(r, row)| panels.copy_row(r, 0..n, row));
        out
    }
}

/// Calls `work` with each panel of two matrices, which are given as values and rows.
pub fn for_each_panel(
    layout: &PanelLayout,
    (a, a_rows): (&[f32], usize),
    (b, b_rows): (&mut [f32], usize),
    mut work: impl FnMut(View, ViewMut),
) {
    for p in 0..layout.count() {
        let x = layout.view(p, &a[a_rows * layout.offset(p)..], a_rows).expect("padded rows");
        let y = layout.view_mut(p, &mut b[b_rows * layout.offset(p)..], b_rows).expect("padded rows");
        work(x, y);
    }
}
