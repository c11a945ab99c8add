//! Requests about what a site is governed by: imported keys, card profiles, policies and the record of ceremonies.
//!
//! Apart from the other requests that take people because each of these carries a document that people reviewed. What they
//! do to the service's state is [`crate::control`]'s.

use crate::{
    bytes::{Blob, Digest, Idem, ProposalId, ShortCheck},
    founding::Profile,
    key::KeyKind,
    list::List,
    name::{Name, Reason},
    schema::Schema,
};
use serde::{Deserialize, Serialize};

/// Most files of a policy set in a proposal.
pub const POLICY_FILES_MAX: usize = 16;
/// Most bytes of a policy set in a proposal, all texts together: four times the shipped site.
pub const POLICY_SET_LEN_MAX: usize = 24 * 1024;

/// Lines of a report that stand in the proposal itself; the whole report is named by its digest.
pub type ReportLines = List<Reason, 16>;

/// One component of a key that is to be imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentOrder {
    /// The one person who holds it and may enter it.
    pub custodian: Name,
    /// Its check value: the first 5 bytes of AES-CMAC over a zero block.
    pub check: ShortCheck,
}

/// One file of a policy set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// Its name, ending in `.cedar`.
    pub name: Name,
    /// Its text, exactly.
    pub text: Blob<POLICY_SET_LEN_MAX>,
}

/// Which decision cases come out otherwise under a proposed set, as its proposer found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyDifference {
    /// Cases that were decided.
    pub cases: u32,
    /// Cases that come out otherwise than under the set in force.
    pub changed: u32,
    /// SHA-256 of the whole report.
    pub report: Digest,
    /// Its first lines.
    pub lines: ReportLines,
}

/// What was proved about a proposed set, as its proposer found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyProof {
    /// The solver and its version.
    pub solver: Reason,
    /// Statements that were proved; each holds for every request there can be.
    pub theorems: u32,
    /// Kinds of request they were proved for.
    pub environments: u32,
    /// Loads above this take two people, in minor units.
    pub load_max: u64,
    /// SHA-256 of the whole report.
    pub report: Digest,
}

/// Which recorded requests would be decided otherwise under a proposed set, as its proposer found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyReplay {
    /// Requests that were decided again.
    pub requests: u32,
    /// Those that would be decided otherwise.
    pub differing: u32,
    /// The first leaf looked at.
    pub from_leaf: u64,
    /// The leaf after the last one looked at.
    pub to_leaf: u64,
    /// SHA-256 of the whole report.
    pub report: Digest,
    /// Its first lines.
    pub lines: ReportLines,
}

request!(
    /// `key.import`: the next version of a card master, from two or three components of which each lies with one person.
    /// The key is the components' exclusive or; not in use before `key.activate`.
    ImportKey {
        /// The idempotency key.
        idem: Idem,
        /// The key's name.
        name: Name,
        /// What it is for: a card master.
        kind: KeyKind,
        /// The check value of the whole key.
        check: ShortCheck,
        /// The components, two or three, by their number from 1; no custodian twice.
        components: List<ComponentOrder, 3>,
        /// Why, for the log.
        reason: Reason,
    }
);
request!(
    /// `component.key`: the one-time key for the caller's own component of an import.
    ReadComponentKey {
        /// The proposal that the import was.
        proposal: ProposalId,
    }
);
request!(
    /// `component.give`: the caller's component. The component itself travels in [`super::Envelope::beside`], sealed to
    /// the one-time key (RFC 9180), and is never recorded.
    GiveComponent {
        /// The idempotency key.
        idem: Idem,
        /// The proposal that the import was.
        proposal: ProposalId,
        /// Which component, from 1.
        number: u8,
        /// Its check value, as the custodian confirmed it.
        check: ShortCheck,
        /// SHA-256 of the one-time key's `SubjectPublicKeyInfo`.
        import_key: Digest,
        /// SHA-256 of the sealed component.
        sealed: Digest,
    }
);
request!(
    /// `profile.put`: the next version of a card profile.
    PutProfile {
        /// The idempotency key.
        idem: Idem,
        /// The profile.
        profile: Profile,
        /// Why, for the log.
        reason: Reason,
    }
);
request!(
    /// `profile.get`.
    ReadProfile {
        /// The profile's name.
        name: Name,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Its version; the newest when left out.
        version: Option<u32>,
    }
);
request!(
    /// `profile.list`: by name and version, at most 64 a reply.
    ListProfiles {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Only those after this name: to page on.
        after: Option<Name>,
    }
);
request!(
    /// `policy.propose`: another set of the site's policies, with what was found out about it.
    ProposePolicy {
        /// The idempotency key.
        idem: Idem,
        /// Digest of the whole set, the shipped ceiling and schema included.
        policy: Digest,
        /// The site's files, by name ascending; at most [`POLICY_SET_LEN_MAX`] bytes of text together.
        files: List<PolicyFile, POLICY_FILES_MAX>,
        /// Which decision cases change.
        difference: PolicyDifference,
        /// What was proved.
        proof: PolicyProof,
        /// Why, for the log.
        reason: Reason,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Which recorded requests would be decided otherwise, where that was looked at.
        replay: Option<PolicyReplay>,
    }
);
request!(
    /// `policy.get`.
    ReadPolicy {}
);
request!(
    /// `ceremony.record`: the transcript of a ceremony that was held.
    RecordCeremony {
        /// The idempotency key.
        idem: Idem,
        /// What was done.
        title: Reason,
        /// SHA-256 of the plan's bytes.
        plan: Digest,
        /// SHA-256 of the transcript's bytes, which everyone who took part has signed.
        transcript: Digest,
        /// Who took part.
        people: List<Name, 16>,
    }
);
