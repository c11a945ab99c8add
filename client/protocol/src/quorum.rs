//! Counting people. The only place where it is done, for keeper, officers' programs and auditors alike.
//!
//! A quorum counts distinct people with a verified COSE signature by their own approval key over the same proposal bytes,
//! at least two by type. Machines never count; the requester counts only through an approval of their own. Signatures are
//! verified before anything in them is read.

use crate::{
    bytes::{Digest, Idem, KeyIdentifier},
    cbor,
    cose::{CoseError, Kind, Signed},
    hash::sha256,
    list::List,
    name::Name,
    public_key::PublicKey,
    refusal::Uncounted,
    request::Operation,
    schema::Schema,
};
use alloc::{collections::BTreeSet, vec::Vec};
use serde::{Deserialize, Serialize};

/// Most departments that a need names.
pub const NAMED_MAX: usize = 8;
/// Most people that a need asks for: a site has at most 32 officers.
pub const PERSONS_MAX: u8 = 32;
/// Longest encoded approval, in bytes: a digest, a verdict, a time and a nonce.
pub const APPROVAL_PAYLOAD_LEN_MAX: usize = 96;

/// What would be enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// Field 0.
    pub schema: Schema,
    /// Distinct people; two or more.
    pub persons: u8,
    /// Distinct departments among them; 1 where it does not matter.
    pub departments: u8,
    /// Departments that must each be among them, in ascending order.
    pub named: List<Name, NAMED_MAX>,
}

impl Need {
    /// So many people of any departments; never fewer than two.
    #[must_use]
    pub fn of(persons: u8) -> Self {
        Self { schema: Schema, persons: persons.max(2), departments: 1, named: List::default() }
    }

    /// Whether it is one that people can meet: two or more people, not more departments than people.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let named = u8::try_from(self.named.len()).unwrap_or(u8::MAX);
        (2..=PERSONS_MAX).contains(&self.persons)
            && (1..=self.persons).contains(&self.departments)
            && named <= self.persons
            && self.named.is_sorted_by(|a, b| a < b)
    }

    /// Whether whatever meets this need meets `other` as well.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let named = u8::try_from(self.named.len()).unwrap_or(u8::MAX);
        self.persons >= other.persons
            && self.departments.max(named) >= other.departments
            && other.named.iter().all(|name| self.named.contains(name))
    }

    /// The least need that covers both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let named: BTreeSet<_> = self.named.iter().chain(other.named.iter()).cloned().collect();
        let most = u8::try_from(named.len()).unwrap_or(u8::MAX);
        let departments = self.departments.max(other.departments).max(1);
        let persons = self.persons.max(other.persons).max(departments).max(most);
        match List::try_from(named.into_iter().collect::<Vec<_>>()) {
            Ok(named) => Self { schema: Schema, persons, departments, named },
            // A roster has at most eight departments, so nobody could meet a need that names more: nobody does.
            Err(_) => Self { schema: Schema, persons: u8::MAX, departments, named: List::default() },
        }
    }

    /// Whether these people would be enough if every one of them agreed.
    #[must_use]
    pub fn is_met_by_all(&self, people: &[&Voter]) -> bool {
        Quorum { people: people.iter().map(|voter| (*voter).clone()).collect() }.meets(self)
    }
}

/// An officer's verdict on a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// Yes.
    Approve,
    /// No; it ends the proposal.
    Reject,
}

/// What an officer signs ([`Kind::Approval`], bound to the genesis digest).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Field 0.
    pub schema: Schema,
    /// SHA-256 of the proposal's bytes.
    pub proposal: Digest,
    /// The verdict.
    pub verdict: Verdict,
    /// When it was signed, by the officer's clock: a claim, milliseconds since 1970-01-01 UTC.
    pub signed_at_ms: u64,
    /// 16 random bytes.
    pub nonce: Idem,
}

/// An officer, as the counting sees one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// The name.
    pub name: Name,
    /// The department.
    pub department: Name,
    /// The approval key.
    pub key: PublicKey,
    /// Whether the officer may act.
    pub enabled: bool,
}

/// Who may vote.
pub trait Voters {
    /// The officer whose approval key has this identifier.
    fn voter(&self, key: KeyIdentifier) -> Option<&Voter>;
}

impl Voters for [Voter] {
    fn voter(&self, key: KeyIdentifier) -> Option<&Voter> {
        self.iter().find(|voter| voter.key.identifier() == key)
    }
}

/// The people who approved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quorum {
    people: Vec<Voter>,
}

impl Quorum {
    /// The people, in the order of their approvals.
    pub fn people(&self) -> impl Iterator<Item = &Name> {
        self.people.iter().map(|voter| &voter.name)
    }

