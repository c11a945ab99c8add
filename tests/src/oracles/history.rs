//! What an auditor follows of a log: leaves as they are applied to the state of all that takes people. The log is the
//! service's word, so its leaves are outside bytes for whoever verifies them.

use super::signed::GENESIS;
use keysvc_protocol::{
    cbor,
    control::{At, Change, Control},
    founding::Founding,
    leaf::{FoundingLeaf, LeafKind},
    request::Operation,
    schema::Schema,
};
use std::sync::OnceLock;

/// Every officer and machine in it has the key that signed the golden messages.
const FOUNDING: &str = include_str!("golden-officers.toml");
/// When the first leaf is written: that of the golden messages.
const TIME_MS: u64 = 1_795_300_000_000;

/// Leaves one after the other: the number of the kind, the payload's length (2 bytes, big-endian) and the payload. One
/// that is refused changes nothing.
pub(super) fn history(bytes: &[u8]) -> bool {
    static FOUND: OnceLock<Control> = OnceLock::new();
    let mut control = FOUND.get_or_init(found).clone();
    let (mut rest, mut accepted) = (bytes, false);
    for index in 1_u64.. {
        let Some(([kind, high, low], after)) = rest.split_first_chunk() else { break };
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let (payload, after) = after.split_at_checked(len).unwrap_or((after, &[]));
        rest = after;
        let Ok(kind) = cbor::decode::<LeafKind>(&cbor::encode(kind), 2) else { continue };
        let before = control.clone();
        let at = At { index, time_ms: TIME_MS.saturating_add(index.saturating_mul(1_000)) };
        match control.apply(at, kind, payload) {
            Ok(()) => accepted |= Control::concerns(kind),
            Err(why) => assert!(control == before, "a leaf that is refused ({why}) changes the state"),
        }
    }
    for operation in Operation::ALL {
        // What the request of a change would do, whoever signed it.
        let _ = Change::of(operation, bytes);
    }
    accepted
}

fn found() -> Control {
    let founding: Founding = toml::from_str(FOUNDING).expect("a founding file");
    let leaf = FoundingLeaf {
        schema: Schema,
        founding: FOUNDING.as_bytes().to_vec().try_into().expect("no longer than one may be"),
        signatures: Vec::new().try_into().expect("no signatures"),
        keys: Vec::new().try_into().expect("no keys"),
        policy: founding.policy,
    };
    Control::found(founding, &leaf, GENESIS).expect("every key in it is one")
}
