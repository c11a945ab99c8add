//! One good request of every operation: well formed, and of this moment. What it is about need not be there.
//!
//! Apart because more than one walk over all operations is made with them. It sends nothing.

use crate::{agreed, custody, jobs, raw};
use keysvc_client::Terminal;
use keysvc_protocol::{
    bytes::{Blob, Digest, Exchange, ProposalId},
    card::CardState,
    cbor,
    founding::{CardFamily, Function, InputPart, PrincipalKind, Profile, Scheme, Slot},
    freeze::Scope,
    job::{CardResult, Counts, Incident, ItemData, JobItem, Outcome},
    key::KeyKind,
    list::List,
    quorum::Need,
    request::{
        AddJobItems, ApproveProposal, CancelProposal, CheckCard, CloseJob, ConfirmClock, CountJob, CreateJob,
        DeriveCardKeys, EnrolPrincipal, Enrolment, GiveComponent, GiveResults, ListFreezes, ListJobs,
        ListKeys, ListPrincipals, ListProfiles, ListProposals, MoveCards, OpenJob, Operation, ReadBundle,
        ReadCheckpoint, ReadComponentKey, ReadEntries, ReadEvidence, ReadImpact, ReadJob, ReadJobRecord,
        ReadKey, ReadPolicy, ReadProfile, ReadProof, ReadProposal, ReadResult, ReadStatus, RejectProposal,
        ReportIncident, ResumeJob, RotatePrincipal, SealJob, SetQuorum, UpdateValues, ValueOperation::Load,
        WithdrawJob,
    },
    schema::Schema,
};

/// Card keys of one card, in a job that is not there.
///
/// # Panics
/// When the system gives no randomness.
#[must_use]
pub fn derive() -> DeriveCardKeys {
    DeriveCardKeys {
        schema: Schema,
        idem: Terminal::new_txn().unwrap(),
        exchange: Exchange::new([1; 16]),
        job: "job-1".parse().unwrap(),
        generation: 1,
        cards: vec!["04782e21801d80".parse().unwrap()].try_into().unwrap(),
    }
}

/// A good request of each operation.
///
/// # Panics
/// Never.
#[must_use]
pub fn good(operation: Operation) -> Vec<u8> {
    let schema = Schema;
    match operation {
        Operation::Status => cbor::encode(&ReadStatus { schema }),
        Operation::KeyList => cbor::encode(&ListKeys { schema }),
        Operation::KeyGet => {
            cbor::encode(&ReadKey { schema, name: "value-1".parse().unwrap(), version: None })
        }
        Operation::CardDerive => cbor::encode(&derive()),
        Operation::ValueUpdate => cbor::encode(&raw::update(Load, 1, 100, 0)),
        Operation::LogCheckpoint => cbor::encode(&ReadCheckpoint { schema, genesis: false }),
        Operation::LogEntries => cbor::encode(&ReadEntries { schema, from: 0, to: 1 }),
        Operation::LogProof => cbor::encode(&ReadProof { schema, size: 1, leaf: None, earlier: None }),
        Operation::BundleGet => cbor::encode(&ReadBundle { schema, have: None }),
        Operation::ValueBatch => {
            let updates = vec![Blob::try_from(vec![0]).unwrap()].try_into().unwrap();
            cbor::encode(&UpdateValues { schema, updates })
        }
        people => good_of_people(people),
    }
}

