//! SHA-256 (FIPS 180-4), the only hash there is.

use crate::bytes::Digest;

/// SHA-256 over the parts, one after another.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> Digest {
    #[cfg(feature = "ring")]
    {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        for part in parts {
            context.update(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        Digest::new(out)
    }
    #[cfg(not(feature = "ring"))]
    {
        use sha2::Digest as _;
        let mut hasher = sha2::Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Digest::new(hasher.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn the_published_digest_of_abc_comes_out_whatever_the_cut() {
        let published = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&[b"abc"]).to_string(), published);
        assert_eq!(sha256(&[b"a", b"", b"bc"]).to_string(), published);
    }
}
