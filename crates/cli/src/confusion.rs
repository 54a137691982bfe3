//! Which classes are taken for which.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::iter::{once, repeat_n};

use serde::ser::{Serialize, SerializeSeq, Serializer};

use crate::report::{Align, Table};

/// Most classes whose matrix is printed as text; of more, only the most frequent confusions.
const MAX_MATRIX: usize = 24;

/// Confusions that are listed instead.
const LISTED: usize = 20;

/// How many images of each class were taken for each class. Only pairs that occurred are stored: the full matrix of
/// ImageNet-21k would take 4 GB.
pub(crate) struct Confusion {
    classes: usize,
    /// By true class and predicted class.
    counts: BTreeMap<(usize, usize), u64>,
}

impl Confusion {
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: BTreeMap::new() }
    }

    pub fn count(&mut self, class: usize, predicted: usize) {
        *self.counts.entry((class, predicted)).or_default() += 1;
    }

    pub fn images(&self) -> u64 {
        self.counts.values().sum()
    }

    pub fn correct(&self) -> u64 {
        self.counts.iter().filter(|((class, predicted), _)| class == predicted).map(|(_, count)| count).sum()
    }

    /// The counts of the images of one class.
    fn row(&self, class: usize) -> Vec<u64> {
        let mut row = vec![0; self.classes];
        self.counts.range((class, 0)..(class + 1, 0)).for_each(|((_, predicted), count)| row[*predicted] = *count);
        row
    }

    pub fn text(&self, label: impl Fn(usize) -> String) -> String {
        if self.classes <= MAX_MATRIX { self.matrix(label) } else { self.most_frequent(label) }
    }

    /// A row for each true class, a column for each predicted one.
    fn matrix(&self, label: impl Fn(usize) -> String) -> String {
        let mut table = Table::bare(once(Align::Left).chain(repeat_n(Align::Right, self.classes)).collect());
        table.row(once(String::new()).chain((0..self.classes).map(&label)));
        for class in 0..self.classes {
            let cell = |count: u64| if count == 0 { ".".into() } else { count.to_string() };
            table.row(once(label(class)).chain(self.row(class).into_iter().map(cell)));
        }
        format!("Rows are the true classes, columns the predicted ones:\n\n{table}")
    }

    fn most_frequent(&self, label: impl Fn(usize) -> String) -> String {
        let mut wrong: Vec<_> = self.counts.iter().filter(|((class, predicted), _)| class != predicted).collect();
        wrong.sort_by_key(|(pair, count)| (Reverse(**count), **pair));
        let mut table = Table::new([("class", Align::Left), ("taken for", Align::Left), ("images", Align::Right)]);
        for (&(class, predicted), count) in wrong.into_iter().take(LISTED) {
            table.row([label(class), label(predicted), count.to_string()]);
        }
        format!("The most frequent confusions:\n\n{table}")
    }
}

/// The full matrix, row by row.
impl Serialize for Confusion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.classes))?;
        (0..self.classes).try_for_each(|class| rows.serialize_element(&self.row(class)))?;
        rows.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_shown_as_a_matrix_or_as_pairs() {
        let mut confusion = Confusion::new(3);
        [(0, 0), (2, 0), (2, 0), (1, 2), (2, 2)].into_iter().for_each(|(class, found)| confusion.count(class, found));
        assert_eq!((confusion.images(), confusion.correct()), (5, 2));
        assert_eq!(serde_json::to_string(&confusion).unwrap(), "[[1,0,0],[0,0,1],[2,0,1]]");
        let matrix = confusion.text(|class| format!("c{class}"));
        assert!(matrix.ends_with(":\n\n    c0  c1  c2\nc0   1   .   .\nc1   .   .   1\nc2   2   .   1\n"), "{matrix}");
        confusion.classes = 25;
        let pairs = confusion.text(|class| format!("c{class}"));
        assert!(
            pairs.ends_with("\n\nclass  taken for  images\nc2     c0              2\nc1     c2              1\n"),
            "{pairs}"
        );
    }
}
