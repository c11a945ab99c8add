//! `fobaudit evidence`, and the `--evidence` of `fobaudit value`: who agreed to one act, from the trust file and one file.
//!
//! The proofs are [`keysvc_protocol::evidence`]'s; here the founding is read and the act put into words.

use crate::{
    checks::{self, Agreement, said},
    fault::Fault,
    founding_check::{Founded, FoundingProblem, agreed},
    log_folder::read_file,
    value::{Accepted, ByPeople, Refused},
};
use keysvc_protocol::{
    bytes::Digest,
    cbor,
    control::At,
    evidence::{EvidenceError, EvidenceFile, Proved},
    leaf::{LeafEntry, LeafKind, ValueUpdatedLeaf},
    merkle::TreeHead,
    trust::Trust,
};
use std::path::Path;

/// Why an evidence file proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unproved {
    /// The file, its proofs or its people.
    #[error("{0}")]
    Evidence(#[from] EvidenceError),
    /// Leaf 0 in it.
    #[error("leaf 0 in the evidence: {0}")]
    Founding(#[from] FoundingProblem),
}

/// What an evidence file proves, in words.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The proof.
    pub(crate) proved: Proved,
    /// SHA-256 of the evidence in the act: what a value update carries of it.
    pub(crate) digest: Digest,
    /// Who agreed, and what it took.
    pub(crate) agreement: Agreement,
    /// The act as a sentence; nothing where the file does not hold its requester's key.
    pub(crate) sentence: Option<String>,
    /// The tree that holds the act's leaf.
    pub(crate) checkpoint: TreeHead,
    /// The founding.
    pub(crate) founded: Founded,
}

/// Reads an evidence file.
///
/// # Errors
/// [`Fault`] when it cannot be read.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    read_file(path, u64::try_from(EvidenceFile::LEN_MAX).unwrap_or(u64::MAX))
}

/// Verifies an evidence file by the trust file alone.
///
/// # Errors
/// [`Unproved`] naming the first check that failed.
pub(crate) fn prove(bytes: &[u8], trust: &Trust) -> Result<Shown, Unproved> {
    let file = EvidenceFile::read(bytes)?;
    let first = file.leaves.first().ok_or(EvidenceError::Incomplete)?;
    let founded = Founded::prove(trust, &first.leaf)?;
    let proved = file.verify(trust, |leaf| agreed(leaf).ok())?;
    let mut control = founded.control.clone().from_evidence_alone();
    // All of them are verified; they are followed once more for the names and keys at the act.
    let before = file.leaves.iter().skip(1).take(file.leaves.len().saturating_sub(2));
    for leaf in before.map(|proven| &proven.leaf) {
        let entry = LeafEntry::decode(leaf.entry.as_bytes()).map_err(EvidenceError::from)?;
        let payload = leaf.payload.as_ref().ok_or(EvidenceError::Incomplete)?;
        let at = At { index: entry.index, time_ms: entry.time_ms };
        control.apply(at, entry.kind, payload.as_bytes()).map_err(EvidenceError::from)?;
    }
    let request = &proved.proposal.request;
    Ok(Shown {
        digest: proved.act.evidence.digest(),
        agreement: Agreement::of(&control, &proved.act, &proved.proposal),
        sentence: said(&control, &request.requester, request.operation, &request.statement),
        checkpoint: file.checkpoint.checkpoint().head,
        founded,
        proved,
    })
}

