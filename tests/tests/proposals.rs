//! What takes people: a request becomes a proposal, officers vote, the quorum's last approval does it, and the requester
//! gets the reply; whatever breaks off in between.

use keysvc::{
    config::Config,
    keeper::{
        founding::open_token,
        ledger::{Change, Outcome},
        start::{install_seals, open_store},
    },
};
use keysvc_protocol::{
    bytes::Digest,
    cbor,
    key::{KeyKind, KeyState},
    leaf::{
        ActByQuorumLeaf, CardKeysDerivedLeaf, JobOpenedLeaf, LeafKind, ProposalClosedLeaf, ProposalMadeLeaf,
        ProposalVotedLeaf, ValueUpdatedLeaf,
    },
    proposal::{ProposalEnd, ProposalId, ProposalState},
    quorum::Verdict,
    refusal::{Conflict, Refusal, Thing, Uncounted},
    reply::{
        CardDeriveReply, ChangedReply, JobOpenReply, KeyCreatedReply, ProposalListReply, ProposalReply,
        ResultReply, ValueUpdateReply,
    },
    request::{
        ApproveProposal, ListProposals, Operation, ReadProposal, UpdateValue,
        ValueOperation::{Debit, Load},
    },
    schema::Schema,
    value::ValueUpdate,
};
use keysvc_tests::{
    agreed::{self, Pending, Sent, name, propose, send},
    cards,
    ground::{Ground, OFFICERS},
    jobs::{self, Floor, Shift, head},
    raw::{self, Caller},
    watched,
};
use rustix::process::Signal;
use softhsm_setup::Site;
use std::{fs, path::PathBuf, thread, time::Duration};

/// Kills while people vote.
const KILLS: u8 = 6;

fn holder(site: &Site, persona: &str) -> Caller {
    cards::holder(env!("CARGO_BIN_EXE_card"), site, persona)
}

fn officers(ground: &Ground) -> [Caller; 3] {
    OFFICERS.map(|persona| holder(ground.site(), persona))
}

/// A load that takes two people of two departments, on a card of this number.
fn large(card: u8) -> UpdateValue {
    let card = format!("04782e21801d{card:02x}").parse().unwrap();
    UpdateValue { card, ..raw::update(Load, 1, 500_000, 0) }
}

fn list(caller: &mut Caller, ended: bool) -> Vec<ProposalId> {
    let request = ListProposals { schema: Schema, ended, before: None };
    let reply: ProposalListReply = caller.ask(Operation::ProposalList, &request).unwrap();
    reply.proposals.iter().map(|proposal| proposal.id).collect()
}

fn get(caller: &mut Caller, pending: &Pending) -> Result<ProposalReply, Refusal> {
    caller.ask(Operation::ProposalGet, &ReadProposal { schema: Schema, id: pending.id() })
}

fn state(caller: &mut Caller, pending: &Pending) -> ProposalState {
    get(caller, pending).unwrap().state
}

const ENDED: Refusal = Refusal::StateConflict { reason: Conflict::ProposalEnded };
const NO_PROPOSAL: Refusal = Refusal::NotFound { what: Thing::Proposal };

#[test]
fn a_request_that_takes_people_is_answered_with_its_proposal_and_a_repetition_with_the_same() {
    let ground = Ground::new();
    let [mut ann, ..] = officers(&ground);
    let request = agreed::create("demo-generated", KeyKind::CardMaster);
    let first = propose(&mut ann, Operation::KeyCreate, &request).unwrap();
    assert_eq!(first.reply.state, ProposalState::Open);
    let proposal = &first.proposal;
    assert_eq!(
        (proposal.request.operation, proposal.request.requester.as_str()),
        (Operation::KeyCreate, "officer-1")
    );
    assert_eq!((proposal.need.persons, proposal.need.departments), (2, 1));
    assert_eq!(proposal.genesis, raw::genesis(ground.site()));
    assert_eq!(proposal.expires_ms - proposal.created_ms, 72 * 3_600_000);
    // Under a fresh signature it is the same request.
    let again = propose(&mut ann, Operation::KeyCreate, &request).unwrap();
    assert_eq!(again.reply.proposal, first.reply.proposal);
    assert_eq!(again.reply.receipt.leaf_index, first.reply.receipt.leaf_index);
    // The same key for another request is not.
    let other = keysvc_protocol::request::CreateKey { name: name("another"), ..request };
    let refused = send::<ChangedReply>(&mut ann, Operation::KeyCreate, &other);
    assert_eq!(refused, Err(Refusal::IdemConflict));
    let made: Vec<ProposalMadeLeaf> = raw::of_kind(&raw::leaves(&ground), LeafKind::ProposalMade);
    assert_eq!(made.iter().map(|leaf| &leaf.proposal).collect::<Vec<_>>(), [&first.reply.proposal]);
}

