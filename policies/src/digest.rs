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
