//! The key manifest: the keys the log names, compared with what the token holds.
//!
//! A missing key, a drifted attribute, a wrong check value or an object without an intent is a reason not to serve.

use crate::error::Fault;
use keysvc_protocol::{
    bytes::{Blob, Digest, ObjectIdentifier, ShortCheck},
    key::{AttributeText, CheckValue, KeyKind, KeyRecord, KeyState},
    leaf::KeyIntentLeaf,
    list::List,
    name::Name,
    schema::Schema,
};
use keysvc_token::{CreatedKey, FoundObject, ObjectId, Origin, Token};
use std::collections::HashSet;
use zeroize::Zeroizing;

/// A key about to be made: what its intent says.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its name.
    pub name: Name,
    /// Its version, from 1.
    pub version: u32,
    /// What it is for.
    pub kind: KeyKind,
    /// Its `CKA_ID`.
    pub id: ObjectIdentifier,
    /// The state it is born in: keys of a founding and the service's own are in use at once, others wait for people.
    pub born: KeyState,
    /// A known value, for test keys alone.
    pub known: Option<[u8; 16]>,
}

/// The token's kind for a kind of the log.
#[must_use]
pub fn token_kind(kind: KeyKind) -> keysvc_token::KeyKind {
    match kind {
        KeyKind::CardMaster => keysvc_token::KeyKind::CardMaster,
        KeyKind::ValueSigning => keysvc_token::KeyKind::ValueSigning,
        KeyKind::ServiceStatement => keysvc_token::KeyKind::ServiceStatement,
        KeyKind::Checkpoint => keysvc_token::KeyKind::Checkpoint,
        KeyKind::Storage => keysvc_token::KeyKind::Storage,
    }
}

fn check_value(check: keysvc_token::CheckValue) -> CheckValue {
    match check {
        keysvc_token::CheckValue::Cmac(value) => CheckValue::Cmac { value: ShortCheck::new(value) },
        keysvc_token::CheckValue::Kw(value) => CheckValue::Kw { value: ShortCheck::new(value) },
        keysvc_token::CheckValue::Spki(value) => CheckValue::Spki { value: Digest::new(value) },
    }
}

/// Makes the ordered key in the token and says what was made. Its intent is on record before (or, at the founding,
/// the whole token is).
///
/// # Errors
/// [`Fault`] of the token.
pub fn make(token: &Token, order: &Order, now_ms: u64) -> Result<KeyRecord, Fault> {
    let id = ObjectId(*order.id.as_bytes());
    let label = order.name.as_str();
    let made = match &order.known {
        Some(value) => token.import_known(id, label, value)?,
        None => token.generate(token_kind(order.kind), id, label)?,
    };
    record(order, made, now_ms)
}

/// Makes the ordered key of a value that came in as components and says what was made. Its intent is on record before.
///
/// # Errors
/// [`Fault`] of the token.
pub fn import(
    token: &Token,
    order: &Order,
    value: &Zeroizing<[u8; 16]>,
    now_ms: u64,
) -> Result<KeyRecord, Fault> {
    let made = token.import(ObjectId(*order.id.as_bytes()), order.name.as_str(), value)?;
    record(order, made, now_ms)
}

fn record(order: &Order, made: CreatedKey, now_ms: u64) -> Result<KeyRecord, Fault> {
    let attributes = made.attributes.into_iter().map(|(name, value)| AttributeText { name, value });
    let public = made.public.map(Blob::try_from).transpose();
    Ok(KeyRecord {
        schema: Schema,
        name: order.name.clone(),
        version: order.version,
        kind: order.kind,
        state: order.born,
        id: order.id,
        check: check_value(made.check),
        test_key: order.known.is_some(),
        made_at_ms: now_ms,
        attributes: List::try_from(attributes.collect::<Vec<_>>())
            .map_err(|_| Fault::Invariant("a key has too many attributes for its record"))?,
        public: public.map_err(|_| Fault::Invariant("a public key is too long for its record"))?,
    })
}

/// Whether the token holds any key of the manifest: one that holds none is another token.
#[must_use]
pub fn holds_any(inventory: &[FoundObject], records: &[KeyRecord]) -> bool {
    let ids: HashSet<ObjectId> = records.iter().map(|record| ObjectId(*record.id.as_bytes())).collect();
    inventory.iter().any(|object| object.id.is_some_and(|id| ids.contains(&id)))
}

