//! What the policies are asked about proposals, principals, keys, freezes and thresholds.
//!
//! Apart because these share their facts: they come from the state that people move ([`keysvc_protocol::control`]).

use super::{Action, Around};
use keysvc_policies::{ContextFacts, ResourceFacts};
use keysvc_protocol::{
    bytes::Idem,
    cbor,
    control::Change,
    freeze::Scope,
    name::Name,
    refusal::{Refusal, Thing},
    request::{
        ActivateKey, ApproveProposal, CancelProposal, CompromiseKey, ConfirmClock, CreateKey, DestroyKey,
        DisablePrincipal, EnablePrincipal, EnrolPrincipal, LiftFreeze, ListFreezes, ListPrincipals,
        ListProposals, Operation, ReadEvidence, ReadImpact, ReadProposal, ReadResult, RejectProposal,
        RetireKey, RotatePrincipal, SetFreeze, SetQuorum, SuspendKey,
    },
};

macro_rules! about_the_service {
    ($($type:ty => $operation:ident,)*) => {
        $(impl Action for $type {
            const OPERATION: Operation = Operation::$operation;
            fn question<'a>(
                &'a self,
                _: &'a Around<'a>,
            ) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal> {
                Ok((ResourceFacts::Service, ContextFacts::None))
            }
        })*
    };
}

about_the_service! {
    ListProposals => ProposalList,
    ReadProposal => ProposalGet,
    ApproveProposal => ProposalApprove,
    RejectProposal => ProposalReject,
    ReadResult => ProposalResult,
    ListPrincipals => PrincipalList,
    ReadImpact => KeyImpact,
    ListFreezes => FreezeList,
    ReadEvidence => EvidenceGet,
}

impl Action for CancelProposal {
    const OPERATION: Operation = Operation::ProposalCancel;

    fn question<'a>(&'a self, _: &'a Around<'a>) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal> {
        Ok((ResourceFacts::Service, ContextFacts::None))
    }

    fn idem(&self) -> Option<Idem> {
        Some(self.idem)
    }
}

/// Each of these alters the state that people move; what the policies are told follows from what it is about.
macro_rules! alters {
    ($($type:ty => $operation:ident by $facts:ident,)*) => {
        $(impl Action for $type {
            const OPERATION: Operation = Operation::$operation;
            fn question<'a>(
                &'a self,
                around: &'a Around<'a>,
            ) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal> {
                Ok((ResourceFacts::Service, self.$facts(around)?))
            }
            fn idem(&self) -> Option<Idem> {
                Some(self.idem)
            }
            fn alters(&self) -> Option<Change> {
                // Read back from its own encoding: one reading of requests, the protocol's.
                Change::of(Self::OPERATION, &cbor::encode(self)).ok().flatten()
            }
        })*
    };
}

alters! {
    EnrolPrincipal => PrincipalEnrol by newcomer,
    RotatePrincipal => PrincipalRotate by principal,
    DisablePrincipal => PrincipalDisable by principal,
    EnablePrincipal => PrincipalEnable by principal,
    CreateKey => KeyCreate by key,
    ActivateKey => KeyActivate by key,
    SuspendKey => KeySuspend by key,
    RetireKey => KeyRetire by key,
    CompromiseKey => KeyCompromise by key,
    DestroyKey => KeyDestroy by key,
    SetFreeze => FreezeSet by freeze,
    LiftFreeze => FreezeLift by freeze,
    SetQuorum => QuorumSet by site,
    ConfirmClock => ClockConfirm by site,
}

trait Newcomer {
    fn newcomer<'a>(&'a self, around: &Around<'a>) -> Result<ContextFacts<'a>, Refusal>;
}

impl Newcomer for EnrolPrincipal {
    fn newcomer<'a>(&'a self, around: &Around<'a>) -> Result<ContextFacts<'a>, Refusal> {
        Ok(ContextFacts::Principal {
            subject_kind: self.principal.kind.name(),
            subject_organisation: self.principal.group.as_str(),
            own: false,
            officers: around.officers(),
        })
    }
}

trait Principal {
    fn subject(&self) -> &Name;

    fn principal<'a>(&'a self, around: &Around<'a>) -> Result<ContextFacts<'a>, Refusal> {
        let subject = around.control.roster().member(self.subject());
        let enrolment = &subject.ok_or(Refusal::NotFound { what: Thing::Principal })?.enrolment;
        Ok(ContextFacts::Principal {
            subject_kind: enrolment.kind.name(),
            subject_organisation: enrolment.group.as_str(),
            own: enrolment.id == around.caller.id,
            officers: around.officers(),
        })
    }
}

trait Key {
    fn kind(&self, around: &Around<'_>) -> Result<&'static str, Refusal>;

    fn key<'a>(&'a self, around: &Around<'a>) -> Result<ContextFacts<'a>, Refusal> {
        Ok(ContextFacts::Key { kind: self.kind(around)?, officers: around.officers() })
    }
}

impl Key for CreateKey {
    fn kind(&self, _: &Around<'_>) -> Result<&'static str, Refusal> {
        Ok(self.kind.name())
    }
}

macro_rules! names {
    (principals: $($principal:ty)*; keys: $($key:ty)*; freezes: $($freeze:ty)*; site: $($site:ty)*;) => {
        $(impl Principal for $principal {
            fn subject(&self) -> &Name {
                &self.id
            }
        })*
        $(impl Key for $key {
            fn kind(&self, around: &Around<'_>) -> Result<&'static str, Refusal> {
                let key = around.control.keys().get(&self.name, self.version);
                Ok(key.ok_or(Refusal::NotFound { what: Thing::Key })?.kind.name())
            }
        })*
        $(impl Freezes for $freeze {
            fn scope(&self) -> &Scope {
                &self.scope
            }
        })*
        $(impl OfSite for $site {})*
    };
}

names! {
    principals: RotatePrincipal DisablePrincipal EnablePrincipal;
    keys: ActivateKey SuspendKey RetireKey CompromiseKey DestroyKey;
    freezes: SetFreeze LiftFreeze;
    site: SetQuorum ConfirmClock;
}

trait Freezes {
    fn scope(&self) -> &Scope;

    fn freeze<'a>(&'a self, around: &Around<'a>) -> Result<ContextFacts<'a>, Refusal> {
        let scope = self.scope();
        let organisation = match scope {
            Scope::Card { programme: Some(name), .. } | Scope::Programme { name } => {
                around.site.programme(name).map(|programme| programme.organisation.as_str())
            }
            Scope::Terminal { name } | Scope::Station { name } => {
                around.control.roster().member(name).map(|member| member.enrolment.group.as_str())
            }
            Scope::Store { name } => Some(name.as_str()),
            Scope::Card { .. }
            | Scope::Profile { .. }
            | Scope::Key { .. }
            | Scope::Job { .. }
            | Scope::All => None,
        };
        let organisation = organisation.unwrap_or_default();
        Ok(ContextFacts::Freeze { scope: scope.kind().name(), organisation, officers: around.officers() })
    }
}

trait OfSite {
    fn site<'a>(&'a self, around: &Around<'a>) -> Result<ContextFacts<'a>, Refusal> {
        Ok(ContextFacts::Site { officers: around.officers() })
    }
}
