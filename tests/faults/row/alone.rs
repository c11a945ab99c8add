//! One officer alone comes to nothing while the service is being killed.
//!
//! In rounds: officer-1 asks for something that takes two, and tries everything one officer can to bring it about alone;
//! then officer-2 agrees, and it must be done. Keeper and front are killed while requests are under way, and what was not
//! answered is sent again, byte for byte, until it is. At the end both verifiers hold every act against its approvals.

mod attack;
mod siege;

use self::{
    attack::{Answered, Forger, Scene, attacks},
    siege::Siege,
};
use crate::trial::{Ended, Found, Outcome, Trial};
use keysvc_protocol::{
    bytes::ProposalId,
    cbor,
    freeze::Scope,
    key::KeyKind,
    leaf::{ActByQuorumLeaf, ChangedLeaf, LeafKind, RefusedLeaf},
    proposal::{Proposal, ProposalState},
    quorum::Verdict,
    refusal::{Conflict, Refusal},
    reply::{ChangedReply, FreezeListReply, ResultReply, VoteReply},
    request::{ApproveProposal, ListFreezes, Operation, ReadResult},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{Pending, acts, create, done, freeze, lift, name, read},
    cards::{Card, holding},
    ground::{Failed, Ground, OFFICERS},
    raw::{Caller, Leaf, leaves, of_kind},
};
use std::{collections::BTreeSet, env, path::Path};

/// Rounds for which ten minutes have room.
const ROUNDS: u64 = 8;

/// Carries the row out.
pub fn run(trial: &Trial) -> Outcome {
    let ground = Ground::new();
    let program = env::current_exe().map_err(|error| Failed(error.to_string()))?;
    let mut officers = OFFICERS.map(|officer| holder(&program, &ground, officer));
    let [one, two, three] = &mut officers;
    // Two agree to a key that is not in use yet: one officer would put it into use.
    done(&mut [one, two], Operation::KeyCreate, &create(attack::SPARE, KeyKind::ValueSigning));
    let forger = Forger::new(ground.site(), two, three);
    let mut siege = Siege::new(&ground, trial.chances());
    let (mut found, rounds) = (Found::new("attacks"), trial.scaled(ROUNDS));
    let mut agreed = BTreeSet::new();
    for round in 0..rounds {
        trial.tell(round, rounds);
        let scene = stage(&mut siege, one)?;
        for attack in attacks(&scene, &forger, [one, two, three]) {
            let answered = siege.answered(one, OFFICERS[0], attack.operation, &attack.message);
            found.count(answered.and_then(|answer| attack.judge(&answer)));
        }
        found.check(is_frozen(&mut siege, one, &scene.scope)?, || {
            format!("round {round}: the freeze is lifted")
        });
        let outcome = agree(&mut siege, (one, two), &scene);
        found.check(outcome.is_ok(), || format!("round {round}: two officers: {outcome:?}"));
        agreed.insert(scene.asked.id());
    }
    let (kills, met) = (siege.kills(), siege.met);
    found.figure("rounds", rounds);
    found.figure("kills", kills);
    found.figure("requests sent again because nobody answered", met);
    judge(ground, &mut found, &agreed);
    Ok(Ended::Ran(found))
}

fn holder(program: &Path, ground: &Ground, officer: &str) -> Caller {
    holding(Card::insert_as((program, &["card"]), ground.site(), officer), ground.site(), officer)
}

/// What one round is about: a freeze, and officer-1's wish to lift it.
fn stage(siege: &mut Siege<'_>, one: &mut Caller) -> Result<Scene, Failed> {
    let scope = Scope::Terminal { name: name("terminal-2") };
    let set = one.message(Operation::FreezeSet, cbor::encode(&freeze(&scope)));
    let answer = siege.answered(one, OFFICERS[0], Operation::FreezeSet, &set).map_err(Failed)?;
    read::<ChangedReply>(&answer).map_err(|refusal| Failed(format!("freezing: {refusal}")))?;
    let lift = lift(&scope);
    let wish = one.message(Operation::FreezeLift, cbor::encode(&lift));
    let answer = siege.answered(one, OFFICERS[0], Operation::FreezeLift, &wish).map_err(Failed)?;
    match Answered::of(&answer) {
        Answered::Waits(pending) => Ok(Scene { scope, lift, asked: Pending::new(*pending) }),
        other => Err(Failed(format!("lifting a freeze was to wait for people: {other:?}"))),
    }
}

