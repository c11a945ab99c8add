//! What a key's record must show of itself: the public half and check value of its kind.
//!
//! Whether the key belongs in the log at all is the founding's and the key leaves' affair.

use keysvc_protocol::{
    key::{CheckValue, KeyKind, KeyRecord},
    public_key::PublicKey,
};

/// The P-256 public half of a pair whose check value is its digest.
pub(crate) fn public_half(key: &KeyRecord) -> Option<PublicKey> {
    let public = PublicKey::from_spki(key.public.as_ref()?.as_bytes()).ok()?;
    (key.check == CheckValue::Spki { value: public.digest() }).then_some(public)
}

/// Whether the record has the check value of its kind, and a public half where it is a pair.
pub(crate) fn is_sound(key: &KeyRecord) -> bool {
    match key.kind {
        KeyKind::ValueSigning | KeyKind::ServiceStatement | KeyKind::Checkpoint => public_half(key).is_some(),
        KeyKind::CardMaster => matches!(key.check, CheckValue::Cmac { .. }) && key.public.is_none(),
        KeyKind::Storage => matches!(key.check, CheckValue::Kw { .. }) && key.public.is_none(),
    }
}