#[test]
fn officers_and_auditors_see_every_proposal_and_a_requester_its_own_alone() {
    let ground = Ground::new();
    let [mut ann, mut ben, _] = officers(&ground);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let (mut other, mut auditor) =
        (Caller::new(ground.site(), "terminal-2"), Caller::new(ground.site(), "auditor-1"));
    let key = propose(&mut ann, Operation::KeyCreate, &agreed::create("new", KeyKind::ValueSigning)).unwrap();
    let load = propose(&mut terminal, Operation::ValueUpdate, &large(1)).unwrap();
    // Newest first.
    for caller in [&mut ann, &mut ben, &mut auditor] {
        assert_eq!(list(caller, false), [load.id(), key.id()]);
        let shown = get(caller, &key).unwrap();
        assert_eq!((shown.proposal, shown.state), (key.reply.proposal.clone(), ProposalState::Open));
        let people: Vec<_> =
            shown.officers.iter().map(|one| (one.name.as_str(), one.department.as_str())).collect();
        assert_eq!(people, [("officer-1", "security"), ("officer-2", "finance"), ("officer-3", "audit")]);
    }
    assert_eq!(list(&mut terminal, false), [load.id()]);
    assert_eq!(get(&mut terminal, &load).unwrap().proposal, load.reply.proposal);
    assert_eq!(get(&mut terminal, &key).unwrap_err(), NO_PROPOSAL);
    assert_eq!(list(&mut other, true), []);
    assert_eq!(get(&mut other, &load).unwrap_err(), NO_PROPOSAL);
    let mut platform = Caller::new(ground.site(), "platform-1");
    assert_eq!(get(&mut platform, &load).unwrap_err(), Refusal::Forbidden);
    // An ended one is listed where ended ones are asked for.
    load.reject(&mut ben).unwrap();
    assert_eq!((list(&mut ann, false), list(&mut ann, true)), (vec![key.id()], vec![load.id(), key.id()]));
}

#[test]
fn two_people_execute_the_requester_counts_by_an_approval_alone_and_nobody_counts_twice() {
    let ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let request = agreed::create("demo-generated", KeyKind::CardMaster);
    let pending = propose(&mut ann, Operation::KeyCreate, &request).unwrap();
    let first = pending.approve(&mut ben).unwrap();
    // Who asked has signed the request, and is not counted for that.
    assert_eq!((first.state, first.persons), (ProposalState::Open, 1));
    let again = pending.approve(&mut ben).unwrap();
    assert_eq!((again.state, again.persons), (ProposalState::Open, 1));
    assert_eq!(again.receipt.leaf_index, first.receipt.leaf_index);
    assert_eq!(get(&mut cat, &pending).unwrap().approvals.len(), 1);
    assert_eq!(agreed::key_state(&mut cat, "demo-generated", 2), None);
    let last = pending.approve(&mut ann).unwrap();
    assert_eq!(last.persons, 2);
    let leaves = raw::leaves(&ground);
    let [(act, leaf)] = agreed::acts(&leaves).try_into().unwrap();
    assert_eq!(last.state, ProposalState::Executed { leaf: act });
    assert_eq!(leaf.evidence.proposal, pending.reply.proposal);
    assert_eq!(leaf.evidence.approvals.len(), 2);
    assert_eq!(agreed::key_state(&mut cat, "demo-generated", 2), Some(KeyState::PreActivation));
    // Too late is told, and executes nothing again.
    assert_eq!(pending.approve(&mut cat).unwrap_err(), ENDED);
    let done: KeyCreatedReply = match send(&mut ann, Operation::KeyCreate, &request).unwrap() {
        Sent::Done(done) => done,
        Sent::Pending(pending) => panic!("{pending:?}"),
    };
    assert_eq!((done.key.version, done.receipt.leaf_index), (2, act));
    assert_eq!(agreed::acts(&raw::leaves(&ground)).len(), 1);
    let voted: Vec<ProposalVotedLeaf> = raw::of_kind(&raw::leaves(&ground), LeafKind::ProposalVoted);
    assert_eq!(voted.iter().map(|leaf| leaf.verdict).collect::<Vec<_>>(), [Verdict::Approve; 2]);
}

