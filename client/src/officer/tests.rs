//! Proves the officer's calls over a test log: what is signed, what is believed of the answers, and what is not.

use super::*;
use crate::{
    connect::stand_in::{StandIn, Step},
    pending::Outcome,
    testing::{
        Log, TERMINAL,
        people::{self, ANN, BOB, approval, changed, evidence, officers, proposal, signer},
        service::{Service, Shared, serve},
    },
};
use keysvc_protocol::{
    bytes::{Blob, Digest, ProposalId},
    cbor::{self, REPLY_LEN_MAX, REQUEST_LEN_MAX},
    founding::PrincipalKind,
    freeze::Scope,
    leaf::{LeafKind, Statement},
    list::List,
    name::Reason,
    proposal::{Proposal, ProposalState},
    quorum::{Need, Verdict},
    reply::{
        ChangedReply, FreezeListReply, FreezeView, PendingReply, PrincipalListReply, PrincipalView,
        ProposalReply, ResultReply, VoteReply,
    },
    request::{ApproveProposal, Enrolment, Envelope, ListFreezes, ListPrincipals, Operation, RejectProposal},
    schema::Schema,
};

const ID: ProposalId = ProposalId::new([7; 16]);

fn reason() -> Reason {
    "why".parse().unwrap()
}

/// A far end with one proposal at a time, which two officers execute.
#[derive(Default)]
struct Desk {
    proposal: Option<Proposal>,
    approvals: Vec<Blob<{ keysvc_protocol::proposal::APPROVAL_LEN_MAX }>>,
    act: Option<u64>,
}

impl Desk {
    fn answer(&mut self, service: &mut Service, operation: Operation, envelope: &Envelope) -> Option<Step> {
        Some(match operation {
            Operation::KeyActivate => {
                self.proposal = Some(proposal(operation, "ann", Statement(envelope.request.clone())));
                service.propose(operation, "ann", envelope)
            }
            Operation::FreezeSet => {
                let statement = Statement(envelope.request.clone());
                service.change(LeafKind::FreezeChanged, "ann", operation, statement);
                Step::Reply(cbor::encode(&ChangedReply {
                    schema: Schema,
                    receipt: service.receipt(envelope),
                }))
            }
            Operation::ProposalGet => Step::Reply(cbor::encode(&ProposalReply {
                schema: Schema,
                proposal: Blob::try_from(cbor::encode(self.proposal.as_ref()?)).unwrap(),
                state: self.state(),
                leaf: 5,
                approvals: self.approvals.clone().try_into().unwrap(),
                officers: officers().try_into().unwrap(),
            })),
            Operation::ProposalApprove => {
                let asked: ApproveProposal =
                    cbor::decode(envelope.request.as_bytes(), REQUEST_LEN_MAX).unwrap();
                self.approve(service, asked.approval, envelope)
            }
            Operation::ProposalReject => {
                let asked: RejectProposal =
                    cbor::decode(envelope.request.as_bytes(), REQUEST_LEN_MAX).unwrap();
                let leaf = service.vote(Verdict::Reject, asked.approval);
                let state = ProposalState::Rejected { by: "ann".parse().unwrap() };
                voted(service, state, leaf, envelope)
            }
            Operation::ProposalResult => {
                let reply = self.act.map(|act| {
                    let receipt = service.receipt_of(act, envelope);
                    Blob::try_from(cbor::encode(&ChangedReply { schema: Schema, receipt })).unwrap()
                });
                Step::Reply(cbor::encode(&ResultReply { schema: Schema, state: self.state(), reply }))
            }
            _ => return None,
        })
    }

