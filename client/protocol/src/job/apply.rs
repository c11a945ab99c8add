//! The one way in: a leaf of the log, taken by the book or refused.

use super::{Book, changes, derive, results};
use crate::{
    cbor::{self, REQUEST_LEN_MAX},
    control::{At, Control},
    cose::Signed,
    leaf::{
        CardKeysDerivedLeaf, CardsChangedLeaf, IncidentReportedLeaf, JobChangedLeaf, JobItemsLeaf,
        JobOpenedLeaf, JobPurgedLeaf, LeafKind, Statement,
    },
    name::Name,
    receipt::LEAF_PAYLOAD_LEN_MAX,
    refusal::{Invalid, Refusal},
    request::Operation,
};
use serde::{Serialize, de::DeserializeOwned};

/// Whose signatures were verified before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Nobody's: each is verified here.
    Nobody,
    /// The caller's own, over the request: the keeper's gate did it, or it stands in a log that was verified. Those of
    /// the people in it are verified here all the same.
    Caller,
}

/// What a leaf is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// Who is enrolled, and the profiles, as they stand before the leaf.
    pub control: &'a Control,
    /// Where the leaf stands.
    pub at: At,
    /// Whose signatures were verified before.
    pub trust: Trust,
    /// Whether officers agreed to it: the leaf lay in one of an act by a quorum, and its evidence was judged.
    pub by_quorum: bool,
}

/// Why a leaf was not taken.
#[derive(Debug)]
pub(super) enum Stop<F> {
    Refused(Refusal),
    Fault(F),
}

impl<F> From<Refusal> for Stop<F> {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

pub(super) type Step<T, F> = Result<T, Stop<F>>;

/// A book's own answer, as a step.
pub(super) fn book<T, F>(answer: Result<T, F>) -> Step<T, F> {
    answer.map_err(Stop::Fault)
}

/// A step's end: what the caller did wrong apart from what the book could not do.
pub(super) fn settled<T, F>(step: Step<T, F>) -> Result<Result<T, Refusal>, F> {
    match step {
        Ok(value) => Ok(Ok(value)),
        Err(Stop::Refused(refusal)) => Ok(Err(refusal)),
        Err(Stop::Fault(fault)) => Err(fault),
    }
}

/// Whether leaves of this kind are the book's affair.
#[must_use]
pub const fn concerns(kind: LeafKind) -> bool {
    matches!(
        kind,
        LeafKind::JobOpened
            | LeafKind::CardKeysDerived
            | LeafKind::JobChanged
            | LeafKind::JobItemsAdded
            | LeafKind::IncidentReported
            | LeafKind::CardsChanged
            | LeafKind::JobPurged
    )
}

/// Takes the next leaf that [`concerns`] the book; others change nothing. A leaf that is refused changes nothing either.
///
/// # Errors
/// The book's own; inside it the [`Refusal`] for what is wrong.
pub fn apply<B: Book>(
    into: &mut B,
    judge: &Judge<'_>,
    kind: LeafKind,
    payload: &[u8],
) -> Result<Result<(), Refusal>, B::Fault> {
    settled(taken(into, judge, kind, payload))
}

fn taken<B: Book>(into: &mut B, judge: &Judge<'_>, kind: LeafKind, payload: &[u8]) -> Step<(), B::Fault> {
    match kind {
        LeafKind::JobOpened => changes::open(into, judge, &read::<JobOpenedLeaf>(payload)?),
        LeafKind::CardKeysDerived => derive::take(into, judge, &read::<CardKeysDerivedLeaf>(payload)?),
        LeafKind::JobChanged => changed(into, judge, &read::<JobChangedLeaf>(payload)?),
        LeafKind::JobItemsAdded => changes::add_items(into, judge, &read::<JobItemsLeaf>(payload)?),
        LeafKind::IncidentReported => changes::report(into, judge, &read::<IncidentReportedLeaf>(payload)?),
        LeafKind::CardsChanged => results::take(into, judge, &read::<CardsChangedLeaf>(payload)?),
        LeafKind::JobPurged => changes::purge(into, judge, &read::<JobPurgedLeaf>(payload)?),
        _ => Ok(()),
    }
}

fn changed<B: Book>(into: &mut B, judge: &Judge<'_>, leaf: &JobChangedLeaf) -> Step<(), B::Fault> {
    match leaf.operation {
        Operation::JobCreate => changes::create(into, judge, leaf),
        Operation::JobSeal => changes::seal(into, judge, leaf),
        Operation::JobWithdraw => changes::withdraw(into, judge, leaf),
        Operation::JobSuspend => changes::suspend(into, judge, leaf),
        Operation::JobCount => changes::count(into, judge, leaf),
        Operation::JobClose => changes::close(into, judge, leaf),
        _ => Err(ENCODING.into()),
    }
}

pub(super) const ENCODING: Refusal = Refusal::Invalid { reason: Invalid::Encoding };

fn read<T: Serialize + DeserializeOwned>(payload: &[u8]) -> Result<T, Refusal> {
    cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX).map_err(|_| ENCODING)
}

impl Judge<'_> {
    /// The request in a leaf, once it is its principal's own.
    pub(super) fn request<T: Serialize + DeserializeOwned>(
        &self,
        (by, operation): (&Name, Operation),
        statement: &Statement,
    ) -> Result<T, Refusal> {
        let payload = match self.trust {
            Trust::Nobody => self.control.signed(by, operation, statement)?.1,
            Trust::Caller => {
                let signed = Signed::parse(statement.0.as_bytes());
                signed.map_err(|_| Refusal::Invalid { reason: Invalid::NotSigned })?.recorded_payload()
            }
        };
        cbor::decode(payload, REQUEST_LEN_MAX).map_err(|_| ENCODING)
    }
}
