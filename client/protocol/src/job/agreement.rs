//! What a person on the floor signs: the act itself, word for word as it stands in the station's request.
//!
//! A request of the station carries these agreements, because a machine is nobody. Each is fresh, serves once, and binds
//! one person to one act on one job.

use super::{Counts, Incident, PurgeReceipt, book::Used};
use crate::{
    bytes::Idem,
    cbor,
    control::{At, Control, Member},
    cose::{CoseError, Kind, Signed},
    founding::PrincipalKind,
    name::Name,
    refusal::{Refusal, Uncounted},
    schema::Schema,
};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Longest signed agreement, in bytes: a purge receipt or an incident with three texts of 200 bytes, two names, 160 for
/// the COSE frame.
pub const AGREEMENT_LEN_MAX: usize = 1_152;
/// Longest encoded agreement, in bytes.
const PAYLOAD_LEN_MAX: usize = 1_024;
/// How long an agreement can be used: a quarter of an hour from its signing.
pub const AGREEMENT_LIFE_MS: u64 = 15 * 60 * 1000;
/// How far a person's clock may be ahead of the service's.
pub const AGREEMENT_EARLY_MAX_MS: u64 = 5 * 60 * 1000;

/// What a person agrees to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum JobAct {
    /// A session at a station begins.
    Open {
        /// The station.
        station: Name,
    },
    /// A stopped job goes on at a station.
    Resume {
        /// The station.
        station: Name,
    },
    /// What was counted.
    Count {
        /// The counts.
        counts: Counts,
    },
    /// Something went wrong.
    Incident {
        /// What.
        incident: Incident,
    },
    /// The station's data are erased.
    Close {
        /// The station's receipt.
        receipt: PurgeReceipt,
    },
}

/// What a person signs ([`Kind::JobAgreement`], bound to the genesis digest).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobAgreement {
    /// Field 0.
    pub schema: Schema,
    /// The job.
    pub job: Name,
    /// The act.
    pub act: JobAct,
    /// Who signs.
    pub person: Name,
    /// When, by the person's clock: milliseconds since 1970-01-01 UTC.
    pub signed_ms: u64,
    /// 16 random bytes.
    pub nonce: Idem,
}

/// What somebody does for jobs: an operator's capability of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Puts jobs together, and seals another's.
    DataOperator,
    /// Works at a station, with another.
    StationOperator,
    /// Looks over the operators' shoulders.
    Reviewer,
    /// Witnesses the purge.
    Monitor,
}

impl Role {
    /// The capability, as in an enrolment.
    #[must_use]
    pub const fn capability(self) -> &'static str {
        match self {
            Self::DataOperator => "data-operator",
            Self::StationOperator => "station-operator",
            Self::Reviewer => "reviewer",
            Self::Monitor => "monitor",
        }
    }

    /// Whether a member has it.
    #[must_use]
    pub fn is_held_by(self, member: &Member) -> bool {
        let mut capabilities = member.enrolment.capabilities.iter();
        member.enrolment.kind == PrincipalKind::Operator
            && capabilities.any(|capability| capability.as_str() == self.capability())
    }
}

/// An agreement that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) person: Name,
    pub(super) used: Used,
}

/// How far the clocks of a site may be apart where one thing must come after another: two seconds, far less than people
/// take and far more than clocks that are looked after differ.
const CLOCKS_APART_MS: u64 = 2_000;

/// Whether something that was said at `said_ms` by another clock was said after what happened at `at_ms` by the log's.
pub(super) const fn is_after(said_ms: u64, at_ms: u64) -> Result<(), Refusal> {
    if said_ms.saturating_add(CLOCKS_APART_MS) < at_ms {
        return Err(Refusal::ApprovalInvalid { reason: Uncounted::Stale });
    }
    Ok(())
}

impl Agreed {
    /// Whether it was signed after what happened at `at_ms`: an agreement that lay unused is none to what came since.
    pub(super) const fn is_after(&self, at_ms: u64) -> Result<(), Refusal> {
        is_after(self.used.stale_ms.saturating_sub(AGREEMENT_LIFE_MS), at_ms)
    }
}

/// Verifies an agreement to this act on this job, at the time of its leaf. Nothing is read before the signature holds.
///
/// # Errors
/// [`Refusal::ApprovalInvalid`] for the first thing wrong.
pub(super) fn agreed(
    control: &Control,
    at: At,
    signed: &[u8],
    (job, act): (&Name, &JobAct),
    role: Role,
) -> Result<Agreed, Refusal> {
    let uncounted = |reason| Refusal::ApprovalInvalid { reason };
    let parsed = Signed::parse(signed).map_err(|_| uncounted(Uncounted::Form))?;
    let kid = parsed.key_identifier();
    let mut members = control.roster().members().filter(|(_, member)| role.is_held_by(member));
    let found = members.find_map(|(_, member)| {
        member.statement_key().filter(|key| key.identifier() == kid).map(|key| (member, key))
    });
    let (member, key) = found.ok_or(uncounted(Uncounted::NotInRole))?;
    let opened = parsed.open(Kind::JobAgreement, control.genesis().as_bytes(), &key);
    let payload = opened.map_err(|error| match error {
        CoseError::Malformed | CoseError::WrongKind => uncounted(Uncounted::Form),
        CoseError::WrongKey | CoseError::BadSignature => uncounted(Uncounted::Signature),
    })?;
    let said: JobAgreement =
        cbor::decode(payload, PAYLOAD_LEN_MAX).map_err(|_| uncounted(Uncounted::Form))?;
    if !member.enabled {
        return Err(uncounted(Uncounted::Disabled));
    }
    if said.person != member.enrolment.id || said.job != *job || said.act != *act {
        return Err(uncounted(Uncounted::OtherAct));
    }
    let stale_ms = said.signed_ms.saturating_add(AGREEMENT_LIFE_MS);
    if at.time_ms > stale_ms || said.signed_ms > at.time_ms.saturating_add(AGREEMENT_EARLY_MAX_MS) {
        return Err(uncounted(Uncounted::Stale));
    }
    Ok(Agreed { person: said.person, used: Used { nonce: said.nonce, stale_ms } })
}

/// The people whose agreements to an act a request carries, each in its role: for whoever must know them before the act is
/// judged. Verified as they are there; that an agreement serves once is judged with the act.
///
/// # Errors
/// [`Refusal::ApprovalInvalid`] for the first agreement that does not count.
pub fn signers(
    control: &Control,
    now_ms: u64,
    on: (&Name, &JobAct),
    signed: &[(&[u8], Role)],
) -> Result<Vec<Name>, Refusal> {
    let at = At { index: 0, time_ms: now_ms };
    let people = signed.iter().map(|(agreement, role)| agreed(control, at, agreement, on, *role));
    people.map(|agreed| agreed.map(|agreed| agreed.person)).collect()
}
