//! Patterns of names: `*` stands for any text, `?` for one character.

/// Whether the whole name is of the pattern. Takes at most the product of both lengths.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // The last star, and how far the text that it stands for reaches so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match &mut star {
                Some((at, reached)) => {
                    *reached += 1;
                    (p, n) = (*at + 1, *reached);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stand_for_any_text_and_question_marks_for_a_character() {
        for (pattern, name) in [
            ("criterion.*", "criterion.weight"),
            ("*", ""),
            ("*", "a.b"),
            ("*.num_batches_tracked", "bn.0.num_batches_tracked"),
            ("blocks.?.x", "blocks.3.x"),
            ("a*b*c", "a-b-b-c"),
            ("n_averaged", "n_averaged"),
            ("*é?", "caféé"),
            ("", ""),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("criterion", "criterion.weight"),
            ("criterion.*", "my.criterion.weight"),
            ("blocks.?.x", "blocks.12.x"),
            ("a*b", "a-c"),
            ("?", ""),
            ("", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        assert!(!matches(&"a*".repeat(200), &"a".repeat(5000).replace("aaaaa", "aaaab")[..4999].replace('a', "b")));
        assert!(!matches(&("*a".repeat(50) + "b"), &"a".repeat(2000)));
    }
}
