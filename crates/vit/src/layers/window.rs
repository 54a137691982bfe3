//! Attention windows: the order in which a stage keeps its tokens, and what a shift changes.

use core::ops::Range;

/// A square map cut into square windows: tokens window by window, row-major within each and among them, on the map rolled by
/// `-shift` in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowOrder {
    /// Height and width of the map.
    pub side: usize,
    /// Height and width of a window; divides `side`.
    pub window: usize,
    pub shift: usize,
}

impl WindowOrder {
    /// Tokens of a window.
    pub(crate) fn window_tokens(&self) -> usize {
        self.window * self.window
    }

    /// Row and column on the rolled map of the token at a place in this order.
    fn rolled(&self, place: usize) -> [usize; 2] {
        let (window, within) = (place / self.window_tokens(), place % self.window_tokens());
        let across = self.side / self.window;
        [window / across * self.window + within / self.window, window % across * self.window + within % self.window]
    }

    /// Row and column on the map of the token at a place in this order.
    #[cfg(test)]
    fn token(&self, place: usize) -> [usize; 2] {
        self.rolled(place).map(|p| (p + self.shift) % self.side)
    }

    /// Rows and columns on the map of the tokens at consecutive places: an odometer, without divisions.
    pub(crate) fn tokens(&self, places: Range<usize>) -> impl Iterator<Item = [usize; 2]> + use<> {
        let WindowOrder { side, window, .. } = *self;
        let wrap = move |p: usize| if p >= side { p - side } else { p };
        let shift = self.shift;
        let mut next = if places.is_empty() { [0, 0] } else { self.rolled(places.start) };
        let mut corner = next.map(|p| p / window * window);
        places.map(move |_| {
            let token = next.map(|p| wrap(p + shift));
            next[1] += 1;
            if next[1] == corner[1] + window {
                next = [next[0] + 1, corner[1]];
            }
            if next[0] == corner[0] + window {
                corner = if corner[1] + window == side { [next[0], 0] } else { [corner[0], corner[1] + window] };
                next = corner;
            }
            token
        })
    }

    /// The place in this order of the token at a row and column of the map.
    pub(crate) fn place(&self, token: [usize; 2]) -> usize {
        self.place_and_room(token)[0]
    }

    /// The places in this order of tokens, of which many are neighbours: without divisions, where they are in one window.
    pub(crate) fn places(self, tokens: impl Iterator<Item = [usize; 2]>) -> impl Iterator<Item = usize> {
        let ([mut place, mut room], mut last) = ([0, 0], [usize::MAX; 2]);
        tokens.map(move |token| {
            let right = token[1].wrapping_sub(last[1]);
            [place, room] = match token[0] == last[0] && right <= room {
                true => [place + right, room - right],
                false => self.place_and_room(token),
            };
            last = token;
            place
        })
    }

    /// The place of a token, and how many tokens of its window are to the right of it.
    fn place_and_room(&self, token: [usize; 2]) -> [usize; 2] {
        // Sides are at most 2^20, and a short division is a fast one.
        let [window, across] = [self.window as u32, (self.side / self.window) as u32];
        let [y, x] = token.map(|p| if p >= self.shift { p - self.shift } else { p + self.side - self.shift } as u32);
        let (in_window, within) = (y / window * across + x / window, y % window * window + x % window);
        [in_window as usize * self.window_tokens() + within as usize, (window - 1 - x % window) as usize]
    }

    /// Whether a shifted window joins tokens that are no neighbours on the map, so that a mask must part them.
    pub(crate) fn is_split(&self, window: usize) -> bool {
        let across = self.side / self.window;
        self.shift > 0 && (window / across == across - 1 || window % across == across - 1)
    }

    /// The part of its window that the token at a place lies in: on which side of the borders that the roll has moved into
    /// the map. Tokens attend to each other only within a part.
    pub(crate) fn region(&self, place: usize) -> usize {
        let [y, x] = self.rolled(place).map(|p| usize::from(p + self.shift >= self.side));
        2 * y + x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_tokens_are_inverse() {
        for (side, window, shift) in [(8, 4, 0), (8, 4, 2), (21, 7, 3), (5, 5, 0), (6, 2, 1), (1, 1, 0)] {
            let order = WindowOrder { side, window, shift };
            for place in 0..side * side {
                assert_eq!(order.place(order.token(place)), place, "{order:?}");
            }
            for start in 0..side * side {
                let end = side * side;
                assert!(order.tokens(start..end).eq((start..end).map(|place| order.token(place))), "{order:?} {start}");
            }
            // Tokens in the order of another shift, and every other one of them.
            for (shift, step) in [(0, 1), (shift, 1), (1, 1), (0, 2), (shift, 2)] {
                let tokens = || WindowOrder { shift, ..order }.tokens(0..side * side).step_by(step);
                assert!(
                    order.places(tokens()).eq(tokens().map(|token| order.place(token))),
                    "{order:?} {shift} {step}"
                );
            }
        }
    }

    #[test]
    fn unshifted_windows_are_squares_of_the_map() {
        let order = WindowOrder { side: 6, window: 3, shift: 0 };
        assert_eq!(order.token(0), [0, 0]);
        assert_eq!(order.token(4), [1, 1]);
        assert_eq!(order.token(9), [0, 3]);
        assert_eq!(order.token(35), [5, 5]);
        assert!((0..4).all(|window| !order.is_split(window)));
    }

    /// Tokens of one window are masked from each other exactly if they are not within a window's reach on the map.
    #[test]
    fn masks_part_what_the_roll_joined() {
        for (side, window, shift) in [(8, 4, 2), (21, 7, 3), (6, 2, 1)] {
            let order = WindowOrder { side, window, shift };
            for a in 0..side * side {
                let first = a / order.window_tokens() * order.window_tokens();
                for b in first..first + order.window_tokens() {
                    let (ta, tb) = (order.token(a), order.token(b));
                    let near = (0..2).all(|i| ta[i].abs_diff(tb[i]) < window);
                    assert_eq!(order.region(a) == order.region(b), near, "{order:?}: {ta:?} and {tb:?}");
                    assert!(near || order.is_split(a / order.window_tokens()));
                }
            }
        }
    }
}