/// What differs between manifest and token, each with what it means. What is left of destroyed keys is told by
/// [`left_over`], for it takes more of the log.
///
/// # Errors
/// [`Fault`] of the token.
pub fn differences(
    (token, inventory): (&Token, &[FoundObject]),
    records: &[KeyRecord],
    open_intents: &[(u64, KeyIntentLeaf)],
) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    for record in records.iter().filter(|record| record.state != KeyState::Destroyed) {
        let id = ObjectId(*record.id.as_bytes());
        if inventory.iter().any(|object| object.id == Some(id)) {
            found.extend(differences_of(token, record)?);
        } else {
            found.push(format!("the key {} ({id}) is missing from the token", title(record)));
        }
    }
    for object in inventory {
        let known = object.id.is_some_and(|id| {
            let same = |other: &ObjectIdentifier| *other.as_bytes() == id.0;
            records.iter().any(|record| same(&record.id))
                || open_intents.iter().any(|(_, intent)| same(&intent.id))
        });
        if !known {
            let id = object.id.map_or_else(|| "without an identifier".to_owned(), |id| id.to_string());
            found.push(format!(
                "the token holds an object that no intent announced: {} {:?} {id}",
                object.class, object.label
            ));
        }
    }
    Ok(found)
}

/// What the token still holds of keys that were destroyed; not of those whose destruction has an intent and no outcome,
/// for it may have been interrupted before or after.
#[must_use]
pub fn left_over(
    inventory: &[FoundObject],
    records: &[KeyRecord],
    destroying: &[ObjectIdentifier],
) -> Vec<String> {
    let destroyed =
        |record: &&KeyRecord| record.state == KeyState::Destroyed && !destroying.contains(&record.id);
    let destroyed: Vec<_> = records.iter().filter(destroyed).collect();
    if destroyed.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for object in inventory {
        let of_this = |record: &&&KeyRecord| object.id.is_some_and(|id| id.0 == *record.id.as_bytes());
        if let Some(record) = destroyed.iter().find(of_this) {
            found.push(format!(
                "the key {} ({}) was destroyed, and the token holds it: {}",
                title(record),
                record.id,
                object.class
            ));
        }
    }
    found
}

/// A key as people name it.
fn title(record: &KeyRecord) -> String {
    match record.version {
        1 => record.name.to_string(),
        version => format!("{} version {version}", record.name),
    }
}

/// How a key came onto the token. A TEST KEY has a published value, another imported key's came in components: the token
/// cannot tell these two apart, so the record says it, by what was read back of the key at its birth.
fn origin(record: &KeyRecord) -> Origin {
    let at_birth = record.attributes.iter().map(|one| (one.name.as_str(), one.value.as_str()));
    if record.test_key { Origin::Imported } else { Origin::recorded(at_birth) }
}

fn differences_of(token: &Token, record: &KeyRecord) -> Result<Vec<String>, Fault> {
    let (kind, id) = (token_kind(record.kind), ObjectId(*record.id.as_bytes()));
    let origin = origin(record);
    let mut found = Vec::new();
    match token.drift(kind, id, origin) {
        Ok(drift) => found.extend(drift.into_iter().map(|drift| {
            let half = if drift.public { " (public half)" } else { "" };
            format!(
                "the key {}{half} has {} {}, not {}",
                title(record),
                drift.attribute,
                drift.found,
                drift.wanted
            )
        })),
        Err(error) if error.is_fatal() => return Err(error.into()),
        Err(error) => found.push(format!("the key {}: {error}", title(record))),
    }
    // A drifted key is not used, not even for its check value: what the token then says is no word on the key.
    if !found.is_empty() {
        return Ok(found);
    }
    match token.check_value(kind, id) {
        Ok(check) if check_value(check) == record.check => {}
        Ok(check) => found.push(format!(
            "the key {} has the check value {}, not {}",
            title(record),
            check_value(check),
            record.check
        )),
        Err(error) if error.is_fatal() => return Err(error.into()),
        Err(error) => found.push(format!("the key {}: {error}", title(record))),
    }
    Ok(found)
}
