//! Idempotency keys of a ceremony: the same step of the same plan is the same act, however often it is tried.
//!
//! So a step that was interrupted after its request was recorded finds its own proposal again, and an auditor tells the
//! requests of one ceremony from every other request for the same thing.

use crate::{
    bytes::{Digest, Idem},
    hash::sha256,
};

/// Keeps the keys of steps apart from any other digest.
const STEP: &[u8] = b"keysvc:ceremony:idem";
/// The same for the act that puts a transcript's digest into the log.
const ANCHOR: &[u8] = b"keysvc:ceremony:anchor";

/// The idempotency key of a step: the first 16 bytes of SHA-256 over a name, the plan's digest and the step's number as two
/// bytes, big-endian.
#[must_use]
pub fn idem_of_step(plan: &Digest, number: u16) -> Idem {
    head(&sha256(&[STEP, plan.as_bytes(), &number.to_be_bytes()]))
}

/// The idempotency key of the act that puts a transcript's digest into the log: the first 16 bytes of SHA-256 over a name
/// and that digest. It is the transcript's and not the plan's, so that a plan without requests can be held again.
#[must_use]
pub fn idem_of_anchor(transcript: &Digest) -> Idem {
    head(&sha256(&[ANCHOR, transcript.as_bytes()]))
}

fn head(digest: &Digest) -> Idem {
    let mut idem = [0; Idem::LEN];
    for (to, from) in idem.iter_mut().zip(digest.as_bytes()) {
        *to = *from;
    }
    Idem::new(idem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_a_plan_has_one_key_and_every_other_step_and_plan_another() {
        let (plan, other) = (Digest::new([1; 32]), Digest::new([2; 32]));
        assert_eq!(idem_of_step(&plan, 3), idem_of_step(&plan, 3));
        assert_ne!(idem_of_step(&plan, 3), idem_of_step(&plan, 4));
        assert_ne!(idem_of_step(&plan, 3), idem_of_step(&other, 3));
        // Two bytes, so that step 256 is not step 1 with another ending.
        assert_ne!(idem_of_step(&plan, 1), idem_of_step(&plan, 256));
    }

    #[test]
    fn the_key_is_the_head_of_the_named_digest() {
        let whole = sha256(&[b"keysvc:ceremony:idem".as_slice(), &[7; 32], &[0, 9]]);
        assert_eq!(idem_of_step(&Digest::new([7; 32]), 9).as_bytes(), &whole.as_bytes()[..16]);
    }

    #[test]
    fn two_transcripts_of_one_plan_are_anchored_by_two_acts() {
        let anchor = |transcript| idem_of_anchor(&Digest::new([transcript; 32]));
        assert_eq!(anchor(1), anchor(1));
        assert_ne!(anchor(1), anchor(2));
        assert_ne!(anchor(1), idem_of_step(&Digest::new([1; 32]), 0));
    }
}
