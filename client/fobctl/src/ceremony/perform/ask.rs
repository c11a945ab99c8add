//! Steps that ask for something: each becomes one request, signed by the step's person, and a proposal for the others.
//!
//! The idempotency key follows from plan and step, so that a step that is tried again finds its own proposal.

use super::{PROPOSAL_DIGEST, Performed, Stage, policy};
use crate::{
    ceremony::named,
    fault::Fault,
    output::{Report as _, tell},
    proposal_view::ProposalView,
};
use keysvc_client::{
    Officer, Outcome, Pending,
    officer::Changed,
    protocol::{
        bytes::{Idem, ShortCheck},
        ceremony::{Activity, Component, Fact, idem_of_step},
        key::KeyKind,
        list::List,
        name::{Name, Reason},
        request::{ActivateKey, ComponentOrder, CreateKey, EnrolPrincipal, ImportKey, PutProfile, RetireKey},
        schema::Schema,
    },
};

/// Asks for what the step says.
///
/// # Errors
/// [`Fault`] of the files that the plan names, of card and call, and where an earlier try has come to nothing.
pub(super) async fn ask(stage: &mut Stage<'_>, activity: &Activity) -> Result<Performed, Fault> {
    // Before the card is asked for: what cannot be read needs no PIN.
    let request = Request::of(stage, activity)?;
    let present = stage.people.present(&stage.step.by).await?;
    let mut performed = Performed::default();
    performed.fact("card", &present.card.token());
    request.tell(&mut performed);
    match request.send(&present.officer).await? {
        Outcome::Pending(pending) => {
            stage.sent = Some(pending.id);
            made(&present.officer, &pending, &mut performed).await?;
            performed.proposal = Some(pending.id);
        }
        Outcome::Done(changed) => {
            performed.leaf = Some(changed.leaf_index);
            performed.fact("leaf", &changed.leaf_index);
            changed.key.iter().for_each(|key| performed.key(key));
        }
    }
    Ok(performed)
}

/// The proposal that the request became, as the officers will read it.
async fn made(officer: &Officer, pending: &Pending, performed: &mut Performed) -> Result<(), Fault> {
    let record = officer.proposal(pending.id).await;
    let record = record.map_err(|error| Fault::client("read the proposal", error))?;
    let view = ProposalView::from(&record);
    if !pending.waits() {
        let next = "hold another ceremony for it, with a plan of its own: a step has one proposal".to_owned();
        return Err(Fault::Waits { id: pending.id.to_string(), state: view.state, waits: false, next });
    }
    performed.fact("operation", &pending.operation);
    performed.fact("proposal", &pending.id);
    performed.fact(PROPOSAL_DIGEST, &record.approvable.digest());
    performed.fact("sentence", &record.approvable.sentence());
    performed.fact("need", &view.need.words());
    performed.fact("proposal-state", &view.state);
    performed.fact("proposal-leaf", &record.leaf);
    tell(&view.text());
    Ok(())
}

/// The request of a step, whole.
enum Request {
    Create(CreateKey),
    Activate(ActivateKey),
    Retire(RetireKey),
    Import(Box<ImportKey>),
    Enrol(Box<EnrolPrincipal>),
    Profile(Box<PutProfile>),
    Policy(Box<policy::Proposal>),
}

impl Request {
    fn of(stage: &Stage<'_>, activity: &Activity) -> Result<Self, Fault> {
        let idem = idem_of_step(&stage.file.digest, stage.number);
        let reason = stage.step.say.clone();
        Ok(match activity {
            Activity::KeyCreate { name, kind } => {
                Self::Create(CreateKey { schema: Schema, idem, name: name.clone(), kind: *kind })
            }
            Activity::KeyActivate { name, version } => {
                let (name, version) = (name.clone(), *version);
                Self::Activate(ActivateKey { schema: Schema, idem, name, version, reason })
            }
            Activity::KeyRetire { name, version } => {
                let (name, version) = (name.clone(), *version);
                Self::Retire(RetireKey { schema: Schema, idem, name, version, reason })
            }
            Activity::KeyImport { name, check_value, components } => {
                Self::Import(Box::new(import((idem, reason), name, check_value, components)?))
            }
            Activity::PrincipalEnrol { .. } => {
                let principal = named::enrolment(stage.file, activity)?;
                Self::Enrol(Box::new(EnrolPrincipal { schema: Schema, idem, principal }))
            }
            Activity::ProfilePut { .. } => {
                let profile = named::profile(stage.file, activity)?;
                Self::Profile(Box::new(PutProfile { schema: Schema, idem, profile, reason }))
            }
            Activity::PolicyPropose { .. } => {
                Self::Policy(Box::new(policy::proposal(stage.file, activity, (idem, reason))?))
            }
            _ => return Err(Fault::usage("this step asks for nothing", "correct the plan")),
        })
    }

    /// What it is about, where the plan says it by a digest alone.
    fn tell(&self, performed: &mut Performed) {
        match self {
            Self::Enrol(request) => performed.fact(Fact::PRINCIPAL, &request.principal.id),
            Self::Profile(request) => {
                let profile = &request.profile;
                performed.fact(Fact::PROFILE, &format!("{} version {}", profile.name, profile.version));
            }
            Self::Policy(proposal) => performed.fact(Fact::POLICY, &proposal.digest()),
            Self::Create(_) | Self::Activate(_) | Self::Retire(_) | Self::Import(_) => {}
        }
    }

    async fn send(self, officer: &Officer) -> Result<Outcome<Changed>, Fault> {
        let outcome = match self {
            Self::Create(request) => officer.order_key(&request).await,
            Self::Activate(request) => officer.act(&request).await,
            Self::Retire(request) => officer.act(&request).await,
            Self::Import(request) => officer.act(&*request).await,
            Self::Enrol(request) => officer.act(&*request).await,
            Self::Profile(request) => officer.order_profile(&request).await,
            Self::Policy(proposal) => officer.propose_policy(&proposal.request(officer).await?).await,
        };
        outcome.map_err(|error| Fault::client("ask for it", error))
    }
}

fn import(
    (idem, reason): (Idem, Reason),
    name: &Name,
    check_value: &str,
    components: &[Component],
) -> Result<ImportKey, Fault> {
    let check = |text: &str| {
        let read = text.parse::<ShortCheck>();
        read.map_err(|_| Fault::usage(format!("'{text}' is no check value"), "correct the plan"))
    };
    let order = |one: &Component| {
        Ok(ComponentOrder { custodian: one.custodian.clone(), check: check(&one.check_value)? })
    };
    let orders = components.iter().map(order).collect::<Result<Vec<_>, Fault>>()?;
    let components = List::try_from(orders)
        .map_err(|_| Fault::usage("a key has two or three components", "correct the plan"))?;
    let (name, kind) = (name.clone(), KeyKind::CardMaster);
    Ok(ImportKey { schema: Schema, idem, name, kind, check: check(check_value)?, components, reason })
}