#[test]
fn one_rejection_ends_a_proposal_for_good() {
    let ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let request = agreed::create("new", KeyKind::ValueSigning);
    let pending = propose(&mut ann, Operation::KeyCreate, &request).unwrap();
    pending.approve(&mut ben).unwrap();
    let rejected = ProposalState::Rejected { by: name("officer-3") };
    assert_eq!(pending.reject(&mut cat).unwrap().state, rejected);
    assert_eq!(pending.approve(&mut ann).unwrap_err(), ENDED);
    assert_eq!(pending.reject(&mut ann).unwrap_err(), ENDED);
    assert_eq!(state(&mut ben, &pending), rejected);
    // The same request tells how it ended; another one begins anew.
    assert_eq!(propose(&mut ann, Operation::KeyCreate, &request).unwrap().reply.state, rejected);
    agreed::done(
        &mut [&mut ann, &mut cat],
        Operation::KeyCreate,
        &agreed::create("new", KeyKind::ValueSigning),
    );
}

#[test]
fn a_proposal_is_withdrawn_by_its_requester_or_by_any_officer_and_by_nobody_else() {
    let ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let mut other = Caller::new(ground.site(), "terminal-2");
    let cancelled = |by: &str| ProposalState::Cancelled { by: name(by) };
    let own = propose(&mut terminal, Operation::ValueUpdate, &large(1)).unwrap();
    assert_eq!(own.cancel(&mut other).unwrap_err(), Refusal::Forbidden);
    assert_eq!(state(&mut ann, &own), ProposalState::Open);
    assert_eq!(own.cancel(&mut terminal).unwrap().state, cancelled("terminal-1"));
    assert_eq!(own.approve(&mut ann).unwrap_err(), ENDED);
    let load = propose(&mut terminal, Operation::ValueUpdate, &large(2)).unwrap();
    load.approve(&mut ann).unwrap();
    assert_eq!(load.cancel(&mut cat).unwrap().state, cancelled("officer-3"));
    assert_eq!(load.approve(&mut ben).unwrap_err(), ENDED);
    assert_eq!(load.result(&mut terminal).unwrap().state, cancelled("officer-3"));
    let leaves = raw::leaves(&ground);
    let closed: Vec<ProposalClosedLeaf> = raw::of_kind(&leaves, LeafKind::ProposalClosed);
    let by: Vec<_> = closed
        .iter()
        .map(|leaf| match &leaf.end {
            ProposalEnd::Cancelled { by, .. } => (leaf.proposal, by.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(by, [(own.id(), "terminal-1"), (load.id(), "officer-3")]);
    assert_eq!(agreed::acts(&leaves), []);
}

/// A value update's record without its signature, which differs each time.
fn unsigned(reply: &ValueUpdateReply) -> &[u8] {
    let record = reply.record.as_bytes();
    &record[..record.len() - 64]
}

fn loaded(reply: &ResultReply) -> ValueUpdateReply {
    let reply = reply.reply.as_ref().unwrap().as_bytes();
    cbor::decode(reply, reply.len()).unwrap()
}

#[test]
fn the_requester_alone_gets_the_reply_and_each_repetition_the_same_payload() {
    let ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let request = large(1);
    let pending = propose(&mut terminal, Operation::ValueUpdate, &request).unwrap();
    let early = pending.result(&mut terminal).unwrap();
    assert_eq!((early.state, early.reply), (ProposalState::Open, None));
    pending.approved_by(&mut [&mut ann, &mut ben]).unwrap();
    let first = pending.result(&mut terminal).unwrap();
    assert!(matches!(first.state, ProposalState::Executed { .. }), "{first:?}");
    let second = pending.result(&mut terminal).unwrap();
    let Sent::Done(third) =
        send::<ValueUpdateReply>(&mut terminal, Operation::ValueUpdate, &request).unwrap()
    else {
        panic!("it was executed")
    };
    let (first, second) = (loaded(&first), loaded(&second));
    for again in [&second, &third] {
        assert_eq!(unsigned(again), unsigned(&first));
        assert_eq!(again.receipt.leaf_index, first.receipt.leaf_index);
    }
    assert_ne!(first.record, second.record, "a fresh signature");
    let mut other = Caller::new(ground.site(), "terminal-2");
    for caller in [&mut ann, &mut cat, &mut other] {
        assert_eq!(pending.result(caller).unwrap_err(), NO_PROPOSAL);
    }
    let mut auditor = Caller::new(ground.site(), "auditor-1");
    assert_eq!(pending.result(&mut auditor).unwrap_err(), Refusal::Forbidden);
    assert_eq!(agreed::acts(&raw::leaves(&ground)).len(), 1);
}

#[test]
fn what_people_agreed_to_stays_done_when_one_of_them_leaves_and_is_answered_again() {
    let ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let request = large(1);
    let pending = propose(&mut terminal, Operation::ValueUpdate, &request).unwrap();
    pending.approved_by(&mut [&mut ann, &mut ben]).unwrap();
    let waits = propose(&mut terminal, Operation::ValueUpdate, &large(2)).unwrap();
    waits.approve(&mut ben).unwrap();
    agreed::alone(&mut cat, Operation::PrincipalDisable, &agreed::disable("officer-2")).unwrap();
    let first = loaded(&pending.result(&mut terminal).unwrap());
    let Sent::Done(again) =
        send::<ValueUpdateReply>(&mut terminal, Operation::ValueUpdate, &request).unwrap()
    else {
        panic!("it was executed")
    };
    assert_eq!(again.receipt.leaf_index, first.receipt.leaf_index);
    // What was not done yet was proposed to other officers than there are now.
    let other = Refusal::ApprovalInvalid { reason: Uncounted::OtherRoster };
    assert_eq!(waits.approve(&mut ann).unwrap_err(), other);
    assert_eq!(waits.result(&mut terminal).unwrap().state, ProposalState::Open);
}

/// Where the parent leaves the last approval for the child that sees the service's token.
fn last_vote(site: &Site) -> PathBuf {
    site.folder().join("last-vote")
}

/// What a keeper leaves that is killed after the last vote was recorded and before the act: the vote's leaf alone.
fn vote_and_die(site: &Site) {
    let request: ApproveProposal = cbor::decode(&fs::read(last_vote(site)).unwrap(), 4096).unwrap();
    let config = Config::read(&site.service_config()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let token = open_token(&config).unwrap();
        let (sequencer, _reader) = open_store(&config).unwrap();
        install_seals(&config, &token, &sequencer).unwrap();
        sequencer.restore_control().unwrap();
        let vote = Change::Vote {
            caller: name("officer-2"),
            proposal: request.id,
            verdict: Verdict::Approve,
            approval: request.approval,
            request: Digest::new([0; 32]),
        };
        let settled = sequencer.submit(vote).await.unwrap();
        assert!(matches!(settled.outcome, Outcome::Recorded(_)), "{:?}", settled.outcome);
        sequencer.close();
    });
}

#[test]
fn a_keeper_killed_after_the_last_vote_and_before_the_act_does_it_after_its_restart() {
    let test = "a_keeper_killed_after_the_last_vote_and_before_the_act_does_it_after_its_restart";
    let request = large(1);
    let make = || {
        let mut ground = Ground::new();
        let [mut ann, ben, _] = officers(&ground);
        let mut terminal = Caller::new(ground.site(), "terminal-1");
        let pending = propose(&mut terminal, Operation::ValueUpdate, &request).unwrap();
        pending.approve(&mut ann).unwrap();
        let approval = pending.verdict(&ben, Verdict::Approve);
        let vote = ApproveProposal { schema: Schema, id: pending.id(), approval };
        fs::write(last_vote(ground.site()), cbor::encode(&vote)).unwrap();
        ground.stop();
        ground
    };
    let Some(mut ground) = raw::with_tokens(test, &["service"], make, |site, _| vote_and_die(site)) else {
        return;
    };
    ground.start().unwrap();
    // By itself: nobody asks for it.
    agreed::until("it is executed", || agreed::acts(&raw::leaves(&ground)).len() == 1);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let Sent::Done(done) = send::<ValueUpdateReply>(&mut terminal, Operation::ValueUpdate, &request).unwrap()
    else {
        panic!("it was executed")
    };
    let leaves = raw::leaves(&ground);
    let [(act, _)] = agreed::acts(&leaves).try_into().unwrap();
    assert_eq!(done.receipt.leaf_index, act);
    ground.assert_clean();
}

fn random() -> u8 {
    let mut byte = [0];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut byte).unwrap();
    byte[0]
}

#[test]
fn kills_at_any_moment_of_the_last_vote_lose_no_act_and_do_none_twice() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, _] = officers(&ground);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let mut txns = Vec::new();
    for number in 0..KILLS {
        let request = large(number);
        let pending = propose(&mut terminal, Operation::ValueUpdate, &request).unwrap();
        pending.approve(&mut ann).unwrap();
        let approval = pending.verdict(&ben, Verdict::Approve);
        let vote = ApproveProposal { schema: Schema, id: pending.id(), approval };
        let body = raw::envelope(cbor::encode(&vote));
        ben.line.send(&raw::http("proposal.approve", &body)).unwrap();
        thread::sleep(Duration::from_micros(u64::from(random()) * 120));
        watched::send(ground.half("keeper").unwrap(), Signal::KILL);
        let answer = ben.line.answer().unwrap();
        println!("kill {number}: the vote was answered with {}", answer.status);
        agreed::until("it is executed", || {
            // A vote that was lost is sent again; one that was not is no second one. A connection that the front gave up
            // meanwhile is made anew, as a client would.
            if raw_vote(&mut ben, &body).is_err() {
                ground.reconnect(&mut ben, "officer-2");
            }
            match pending.result(&mut terminal) {
                Ok(result) => matches!(result.state, ProposalState::Executed { .. }),
                Err(refusal) => {
                    assert!(refusal.retryable(), "{refusal:?}");
                    false
                }
            }
        });
        txns.push(request.txn);
    }
    let leaves = raw::leaves(&ground);
    let act = |leaf: &ActByQuorumLeaf| {
        assert_eq!(leaf.kind, LeafKind::ValueUpdated);
        let act: ValueUpdatedLeaf = cbor::decode(leaf.act.as_bytes(), 1 << 16).unwrap();
        ValueUpdate::from_payload(act.update.as_bytes()).unwrap().txn
    };
    let acts: Vec<_> = agreed::acts(&leaves).iter().map(|(_, leaf)| act(leaf)).collect();
    assert_eq!(acts, txns);
    assert_eq!(raw::of_kind::<ValueUpdatedLeaf>(&leaves, LeafKind::ValueUpdated), []);
    ground.assert_clean();
}