    fn approve(
        &mut self,
        service: &mut Service,
        approval: Blob<{ keysvc_protocol::proposal::APPROVAL_LEN_MAX }>,
        envelope: &Envelope,
    ) -> Step {
        self.approvals.push(approval.clone());
        let leaf = service.vote(Verdict::Approve, approval);
        if self.approvals.len() == 2 {
            let proposal = self.proposal.clone().unwrap();
            let request = proposal.request.clone();
            let act = changed("ann", request.operation, request.statement);
            let evidence = evidence(&proposal);
            service.act(LeafKind::ActByQuorum, LeafKind::SiteChanged, cbor::encode(&act), evidence);
            self.act = Some(service.log.0.len() as u64 - 1);
        }
        voted(service, self.state(), leaf, envelope)
    }

    fn state(&self) -> ProposalState {
        self.act.map_or(ProposalState::Open, |leaf| ProposalState::Executed { leaf })
    }
}

fn voted(service: &Service, state: ProposalState, leaf: u64, envelope: &Envelope) -> Step {
    let receipt = service.receipt_of(leaf, envelope);
    Step::Reply(cbor::encode(&VoteReply { schema: Schema, state, persons: 1, receipt }))
}

async fn desk() -> (StandIn, Shared) {
    let mut desk = Desk::default();
    serve(Log::new(4, 0), move |service, operation, envelope| desk.answer(service, operation, envelope)).await
}

/// An officer at a far end that lives as long.
struct At {
    officer: Officer,
    _ground: StandIn,
}

impl std::ops::Deref for At {
    type Target = Officer;
    fn deref(&self) -> &Officer {
        &self.officer
    }
}

/// A far end that answers one operation in its own way.
async fn odd(odd: Operation, mut answer: impl FnMut(&mut Service, &Envelope) -> Step + Send + 'static) -> At {
    let mut desk = Desk::default();
    let (ground, _) = serve(Log::new(4, 0), move |service, operation, envelope| {
        if operation == odd {
            return Some(answer(service, envelope));
        }
        desk.answer(service, operation, envelope)
    })
    .await;
    At { officer: officer(&ground, ANN).await, _ground: ground }
}

async fn officer(ground: &StandIn, key: u8) -> Officer {
    let officer = Officer::connect(&ground.config()).await.unwrap();
    officer.with_signer(signer(key)).unwrap()
}

async fn activate(officer: &Officer) -> Result<Outcome<Changed>, ClientError> {
    officer.activate_key("coffee-value".parse().unwrap(), 2, reason()).await
}