/// Adds who agreed to a record that holds, once the evidence is shown to be this record's.
///
/// # Errors
/// [`Refused`] when it is another's, or the record says that it took nobody.
pub(crate) fn attach(accepted: Accepted, shown: Shown) -> Result<Accepted, Refused> {
    let Some(named) = accepted.update.evidence else { return Err(Refused::NotByPeople) };
    let act = &shown.proved.act;
    let update = checks::decode::<ValueUpdatedLeaf>(act.act.as_bytes()).ok().map(|leaf| leaf.update);
    let same = update.is_some_and(|update| update.as_bytes() == cbor::encode(&accepted.update));
    if act.kind != LeafKind::ValueUpdated || !same || named != shown.digest {
        return Err(Refused::OtherEvidence);
    }
    Ok(Accepted { people: ByPeople::Shown(Box::new(shown)), ..accepted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        sample::{ALICE, Export, SPARE_KEY, Sample, VALUE_KEY},
        value::{Evidence, by_evidence},
    };
    use keysvc_protocol::{
        evidence::ProvenLeaf,
        freeze::Scope,
        leaf::ActByQuorumLeaf,
        refusal::{Refusal, Uncounted},
        request::{EnrolPrincipal, Enrolment, Operation},
        schema::Schema,
    };

    /// A log whose last leaf is a load that two agreed to, and that leaf.
    fn loaded() -> (Sample, u64) {
        let mut sample = Sample::good();
        let act = sample.large_load();
        (sample, act)
    }

    fn shown(sample: &Sample, act: u64) -> Shown {
        prove(&sample.evidence_file(&[], act), &sample.trust()).unwrap()
    }

    #[test]
    fn a_file_proves_who_agreed_to_an_act_and_says_the_act() {
        let (mut sample, act) = loaded();
        sample.update(|_| {});
        let shown = shown(&sample, act);
        assert_eq!((shown.proved.at.index, shown.checkpoint.size), (act, 11));
        let people: Vec<_> = shown.agreement.people.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(people, ["alice", "bob"]);
        let said = shown.sentence.unwrap();
        assert!(
            said.starts_with("Load 20.00 (currency 978, 2000 minor units) on card 04782e21801d80"),
            "{said}"
        );
    }

    #[test]
    fn a_record_that_took_people_is_verified_by_the_log_or_by_the_file_alone() {
        let (sample, act) = loaded();
        let record = sample.approved_record(VALUE_KEY);
        let accepted = sample.export().value(&record, None).unwrap();
        assert!(matches!(accepted.people, ByPeople::Named(_)));
        let accepted = attach(accepted, shown(&sample, act)).unwrap();
        assert!(matches!(accepted.people, ByPeople::Shown(_)));
        let accepted = by_evidence(&record, shown(&sample, act), None).unwrap();
        assert_eq!(accepted.update.evidence, Some(shown(&sample, act).digest));
        assert!(matches!(accepted.evidence, Evidence::File { leaf, .. } if leaf == act));
        let forged = by_evidence(&sample.approved_record(SPARE_KEY), shown(&sample, act), None);
        assert!(matches!(forged, Err(Refused::OtherKey { .. })));
    }

    #[test]
    fn a_record_that_took_nobody_is_not_proved_by_the_evidence_of_people() {
        let (mut sample, act) = loaded();
        sample.update(|_| {});
        let accepted = sample.export().value(&sample.signed_record(VALUE_KEY), None).unwrap();
        assert!(matches!(accepted.people, ByPeople::None));
        assert_eq!(attach(accepted, shown(&sample, act)).unwrap_err(), Refused::NotByPeople);
    }

    #[test]
    fn the_evidence_of_another_act_is_refused() {
        let (mut sample, first) = loaded();
        sample.large_load();
        let accepted = sample.export().value(&sample.approved_record(VALUE_KEY), None).unwrap();
        assert_eq!(attach(accepted, shown(&sample, first)).unwrap_err(), Refused::OtherEvidence);
    }

    #[test]
    fn the_kind_of_a_records_signature_says_whether_it_took_people() {
        let (sample, _) = loaded();
        // Signed as if it took nobody, and the other way round.
        let refused = sample.export().value(&sample.signed_record(VALUE_KEY), None).unwrap_err();
        assert_eq!(refused.code(), "contents");
        let plain = Sample::good();
        let refused = plain.export().value(&plain.approved_record(VALUE_KEY), None).unwrap_err();
        assert_eq!(refused.code(), "contents");
    }

    #[test]
    fn a_file_of_too_few_people_or_without_a_change_of_officers_proves_nothing() {
        let mut sample = Sample::good();
        let (bytes, approvals, request) = sample.load_agreed(&[ALICE]);
        let evidence = Sample::evidence(&bytes, &approvals);
        let done = sample.load_done(&request, &evidence);
        let act = sample.act_leaf(evidence, LeafKind::ValueUpdated, &done);
        let index = sample.push(LeafKind::SealedActByQuorum, &act);
        let few = prove(&sample.evidence_file(&[], index), &sample.trust()).unwrap_err();
        let too_few = Refusal::ApprovalInvalid { reason: Uncounted::TooFew };
        assert_eq!(few, Unproved::Evidence(EvidenceError::Refused(too_few)));
        let mut sample = Sample::good();
        let principal = Enrolment {
            id: "carol".parse().unwrap(),
            ..crate::sample::enrolment("carol", keysvc_protocol::founding::PrincipalKind::Officer, 40)
        };
        let idem = keysvc_protocol::bytes::Idem::new([40; 16]);
        let enrolled =
            sample.agreed(Operation::PrincipalEnrol, &EnrolPrincipal { schema: Schema, idem, principal });
        sample.later_ms = 25 * 3_600_000;
        let in_force = sample.take_effect(enrolled, sample.next_time());
        let act = sample.large_load();
        assert_eq!(found(&sample.export()), 0);
        assert!(prove(&sample.evidence_file(&[enrolled, in_force], act), &sample.trust()).is_ok());
        let left_out = prove(&sample.evidence_file(&[], act), &sample.trust()).unwrap_err();
        let other = Refusal::ApprovalInvalid { reason: Uncounted::OtherRoster };
        assert_eq!(left_out, Unproved::Evidence(EvidenceError::Refused(other)));
    }

    #[test]
    fn a_file_without_a_change_of_the_policies_proves_nothing() {
        let mut sample = Sample::good();
        let first = sample.put_policies(92);
        let second = sample.put_policies(93);
        let act = sample.large_load();
        assert_eq!(found(&sample.export()), 0);
        assert!(prove(&sample.evidence_file(&[first, second], act), &sample.trust()).is_ok());
        assert!(prove(&sample.evidence_file(&[first], second), &sample.trust()).is_ok());
        let other = Refusal::ApprovalInvalid { reason: Uncounted::OtherPolicy };
        for between in [&[][..], &[first], &[second]] {
            let refused = prove(&sample.evidence_file(between, act), &sample.trust()).unwrap_err();
            assert_eq!(refused, Unproved::Evidence(EvidenceError::Refused(other.clone())), "{between:?}");
        }
    }

    #[test]
    fn the_evidence_of_an_import_needs_somebody_who_is_no_custodian() {
        let mut sample = Sample::good();
        let request = sample.import();
        let good = sample.agreed(Operation::KeyImport, &request);
        let shown = shown(&sample, good);
        assert!(shown.sentence.unwrap().starts_with("Import the next version of key fob-master "));
        let (sample, officers, alone) = Sample::custodians_alone();
        let refused = prove(&sample.evidence_file(&officers, alone), &sample.trust()).unwrap_err();
        let why = Refusal::ApprovalInvalid { reason: Uncounted::CustodiansAlone };
        assert_eq!(refused, Unproved::Evidence(EvidenceError::Refused(why)));
    }

    fn found(export: &Export) -> u64 {
        export.verify().findings.total()
    }

    #[test]
    fn a_file_with_another_leaf_or_of_another_log_proves_nothing() {
        let (sample, act) = loaded();
        let bytes = sample.evidence_file(&[], act);
        let mut other = sample.trust();
        other.genesis = Digest::new([1; 32]);
        assert_eq!(prove(&bytes, &other).unwrap_err(), Unproved::Founding(FoundingProblem::NotGenesis));
        assert!(matches!(prove(b"no", &sample.trust()), Err(Unproved::Evidence(EvidenceError::Encoding(_)))));
        let mut file = EvidenceFile::read(&bytes).unwrap();
        let mut leaves: Vec<ProvenLeaf> = file.leaves.into_vec();
        leaves[1].inclusion = leaves[0].inclusion.clone();
        file.leaves = leaves.try_into().unwrap();
        let refused = prove(&cbor::encode(&file), &sample.trust()).unwrap_err();
        assert!(matches!(refused, Unproved::Evidence(EvidenceError::NotIncluded(_))), "{refused:?}");
    }

    #[test]
    fn an_act_of_officers_is_proved_and_said_too() {
        let mut sample = Sample::good();
        let scope = Scope::Terminal { name: "terminal-1".parse().unwrap() };
        sample.freeze(scope.clone());
        let act = sample.lift(scope);
        let shown = shown(&sample, act);
        assert!(shown.sentence.unwrap().starts_with("Let terminal terminal-1 go on. "));
        let leaf: ActByQuorumLeaf = sample.payload(act);
        assert_eq!(leaf.evidence.digest(), shown.digest);
    }
}
