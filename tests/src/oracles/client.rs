//! What a client reads from its own disk, and what a custodian types: another program or hand may have written it.

use super::{
    network::Scratch,
    signed::{DOMAIN, GENESIS, golden_key},
};
use keysvc_client::{ClientConfig, Component, agreement::SignedAgreement, seen::Seen, trust_store::Founded};
use keysvc_protocol::{
    bytes::ProposalId,
    checkpoint::NOTE_LEN_MAX,
    merkle::leaf_hash,
    name::Name,
    receipt::LeafEvidence,
    sealing::{Place, SEALED_LEN},
    trust::Trust,
};

/// Each kind of file with these bytes in it, and a component, open and sealed.
pub(super) fn files(bytes: &[u8]) -> bool {
    thread_local! {
        static SCRATCH: Scratch = Scratch::new("client");
    }
    let text = std::str::from_utf8(bytes).ok();
    let trusted = text.and_then(|text| {
        let trust = Trust::parse(text).ok()?;
        assert_eq!(trust.to_text(), text, "a trust file has two spellings");
        Some(trust)
    });
    let component = text.is_some_and(component);
    sealed(bytes);
    SCRATCH.with(|scratch| trusted.is_some() | component | on_disk(scratch, bytes))
}

fn on_disk(scratch: &Scratch, bytes: &[u8]) -> bool {
    let config = ClientConfig::read(&scratch.write("client.toml", bytes));
    if let Ok(config) = &config {
        assert!(!config.endpoints.is_empty() && config.ca.starts_with("/") && config.state.starts_with("/"));
        let _ = config.read_trust();
    }
    let agreement = SignedAgreement::read(&scratch.write("agreement", bytes));
    if let Ok(agreement) = &agreement {
        assert_eq!(agreement.as_bytes(), bytes, "an agreement is kept otherwise than read");
    }
    let trust = Trust { domain: DOMAIN.parse().expect("a domain"), genesis: GENESIS };
    scratch.write("checkpoint", bytes);
    let seen = Seen::open(scratch.path(), &trust, golden_key());
    if let Ok(seen) = &seen {
        let kept = seen.highest().expect("a file is there");
        assert_eq!(kept.as_bytes(), bytes, "a checkpoint is kept otherwise than read");
        assert!(bytes.len() <= NOTE_LEN_MAX);
    }
    scratch.write("founding", bytes);
    // Under the trust file that this leaf would have, so that all that comes after is met.
    let own = keysvc_protocol::cbor::decode::<LeafEvidence>(bytes, bytes.len());
    let genesis = own.map_or(GENESIS, |leaf| leaf_hash(leaf.entry.as_bytes()));
    let founded = Founded::load(scratch.path(), &Trust { genesis, ..trust });
    config.is_ok() | agreement.is_ok() | seen.is_ok() | founded.is_ok()
}

/// What is read as a component is written and read as the same.
fn component(text: &str) -> bool {
    let Ok(component) = Component::from_hex(text) else { return false };
    let again = Component::from_hex(&component.written()).expect("what is written reads");
    assert_eq!(again.expose(), component.expose(), "a component is written otherwise");
    assert_eq!(again.check_value(), component.check_value());
    true
}

/// Bytes nobody sealed open nowhere; `dh` answers for a token that agrees with any point.
fn sealed(bytes: &[u8]) {
    let custodian: Name = "custodian-1".parse().expect("a name");
    let place =
        Place { genesis: &GENESIS, proposal: &ProposalId::new([3; 16]), number: 1, custodian: &custodian };
    let opened = place.open(bytes, &golden_key(), |_| Ok::<_, ()>(Default::default()));
    assert!(opened.is_err() || bytes.len() == SEALED_LEN, "a component of another length opens");
}
