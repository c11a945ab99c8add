//! Diagnostic notation to a value, with the place and reason where it is none.
//!
//! Comments are taken as in RFC 8610 appendix G.6: `/ ... /`, and `#` to the end of the line.

use super::{DEPTH_MAX, Value};

/// Why a text is not diagnostic notation of the subset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {what}")]
pub(crate) struct NotNotation {
    at: usize,
    what: &'static str,
}

/// Reads one value that fills the whole text.
///
/// # Errors
/// [`NotNotation`] with the first place that does not fit.
pub(crate) fn parse(text: &str) -> Result<Value, NotNotation> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(DEPTH_MAX)?;
    reader.skip()?;
    if reader.rest().is_empty() { Ok(value) } else { Err(reader.wrong("something follows the value")) }
}

struct Reader<'a> {
    text: &'a str,
    /// Bytes read.
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn wrong(&self, what: &'static str) -> NotNotation {
        let at = self.text.get(..self.at).map_or(0, |before| before.chars().count());
        NotNotation { at: at.saturating_add(1), what }
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at = self.at.saturating_add(next.len_utf8());
        Some(next)
    }

    fn eat(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at = self.at.saturating_add(expected.len());
        }
        found
    }

    /// Skips white space and comments.
    fn skip(&mut self) -> Result<(), NotNotation> {
        loop {
            match self.peek() {
                Some(space) if space.is_whitespace() => {
                    self.next();
                }
                Some('#') => while !matches!(self.next(), None | Some('\n')) {},
                Some('/') => {
                    let open = self.wrong("a comment that does not end");
                    self.next();
                    while self.next().ok_or_else(|| open.clone())? != '/' {}
                }
                _ => return Ok(()),
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, NotNotation> {
        self.skip()?;
        for (word, value) in
            [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)]
        {
            if self.eat(word) {
                return Ok(value);
            }
        }
        let deeper = || depth.checked_sub(1).ok_or_else(|| self.wrong("nested too deep"));
        match self.peek() {
            Some('"') => self.string().map(Value::Text),
            Some('h') => self.bytes(),
            Some('[') => {
                let depth = deeper()?;
                self.array(depth)
            }
            Some('{') => {
                let depth = deeper()?;
                self.map(depth)
            }
            Some('-' | '0'..='9') => {
                let depth = deeper()?;
                self.number(depth)
            }
            Some(_) => Err(self.wrong("no value begins like this")),
            None => Err(self.wrong("a value is missing")),
        }
    }

    /// A number, or a tag with its item.
    fn number(&mut self, depth: usize) -> Result<Value, NotNotation> {
        let start = self.wrong("an integer is digits, from -18446744073709551616 to 18446744073709551615");
        let negative = self.eat("-");
        let digits = self.rest().split(|next: char| !next.is_ascii_digit()).next().unwrap_or_default();
        self.at = self.at.saturating_add(digits.len());
        // No second way to write a number: leading zeros and fractions are refused.
        let plain = digits == "0" || !digits.starts_with('0');
        let number = digits.parse::<u128>().ok().filter(|_| plain && self.peek() != Some('.'));
        let number = number.ok_or_else(|| start.clone())?;
        if negative {
            let number = number.checked_sub(1).and_then(|number| u64::try_from(number).ok());
            return number.map(Value::Negative).ok_or(start);
        }
        let number = u64::try_from(number).map_err(|_| start)?;
        if !self.eat("(") {
            return Ok(Value::Unsigned(number));
        }
        let value = self.value(depth)?;
        self.skip()?;
        if self.eat(")") {
            Ok(Value::Tag(number, Box::new(value)))
        } else {
            Err(self.wrong("a tag ends with )"))
        }
    }

    fn bytes(&mut self) -> Result<Value, NotNotation> {
        if !self.eat("h'") {
            return Err(self.wrong("a byte string is h'' with hexadecimal digits between"));
        }
        let mut digits = Vec::new();
        loop {
            let place = self.wrong("a byte string is h'' with hexadecimal digits between, two for each byte");
            match self.next() {
                Some('\'') if digits.len() % 2 == 0 => break,
                Some(space) if space.is_whitespace() => {}
                Some(digit) => {
                    digits.push(digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(place)?);
                }
                None => return Err(place),
            }
        }
        let byte = |pair: &[u8]| pair.iter().fold(0, |byte, digit| (byte << 4) | digit);
        Ok(Value::Bytes(digits.chunks(2).map(byte).collect()))
    }

    fn array(&mut self, depth: usize) -> Result<Value, NotNotation> {
        self.next();
        let mut items = Vec::new();
        while self.another("]", items.is_empty(), "items stand between commas, and ] ends them")? {
            items.push(self.value(depth)?);
        }
        Ok(Value::Array(items))
    }

    fn map(&mut self, depth: usize) -> Result<Value, NotNotation> {
        self.next();
        let mut pairs: Vec<(Value, Value)> = Vec::new();
        while self.another("}", pairs.is_empty(), "pairs stand between commas, and } ends them")? {
            let key = self.value(depth)?;
            if pairs.iter().any(|(other, _)| *other == key) {
                return Err(self.wrong("a key comes twice"));
            }
            self.skip()?;
            if !self.eat(":") {
                return Err(self.wrong("a colon stands between a key and its value"));
            }
            pairs.push((key, self.value(depth)?));
        }
        Ok(Value::Map(pairs))
    }

    /// Whether another item follows; reads the comma before it, or the end. A comma before the end is taken.
    fn another(&mut self, end: &str, first: bool, what: &'static str) -> Result<bool, NotNotation> {
        self.skip()?;
        if self.eat(end) {
            return Ok(false);
        }
        if !first {
            if !self.eat(",") {
                return Err(self.wrong(what));
            }
            self.skip()?;
            return Ok(!self.eat(end));
        }
        Ok(true)
    }

    fn string(&mut self) -> Result<String, NotNotation> {
        let open = self.wrong("a text that does not end");
        self.next();
        let mut text = String::new();
        loop {
            match self.next().ok_or_else(|| open.clone())? {
                '"' => return Ok(text),
                '\\' => text.push(self.escaped()?),
                plain => text.push(plain),
            }
        }
    }

    /// What follows a backslash, as in JSON.
    fn escaped(&mut self) -> Result<char, NotNotation> {
        let place =
            self.wrong("no such escape: \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\u with four digits are");
        match self.next() {
            Some(same @ ('"' | '\\' | '/')) => Ok(same),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => {
                let first = self.unit().ok_or_else(|| place.clone())?;
                let second =
                    if (0xd800..0xdc00).contains(&first) && self.eat("\\u") { self.unit() } else { None };
                let units = std::iter::once(first).chain(second);
                let mut read = char::decode_utf16(units);
                match (read.next(), read.next()) {
                    (Some(Ok(one)), None) => Ok(one),
                    _ => Err(place),
                }
            }
            _ => Err(place),
        }
    }

    fn unit(&mut self) -> Option<u16> {
        let digits =
            self.rest().get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        self.at = self.at.saturating_add(4);
        u16::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_request_as_a_person_types_it_is_read() {
        let text =
            "{ 0: 1, # schema\n 1: \"value-1\", / version / 2: -3, 3: [h'00 ff', true, null,], 4: 18({}) }";
        let expected = Value::Map(vec![
            (Value::Unsigned(0), Value::Unsigned(1)),
            (Value::Unsigned(1), Value::Text("value-1".into())),
            (Value::Unsigned(2), Value::Negative(2)),
            (
                Value::Unsigned(3),
                Value::Array(vec![Value::Bytes(vec![0, 0xff]), Value::Bool(true), Value::Null]),
            ),
            (Value::Unsigned(4), Value::Tag(18, Box::new(Value::Map(vec![])))),
        ]);
        assert_eq!(parse(text), Ok(expected));
    }

    #[test]
    fn escapes_are_those_of_json() {
        assert_eq!(parse(r#""\"\\\/\b\f\n\r\t\u00fc\ud83d\ude00""#).unwrap(), {
            Value::Text("\"\\/\u{8}\u{c}\n\r\t\u{fc}\u{1f600}".into())
        });
        for bad in [r#""\x""#, r#""\u12""#, r#""\ud800""#, r#""\ud800\u0041""#, r#""\udc00""#] {
            assert!(wrong(bad).contains("no such escape"), "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert_eq!(wrong(""), "at character 1: a value is missing");
        assert_eq!(wrong("{0: 1"), "at character 6: pairs stand between commas, and } ends them");
        assert_eq!(wrong("{0 1}"), "at character 4: a colon stands between a key and its value");
        assert_eq!(wrong("{0: 1, 0: 2}"), "at character 9: a key comes twice");
        assert_eq!(wrong("[1 2]"), "at character 4: items stand between commas, and ] ends them");
        assert_eq!(wrong("1 2"), "at character 3: something follows the value");
        assert_eq!(wrong("x"), "at character 1: no value begins like this");
        assert_eq!(wrong("\"a"), "at character 1: a text that does not end");
        assert!(wrong("h'0'").contains("two for each byte"));
        assert!(wrong("h'0g'").contains("two for each byte"));
        assert!(wrong("/ a").contains("does not end"));
    }

    #[test]
    fn numbers_have_one_form_and_64_bits() {
        assert_eq!(parse("18446744073709551615"), Ok(Value::Unsigned(u64::MAX)));
        assert_eq!(parse("-18446744073709551616"), Ok(Value::Negative(u64::MAX)));
        for bad in ["18446744073709551616", "-18446744073709551617", "-0", "01", "1.0", "-", "0x10", "1e2"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(DEPTH_MAX)).is_ok());
        assert!(wrong(&nested(DEPTH_MAX + 1)).contains("nested too deep"));
        assert!(parse(&"[".repeat(1_000_000)).is_err());
        assert!(parse(&"1(".repeat(1_000_000)).is_err());
    }
}