fn raw_vote(officer: &mut Caller, body: &[u8]) -> std::io::Result<u16> {
    officer.line.send(&raw::http("proposal.approve", body))?;
    Ok(officer.line.answer()?.status)
}

/// The shipped policies, but a station waits for two people.
fn stations_wait() -> String {
    let alone = "when { principal.kind == \"station\" };";
    let shipped = keysvc_policies::DEFAULT_SITE;
    assert_eq!(shipped.matches(alone).count(), 1);
    shipped.replace(alone, "when { principal.kind == \"station\" && context.persons >= 2 };")
}

#[test]
fn a_site_may_have_people_agree_to_what_knows_nothing_of_them() {
    let mut ground = Ground::new_under(&stations_wait());
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let mut station = holder(ground.site(), "station-1");
    let mut floor = Floor::without_monitor(ground.site());
    floor.prepare("job-1", &head("known", 1, 8));
    let request = floor.open_request("job-1", "station-1");
    let pending = propose(&mut station, Operation::JobOpen, &request).unwrap();
    assert_eq!(pending.proposal.need.persons, 2);
    assert_eq!(pending.approve(&mut ann).unwrap().state, ProposalState::Open);
    let state = pending.approve(&mut cat).unwrap().state;
    assert!(matches!(state, ProposalState::Executed { .. }), "{state:?}");
    let reply = pending.result(&mut station).unwrap().reply.unwrap();
    let opened: JobOpenReply = cbor::decode(reply.as_bytes(), reply.as_bytes().len()).unwrap();
    assert_eq!(ProposalState::Executed { leaf: opened.receipt.leaf_index }, state);
    let act = agreed::acts(&raw::leaves(&ground)).remove(0).1;
    let opened: JobOpenedLeaf = cbor::decode(act.act.as_bytes(), 1 << 16).unwrap();

    let shift = Shift { job: request.job.clone(), exchange: opened.exchange, request };
    let derive = jobs::derive(&shift, &["04782e21801d80"]);
    let pending = propose(&mut station, Operation::CardDerive, &derive).unwrap();
    pending.approved_by(&mut [&mut ben, &mut ann]).unwrap();
    let reply = pending.result(&mut station).unwrap().reply.unwrap();
    let derived: CardDeriveReply = cbor::decode(reply.as_bytes(), reply.as_bytes().len()).unwrap();
    assert!(derived.delivery.as_bytes().len() > 100);
    let [(_, first), (_, second)] = agreed::acts(&raw::leaves(&ground)).try_into().unwrap();
    assert_eq!((first.kind, second.kind), (LeafKind::JobOpened, LeafKind::CardKeysDerived));
    let leaf: CardKeysDerivedLeaf = cbor::decode(second.act.as_bytes(), 1 << 16).unwrap();
    assert_eq!((leaf.station.as_str(), leaf.count), ("station-1", 1));
    // What the policies leave alone is still done at once.
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    for update in [raw::update(Load, 1, 2_000, 0), raw::update(Debit, 2, 100, 2_000)] {
        let update = UpdateValue { card: "04a1b2c3d4e5f6".parse().unwrap(), ..update };
        terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &update).unwrap();
    }
    ground.assert_clean();
}
