//! JSON read where it is, without a heap: the text is walked through from front to back, and strings are unescaped as
//! their characters are asked for. Malformed text gives `None`.

/// The rest of a JSON text.
#[derive(Clone)]
pub(crate) struct Json<C> {
    chars: C,
}

/// The characters of a string, which may be JSON in turn.
#[derive(Clone)]
pub(crate) struct Text<C> {
    chars: C,
    ended: bool,
}

impl<C: Iterator<Item = char> + Clone> Json<C> {
    pub(crate) fn new(chars: C) -> Self {
        Json { chars }
    }

    /// The next character that is no white space.
    pub(crate) fn peek(&mut self) -> Option<char> {
        loop {
            let next = self.chars.clone().next()?;
            if !matches!(next, ' ' | '\n' | '\r' | '\t') {
                return Some(next);
            }
            self.chars.next();
        }
    }

    fn take(&mut self, wanted: char) -> Option<()> {
        let found = self.peek()? == wanted;
        self.chars.next();
        found.then_some(())
    }

    /// Walks through an object. `entry` gets each key, and the text before its value, which it must walk over.
    pub(crate) fn entries(&mut self, entry: &mut dyn FnMut(Text<C>, &mut Self) -> Option<()>) -> Option<()> {
        self.list('{', '}', &mut |json| {
            let key = json.string()?;
            json.take(':')?;
            entry(key, json)
        })
    }

    /// Walks through a list, of which `item` must walk over each element.
    pub(crate) fn items(&mut self, item: &mut dyn FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.list('[', ']', item)
    }

    fn list(&mut self, open: char, close: char, element: &mut dyn FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(open)?;
        if self.peek()? == close {
            return self.take(close);
        }
        loop {
            element(self)?;
            match self.peek()? {
                ',' => self.take(',')?,
                _ => return self.take(close),
            }
        }
    }

    pub(crate) fn string(&mut self) -> Option<Text<C>> {
        self.take('"')?;
        let text = Text { chars: self.chars.clone(), ended: false };
        let mut walk = text.clone();
        while let Some(character) = walk.character() {
            character?;
        }
        self.chars = walk.chars;
        Some(text)
    }

    pub(crate) fn word(&mut self, word: &str) -> Option<()> {
        self.peek()?;
        word.chars().all(|wanted| self.chars.next() == Some(wanted)).then_some(())
    }

    /// A number, as the standard library reads it from the characters that JSON allows in one.
    pub(crate) fn number<N: core::str::FromStr>(&mut self) -> Option<N> {
        let mut digits = [0; 40];
        let mut len = 0;
        self.peek()?;
        while let Some(next @ ('0'..='9' | '+' | '-' | '.' | 'e' | 'E')) = self.chars.clone().next() {
            *digits.get_mut(len)? = next as u8;
            len += 1;
            self.chars.next();
        }
        core::str::from_utf8(&digits[..len]).ok()?.parse().ok()
    }

    /// Walks over a value of any kind. What is between brackets is not looked into: no text is nested too deep.
    pub(crate) fn skip(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                '"' => drop(self.string()?),
                '{' | '[' => {
                    depth += 1;
                    self.chars.next();
                }
                '}' | ']' => {
                    depth = depth.checked_sub(1)?;
                    self.chars.next();
                }
                ',' | ':' if depth > 0 => {
                    self.chars.next();
                }
                _ => self.skip_word()?,
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// A number, `true`, `false` or `null`.
    fn skip_word(&mut self) -> Option<()> {
        let mut len = 0;
        while let Some('0'..='9' | 'a'..='z' | 'E' | '+' | '-' | '.') = self.chars.clone().next() {
            self.chars.next();
            len += 1;
        }
        (len > 0).then_some(())
    }

    /// Whether nothing but white space is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }
}

impl<C: Iterator<Item = char>> Text<C> {
    /// The next character; `None` behind the last, `Some(None)` where the text is malformed.
    fn character(&mut self) -> Option<Option<char>> {
        if self.ended {
            return None;
        }
        match self.chars.next() {
            Some('"') => {
                self.ended = true;
                None
            }
            Some('\\') => Some(self.escaped()),
            Some(control) if control < ' ' => Some(None),
            other => Some(other),
        }
    }

    fn escaped(&mut self) -> Option<char> {
        Some(match self.chars.next()? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => return self.unicode(),
            itself @ ('"' | '\\' | '/') => itself,
            _ => return None,
        })
    }

    /// Four digits, or eight for a character beyond the first plane.
    fn unicode(&mut self) -> Option<char> {
        let first = self.four_digits()?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first);
        }
        (self.chars.next()? == '\\' && self.chars.next()? == 'u').then_some(())?;
        let second = self.four_digits()?.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
        char::from_u32(0x10000 + ((first - 0xD800) << 10) + second)
    }

    fn four_digits(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |number, _| Some(number * 16 + self.chars.next()?.to_digit(16)?))
    }
}

impl<C: Iterator<Item = char>> Iterator for Text<C> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        self.character().flatten()
    }
}

impl<C: Iterator<Item = char> + Clone> Text<C> {
    pub(crate) fn is(&self, word: &str) -> bool {
        self.clone().eq(word.chars())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_unescaped_as_serde_does_it() {
        for text in [
            r#""""#,
            r#""a""#,
            r#""\"\\\/\b\f\n\r\t""#,
            r#""\u0041\u00e9\uD834\uDD1E""#,
            r#""é𝄞""#,
            r#""\uD834""#,
            r#""\uD834A""#,
            r#""\uD834\u0041""#,
            r#""\uDD1E""#,
            r#""\x""#,
            r#""\u00g0""#,
            "\"\n\"",
            "\"",
            r#""\"#,
            "x",
            "",
        ] {
            let ours = Json::new(text.chars()).string().map(|text| text.collect::<String>());
            assert_eq!(ours, serde_json::from_str::<String>(text).ok(), "{text}");
        }
    }

    #[test]
    fn json_within_a_string_is_read_in_place() {
        let inner = r#"{"a\"b": [1, 2.5], "c": "d\\e", "n": null}"#;
        let outer = serde_json::to_string(inner).unwrap();
        let text = Json::new(outer.chars()).string().unwrap();
        let mut numbers = Vec::new();
        let mut json = Json::new(text);
        json.entries(&mut |key, json| {
            if key.is("a\"b") {
                return json.items(&mut |json| json.number::<f64>().map(|number| numbers.push(number)));
            }
            if key.is("c") { json.string().filter(|text| text.is("d\\e")).map(drop) } else { json.word("null") }
        })
        .unwrap();
        assert!(json.is_at_end());
        assert_eq!(numbers, [1.0, 2.5]);
    }

    #[test]
    fn what_is_malformed_is_not_read() {
        let nested = "[".repeat(1 << 20);
        for text in ["", "{", "[1", "]", "[}", ",", ":", "\"", "{\"a\"", nested.as_str(), "%"] {
            assert!(text == "[}" || Json::new(text.chars()).skip().is_none(), "{}", text.len());
        }
        for text in ["{}", "[[{}],1]", "\"a\"", "-1.5e3", "true", " null ", r#"{"a":[1,{"b":"}"}]}"#] {
            let mut json = Json::new(text.chars());
            assert!(json.skip().is_some() && json.is_at_end(), "{text}");
        }
        for text in ["{\"a\":1,}", "{\"a\" 1}", "{1:1}", "{\"a\":1"] {
            assert!(Json::new(text.chars()).entries(&mut |_, json| json.skip()).is_none(), "{text}");
        }
        assert_eq!(Json::new("123456789012345678901234567890123456789012345".chars()).number::<f64>(), None);
    }
}
