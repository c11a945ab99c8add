//! The requests of each step, signed beforehand, so that no signature of a caller is measured.

use super::task::{Step, Task};
use crate::{persona::Persona, while_doing};
use keysvc_protocol::{
    bytes::Blob,
    card::CardUid,
    cbor,
    cose::Kind,
    freeze::Scope,
    name::Name,
    proposal::Proposal,
    quorum::{Approval, Verdict},
    request::{
        ActivateKey, ApproveProposal, LiftFreeze, Operation, ReadProposal, ReadResult, SetFreeze, SuspendKey,
        UpdateValue, ValueOperation,
    },
    schema::Schema,
};
use keysvc_tests::ground::Failed;
use std::time::{SystemTime, UNIX_EPOCH};

/// The programme of the development site.
pub const PROGRAMME: &str = "coffee";
/// Its purse and its currency (the euro).
const PURSE: u8 = 1;
const CURRENCY: u16 = 978;
/// The most that a terminal loads alone by the shipped policies, in cents; one more takes two people.
const ALONE: u64 = 100_000;
/// In a fob's identifier, which kind of load it is for: each is loaded once.
const SMALL: u8 = b'P';
const LARGE: u8 = b'Q';
/// What officers stop: nobody else uses them here.
const TERMINAL: &str = "terminal-2";
const KEY: &str = "demo-known";
const KEY_VERSION: u32 = 1;
/// What officers say of it.
const REASON: &str = "measured";

impl Step {
    /// The operation that is called.
    pub const fn operation(self) -> Operation {
        match self {
            Self::Load | Self::ProposeLoad => Operation::ValueUpdate,
            Self::Look => Operation::ProposalGet,
            Self::Approve => Operation::ProposalApprove,
            Self::Result => Operation::ProposalResult,
            Self::Freeze => Operation::FreezeSet,
            Self::ProposeLift => Operation::FreezeLift,
            Self::Suspend => Operation::KeySuspend,
            Self::ProposeActivate => Operation::KeyActivate,
        }
    }
}

/// A request, with what its reply is held to.
#[derive(Debug)]
pub struct Asked {
    /// Its bytes: a statement where the operation is signed.
    pub request: Vec<u8>,
    /// The card that is loaded.
    pub card: Option<CardUid>,
}

/// The requests of a task, one for each call.
///
/// # Errors
/// [`Failed`] when the key does not sign.
pub fn requests(persona: &Persona, task: &Task) -> Result<Vec<Asked>, Failed> {
    let sign = |request: Result<Vec<u8>, Failed>| Ok(Asked { request: request?, card: None });
    match task.step {
        Step::Load => task.fobs.clone().map(|fob| load(persona, (SMALL, fob), ALONE)).collect(),
        Step::ProposeLoad => {
            task.fobs.clone().map(|fob| load(persona, (LARGE, fob), ALONE.saturating_add(1))).collect()
        }
        Step::Result => task
            .fobs
            .clone()
            .zip(&task.proposals)
            .map(|(fob, bytes)| {
                let request = about(persona, task.step, bytes)?;
                Ok(Asked { request, card: Some(card(LARGE, fob)?) })
            })
            .collect(),
        Step::Look | Step::Approve => {
            task.proposals.iter().map(|bytes| sign(about(persona, task.step, bytes))).collect()
        }
        Step::Freeze | Step::ProposeLift | Step::Suspend | Step::ProposeActivate => {
            task.fobs.clone().map(|_| sign(stop_or_go(persona, task.step))).collect()
        }
    }
}

/// A name of the development site.
///
/// # Errors
/// [`Failed`] when it is none.
pub fn name(text: &str) -> Result<Name, Failed> {
    text.parse().map_err(while_doing("a name"))
}

/// The fob of this number among those of its kind.
fn card(kind: u8, fob: u64) -> Result<CardUid, Failed> {
    let mut uid = [0x04, kind, 0, 0, 0, 0, 0];
    uid.iter_mut().skip(2).zip(fob.to_be_bytes().into_iter().skip(3)).for_each(|(to, from)| *to = from);
    CardUid::try_from(uid.as_slice()).map_err(while_doing("a card"))
}

/// The first load of a fob.
fn load(persona: &Persona, (kind, fob): (u8, u64), amount: u64) -> Result<Asked, Failed> {
    let card = card(kind, fob)?;
    let request = UpdateValue {
        schema: Schema,
        programme: name(PROGRAMME)?,
        card,
        purse: PURSE,
        operation: ValueOperation::Load,
        expected_seq: 1,
        amount,
        currency: CURRENCY,
        balance_before: 0,
        txn: persona.idem()?,
    };
    Ok(Asked { request: persona.statement(Operation::ValueUpdate, &request)?, card: Some(card) })
}

/// What is asked about a proposal.
fn about(persona: &Persona, step: Step, bytes: &[u8]) -> Result<Vec<u8>, Failed> {
    let id = Proposal::decode(bytes).map_err(while_doing("a proposal"))?.id;
    match step {
        Step::Look => Ok(cbor::encode(&ReadProposal { schema: Schema, id })),
        Step::Approve => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(while_doing("the clock"))?;
            let approval = Approval {
                schema: Schema,
                proposal: Proposal::digest_of(bytes),
                verdict: Verdict::Approve,
                signed_at_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
                nonce: persona.idem()?,
            };
            let approval = persona.message(Kind::Approval, &approval)?;
            let approval = Blob::try_from(approval).map_err(while_doing("an approval"))?;
            Ok(cbor::encode(&ApproveProposal { schema: Schema, id, approval }))
        }
        _ => Ok(cbor::encode(&ReadResult { schema: Schema, id })),
    }
}

fn stop_or_go(persona: &Persona, step: Step) -> Result<Vec<u8>, Failed> {
    let (operation, idem) = (step.operation(), persona.idem()?);
    let reason = REASON.parse().map_err(while_doing("a reason"))?;
    let (schema, version) = (Schema, KEY_VERSION);
    let scope = Scope::Terminal { name: name(TERMINAL)? };
    let name = name(KEY)?;
    match step {
        Step::Freeze => persona.statement(operation, &SetFreeze { schema, idem, scope, reason }),
        Step::ProposeLift => persona.statement(operation, &LiftFreeze { schema, idem, scope, reason }),
        Step::Suspend => persona.statement(operation, &SuspendKey { schema, idem, name, version, reason }),
        _ => persona.statement(operation, &ActivateKey { schema, idem, name, version, reason }),
    }
}
