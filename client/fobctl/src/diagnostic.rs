//! CBOR for eyes: a generic value, read from and printed in diagnostic notation (RFC 8949 section 8).
//!
//! For `fobctl api` alone, which shows what the typed commands hide. The subset is what the wire uses: integers,
//! byte strings, text, arrays, maps, tags, true, false and null; no floating point, no indefinite lengths. Nothing
//! from here goes into a typed command: those decode through the protocol's strict layer.

mod bytes;
mod read;
mod show;

pub(crate) use bytes::{decode, encode};
pub(crate) use read::parse;
pub(crate) use show::show;

/// Deepest nesting: the wire's own messages have 6 levels.
const DEPTH_MAX: usize = 16;

/// One item of CBOR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// 0 and above.
    Unsigned(u64),
    /// Below 0: the value is -1 minus this.
    Negative(u64),
    /// A byte string.
    Bytes(Vec<u8>),
    /// A text string.
    Text(String),
    /// A list.
    Array(Vec<Self>),
    /// Pairs; their keys are unique, in whatever order they were typed.
    Map(Vec<(Self, Self)>),
    /// A tagged item, such as 18 for a `COSE_Sign1`.
    Tag(u64, Box<Self>),
    /// True or false.
    Bool(bool),
    /// Null.
    Null,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sequence of numbers that looks random and is the same in every run (xorshift64).
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn below(&mut self, end: u64) -> u64 {
            self.next() % end
        }

        /// Of every width alike.
        fn argument(&mut self) -> u64 {
            let shift = self.below(64);
            self.next() >> shift
        }

        fn text(&mut self) -> String {
            let len = self.below(12);
            let draw = |numbers: &mut Self| {
                let end = [0x80, 0x100, 0x1_0000, 0x11_0000][usize::try_from(numbers.below(4)).unwrap()];
                char::from_u32(u32::try_from(numbers.below(end)).unwrap()).unwrap_or('"')
            };
            (0..len).map(|_| draw(self)).collect()
        }

        fn value(&mut self, depth: usize) -> Value {
            let kinds = if depth == 0 { 6 } else { 9 };
            let some = |numbers: &mut Self| numbers.below(5);
            match self.below(kinds) {
                0 => Value::Unsigned(self.argument()),
                1 => Value::Negative(self.argument()),
                2 => Value::Bytes((0..self.below(40)).map(|_| self.next().to_le_bytes()[0]).collect()),
                3 => Value::Text(self.text()),
                4 => Value::Bool(self.below(2) == 0),
                5 => Value::Null,
                6 => Value::Array((0..some(self)).map(|_| self.value(depth - 1)).collect()),
                7 => Value::Tag(self.argument(), Box::new(self.value(depth - 1))),
                _ => {
                    let mut pairs: Vec<(Value, Value)> = Vec::new();
                    for _ in 0..some(self) {
                        let key = self.value(0);
                        if pairs.iter().all(|(other, _)| *other != key) {
                            pairs.push((key, self.value(depth - 1)));
                        }
                    }
                    pairs.sort_by_key(|(key, _)| encode(key));
                    Value::Map(pairs)
                }
            }
        }
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same_value() {
        let mut numbers = Numbers(0x5eed_0001);
        for _ in 0..3_000 {
            let value = numbers.value(5);
            let shown = show(&value, &[]);
            assert_eq!(parse(&shown).as_ref(), Ok(&value), "{shown}");
        }
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same_value_and_bytes() {
        let mut numbers = Numbers(0x5eed_0002);
        for _ in 0..3_000 {
            let value = numbers.value(5);
            let bytes = encode(&value);
            assert_eq!(decode(&bytes).as_ref(), Some(&value));
            assert_eq!(encode(&decode(&bytes).unwrap()), bytes);
        }
    }

    #[test]
    fn damaged_bytes_and_texts_are_refused_or_read_but_never_end_the_program() {
        let mut numbers = Numbers(0x5eed_0003);
        for _ in 0..2_000 {
            let mut bytes = encode(&numbers.value(4));
            let place = usize::try_from(numbers.below(bytes.len() as u64)).unwrap();
            bytes[place] ^= 1 << numbers.below(8);
            if let Some(value) = decode(&bytes) {
                assert_eq!(encode(&value), bytes, "one encoding alone");
            }
            let _ = parse(&numbers.text());
        }
    }
}