fn untrusted<T: std::fmt::Debug>(result: Result<T, ClientError>) -> String {
    match result {
        Err(ClientError::Untrusted { what, evidence: None }) => what,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_act_that_takes_people_is_read_approved_by_two_and_executed() {
    let (ground, service) = desk().await;
    let (ann, bob) = (officer(&ground, ANN).await, officer(&ground, BOB).await);
    assert_eq!(ann.name().unwrap().as_str(), "ann");
    let Outcome::Pending(pending) = activate(&ann).await.unwrap() else { panic!("done alone") };
    assert_eq!((pending.id, pending.need.persons, pending.waits()), (ID, 2, true));
    let record = ann.proposal(ID).await.unwrap();
    assert!(record.approvable.sentence().contains("coffee-value"));
    assert_eq!(record.votes.missing.as_ref().unwrap().persons, 2);
    let first = ann.approve(&record.approvable).await.unwrap();
    assert_eq!(first.state, ProposalState::Open);
    let record = bob.proposal(ID).await.unwrap();
    assert_eq!(record.votes.missing.as_ref().unwrap().departments, 1);
    let second = bob.approve(&record.approvable).await.unwrap();
    assert_eq!(second.state, ProposalState::Executed { leaf: 8 });
    assert_eq!(bob.proposal(ID).await.unwrap().votes.missing, None);
    let Outcome::Done(changed) = ann.result(ID).await.unwrap() else { panic!("not done") };
    assert_eq!((changed.leaf_index, changed.checkpoint.checkpoint().head.size), (8, 9));
    // The result of a request is its requester's.
    assert!(matches!(bob.result(ID).await, Err(ClientError::Request { .. })));
    assert_eq!(service.lock().unwrap().log.0.len(), 9);
}

#[tokio::test]
async fn what_stops_things_is_done_at_once_and_proved() {
    let (ground, _) = desk().await;
    let officer = officer(&ground, ANN).await;
    let Outcome::Done(changed) = officer.freeze(Scope::All, reason()).await.unwrap() else {
        panic!("pending")
    };
    assert_eq!(changed.leaf_index, 5);
}

#[tokio::test]
async fn a_rejection_is_signed_and_ends_the_proposal() {
    let (ground, _) = desk().await;
    let officer = officer(&ground, ANN).await;
    activate(&officer).await.unwrap();
    let record = officer.proposal(ID).await.unwrap();
    let voted = officer.reject(&record.approvable).await.unwrap();
    assert!(matches!(voted.state, ProposalState::Rejected { .. }));
}

#[tokio::test]
async fn without_a_card_everything_is_read_and_nothing_signed() {
    let (ground, service) = desk().await;
    activate(&officer(&ground, ANN).await).await.unwrap();
    let reading = Officer::connect(&ground.config()).await.unwrap();
    let record = reading.proposal(ID).await.unwrap();
    let asked = service.lock().unwrap().bodies.len();
    assert!(matches!(reading.approve(&record.approvable).await, Err(ClientError::Config(_))));
    assert!(matches!(reading.freeze(Scope::All, reason()).await, Err(ClientError::Config(_))));
    assert_eq!(service.lock().unwrap().bodies.len(), asked);
    assert!(matches!(reading.with_signer(signer(77)), Err(ClientError::Config(_))));
}

#[tokio::test]
async fn a_proposal_of_another_request_than_ours_is_not_believed() {
    let other = odd(Operation::KeyActivate, |service, envelope| {
        let retire = people::statement(Operation::KeyActivate, ANN, b"another".to_vec());
        let proposal = proposal(Operation::KeyActivate, "ann", retire);
        service.pend(&proposal, ProposalState::Open, envelope)
    });
    assert_eq!(
        untrusted(activate(&other.await.officer).await),
        "its proposal is of another request than ours"
    );
    let forged = odd(Operation::KeyActivate, |service, envelope| {
        let request = Statement(envelope.request.clone());
        let proposal =
            Proposal { genesis: Digest::new([1; 32]), ..proposal(Operation::KeyActivate, "ann", request) };
        service.pend(&proposal, ProposalState::Open, envelope)
    });
    assert_eq!(untrusted(activate(&forged.await.officer).await), "its proposal is of another log");
    let stranger = odd(Operation::KeyActivate, |service, envelope| {
        let request = people::statement(Operation::KeyActivate, BOB, b"x".to_vec());
        service.pend(&proposal(Operation::KeyActivate, "ann", request), ProposalState::Open, envelope)
    });
    assert!(untrusted(activate(&stranger.await.officer).await).contains("is not ours"));
}

#[tokio::test]
async fn a_proposal_that_the_log_does_not_hold_is_not_believed() {
    let changed = |change: fn(&mut PendingReply)| {
        odd(Operation::KeyActivate, move |service, envelope| {
            let Step::Raw(202, bytes) = service.propose(Operation::KeyActivate, "ann", envelope) else {
                panic!("no proposal")
            };
            let mut reply: PendingReply = cbor::decode(&bytes, REPLY_LEN_MAX).unwrap();
            change(&mut reply);
            Step::Raw(202, cbor::encode(&reply))
        })
    };
    let bare = changed(|reply| (reply.receipt.leaf, reply.receipt.inclusion) = (None, None));
    assert_eq!(untrusted(activate(&bare.await.officer).await), "the receipt carries no inclusion proof");
    let withheld = changed(|reply| reply.receipt.leaf.as_mut().unwrap().payload = None);
    assert_eq!(untrusted(activate(&withheld.await.officer).await), "the leaf comes without its payload");
    let other = changed(|reply| {
        let proposal = Proposal::decode(reply.proposal.as_bytes()).unwrap();
        let longer = Proposal { expires_ms: 2_000, ..proposal };
        reply.proposal = Blob::try_from(cbor::encode(&longer)).unwrap();
    });
    assert_eq!(
        untrusted(activate(&other.await.officer).await),
        "the leaf records another proposal than was sent"
    );
    let forked = changed(|reply| reply.receipt.checkpoint = Log::new(5, 1).checkpoint(6));
    let error = activate(&forked.await.officer).await.unwrap_err();
    assert!(matches!(error, ClientError::Untrusted { evidence: Some(_), .. }), "{error:?}");
}

#[tokio::test]
async fn a_change_whose_leaf_records_another_request_is_not_believed() {
    let freeze = |kind: LeafKind, by: &'static str, own: bool| {
        odd(Operation::FreezeSet, move |service, envelope| {
            let other = people::statement(Operation::FreezeSet, ANN, b"another".to_vec());
            let statement = if own { Statement(envelope.request.clone()) } else { other };
            service.change(kind, by, Operation::FreezeSet, statement);
            Step::Reply(cbor::encode(&ChangedReply { schema: Schema, receipt: service.receipt(envelope) }))
        })
    };
    let scope = || Scope::Terminal { name: "terminal-1".parse().unwrap() };
    let other = freeze(LeafKind::FreezeChanged, "ann", false).await.freeze(scope(), reason()).await;
    assert_eq!(untrusted(other), "the leaf records another request than ours");
    let bob = freeze(LeafKind::FreezeChanged, "bob", true).await.freeze(scope(), reason()).await;
    assert_eq!(untrusted(bob), "the leaf records another request than ours");
    let start = freeze(LeafKind::Start, "ann", true).await.freeze(scope(), reason()).await;
    assert_eq!(untrusted(start), "the leaf is of another kind than what was asked");
    let good = freeze(LeafKind::FreezeChanged, "ann", true).await.freeze(scope(), reason()).await;
    assert!(matches!(good, Ok(Outcome::Done(_))), "{good:?}");
}

#[tokio::test]
async fn a_vote_whose_leaf_records_another_vote_is_not_believed() {
    for (key, verdict) in [(BOB, Verdict::Approve), (ANN, Verdict::Reject)] {
        let odd = odd(Operation::ProposalApprove, move |service, envelope| {
            let asked: ApproveProposal = cbor::decode(envelope.request.as_bytes(), REQUEST_LEN_MAX).unwrap();
            let bytes = service.log.0[5].payload.clone().unwrap().into_bytes();
            let made: keysvc_protocol::leaf::ProposalMadeLeaf = cbor::decode(&bytes, REPLY_LEN_MAX).unwrap();
            assert_eq!(asked.id, ID);
            let leaf = service.vote(verdict, approval(key, made.proposal.as_bytes(), verdict));
            voted(service, ProposalState::Open, leaf, envelope)
        })
        .await;
        activate(&odd).await.unwrap();
        let record = odd.proposal(ID).await.unwrap();
        let result = odd.approve(&record.approvable).await;
        assert_eq!(untrusted(result), "the leaf records another vote than ours");
    }
}

#[tokio::test]
async fn a_proposal_that_cannot_be_said_in_words_never_comes_as_far_as_a_signature() {
    let odd = odd(Operation::ProposalGet, |_, _| {
        let statement = people::statement(Operation::KeyActivate, ANN, vec![0xa0]);
        let proposal = proposal(Operation::KeyActivate, "ann", statement);
        Step::Reply(cbor::encode(&ProposalReply {
            schema: Schema,
            proposal: Blob::try_from(cbor::encode(&proposal)).unwrap(),
            state: ProposalState::Open,
            leaf: 5,
            approvals: List::default(),
            officers: officers().try_into().unwrap(),
        }))
    })
    .await;
    let error = odd.proposal(ID).await.unwrap_err();
    assert!(matches!(error, ClientError::NotApprovable(NotApprovable::Unspeakable { .. })), "{error:?}");
    assert_eq!(error.exit_code(), 6);
}

fn principal(name: &str) -> PrincipalView {
    let enrolment = Enrolment {
        schema: Schema,
        id: name.parse().unwrap(),
        kind: PrincipalKind::Terminal,
        group: "demo".parse().unwrap(),
        capabilities: List::default(),
        tls_key: Digest::new([1; 32]),
        statement_key: None,
        wrapping_key: None,
    };
    PrincipalView { enrolment, enabled: true, leaf: 0 }
}

#[tokio::test]
async fn lists_are_paged_to_their_ends_and_one_that_does_not_go_on_is_refused() {
    let names = |name: &str| vec![principal(name)];
    let reply = |principals: Vec<PrincipalView>| {
        let (principals, roster) = (principals.try_into().unwrap(), Digest::new([3; 32]));
        let thresholds = List::default();
        Step::Reply(cbor::encode(&PrincipalListReply { schema: Schema, principals, roster, thresholds }))
    };
    let paged = odd(Operation::PrincipalList, move |_, envelope| {
        let asked: ListPrincipals = cbor::decode(envelope.request.as_bytes(), REQUEST_LEN_MAX).unwrap();
        match asked.after.as_ref().map(Name::as_str) {
            None => reply(names("a")),
            Some("a") => reply(names("b")),
            Some(_) => reply(Vec::new()),
        }
    })
    .await;
    assert_eq!(paged.principals().await.unwrap().principals, [principal("a"), principal("b")]);
    let stuck = odd(Operation::PrincipalList, move |_, _| reply(names("a"))).await;
    assert!(matches!(stuck.principals().await, Err(ClientError::Malformed { .. })));
    let endless = odd(Operation::FreezeList, |_, envelope| {
        let asked: ListFreezes = cbor::decode(envelope.request.as_bytes(), REQUEST_LEN_MAX).unwrap();
        let freeze = FreezeView {
            scope: Scope::All,
            by: "ann".parse().unwrap(),
            reason: reason(),
            since_ms: 1,
            leaf: asked.after.unwrap_or_default() + 1,
        };
        let freezes = vec![freeze].try_into().unwrap();
        Step::Reply(cbor::encode(&FreezeListReply { schema: Schema, freezes }))
    })
    .await;
    assert!(matches!(endless.freezes().await, Err(ClientError::Malformed { .. })));
}

#[tokio::test]
async fn a_proposal_in_answer_to_a_read_is_malformed() {
    let odd = odd(Operation::FreezeList, |service, envelope| {
        service.propose(Operation::FreezeSet, "ann", envelope)
    })
    .await;
    assert!(matches!(odd.freezes().await, Err(ClientError::Malformed { .. })));
}

#[test]
fn a_pending_act_says_how_many_people_it_takes() {
    let statement = people::statement(Operation::KeyActivate, TERMINAL, Vec::new());
    let proposal = proposal(Operation::KeyActivate, "ann", statement);
    let pending = crate::Pending {
        id: proposal.id,
        operation: Operation::KeyActivate,
        need: Need::of(3),
        proposal: cbor::encode(&proposal),
        state: ProposalState::Open,
        expires_ms: 1_795_000_000_000,
    };
    let error = ClientError::Pending(Box::new(pending.clone()));
    assert_eq!(error.exit_code(), 5);
    let text = error.to_string();
    assert!(text.starts_with("not done: it takes 3 people first: proposal 0707"), "{text}");
    assert!(text.ends_with("open until 2026-11-18T11:06:40Z"), "{text}");
    let ended = crate::Pending { state: ProposalState::Expired, ..pending };
    assert_eq!(ClientError::Pending(Box::new(ended)).exit_code(), 3);
}
