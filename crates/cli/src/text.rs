//! Words and numbers as people read them.

use std::path::Path;

/// The text with control characters, and characters that change the direction of writing, escaped: they could drive the
/// reader's terminal. Names of files and classes are printed this way, since anybody may have made them.
pub(crate) fn printable(text: &str) -> String {
    escaped(text, |_| false)
}

/// A path as messages show it.
pub(crate) fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

/// As [`printable`], of several lines.
pub(crate) fn printable_lines(text: &str) -> String {
    escaped(text, |c| c == '\n')
}

fn escaped(text: &str, allowed: impl Fn(char) -> bool) -> String {
    let is_direction = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if (c.is_control() || is_direction(c)) && !allowed(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// 6095488 as 6,095,488.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Milliseconds with about four digits.
pub(crate) fn millis(ms: f64) -> String {
    let decimals = if ms < 10.0 {
        3
    } else if ms < 100.0 {
        2
    } else {
        1
    };
    format!("{ms:.decimals$}")
}

/// Bytes in the largest unit that leaves a number above 1.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..0x400 => format!("{count} B"),
        0x400..0x10_0000 => format!("{:.1} KiB", count as f64 / 1024.0),
        _ => format!("{:.1} MiB", count as f64 / 1024.0 / 1024.0),
    }
}

/// `1 image`, `2 images`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    let word = if number == 1 { one } else { many };
    format!("{} {word}", grouped(number as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_drives_the_terminal() {
        assert_eq!(printable("a\x1b[2J\u{9b}\n\u{202e}gpj.é"), "a\\u{1b}[2J\\u{9b}\\n\\u{202e}gpj.é");
        assert_eq!(printable_lines("a\x1b\nb\r\n"), "a\\u{1b}\nb\\r\n");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1000, 6095488].map(grouped), ["0", "999", "1,000", "6,095,488"]);
        assert_eq!([0.1234, 12.345, 123.45].map(millis), ["0.123", "12.35", "123.5"]);
        assert_eq!([12, 2048, 3 << 20].map(bytes), ["12 B", "2.0 KiB", "3.0 MiB"]);
        assert_eq!([0, 1, 1000].map(|n| count(n, "file", "files")), ["0 files", "1 file", "1,000 files"]);
    }
}
