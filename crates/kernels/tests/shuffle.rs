//! The channel-shuffle view against cat, reshape, transpose and reshape done by copying.

use kernels::{ChannelOrder, Error, View, ViewMut, to_contiguous};
use proptest::prelude::*;

/// `x.reshape(groups, n / groups).transpose().reshape(n)`, as PyTorch code writes the shuffle.
fn shuffle_by_copying<T: Copy>(x: &[T], groups: usize) -> Vec<T> {
    let per_group = x.len() / groups;
    (0..per_group).flat_map(|j| (0..groups).map(move |g| g * per_group + j)).map(|i| x[i]).collect()
}

fn divisors(n: usize) -> Vec<usize> {
    (1..=n).filter(|&g| n.is_multiple_of(g)).collect()
}

/// A number of channels and some of its divisors.
fn channels_and_groups(depth: impl Strategy<Value = usize>) -> impl Strategy<Value = (usize, Vec<usize>)> {
    (1_usize..400, depth)
        .prop_flat_map(|(n, depth)| (Just(n), proptest::collection::vec(proptest::sample::select(divisors(n)), depth)))
}

fn compose(n: usize, groups: &[usize]) -> ChannelOrder {
    let shuffle = |&g: &usize| ChannelOrder::shuffle(n, g).unwrap();
    groups.iter().map(shuffle).fold(ChannelOrder::identity(n), |order, next| order.then(next).unwrap())
}

proptest! {
    #[test]
    fn the_inverse_undoes_forward_and_back((n, groups) in channels_and_groups(1_usize..5)) {
        let order = compose(n, &groups);
        let identity = ChannelOrder::identity(n);
        prop_assert_eq!(order.then(order.inverse()).unwrap(), identity);
        prop_assert_eq!(order.inverse().then(order).unwrap(), identity);
        prop_assert_eq!(order.inverse().inverse(), order);
    }

    #[test]
    fn composition_equals_composed_copies((n, groups) in channels_and_groups(1_usize..41)) {
        let copied = groups.iter().fold((0..n).collect(), |x: Vec<usize>, &g| shuffle_by_copying(&x, g));
        prop_assert!(compose(n, &groups).iter().eq(copied));
    }

    #[test]
    fn views_of_rows_and_columns_read_as_copies_do(
        (n, groups) in channels_and_groups(1_usize..9), tokens in 1_usize..20, seed in any::<u32>(),
    ) {
        let x: Vec<f32> = (0..n * tokens).map(|i| (i as f32) + (seed % 251) as f32).collect();
        // Channel-major: rows are channels.
        let view = groups.iter().fold(View::new(&x, n, tokens).unwrap(), |view, &g| view.shuffle_rows(g).unwrap());
        let rows: Vec<&[f32]> = x.chunks(tokens).collect();
        let copied = groups.iter().fold(rows, |rows, &g| shuffle_by_copying(&rows, g)).concat();
        let mut found = vec![f32::NAN; n * tokens];
        to_contiguous(&view, &mut ViewMut::new(&mut found, n, tokens).unwrap()).unwrap();
        prop_assert_eq!(&found, &copied);
        // Token-major: columns are channels.
        let view = groups.iter().fold(View::new(&x, tokens, n).unwrap(), |view, &g| view.shuffle_columns(g).unwrap());
        let shuffle = |row: &[f32]| groups.iter().fold(row.to_vec(), |row, &g| shuffle_by_copying(&row, g));
        let copied: Vec<f32> = x.chunks(n).flat_map(shuffle).collect();
        to_contiguous(&view, &mut ViewMut::new(&mut found, tokens, n).unwrap()).unwrap();
        prop_assert_eq!(&found, &copied);
    }

    #[test]
    fn writing_through_the_view_reaches_each_element_once((n, groups) in channels_and_groups(1_usize..9), tokens in 1_usize..6) {
        let order = compose(n, &groups);
        let mut x = vec![0.0; n * tokens];
        let mut view = ViewMut::new(&mut x, n, tokens).unwrap().reorder_rows(order).unwrap();
        for p in 0..n {
            for (t, place) in view.row_mut(p).unwrap().iter_mut().enumerate() {
                *place += (p * tokens + t + 1) as f32;
            }
        }
        for p in 0..n {
            for t in 0..tokens {
                let i = order.channel(p) * tokens + t;
                prop_assert_eq!(x[i], (p * tokens + t + 1) as f32);
                let view = View::new(&x, n, tokens).unwrap().reorder_rows(order).unwrap();
                prop_assert!(std::ptr::eq(&view.row(p).unwrap()[t], &x[i]), "row() aliases the element itself");
                prop_assert_eq!(view.at(p, t), x[i]);
            }
        }
    }

    #[test]
    fn ranges_of_a_shuffled_view_are_ranges_of_the_copy((n, groups) in channels_and_groups(1_usize..5), cut in 0.0..1.0) {
        let x: Vec<f32> = (0..n).map(|i| i as f32).collect();
        let order = compose(n, &groups);
        let middle = (n as f64 * cut) as usize;
        let view = View::new(&x, n, 1).unwrap().reorder_rows(order).unwrap();
        let head = view.row_range(0..middle).unwrap();
        let tail = view.row_range(middle..n).unwrap();
        let found = (0..middle).map(|r| head.at(r, 0)).chain((0..n - middle).map(|r| tail.at(r, 0)));
        prop_assert!(found.eq(order.iter().map(|c| c as f32)));
    }
}

