//! What the policies are asked about card profiles, other policies and the record of ceremonies, and which rules of form
//! these must keep.
//!
//! Apart because each of them carries a document that people reviewed. What a profile's keys compute is asked of the token
//! later; what the log's state has against it is asked in the ledger's transaction, where a repetition is known as one.

use super::{Action, Around, principal_facts};
use keysvc_policies::{ContextFacts, PolicySet, ResourceFacts};
use keysvc_protocol::{
    bytes::{Digest, Idem},
    cbor,
    control::Change,
    founding::Function,
    refusal::{Invalid, Refusal},
    request::{Operation, PolicyFile, ProposePolicy, PutProfile, RecordCeremony},
};
use serde::Serialize;
use std::collections::BTreeSet;

/// Read back from its own encoding: one reading of requests, the protocol's.
fn change_of<T: Serialize>(operation: Operation, action: &T) -> Option<Change> {
    Change::of(operation, &cbor::encode(action)).ok().flatten()
}

impl Action for PutProfile {
    const OPERATION: Operation = Operation::ProfilePut;

    fn question<'a>(
        &'a self,
        around: &'a Around<'a>,
    ) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal> {
        let context = ContextFacts::Profile {
            family: self.profile.family.name(),
            stored_value: self.profile.enables(Function::StoredValue),
            officers: around.officers(),
        };
        Ok((ResourceFacts::Service, context))
    }

    fn idem(&self) -> Option<Idem> {
        Some(self.idem)
    }

    fn alters(&self) -> Option<Change> {
        change_of(Self::OPERATION, self)
    }

    fn check(&self, _: &Around<'_>) -> Result<(), Refusal> {
        self.profile.check_form().map_err(|_| Refusal::Invalid { reason: Invalid::Profile })
    }
}

impl Action for ProposePolicy {
    const OPERATION: Operation = Operation::PolicyPropose;

    fn question<'a>(
        &'a self,
        around: &'a Around<'a>,
    ) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal> {
        Ok((ResourceFacts::Service, ContextFacts::Site { officers: around.officers() }))
    }

    fn idem(&self) -> Option<Idem> {
        Some(self.idem)
    }

    fn alters(&self) -> Option<Change> {
        change_of(Self::OPERATION, self)
    }

    fn check(&self, around: &Around<'_>) -> Result<(), Refusal> {
        let set = policy_set(&self.files).ok_or(Refusal::Invalid { reason: Invalid::Policy })?;
        if Digest::new(set.digest()) != self.policy {
            return Err(Refusal::Invalid { reason: Invalid::Policy });
        }
        let voters = around.control.roster().voters().iter().filter(|voter| voter.enabled);
        let officers: Vec<_> = voters.filter_map(|voter| around.site.by_name(&voter.name)).collect();
        let officers: Vec<_> = officers.iter().map(|officer| principal_facts(officer)).collect();
        // An error is a no, as in every decision.
        if set.can_change_itself(&officers, around.officers()) == Ok(true) {
            Ok(())
        } else {
            Err(Refusal::Invalid { reason: Invalid::LocksOut })
        }
    }
}

/// The policy set of files as the log has them; nothing when they do not load.
#[must_use]
pub fn policy_set(files: &[PolicyFile]) -> Option<PolicySet> {
    let texts = files
        .iter()
        .map(|file| std::str::from_utf8(file.text.as_bytes()).ok().map(|text| (file.name.as_str(), text)));
    PolicySet::from_files(&texts.collect::<Option<Vec<_>>>()?).ok()
}

impl Action for RecordCeremony {
    const OPERATION: Operation = Operation::CeremonyRecord;

    fn question<'a>(&'a self, _: &'a Around<'a>) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal> {
        Ok((ResourceFacts::Service, ContextFacts::None))
    }

    fn idem(&self) -> Option<Idem> {
        Some(self.idem)
    }

    fn alters(&self) -> Option<Change> {
        change_of(Self::OPERATION, self)
    }

    fn check(&self, _: &Around<'_>) -> Result<(), Refusal> {
        let mut seen = BTreeSet::new();
        if self.people.is_empty() || !self.people.iter().all(|person| seen.insert(person)) {
            return Err(Refusal::Invalid { reason: Invalid::Items });
        }
        Ok(())
    }
}
