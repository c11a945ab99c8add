//! What this crate reads in a message, in the second verifier's words: fields by their numbers, bytes in hexadecimal.

use keysvc_protocol::{
    bundle::{BundleKey, BundleProgramme, TrustBundle},
    checkpoint::SignedCheckpoint,
    delivery::{DeliveredKey, Delivery, ExchangeOpening},
    freeze::Scope,
    job::JobItem,
    value::ValueUpdate,
};
use serde_json::{Value, json};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn update(said: &ValueUpdate) -> Value {
    let mut fields = json!({
        "0": 1, "1": said.programme.as_str(), "2": hex(said.card.as_bytes()), "3": said.purse,
        "4": said.operation as u8, "5": said.seq, "6": said.amount, "7": said.currency,
        "8": said.balance_before, "9": said.balance_after, "10": hex(said.previous.as_bytes()),
        "11": hex(said.txn.as_bytes()), "12": said.terminal.as_str(), "13": said.issued_at_ms,
        "14": said.expires_at_ms, "15": said.flags,
    });
    if let Some(evidence) = said.evidence {
        fields["16"] = json!(hex(evidence.as_bytes()));
    }
    fields
}

pub fn opening(said: &ExchangeOpening) -> Value {
    json!({
        "0": 1, "1": said.station.as_str(), "2": hex(said.exchange.as_bytes()), "3": said.job.as_str(),
        "4": hex(said.wrapping_key.as_bytes()), "5": hex(said.wrapped.as_bytes()),
        "6": hex(said.check.as_bytes()), "7": said.expires_at_ms,
    })
}

pub fn delivery(said: &Delivery) -> Value {
    let key = |key: &DeliveredKey| {
        json!({
            "0": hex(key.card.as_bytes()), "1": key.slot, "2": key.key_version,
            "3": hex(key.wrapped.as_bytes()), "4": hex(key.check.as_bytes()),
        })
    };
    let item = |item: &JobItem| json!({"0": hex(item.card.as_bytes()), "1": hex(item.data.0.as_bytes())});
    json!({
        "0": 1, "1": said.station.as_str(), "2": hex(said.exchange.as_bytes()), "3": hex(said.idem.as_bytes()),
        "4": said.job.as_str(), "5": said.generation, "6": said.profile.as_str(), "7": said.profile_version,
        "8": said.keys.iter().map(key).collect::<Vec<_>>(),
        "9": said.items.iter().map(item).collect::<Vec<_>>(),
    })
}

fn key(said: &BundleKey) -> Value {
    let mut fields = json!({
        "0": said.name.as_str(), "1": said.version, "2": hex(said.kid.as_bytes()),
        "3": hex(said.public.as_bytes()), "4": said.state as u8, "5": said.not_before_ms,
    });
    if let Some(not_after_ms) = said.not_after_ms {
        fields["6"] = json!(not_after_ms);
    }
    fields
}

fn programme(said: &BundleProgramme) -> Value {
    json!({
        "0": said.name.as_str(), "1": said.organisation.as_str(), "2": said.currency,
        "3": said.value_key.as_str(), "4": said.profile.as_str(), "5": said.purses.to_vec(),
        "6": said.ceiling, "7": said.load_max, "8": said.debit_max,
    })
}

fn scope(said: &Scope) -> Value {
    match said {
        Scope::Card { card, programme: None } => json!({"0": {"0": hex(card.as_bytes())}}),
        Scope::Card { card, programme: Some(programme) } => {
            json!({"0": {"0": hex(card.as_bytes()), "1": programme.as_str()}})
        }
        Scope::Terminal { name } => json!({"1": {"0": name.as_str()}}),
        other => panic!("this test freezes no {other}"),
    }
}

pub fn bundle(said: &TrustBundle) -> Value {
    json!({
        "0": 1, "1": said.trust_domain.as_str(), "2": hex(said.genesis.as_bytes()), "3": said.development,
        "4": said.made_at_ms, "5": said.not_after_ms, "6": hex(said.log_key.as_bytes()),
        "7": hex(said.checkpoint.as_bytes()),
        "8": said.value_keys.iter().map(key).collect::<Vec<_>>(),
        "9": said.programmes.iter().map(programme).collect::<Vec<_>>(),
        "10": said.denied.iter().map(scope).collect::<Vec<_>>(),
    })
}

pub fn checkpoint(said: &SignedCheckpoint) -> Value {
    let checkpoint = said.checkpoint();
    json!({
        "0": checkpoint.origin.as_str(), "1": checkpoint.head.size, "2": hex(checkpoint.head.root.as_bytes()),
    })
}