#[test]
fn every_group_of_every_small_number_of_channels() {
    for n in 1..=130 {
        for g in divisors(n) {
            let order = ChannelOrder::shuffle(n, g).unwrap();
            let copied = shuffle_by_copying(&(0..n).collect::<Vec<_>>(), g);
            assert!(order.iter().eq(copied), "{n} channels, {g} groups");
            assert_eq!(order.inverse(), ChannelOrder::shuffle(n, n / g).unwrap(), "{n} channels, {g} groups");
        }
        assert!(ChannelOrder::shuffle(n, 1).unwrap().is_identity());
        assert!(ChannelOrder::shuffle(n, n).unwrap().is_identity());
        for g in (1..=n + 1).filter(|g| n % g != 0).chain([0]) {
            assert_eq!(ChannelOrder::shuffle(n, g), Err(Error::Groups { groups: g, channels: n }));
        }
    }
}

#[test]
fn one_and_two_channels_never_move() {
    for n in [1, 2] {
        for g in divisors(n) {
            assert_eq!(ChannelOrder::shuffle(n, g).unwrap(), ChannelOrder::identity(n));
        }
    }
}

/// The period of the perfect out-shuffle of n cards is the multiplicative order of 2 modulo n - 1 (Diaconis, Graham and
/// Kantor 1983, section 1), here with the module's interleaving; found again by shuffling until the deck is in order.
#[test]
fn the_period_of_the_perfect_shuffle() {
    for n in (2..=384).step_by(2) {
        let order = ChannelOrder::shuffle(n, 2).unwrap();
        let start: Vec<usize> = (0..n).collect();
        let mut deck = shuffle_by_copying(&start, 2);
        let mut period = 1;
        while deck != start {
            deck = shuffle_by_copying(&deck, 2);
            period += 1;
        }
        assert_eq!(order.period(), period, "{n} channels");
    }
    // Published: 8 shuffles for 52 cards.
    assert_eq!(ChannelOrder::shuffle(52, 2).unwrap().period(), 8);
}

#[test]
fn large_numbers_of_channels_do_not_overflow() {
    let n = usize::MAX - 1; // even
    let order = ChannelOrder::shuffle(n, 2).unwrap();
    let order = (0..40).fold(order, |o, _| o.then(order).unwrap());
    assert_eq!(order.then(order.inverse()).unwrap(), ChannelOrder::identity(n));
    assert!(order.channel(n - 2) < n && order.channel(n - 1) == n - 1);
    // A walk adds the stride step by step.
    let halves = ChannelOrder::shuffle(n, 2).unwrap();
    for order in [halves, order] {
        assert!(order.iter().take(50).eq((0..50).map(|p| order.channel(p))));
    }
}