    /// How many people.
    #[must_use]
    pub fn persons(&self) -> u8 {
        u8::try_from(self.people.len()).unwrap_or(u8::MAX)
    }

    /// Their distinct departments, ascending.
    #[must_use]
    pub fn departments(&self) -> Vec<Name> {
        let departments: BTreeSet<_> = self.people.iter().map(|voter| voter.department.clone()).collect();
        departments.into_iter().collect()
    }

    /// Whether they are enough. Never with fewer than two.
    #[must_use]
    pub fn meets(&self, need: &Need) -> bool {
        let departments = self.departments();
        let distinct = u8::try_from(departments.len()).unwrap_or(u8::MAX);
        self.persons() >= need.persons.max(2)
            && distinct >= need.departments
            && need.named.iter().all(|name| departments.contains(name))
    }
}

/// Verifies one vote over a proposal's bytes and says whose it is.
///
/// # Errors
/// [`Uncounted`] for the first thing wrong; nothing is read before the signature holds.
pub fn vote<'v>(
    proposal: &[u8],
    approval: &[u8],
    verdict: Verdict,
    genesis: &Digest,
    voters: &'v (impl Voters + ?Sized),
) -> Result<&'v Voter, Uncounted> {
    let signed = Signed::parse(approval).map_err(|_| Uncounted::Form)?;
    let voter = voters.voter(signed.key_identifier()).ok_or(Uncounted::NotAnOfficer)?;
    let opened = signed.open(Kind::Approval, genesis.as_bytes(), &voter.key);
    let payload = opened.map_err(|error| match error {
        CoseError::Malformed | CoseError::WrongKind => Uncounted::Form,
        CoseError::WrongKey | CoseError::BadSignature => Uncounted::Signature,
    })?;
    let said: Approval = cbor::decode(payload, APPROVAL_PAYLOAD_LEN_MAX).map_err(|_| Uncounted::Form)?;
    if said.proposal != sha256(&[proposal]) {
        return Err(Uncounted::OtherProposal);
    }
    if said.verdict != verdict {
        return Err(Uncounted::OtherVerdict);
    }
    if !voter.enabled {
        return Err(Uncounted::Disabled);
    }
    Ok(voter)
}

/// Counts the people who approved a proposal's bytes. A person counts once, however many approvals are theirs, and one
/// public key is one person.
///
/// # Errors
/// [`Uncounted`] when any of the approvals does not count: evidence holds nothing but good ones.
pub fn count<'a>(
    proposal: &[u8],
    approvals: impl IntoIterator<Item = &'a [u8]>,
    genesis: &Digest,
    voters: &(impl Voters + ?Sized),
) -> Result<Quorum, Uncounted> {
    let mut people: Vec<Voter> = Vec::new();
    for approval in approvals {
        let voter = vote(proposal, approval, Verdict::Approve, genesis, voters)?;
        if !people.iter().any(|known| known.name == voter.name || known.key == voter.key) {
            people.push(voter.clone());
        }
    }
    Ok(Quorum { people })
}

/// The fewest people an operation takes by its type, whatever policies say; nothing where one caller may be enough.
/// `officers` is the number of officers on the roster, enabled or not, so that nobody alone can lower it; `of_officer`
/// says whether the operation is about an officer.
#[must_use]
pub fn floor(operation: Operation, of_officer: bool, officers: usize) -> Option<Need> {
    let larger = if officers > 2 { 3 } else { 2 };
    match operation {
        Operation::PrincipalEnrol | Operation::PrincipalRotate if of_officer => Some(Need::of(larger)),
        Operation::QuorumSet | Operation::KeyDestroy | Operation::KeyImport | Operation::PolicyPropose => {
            Some(Need::of(larger))
        }
        Operation::PrincipalEnrol
        | Operation::PrincipalRotate
        | Operation::PrincipalEnable
        | Operation::KeyCreate
        | Operation::KeyActivate
        | Operation::KeyRetire
        | Operation::FreezeLift
        | Operation::ProfilePut
        | Operation::ClockConfirm => Some(Need::of(2)),
        _ => None,
    }
}

/// The act of one caller alone that [`crate::control`] knows: stopping things, a custodian's own component, the record
/// of a ceremony. Everything else it knows takes a quorum.
#[must_use]
pub const fn one_is_enough(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::PrincipalDisable
            | Operation::FreezeSet
            | Operation::KeySuspend
            | Operation::KeyCompromise
            | Operation::ProposalCancel
            | Operation::ComponentGive
            | Operation::CeremonyRecord
    )
}
