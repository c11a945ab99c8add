//! What a request is called, what the policies are asked about it, and which rules it must keep before anyone is
//! asked. How it is carried out lies above, in [`super::operation`].

mod governed;
mod imports;
mod jobs;
mod people;

pub use governed::policy_set;
pub use jobs::{Acted, Histories, JobAround, JobSeen};

use super::site::{Enrolled, Site};
use keysvc_policies::{ContextFacts, PrincipalFacts, ResourceFacts};
use keysvc_protocol::{
    bytes::Idem,
    control::{Change, Control},
    founding::{Function, ValueRules},
    name::Name,
    refusal::{Forbids, Invalid, Refusal, Thing},
    request::{
        ENTRIES_MAX, ListKeys, ListProfiles, Operation, ReadBundle, ReadCheckpoint, ReadEntries, ReadKey,
        ReadPolicy, ReadProfile, ReadProof, ReadStatus, UpdateValue, UpdateValues,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeSet;

/// A request that the gate can judge.
pub trait Action: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its operation: the path it came by, the domain its signature is bound to, the policies' action.
    const OPERATION: Operation;
    /// Whether officers can agree to it, where the policies ask for people. What the caller's own colleagues agree to
    /// cannot wait for officers.
    const BY_QUORUM: bool = true;

    /// What the policies are asked about it.
    ///
    /// # Errors
    /// A [`Refusal`] when the request names what does not exist.
    fn question<'a>(
        &'a self,
        around: &'a Around<'a>,
    ) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal>;

    /// The idempotency key of a request that changes something.
    fn idem(&self) -> Option<Idem> {
        None
    }

    /// What it would change of principals, keys' states, freezes and thresholds.
    fn alters(&self) -> Option<Change> {
        None
    }

    /// The job it is about.
    fn job(&self) -> Option<&Name> {
        None
    }

    /// What people agreed to with `caller` on that job, where the request carries their agreements.
    fn acted(&self, _caller: &Name) -> Option<Acted<'_>> {
        None
    }

    /// Rules of form and of the profile, which no policy can lift. Asked after the policies.
    ///
    /// # Errors
    /// The [`Refusal`] for the first rule broken.
    fn check(&self, _around: &Around<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}

/// What a request is judged among.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The site.
    pub site: &'a Site,
    /// Everything that takes people, as it stands.
    pub control: &'a Control,
    /// Who asks.
    pub caller: &'a Enrolled,
    /// The job that the request names; empty where it names none.
    pub job: &'a JobAround,
}

impl Around<'_> {
    /// The number of officers on the roster, enabled or not.
    #[must_use]
    pub fn officers(&self) -> u32 {
        u32::try_from(self.control.roster().voters().len()).unwrap_or(u32::MAX)
    }
}

/// What the policies are told of somebody enrolled.
#[must_use]
pub fn principal_facts(enrolled: &Enrolled) -> PrincipalFacts<'_> {
    PrincipalFacts {
        id: enrolled.id.as_str(),
        kind: enrolled.kind.name(),
        organisation: &enrolled.organisation,
        department: &enrolled.department,
        capabilities: &enrolled.capabilities,
    }
}

macro_rules! plain_read {
    ($type:ty, $operation:ident, $resource:ident) => {
        impl Action for $type {
            const OPERATION: Operation = Operation::$operation;
            fn question<'a>(
                &'a self,
                _: &'a Around<'a>,
            ) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal> {
                Ok((ResourceFacts::$resource, ContextFacts::None))
            }
        }
    };
}

plain_read!(ReadStatus, Status, Service);
plain_read!(ListKeys, KeyList, Service);
plain_read!(ReadKey, KeyGet, Service);
plain_read!(ReadCheckpoint, LogCheckpoint, Log);
plain_read!(ReadProof, LogProof, Log);
plain_read!(ReadBundle, BundleGet, Service);
plain_read!(ReadProfile, ProfileGet, Service);
plain_read!(ListProfiles, ProfileList, Service);
plain_read!(ReadPolicy, PolicyGet, Service);

impl Action for ReadEntries {
    const OPERATION: Operation = Operation::LogEntries;

    fn question<'a>(&'a self, _: &'a Around<'a>) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal> {
        Ok((ResourceFacts::Log, ContextFacts::None))
    }

    fn check(&self, _: &Around<'_>) -> Result<(), Refusal> {
        let count = self.to.checked_sub(self.from).and_then(|count| usize::try_from(count).ok());
        match count {
            Some(1..=ENTRIES_MAX) => Ok(()),
            _ => Err(Refusal::Invalid { reason: Invalid::Range }),
        }
    }
}

impl Action for UpdateValue {
    const OPERATION: Operation = Operation::ValueUpdate;

    fn idem(&self) -> Option<Idem> {
        Some(self.txn)
    }

    fn question<'a>(
        &'a self,
        around: &'a Around<'a>,
    ) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal> {
        let site = around.site;
        let programme =
            site.programme(&self.programme).ok_or(Refusal::NotFound { what: Thing::Programme })?;
        let context = ContextFacts::ValueUpdate {
            operation: self.operation.name(),
            // Past 2^63 no ceiling reaches; the ledger names the limit.
            amount: self.amount.min(u64::from(u32::MAX) << 31),
            no_card_session: true,
            passive_tag: around.control.profiles().passive_tag(programme),
            development: site.development(),
        };
        let resource = ResourceFacts::Programme {
            name: programme.name.as_str(),
            organisation: programme.organisation.as_str(),
            currency: programme.currency,
        };
        Ok((resource, context))
    }

    fn check(&self, around: &Around<'_>) -> Result<(), Refusal> {
        value_rules(around.control, self)?;
        if self.amount == 0 {
            return Err(Refusal::Invalid { reason: Invalid::ZeroAmount });
        }
        Ok(())
    }
}

/// The rules of an update's purse, by the newest version of its programme's profile. Asked for what is wrong at once, and
/// again in the ledger's transaction, for a profile may get a version in between.
///
/// # Errors
/// The [`Refusal`] when there is no such programme, or its cards hold no such value.
pub fn value_rules<'a>(control: &'a Control, update: &UpdateValue) -> Result<&'a ValueRules, Refusal> {
    let mut programmes = control.founding().programmes.iter();
    let programme = programmes.find(|programme| programme.name == update.programme);
    let programme = programme.ok_or(Refusal::NotFound { what: Thing::Programme })?;
    let profile = control.profiles().of_programme(programme);
    let rules = profile
        .filter(|profile| profile.enables(Function::StoredValue))
        .and_then(|profile| profile.value.as_ref())
        .ok_or(Refusal::ProfileForbids { reason: Forbids::Function })?;
    if update.currency != programme.currency {
        return Err(Refusal::ProfileForbids { reason: Forbids::Currency { expected: programme.currency } });
    }
    if !rules.has_purse(update.purse) {
        return Err(Refusal::ProfileForbids { reason: Forbids::Purse });
    }
    Ok(rules)
}

/// The right to pass a batch on. Each update in it is judged for itself, as its terminal's own request.
impl Action for UpdateValues {
    const OPERATION: Operation = Operation::ValueBatch;

    fn question<'a>(&'a self, _: &'a Around<'a>) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal> {
        Ok((ResourceFacts::Service, ContextFacts::None))
    }

    fn check(&self, _: &Around<'_>) -> Result<(), Refusal> {
        let mut seen = BTreeSet::new();
        if self.updates.is_empty() || !self.updates.iter().all(|update| seen.insert(update.as_bytes())) {
            return Err(Refusal::Invalid { reason: Invalid::Items });
        }
        Ok(())
    }
}
