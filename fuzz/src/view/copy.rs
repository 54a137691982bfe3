//! The oracle: a matrix of indices on which views' operations are done by copying.

use std::ops::Range;

/// Where each element of a view lies in its data.
#[derive(Clone, Debug)]
pub struct Copied {
    rows: Vec<Vec<usize>>,
    columns: usize,
    /// Whether the rows, and the columns, are still all of those that the view began with.
    whole: [bool; 2],
}

impl Copied {
    pub fn new([rows, columns]: [usize; 2], index: impl Fn(usize, usize) -> usize) -> Self {
        let rows = (0..rows).map(|r| (0..columns).map(|c| index(r, c)).collect()).collect();
        Copied { rows, columns, whole: [true; 2] }
    }

    pub fn shape(&self) -> [usize; 2] {
        [self.rows.len(), self.columns]
    }

    pub fn at(&self, row: usize, column: usize) -> usize {
        self.rows[row][column]
    }

    /// All indices, row by row.
    pub fn indices(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().flatten().copied()
    }

    pub fn transpose(&self) -> Self {
        let [rows, columns] = self.shape();
        let turned = Copied::new([columns, rows], |r, c| self.at(c, r));
        Copied { whole: [self.whole[1], self.whole[0]], ..turned }
    }

    pub fn row_range(&self, range: Range<usize>) -> Option<Self> {
        let whole = [self.whole[0] && range == (0..self.rows.len()), self.whole[1]];
        let rows = self.rows.get(range)?.to_vec();
        Some(Copied { rows, whole, ..*self })
    }

    /// The rows in another order, which must be one of all rows.
    pub fn reorder(&self, order: &[usize]) -> Option<Self> {
        let possible = self.whole[0] && order.len() == self.rows.len();
        possible.then(|| Copied { rows: order.iter().map(|&r| self.rows[r].clone()).collect(), ..*self })
    }
}

/// `x.reshape(groups, n / groups).transpose().reshape(n)`; none unless the groups divide n.
pub fn shuffle(x: &[usize], groups: usize) -> Option<Vec<usize>> {
    if groups == 0 || !x.len().is_multiple_of(groups) {
        return None;
    }
    let per_group = x.len() / groups;
    Some((0..per_group).flat_map(|j| (0..groups).map(move |g| x[g * per_group + j])).collect())
}

/// The order that undoes another.
pub fn invert(order: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; order.len()];
    order.iter().enumerate().for_each(|(position, &channel)| inverse[channel] = position);
    inverse
}