/// The same of what is about people and takes people.
fn good_of_people(operation: Operation) -> Vec<u8> {
    use agreed::{activate, compromise, create, destroy, disable, enable, freeze, lift, retire, suspend};
    let (schema, idem, id) = (Schema, agreed::idem(), ProposalId::new([1; 16]));
    let (key, scope) = ("value-1", Scope::All);
    let approval = Blob::try_from(vec![0]).unwrap();
    match operation {
        Operation::ProposalList => cbor::encode(&ListProposals { schema, ended: false, before: None }),
        Operation::ProposalGet => cbor::encode(&ReadProposal { schema, id }),
        Operation::ProposalApprove => cbor::encode(&ApproveProposal { schema, id, approval }),
        Operation::ProposalReject => cbor::encode(&RejectProposal { schema, id, approval }),
        Operation::ProposalCancel => {
            cbor::encode(&CancelProposal { schema, idem, id, reason: agreed::reason() })
        }
        Operation::ProposalResult => cbor::encode(&ReadResult { schema, id }),
        Operation::PrincipalEnrol => cbor::encode(&EnrolPrincipal { schema, idem, principal: newcomer() }),
        Operation::PrincipalRotate => cbor::encode(&RotatePrincipal {
            schema,
            idem,
            id: agreed::name("station-1"),
            tls_key: Some(Digest::new([3; 32])),
            statement_key: None,
            wrapping_key: None,
        }),
        Operation::PrincipalDisable => cbor::encode(&disable("terminal-2")),
        Operation::PrincipalEnable => cbor::encode(&enable("terminal-2")),
        Operation::PrincipalList => cbor::encode(&ListPrincipals { schema, after: None }),
        Operation::KeyCreate => cbor::encode(&create(key, KeyKind::ValueSigning)),
        Operation::KeyActivate => cbor::encode(&activate(key, 1)),
        Operation::KeySuspend => cbor::encode(&suspend(key, 1)),
        Operation::KeyRetire => cbor::encode(&retire(key, 1)),
        Operation::KeyCompromise => cbor::encode(&compromise(key, 1)),
        Operation::KeyDestroy => cbor::encode(&destroy(key, 1)),
        Operation::KeyImpact => cbor::encode(&ReadImpact { schema, name: agreed::name(key), version: 1 }),
        Operation::FreezeSet => cbor::encode(&freeze(&scope)),
        Operation::FreezeLift => cbor::encode(&lift(&scope)),
        Operation::FreezeList => cbor::encode(&ListFreezes { schema, after: None }),
        Operation::QuorumSet => {
            cbor::encode(&SetQuorum { schema, idem, operation: Operation::KeyCreate, need: Need::of(3) })
        }
        Operation::ClockConfirm => cbor::encode(&ConfirmClock { schema, idem, time_ms: jobs::now_ms() }),
        Operation::EvidenceGet => cbor::encode(&ReadEvidence { schema, id }),
        governed => good_of_governance(governed),
    }
}

/// The same of what carries a document that people reviewed, and what belongs to it.
fn good_of_governance(operation: Operation) -> Vec<u8> {
    let (schema, proposal) = (Schema, ProposalId::new([1; 16]));
    let (component, digest) = ([7; 16], Digest::new([1; 32]));
    match operation {
        Operation::KeyImport => {
            let parts = [("officer-1", component), ("officer-2", [9; 16])];
            cbor::encode(&custody::import("brought", &parts))
        }
        Operation::ComponentKey => cbor::encode(&ReadComponentKey { schema, proposal }),
        Operation::ComponentGive => cbor::encode(&GiveComponent {
            schema,
            idem: agreed::idem(),
            proposal,
            number: 1,
            check: custody::check(&component),
            import_key: digest,
            sealed: digest,
        }),
        Operation::ProfilePut => cbor::encode(&agreed::put(&members())),
        Operation::ProfileGet => {
            cbor::encode(&ReadProfile { schema, name: agreed::name("known"), version: None })
        }
        Operation::ProfileList => cbor::encode(&ListProfiles { schema, after: None }),
        Operation::PolicyPropose => cbor::encode(&agreed::propose_policy(keysvc_policies::DEFAULT_SITE)),
        Operation::PolicyGet => cbor::encode(&ReadPolicy { schema }),
        Operation::CeremonyRecord => cbor::encode(&agreed::record_ceremony(&["officer-1", "officer-2"])),
        of_jobs => good_of_jobs(of_jobs),
    }
}

