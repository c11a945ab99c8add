//! Why a record does not count: for people, for programs, and what to do next.
//!
//! Apart because the log, the bundle and the evidence refuse alike. It judges nothing.

use crate::{calendar::rfc3339, evidence::Unproved, finding::Finding};
use keysvc_protocol::{
    bundle::{BundleError, BundleFileError},
    bytes::KeyIdentifier,
    cose::CoseError,
    name::Name,
    value::ValueError,
};

/// Why a record does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// The bytes are not a signed record.
    #[error("not a signed value record: {0}")]
    Form(CoseError),
    /// No value signing key of the log has the record's key identifier.
    #[error("unknown key: no value signing key of this log has the identifier {0}")]
    UnknownKey(KeyIdentifier),
    /// The signature does not verify.
    #[error("altered or forged: the signature does not verify")]
    BadSignature,
    /// The signed payload is no update, or contradicts itself.
    #[error("signed, but {0}")]
    Contents(ValueError),
    /// The key is not the programme's.
    #[error("signed with the key {key}, which is not the value key of the programme {programme}")]
    OtherKey {
        /// The key.
        key: Name,
        /// The programme.
        programme: Name,
    },
    /// The card has seen its sequence number already.
    #[error("replayed: this card has already seen sequence number {last} and the record has {seq}")]
    Replayed {
        /// The record's.
        seq: u64,
        /// The last one that the card has seen.
        last: u64,
    },
    /// No leaf has its payload.
    #[error("not in the log: no leaf of {leaves} holds this update")]
    NotInLog {
        /// Leaves searched.
        leaves: u64,
    },
    /// No leaf has its payload, but some payloads are withheld.
    #[error("not found in the log, but {withheld} of its value updates are withheld: ask for the whole log")]
    MayBeWithheld {
        /// Value leaves withheld.
        withheld: u64,
    },
    /// There is nothing to check the record by.
    #[error("the log is empty")]
    Empty,
    /// The bundle file proves no trust bundle.
    #[error("the bundle is not verified: {0}")]
    Bundle(BundleFileError),
    /// The trust bundle does not hold any more.
    #[error("the trust bundle has expired: it held until {}", rfc3339(*not_after_ms))]
    BundleExpired {
        /// Until when it held, milliseconds since 1970-01-01 UTC.
        not_after_ms: u64,
    },
    /// The trust bundle does not vouch for the record.
    #[error("{0}")]
    NotVouched(BundleError),
    /// Evidence of people for a record that took none.
    #[error("no people: the record says that it took none, and evidence is given for it")]
    NotByPeople,
    /// Evidence of another act.
    #[error("the evidence is of another act than this record")]
    OtherEvidence,
    /// The evidence file proves nothing.
    #[error("the evidence is not verified: {0}")]
    Evidence(#[from] Unproved),
    /// The log itself is not good.
    #[error("the log is not verified: {0}")]
    Log(Box<Finding>),
}

impl Refused {
    /// A short name for programs.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Form(_) => "not_a_record",
            Self::UnknownKey(_) | Self::NotVouched(BundleError::UnknownKey) => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::Contents(_) => "contents",
            Self::OtherKey { .. } => "other_key",
            Self::Replayed { .. } => "replayed",
            Self::NotInLog { .. } => "not_in_log",
            Self::MayBeWithheld { .. } => "may_be_withheld",
            Self::Bundle(_) => "bundle_not_verified",
            Self::BundleExpired { .. } => "bundle_expired",
            Self::NotVouched(_) => "not_vouched",
            Self::NotByPeople => "not_by_people",
            Self::OtherEvidence => "other_evidence",
            Self::Evidence(_) => "evidence_not_verified",
            Self::Empty | Self::Log(_) => "log_not_verified",
        }
    }

    /// What to do next.
    pub(crate) const fn next(&self) -> &'static str {
        match self {
            Self::Form(_) => "name the file that holds the signed record itself",
            Self::UnknownKey(_) | Self::BadSignature | Self::Contents(_) | Self::OtherKey { .. } => {
                "give no value for it, keep the file as evidence, and tell the officers"
            }
            Self::Replayed { .. } => {
                "give no value for it; ask the terminal for the update of the next sequence number"
            }
            Self::NotInLog { .. } => {
                "export the log again with `fobctl audit export`; if the record is still not there, tell the officers"
            }
            Self::MayBeWithheld { .. } => {
                "export the log with its value payloads and run the same command again"
            }
            Self::Bundle(_) => {
                "name the file that `fobctl terminal bundle` wrote and the trust file of the same service"
            }
            Self::BundleExpired { .. } => {
                "get a new one with `fobctl terminal bundle`, or check the record by the log with --log"
            }
            Self::NotVouched(_) => {
                "get a new bundle with `fobctl terminal bundle`; if it refuses too, give no value and tell the officers"
            }
            Self::NotByPeople | Self::OtherEvidence | Self::Evidence(_) => {
                "get the evidence of this record's own proposal with `fobctl evidence get`; if it is refused too, tell the officers"
            }
            Self::Empty | Self::Log(_) => {
                "run `fobaudit verify` on the same folder for all that is wrong with it"
            }
        }
    }
}
