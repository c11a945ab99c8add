//! The digest of a policy set, which stands in the log and inside every proposal.
//!
//! It is the SHA-256 of, for each file in turn:
//!
//! 1. the length of its name in bytes, 8 bytes, big-endian;
//! 2. its name, UTF-8, without a folder;
//! 3. the length of its content in bytes, 8 bytes, big-endian;
//! 4. its content, as it is on disk.
//!
//! The files are `ceiling.cedar` and `keysvc.cedarschema`, always and in this order, and then the
//! site's, sorted by the bytes of their names. Nothing stands before, between or after them.

use ring::digest::{Context, Digest, SHA256, digest};

use crate::shipped::{CEILING, CEILING_NAME, SCHEMA, SCHEMA_NAME};
use crate::source::Source;

/// The digest of the shipped layer and of `site`, which is sorted by name.
pub(crate) fn of_set(site: &[Source]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    file(&mut context, CEILING_NAME, CEILING);
    file(&mut context, SCHEMA_NAME, SCHEMA);
    for source in site {
        file(&mut context, &source.name, &source.text);
    }
    bytes(&context.finish())
}

/// The SHA-256 of the ceiling's bytes alone.
pub(crate) fn of_ceiling() -> [u8; 32] {
    bytes(&digest(&SHA256, CEILING.as_bytes()))
}

fn file(context: &mut Context, name: &str, text: &str) {
    for part in [name, text] {
        // usize has at most 64 bits on every platform Rust knows.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
}

fn bytes(digest: &Digest) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sha256sum policies/cedar/ceiling.cedar`. Who changes the ceiling changes what no site can
    /// permit: change this line in the same commit, and say why in docs/decisions.
    const CEILING_SHA256: &str = "3345569c1f57821e3aa777ce68502b2ca3cabc2123a858859aef8d8bdc096336";

    /// `sha256sum policies/cedar/keysvc.cedarschema`. The schema says what the words of the ceiling
    /// mean; the same holds for it.
    const SCHEMA_SHA256: &str = "5c2e2ccc900e2c106464d1ff7cb89962ac100277e733ca8baafa26d6f3e4e147";

    fn source(name: &str, text: &str) -> Source {
        Source { name: name.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn the_ceiling_is_the_one_that_was_agreed() {
        let hex = of_ceiling().map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(hex, CEILING_SHA256);
    }

    #[test]
    fn the_schema_is_the_one_that_was_agreed() {
        let hex = bytes(&digest(&SHA256, SCHEMA.as_bytes())).map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(hex, SCHEMA_SHA256);
    }

    #[test]
    fn the_digest_is_made_as_documented() {
        let mut bytes = Vec::new();
        for part in ["ceiling.cedar", CEILING, "keysvc.cedarschema", SCHEMA, "a.cedar", "x", "b.cedar", ""] {
            bytes.extend(u64::try_from(part.len()).unwrap().to_be_bytes());
            bytes.extend(part.as_bytes());
        }
        let set = of_set(&[source("a.cedar", "x"), source("b.cedar", "")]);
        assert_eq!(set.as_slice(), digest(&SHA256, &bytes).as_ref());
    }

    #[test]
    fn text_that_moves_from_a_file_to_the_next_changes_the_digest() {
        let before = of_set(&[source("a.cedar", "xy"), source("b.cedar", "z")]);
        let after = of_set(&[source("a.cedar", "x"), source("b.cedar", "yz")]);
        assert_ne!(before, after);
    }
}