/// The same of what is about a job and its cards. Nobody has agreed to what takes agreements.
fn good_of_jobs(operation: Operation) -> Vec<u8> {
    let (schema, idem, job) = (Schema, agreed::idem(), agreed::name("job-1"));
    let (counts, agreements) = (Counts::default(), List::default());
    let (card, reason) = ("04782e21801d80".parse().unwrap(), agreed::reason());
    match operation {
        Operation::JobOpen => cbor::encode(&OpenJob { schema, idem, job, agreements }),
        Operation::JobResume => cbor::encode(&ResumeJob { schema, idem, job, agreements }),
        Operation::JobCreate => {
            cbor::encode(&CreateJob { schema, idem, job, head: jobs::head("known", 1, 8) })
        }
        Operation::JobItems => {
            let item = JobItem { card, data: ItemData(Blob::try_from(vec![0]).unwrap()) };
            cbor::encode(&AddJobItems { schema, idem, job, items: vec![item].try_into().unwrap() })
        }
        Operation::JobSeal => {
            let (head, root) = (Digest::new([1; 32]), jobs::root(&[]));
            cbor::encode(&SealJob { schema, idem, job, head, items: 0, root })
        }
        Operation::JobWithdraw => cbor::encode(&WithdrawJob { schema, idem, job, reason }),
        Operation::JobSuspend => cbor::encode(&jobs::suspend("job-1", counts)),
        Operation::CardResult => {
            let outcome = Outcome::Reject { cause: reason };
            let results = vec![CardResult { card, outcome, readback: List::default() }].try_into().unwrap();
            cbor::encode(&GiveResults { schema, idem, job, results })
        }
        Operation::JobCount => cbor::encode(&CountJob { schema, idem, job, counts, agreements }),
        Operation::JobIncident => {
            let (equipment, cause, place) = (reason.clone(), reason.clone(), reason);
            let incident = Incident { equipment, time_ms: jobs::now_ms(), cause, place, in_hand: 1 };
            cbor::encode(&ReportIncident { schema, idem, job, incident, agreements })
        }
        Operation::JobClose => {
            let receipt = jobs::receipt("station-1");
            cbor::encode(&CloseJob { schema, idem, job, receipt, agreements })
        }
        Operation::JobGet => cbor::encode(&ReadJob { schema, job }),
        Operation::JobList => cbor::encode(&ListJobs { schema, purged: false, after: None }),
        Operation::JobRecord => cbor::encode(&ReadJobRecord { schema, job }),
        Operation::CardCheck => cbor::encode(&CheckCard { schema, card }),
        Operation::CardTransition => {
            let (cards, to) = (vec![card].try_into().unwrap(), CardState::Active);
            cbor::encode(&MoveCards { schema, idem, cards, to, location: None, holder: None })
        }
        other => panic!("{other} is not about jobs"),
    }
}

/// A profile that identifies and no more.
fn members() -> Profile {
    Profile {
        name: agreed::name("members"),
        version: 1,
        family: CardFamily::MifareClassic,
        scheme: Scheme::An10922Aes128,
        input: vec![InputPart::Uid, InputPart::Application, InputPart::SystemIdentifier],
        system_identifier: "6b657973766331".to_owned(),
        slots: vec![Slot {
            slot: 0,
            key: agreed::name("demo-generated"),
            key_version: 1,
            key_number: 0,
            application: "010203".to_owned(),
        }],
        functions: vec![Function::Membership],
        vectors: vec![],
        value: None,
        pipeline: 8,
        unit_cost: 0,
    }
}

fn newcomer() -> Enrolment {
    Enrolment {
        schema: Schema,
        id: agreed::name("auditor-9"),
        kind: PrincipalKind::Auditor,
        group: agreed::name("auditors"),
        capabilities: List::default(),
        tls_key: Digest::new([9; 32]),
        statement_key: None,
        wrapping_key: None,
    }
}
