//! From logits to classes.

use std::cmp::Ordering;

use anyhow::{Result, ensure};

/// The classes from most to least probable, each with its probability, the softmax of the logits. Equal classes stay in
/// order.
pub(crate) fn ranked(logits: &[f32]) -> Result<Vec<(usize, f64)>> {
    check_finite(logits)?;
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exp: Vec<f64> = logits.iter().map(|&x| f64::from(x - max).exp()).collect();
    let sum: f64 = exp.iter().sum();
    let mut order: Vec<usize> = (0..logits.len()).collect();
    // A stable sort, and all are finite.
    order.sort_by(|&a, &b| logits[b].partial_cmp(&logits[a]).unwrap_or(Ordering::Equal));
    Ok(order.into_iter().map(|class| (class, exp[class] / sum)).collect())
}

/// The most probable class.
pub(crate) fn predicted(logits: &[f32]) -> usize {
    (1..logits.len()).fold(0, |best, class| if logits[class] > logits[best] { class } else { best })
}

/// How many classes come before this one.
pub(crate) fn rank(logits: &[f32], class: usize) -> usize {
    let before = |&(i, &x): &(usize, &f32)| x > logits[class] || (x == logits[class] && i < class);
    logits.iter().enumerate().filter(before).count()
}

/// An error unless all logits are finite: NaN compares with nothing, so any class could seem to be the best.
pub(crate) fn check_finite(logits: &[f32]) -> Result<()> {
    ensure!(
        logits.iter().all(|x| x.is_finite()),
        "the model's logits are not finite, so they name no class; check its weights and the values it is given"
    );
    Ok(())
}

/// What a class is called where a name is needed.
pub(crate) fn name(label: Option<&str>, class: usize) -> String {
    label.map_or_else(|| format!("class {class}"), String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_sorted_logits() {
        let logits = [1.0, 3.0, -0.0, 3.0, 0.0, -5.0];
        let ranked = ranked(&logits).unwrap();
        assert_eq!(ranked[0].0, predicted(&logits));
        assert!((ranked.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-12);
        for (place, (class, _)) in ranked.iter().enumerate() {
            assert_eq!(rank(&logits, *class), place);
        }
    }

    #[test]
    fn large_logits_do_not_overflow_and_others_are_refused() {
        assert_eq!(ranked(&[3e38, -3e38]).unwrap(), [(0, 1.0), (1, 0.0)]);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(ranked(&[0.0, bad]).is_err());
        }
    }
}
