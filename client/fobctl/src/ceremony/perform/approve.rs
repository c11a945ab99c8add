//! An approval: what an earlier step asked for is read, shown, and signed with the officer's own card.
//!
//! The approval that completes the quorum executes the act; then its result is fetched as the requester, whose card is not
//! needed for that.

use super::{PROPOSAL_DIGEST, Performed, Stage};
use crate::{
    ceremony::words,
    fault::Fault,
    output::{LOUD, Report as _, tell},
    proposal_view::{self, ProposalView},
};
use keysvc_client::{
    Officer, Outcome,
    officer::OnRecord,
    protocol::{
        bytes::Digest,
        ceremony::{Activity, Fact, StepRecord},
        proposal::ProposalState,
    },
};

/// Approves what an earlier step asked for.
///
/// # Errors
/// [`Fault`] of card and call, and where the proposal is not the one that the earlier step made.
pub(super) async fn approve(scene: &mut Stage<'_>, of_step: u16) -> Result<Performed, Fault> {
    let id = scene.proposal_of(of_step)?;
    let officer = scene.people.connected(&scene.step.by).await?;
    let read = |error| Fault::client("read the proposal", error);
    let record = officer.proposal(id).await.map_err(read)?;
    same_proposal(scene.earlier(of_step)?.0, &record)?;
    let mut performed = Performed { proposal: Some(id), ..Performed::default() };
    let digest = record.approvable.digest();
    performed.fact("proposal", &id);
    performed.fact(PROPOSAL_DIGEST, &digest);
    performed.fact("sentence", &record.approvable.sentence());
    // An interrupted step may have come as far as its vote.
    let voted = record.votes.approved.iter().any(|(name, _)| *name == scene.step.by);
    let state = if voted {
        performed.fact("approval", &"was in the log already");
        record.state.clone()
    } else {
        vote(scene, &record, &mut performed).await?
    };
    let record = officer.proposal(id).await.map_err(read)?;
    let names: Vec<_> = record.votes.approved.iter().map(|(name, _)| name.to_string()).collect();
    performed.fact("approved", &names.join(", "));
    after(scene, of_step, (&state, &record), &mut performed).await?;
    Ok(performed)
}

async fn vote(
    scene: &mut Stage<'_>,
    record: &OnRecord,
    performed: &mut Performed,
) -> Result<ProposalState, Fault> {
    let view = ProposalView::from(record);
    tell(&view.text());
    if record.state != ProposalState::Open {
        let state = proposal_view::state(&record.state);
        let id = record.approvable.id().to_string();
        let next = "record this step as failed, and hold another ceremony for what is missing".to_owned();
        return Err(Fault::Waits { id, state, waits: false, next });
    }
    let digest: Digest = record.approvable.digest();
    tell(&format_args!("{LOUD}the digest begins {}{LOUD:#}", words::head(&digest)));
    scene.answerer.confirm(&digest)?;
    let present = scene.people.present(&scene.step.by).await?;
    performed.fact("card", &present.card.token());
    scene.sent = Some(record.approvable.id());
    let voted = present.officer.approve(&record.approvable).await;
    let voted = voted.map_err(|error| Fault::client("approve", error))?;
    performed.fact("vote-leaf", &voted.leaf_index);
    Ok(voted.state)
}

/// What became of it with this approval, compared with the plan: after the last planned one it must be done.
async fn after(
    scene: &mut Stage<'_>,
    of_step: u16,
    (state, record): (&ProposalState, &OnRecord),
    performed: &mut Performed,
) -> Result<(), Fault> {
    performed.fact("proposal-state", &proposal_view::state(state));
    let later = scene.file.plan.steps.iter().skip(usize::from(scene.number));
    let last = !later.into_iter().any(|step| step.activity == Some(Activity::Approve { of_step }));
    match state {
        ProposalState::Executed { leaf } | ProposalState::Waiting { leaf, .. } => {
            performed.leaf = Some(*leaf);
            performed.fact("leaf", leaf);
            if !last {
                performed.differs("it was agreed before all planned approvals were given");
            }
            result(scene, of_step, (state, record), performed).await
        }
        ProposalState::Open if last => {
            let still = ProposalView::from(record).still();
            performed.differs(format!("all planned approvals are given, and it is still open: {still}"));
            Ok(())
        }
        ProposalState::Open => {
            performed.fact("still-needed", &ProposalView::from(record).still());
            Ok(())
        }
        ended => {
            performed.differs(format!("the proposal is {}", proposal_view::state(ended)));
            Ok(())
        }
    }
}

/// The act's own result, as its requester gets it; and the key that it was about, as it now stands.
async fn result(
    scene: &mut Stage<'_>,
    of_step: u16,
    (state, record): (&ProposalState, &OnRecord),
    performed: &mut Performed,
) -> Result<(), Fault> {
    let (requester, asked) = {
        let (_, step) = scene.earlier(of_step)?;
        (step.by.clone(), step.activity.clone())
    };
    if matches!(state, ProposalState::Executed { .. }) {
        let officer = scene.people.absent(&requester).await?;
        let outcome = officer.result(record.approvable.id()).await;
        let outcome = outcome.map_err(|error| Fault::client("fetch the result", error))?;
        if let Outcome::Done(changed) = outcome {
            performed.fact("result-leaf", &changed.leaf_index);
            for vector in &changed.vectors {
                let name = format!("slot {} card {}", vector.slot, vector.card);
                performed.fact(&name, &vector.check_value);
            }
            if let Some(key) = &changed.key {
                performed.key(key);
                return Ok(());
            }
        }
    }
    let officer = scene.people.connected(&scene.step.by).await?;
    show_key(&officer, asked.as_ref(), performed).await
}

async fn show_key(
    officer: &Officer,
    asked: Option<&Activity>,
    performed: &mut Performed,
) -> Result<(), Fault> {
    let (Activity::KeyActivate { name, version } | Activity::KeyRetire { name, version }) = (match asked {
        Some(activity) => activity,
        None => return Ok(()),
    }) else {
        return Ok(());
    };
    let key = officer.reader().key(name, Some(*version)).await;
    performed.key(&key.map_err(|error| Fault::client("read the key", error))?);
    Ok(())
}

/// The proposal must have the bytes that the step which made it recorded.
fn same_proposal(made: &StepRecord, record: &OnRecord) -> Result<(), Fault> {
    let digest = record.approvable.digest().to_string();
    let is = |fact: &Fact| fact.name.as_str() == PROPOSAL_DIGEST && fact.value.as_str() == digest;
    let by_the_person = record.approvable.proposal().request.requester == made.person;
    if by_the_person && made.facts.iter().any(is) {
        return Ok(());
    }
    Err(Fault::usage(
        format!("proposal {} is not the one that step {} made", record.approvable.id(), made.number),
        "approve nothing; keep the folder as evidence, and tell the officers",
    ))
}
