//! Numbers for requests: 8 random bytes of this process, then a counter. Unique without coordination, and neighbours
//! in the log are seen to be neighbours.

use super::FrontFault;
use keysvc_protocol::{bytes::Idem, refusal::RequestId};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes request ids.
#[derive(Debug)]
pub(super) struct RequestIds {
    process: [u8; 8],
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Result<Self, FrontFault> {
        let mut process = [0; 8];
        SystemRandom::new().fill(&mut process).map_err(|_| FrontFault::Random)?;
        Ok(Self { process, next: AtomicU64::new(0) })
    }

    pub(super) fn next(&self) -> RequestId {
        let counter = u128::from(self.next.fetch_add(1, Ordering::Relaxed));
        let process = u128::from(u64::from_be_bytes(self.process)) << 64;
        RequestId(Idem::new((process | counter).to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_share_the_process_and_count_up() {
        let ids = RequestIds::new().unwrap();
        let (first, second) = (ids.next(), ids.next());
        assert_eq!(first.0.as_bytes()[..8], second.0.as_bytes()[..8]);
        assert_eq!(first.0.as_bytes()[8..], [0; 8]);
        assert_eq!(second.0.as_bytes()[8..], [0, 0, 0, 0, 0, 0, 0, 1]);
        let other = RequestIds::new().unwrap();
        assert_ne!(first.0.as_bytes()[..8], other.next().0.as_bytes()[..8]);
    }
}
