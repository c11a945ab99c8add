//! The token compared with the manifest: what the log says of each key, held against what the token was found to hold.
//!
//! Apart from the start's order because doctor compares the same. It changes nothing, and decides nothing but whether
//! there is a difference.

use crate::{
    error::Fault,
    keeper::{
        ledger::{Reader, SealClass},
        manifest, own_token,
        storage::class_of,
    },
};
use keysvc_protocol::{
    bytes::ObjectIdentifier,
    key::{KeyRecord, KeyState},
};
use keysvc_token::{FoundObject, HeldInventory, ObjectId, Token};
use std::collections::HashSet;

/// Compares the token with the manifest and its behaviour with what is asked of a token.
///
/// # Errors
/// [`Fault::Refusing`] with every difference, [`Fault::OtherToken`] when no key of ours is there.
pub fn compare_token(
    (token, inventory): (&Token, &HeldInventory),
    records: &[KeyRecord],
    reader: &Reader,
) -> Result<(), Fault> {
    let inventory = inventory.objects();
    let intents = reader.open_intents()?;
    for (leaf, intent) in &intents {
        tracing::warn!(leaf, key = %intent.name, id = %intent.id, "an intent without outcome: its object is not used");
    }
    if !manifest::holds_any(inventory, records) {
        let mend = "it was initialised anew, or it is another site's; put the service's token back";
        return Err(own_token::stranger(
            token.identity(),
            &format!("it holds none of the service's keys: {mend}"),
        ));
    }
    let expected = unless_going(inventory, records, reader)?;
    let mut found = manifest::differences((token, inventory), &expected, &intents)?;
    let missing = token.missing_mechanisms()?;
    found.extend(missing.iter().map(|name| format!("the token does not offer {name}")));
    found.extend(not_admitted(token)?);
    if found.is_empty() { Ok(()) } else { Err(Fault::Refusing(found.join("; "))) }
}

/// What a token must refuse or compute, and does not.
fn not_admitted(token: &Token) -> Result<Vec<String>, Fault> {
    let probes = keysvc_token::admission::probe(token)?;
    let failed = probes.into_iter().filter(|probe| !probe.passed);
    Ok(failed.map(|probe| format!("the token is not admitted: {}: {}", probe.name, probe.detail)).collect())
}

/// Looks again, while it serves, whether the token computes and refuses what it must.
///
/// # Errors
/// [`Fault::Refusing`] with every difference.
pub(super) fn compare_answers(token: &Token) -> Result<(), Fault> {
    let found = not_admitted(token)?;
    if found.is_empty() { Ok(()) } else { Err(Fault::Refusing(found.join("; "))) }
}

/// The keys that the token must hold as the log has them. A job's storage key may be gone where no data key lies under it:
/// the job's purge was interrupted, which erases the data key first. Nothing is lost with it that was not erased before.
fn unless_going(
    inventory: &[FoundObject],
    records: &[KeyRecord],
    reader: &Reader,
) -> Result<Vec<KeyRecord>, Fault> {
    let of_job = |record: &KeyRecord| {
        record.state == KeyState::Active && matches!(class_of(&record.name), Some(SealClass::Job(_)))
    };
    if !records.iter().any(of_job) {
        return Ok(records.to_vec());
    }
    let wrapping = reader.wrapping_keys()?;
    let held: HashSet<_> = inventory.iter().filter_map(|object| object.id).collect();
    let gone = |record: &KeyRecord| {
        of_job(record) && !held.contains(&ObjectId(*record.id.as_bytes())) && !wrapping.contains(&record.id)
    };
    let (gone, expected): (Vec<_>, Vec<_>) = records.iter().cloned().partition(gone);
    for record in gone {
        tracing::warn!(key = %record.name, id = %record.id, "the purge of a job was interrupted: its storage key is gone");
    }
    Ok(expected)
}

/// Looks whether the token held, when it was listed, what the log says is destroyed.
///
/// # Errors
/// [`Fault::Refusing`] with every such key; those whose destruction has no outcome yet are in `destroying`.
pub fn compare_destroyed(
    inventory: &HeldInventory,
    records: &[KeyRecord],
    destroying: &[ObjectIdentifier],
) -> Result<(), Fault> {
    let found = manifest::left_over(inventory.objects(), records, destroying);
    if found.is_empty() { Ok(()) } else { Err(Fault::Refusing(found.join("; "))) }
}