/// Both officers approve, and it is done, however often that takes the service to come back.
fn agree(siege: &mut Siege<'_>, (one, two): (&mut Caller, &mut Caller), scene: &Scene) -> Result<(), String> {
    let id = scene.asked.id();
    for (officer, persona) in [(&mut *two, OFFICERS[1]), (&mut *one, OFFICERS[0])] {
        let approval = scene.asked.verdict(officer, Verdict::Approve);
        let operation = Operation::ProposalApprove;
        let message =
            officer.message(operation, cbor::encode(&ApproveProposal { schema: Schema, id, approval }));
        let answer = siege.answered(officer, persona, operation, &message)?;
        // Officer-1 has approved before: that approval stands, and this one is a repetition.
        answer.read::<VoteReply>().map(drop).or_else(|refusal| ended(&refusal))?;
    }
    let look = cbor::encode(&ReadResult { schema: Schema, id });
    let look = one.message(Operation::ProposalResult, look);
    let answer = siege.answered(one, OFFICERS[0], Operation::ProposalResult, &look)?;
    let state = answer.read::<ResultReply>().map_err(|refusal| refusal.to_string())?.state;
    if !matches!(state, ProposalState::Executed { .. }) {
        return Err(format!("not executed: {state:?}"));
    }
    if is_frozen(siege, one, &scene.scope).map_err(|failed| failed.0)? {
        return Err("executed, and frozen still".to_owned());
    }
    Ok(())
}

/// After the act, another approval of somebody's is refused as too late.
fn ended(refusal: &Refusal) -> Result<(), String> {
    match refusal {
        Refusal::StateConflict { reason: Conflict::ProposalEnded } => Ok(()),
        refusal => Err(refusal.to_string()),
    }
}

fn is_frozen(siege: &mut Siege<'_>, one: &mut Caller, scope: &Scope) -> Result<bool, Failed> {
    let (operation, list) =
        (Operation::FreezeList, cbor::encode(&ListFreezes { schema: Schema, after: None }));
    let answer = siege.answered(one, OFFICERS[0], operation, &list).map_err(Failed)?;
    let list = answer.read::<FreezeListReply>().map_err(|refusal| Failed(refusal.to_string()))?;
    Ok(list.freezes.iter().any(|freeze| freeze.scope == *scope))
}

/// What is in the log at the end, and what both verifiers say of it.
fn judge(mut ground: Ground, found: &mut Found, agreed: &BTreeSet<ProposalId>) {
    let leaves: Vec<Leaf> = leaves(&ground);
    let refused: Vec<RefusedLeaf> = of_kind(&leaves, LeafKind::Refused);
    let done: Vec<ProposalId> = acts(&leaves).iter().map(|(_, act)| proposal_of(act)).collect();
    let once: BTreeSet<ProposalId> = done.iter().copied().collect();
    // The key that two made before the first kill is the one act more.
    found.check(done.len() == once.len() && done.len() == agreed.len() + 1, || {
        format!("{} acts in the log, and two officers agreed to {}", done.len(), agreed.len() + 1)
    });
    found.check(agreed.is_subset(&once), || "an act that two agreed to is not in the log".to_owned());
    let lifted: Vec<ChangedLeaf> = of_kind(&leaves, LeafKind::FreezeChanged);
    let lifted = lifted.iter().filter(|leaf| leaf.operation == Operation::FreezeLift).count();
    found.check(lifted == 0, || format!("{lifted} freezes are lifted by one alone"));
    found.check(!refused.is_empty(), || "no refusal is in the log".to_owned());
    found.figure("refusals with leaves of their own", refused.len());
    // Both verifiers hold every act against its approvals, and the store against the log.
    ground.assert_clean();
}

fn proposal_of(act: &ActByQuorumLeaf) -> ProposalId {
    Proposal::decode(act.evidence.proposal.as_bytes()).unwrap().id
}
