//! Words from a file, made fit to print, and the known word that a wrong one probably meant.

use std::fmt::Write;

/// Longest piece of a file that a message repeats.
const MAX_QUOTED: usize = 120;
/// Longest sentence about a file that another crate words, pieces of the file included.
const MAX_SENTENCE: usize = 400;
/// Names compared when looking for the nearest one, and the longest of them: enough for any real file, and a bound on
/// what a hostile one costs.
const MAX_CANDIDATES: usize = 1024;
const MAX_COMPARED: usize = 64;
/// Least similarity (1 is equal) of a name worth suggesting.
const SIMILAR: f64 = 0.5;

/// The text with control characters escaped, so that a file cannot drive the reader's terminal, and the middle of a
/// very long one left out.
pub(crate) fn printable(text: &str) -> String {
    shorten(text, MAX_QUOTED)
}

/// As [`printable`], for another crate's words about a file.
pub(crate) fn sentence(words: impl std::fmt::Display) -> String {
    shorten(&words.to_string(), MAX_SENTENCE)
}

fn shorten(text: &str, max: usize) -> String {
    let (count, cut) = (text.chars().count(), max - 20);
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        match c {
            _ if count > max && i == cut => out.push_str("..."),
            _ if count > max && i > cut && i + 17 < count => {}
            c if c.is_control() => write!(out, "{}", c.escape_default()).unwrap_or_default(),
            c => out.push(c),
        }
    }
    out
}

/// The candidate most like `word`, if any is much like it; the first of equals.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best = None;
    let mut most = SIMILAR;
    for candidate in candidates.into_iter().take(MAX_CANDIDATES) {
        let short = word.len().max(candidate.len()) <= MAX_COMPARED;
        let similarity = if short { strsim::normalized_damerau_levenshtein(word, candidate) } else { 0.0 };
        if similarity > most {
            (best, most) = (Some(candidate), similarity);
        }
    }
    best
}

/// `a, b or c`.
pub(crate) fn alternatives<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_long_names_do_not_reach_the_terminal() {
        assert_eq!(printable("a\x1b[31m\n"), "a\\u{1b}[31m\\n");
        assert_eq!(printable("head.weight"), "head.weight");
        let long = printable(&"x".repeat(1 << 20));
        assert_eq!((long.len(), long.contains("...")), (MAX_QUOTED, true));
        assert_eq!(printable(&"y".repeat(MAX_QUOTED)), "y".repeat(MAX_QUOTED));
    }

    #[test]
    fn only_much_alike_names_are_suggested() {
        let names = ["norm.weight", "norm.bias", "head.weight"];
        assert_eq!(nearest("norm.wieght", names), Some("norm.weight"));
        assert_eq!(nearest("zzz", names), None);
        assert_eq!(nearest("norm.weight", []), None);
        // A file may have millions of names: only so many are compared.
        let many = |place| std::iter::repeat_n("zzz", place).chain(["norm.weight"]);
        assert_eq!(nearest("norm.wieght", many(MAX_CANDIDATES - 1)), Some("norm.weight"));
        assert_eq!(nearest("norm.wieght", many(MAX_CANDIDATES)), None);
    }

    #[test]
    fn alternatives_read_as_a_sentence() {
        assert_eq!(alternatives(["a", "b", "c"]), "a, b or c");
        assert_eq!(alternatives(["a"]), "a");
    }
}
