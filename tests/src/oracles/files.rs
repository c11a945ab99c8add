//! Files of messages: bundles, proposals with their approvals, exports, transcripts of ceremonies.

use super::{
    signed::{GENESIS, golden_key},
    wire::{any_of, strict},
};
use keysvc_protocol::{
    bundle::{BundleFile, TrustBundle},
    ceremony::{CeremonyFile, Plan, StepRecord, Transcript},
    evidence::EvidenceFile,
    export::{PayloadFile, Span, decode_entries, decode_hashes, encode_entries},
    founding::Founding,
    leaf::LeafEntry,
    merkle::leaf_hash,
    proposal::{Evidence, Proposal},
    quorum::{Approval, Need},
    sentence,
    trust::Trust,
};

/// A bundle's payload, and the file that carries one with the leaf it is proved by.
pub(super) fn bundle(bytes: &[u8]) -> bool {
    if let Some(bundle) = strict::<TrustBundle>(bytes) {
        // Under its own genesis, so that what comes after that comparison is met.
        if TrustBundle::from_payload(bytes, &bundle.genesis).is_ok() {
            assert!(bundle.log_key().is_ok() && bundle.holds_at(bundle.not_after_ms).is_ok());
            assert!(bundle.check_record(bytes, 0).is_err(), "a bundle is no record");
        }
    }
    let file = BundleFile::read(bytes).ok();
    assert_eq!(file, strict::<BundleFile>(bytes), "a bundle file is read otherwise by its own function");
    if let Some(file) = &file {
        let genesis = leaf_hash(file.founding.entry.as_bytes());
        let trust = Trust { domain: super::signed::DOMAIN.parse().expect("a domain"), genesis };
        let _ = file.verify(&trust);
        assert!(file.verify(&Trust { genesis: GENESIS, ..trust }).is_err() || genesis == GENESIS);
        let _ = TrustBundle::verify(file.bundle.as_bytes(), &GENESIS, &golden_key());
    }
    file.is_some() | any_of!(bytes; TrustBundle)
}

/// A proposal, an approval, the evidence of both, and the file that carries it with its leaves.
pub(super) fn proposal(bytes: &[u8]) -> bool {
    if let Some(need) = strict::<Need>(bytes) {
        let text = sentence::need(&need);
        assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
        let _ = (need.is_sound(), need.covers(&need), need.and(&need));
    }
    if let Some(evidence) = strict::<Evidence>(bytes) {
        let _ = Proposal::decode(evidence.proposal.as_bytes());
    }
    let file = EvidenceFile::read(bytes).ok();
    if let Some(file) = &file {
        strict::<EvidenceFile>(bytes);
        if let Some(first) = file.leaves.first() {
            let genesis = leaf_hash(first.leaf.entry.as_bytes());
            let trust = Trust { domain: super::signed::DOMAIN.parse().expect("a domain"), genesis };
            let founding = |leaf: &keysvc_protocol::leaf::FoundingLeaf| {
                let text = std::str::from_utf8(leaf.founding.as_bytes()).ok()?;
                toml::from_str::<Founding>(text).ok()
            };
            let _ = file.verify(&trust, founding);
        }
    }
    file.is_some() | any_of!(bytes; Proposal, Evidence, Approval, Need)
}

/// The files of an export. The first byte says of how many items, less one; a payload file is tried without it too.
pub(super) fn export(bytes: &[u8]) -> bool {
    let mut accepted = strict::<PayloadFile>(bytes).is_some();
    let Some((first, rest)) = bytes.split_first() else { return accepted };
    let width = u64::from(*first) + 1;
    let span = Span::of(0, width).expect("1 to 256 items");
    if let Ok(entries) = decode_entries(rest, span) {
        assert_eq!(entries.len(), span.width());
        assert_eq!(
            encode_entries(entries.iter().copied()).as_deref(),
            Ok(rest),
            "entries are written otherwise"
        );
        for entry in entries {
            assert_eq!(
                LeafEntry::decode(entry).ok(),
                strict::<LeafEntry>(entry).filter(|_| entry.len() <= 256)
            );
        }
        accepted = true;
    }
    if let Ok(hashes) = decode_hashes(rest, span) {
        let written: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
        assert_eq!((hashes.len(), written.as_slice()), (span.width(), rest));
        accepted = true;
    }
    if let Ok(payloads) = PayloadFile::decode(rest, span) {
        assert_eq!(payloads.len(), span.width());
        strict::<PayloadFile>(rest).expect("a payload file by both functions");
        accepted = true;
    }
    accepted
}

/// A plan as people write it, a transcript as the program writes it, and the file with both and the agreements.
pub(super) fn transcript(bytes: &[u8]) -> bool {
    let plan = std::str::from_utf8(bytes).ok().and_then(|text| toml::from_str::<Plan>(text).ok());
    if let Some(plan) = &plan {
        let _ = plan.check();
        let written = toml::to_string(plan).expect("a plan can be written");
        assert_eq!(toml::from_str::<Plan>(&written).as_ref(), Ok(plan), "a plan is written otherwise");
    }
    if let Ok(transcript) = Transcript::read(bytes) {
        strict::<Transcript>(bytes).expect("a transcript by both functions");
        let _ = transcript.head();
    }
    if let Ok((_, transcript)) = CeremonyFile::read(bytes) {
        strict::<CeremonyFile>(bytes).expect("a ceremony file by both functions");
        let _ = transcript.head();
    }
    plan.is_some() | any_of!(bytes; Transcript, CeremonyFile, StepRecord)
}
