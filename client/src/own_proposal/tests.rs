//! Proves the way of a value update that takes people: pending, then a record that names its evidence.

use super::*;
use crate::{
    ClientError, Terminal,
    connect::stand_in::{StandIn, Step},
    hub::{Hub, NotReleased},
    terminal::SignedUpdate,
    testing::{
        Key, Log, VALUE,
        people::{evidence, proposal},
        service::{Service, Shared, serve},
    },
    update::tests::{request, update},
};
use keysvc_protocol::{
    bytes::Blob,
    leaf::{Statement, ValueUpdatedLeaf},
    list::List,
    proposal::Evidence,
    refusal::Refusal,
    reply::{ProposalReply, ResultReply, UpdateOutcome, ValueBatchReply, ValueUpdateReply},
    request::Envelope,
    schema::Schema,
    value::ValueUpdate,
};

/// What the service signs once officers have agreed; good unless changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Odd {
    #[default]
    Nothing,
    /// The record names the evidence of another act.
    OtherEvidence,
    /// The record names none.
    NoEvidence,
    /// The record names one, and its leaf holds none.
    Alone,
}

/// A far end where a load takes people until `agreed`.
struct Desk {
    agreed: bool,
    odd: Odd,
    proposal: Option<Proposal>,
}

impl Desk {
    fn answer(&mut self, service: &mut Service, operation: Operation, envelope: &Envelope) -> Option<Step> {
        Some(match operation {
            Operation::ValueUpdate if self.agreed => Step::Reply(self.executed(service, envelope)),
            Operation::ValueUpdate => {
                self.proposal = Some(proposal(operation, "terminal-1", Statement(envelope.request.clone())));
                service.propose(operation, "terminal-1", envelope)
            }
            Operation::ProposalGet => Step::Reply(cbor::encode(&ProposalReply {
                schema: Schema,
                proposal: Blob::try_from(cbor::encode(self.proposal.as_ref()?)).unwrap(),
                state: ProposalState::Open,
                leaf: 5,
                approvals: List::default(),
                officers: List::default(),
            })),
            Operation::ProposalResult => {
                let reply = self.agreed.then(|| Blob::try_from(self.executed(service, envelope)).unwrap());
                let state =
                    if self.agreed { ProposalState::Executed { leaf: 6 } } else { ProposalState::Open };
                Step::Reply(cbor::encode(&ResultReply { schema: Schema, state, reply }))
            }
            _ => return None,
        })
    }

    /// The operation's own reply, with the act recorded.
    fn executed(&self, service: &mut Service, envelope: &Envelope) -> Vec<u8> {
        let proposal = self.proposal.as_ref().unwrap();
        let good = evidence(proposal);
        let named = match self.odd {
            Odd::OtherEvidence => Some(Evidence { approvals: List::default(), ..good.clone() }.digest()),
            Odd::NoEvidence => None,
            Odd::Nothing | Odd::Alone => Some(good.digest()),
        };
        let update = ValueUpdate { evidence: named, ..update() };
        let leaf = cbor::encode(&ValueUpdatedLeaf {
            schema: Schema,
            update: Blob::try_from(cbor::encode(&update)).unwrap(),
            statement: proposal.request.statement.clone(),
        });
        if self.odd == Odd::Alone {
            service.log.append(LeafKind::ValueUpdated, leaf);
        } else {
            service.act(LeafKind::SealedActByQuorum, LeafKind::ValueUpdated, leaf, good);
        }
        let genesis = service.log.trust().genesis;
        let record = Key::new(VALUE).cose(update.kind(), genesis.as_bytes(), cbor::encode(&update));
        let record = Blob::try_from(record).unwrap();
        cbor::encode(&ValueUpdateReply { schema: Schema, record, receipt: service.receipt(envelope) })
    }
}

async fn desk(odd: Odd, agreed_after: usize) -> (StandIn, Shared) {
    let mut desk = Desk { agreed: false, odd, proposal: None };
    let mut asked = 0;
    serve(Log::new(4, 0), move |service, operation, envelope| {
        desk.agreed = asked >= agreed_after;
        let step = desk.answer(service, operation, envelope);
        asked += usize::from(step.is_some());
        step
    })
    .await
}

fn pending(result: Result<SignedUpdate, ClientError>) -> Pending {
    match result {
        Err(ClientError::Pending(pending)) => *pending,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_load_that_takes_people_is_pending_and_the_same_request_brings_it_later() {
    let (ground, service) = desk(Odd::Nothing, 1).await;
    let terminal = Terminal::connect(&ground.config()).await.unwrap();
    let waiting = pending(terminal.update(&request()).await);
    assert_eq!((waiting.operation, waiting.need.persons), (Operation::ValueUpdate, 2));
    // The proposal's leaf is under the checkpoint that was kept.
    assert_eq!(terminal.reader().seen(), Some(service.lock().unwrap().log.checkpoint(6)));
    let released = terminal.update(&request()).await.unwrap();
    assert!(released.update.evidence.is_some());
    assert_eq!(ValueUpdate { evidence: None, ..released.update }, update());
    assert_eq!(released.leaf_index, 6);
}

#[tokio::test]
async fn the_result_of_a_proposal_is_the_update_checked_against_what_was_signed() {
    let (ground, _) = desk(Odd::Nothing, 3).await;
    let terminal = Terminal::connect(&ground.config()).await.unwrap();
    let id = pending(terminal.update(&request()).await).id;
    let Outcome::Pending(open) = terminal.result(id).await.unwrap() else { panic!("nobody agreed") };
    assert_eq!(open.state, ProposalState::Open);
    let Outcome::Done(released) = terminal.result(id).await.unwrap() else { panic!("all agreed") };
    assert_eq!(released.update.txn, request().txn);
}

#[tokio::test]
async fn a_record_whose_evidence_is_not_the_one_in_its_leaf_is_not_released() {
    for odd in [Odd::OtherEvidence, Odd::NoEvidence, Odd::Alone] {
        let (ground, _) = desk(odd, 1).await;
        let terminal = Terminal::connect(&ground.config()).await.unwrap();
        pending(terminal.update(&request()).await);
        match terminal.update(&request()).await {
            Err(ClientError::Untrusted { what, .. }) => {
                assert_eq!(what, "the record names another evidence than its leaf holds", "{odd:?}");
            }
            other => panic!("{odd:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_proposal_that_another_terminal_asked_for_is_not_ours_to_follow() {
    let (ground, _) = serve(Log::new(4, 0), |_, operation, _| {
        let statement = crate::testing::people::statement(Operation::ValueUpdate, 77, vec![0xa0]);
        let foreign = proposal(Operation::ValueUpdate, "terminal-2", statement);
        (operation == Operation::ProposalGet).then(|| {
            Step::Reply(cbor::encode(&ProposalReply {
                schema: Schema,
                proposal: Blob::try_from(cbor::encode(&foreign)).unwrap(),
                state: ProposalState::Open,
                leaf: 5,
                approvals: List::default(),
                officers: List::default(),
            }))
        })
    })
    .await;
    let terminal = Terminal::connect(&ground.config()).await.unwrap();
    let error = terminal.result(ProposalId::new([7; 16])).await.unwrap_err();
    assert!(matches!(error, ClientError::Request { .. }), "{error:?}");
    let error = terminal.result(ProposalId::new([8; 16])).await.unwrap_err();
    assert!(matches!(error, ClientError::Malformed { .. }), "{error:?}");
}

#[tokio::test]
async fn an_item_of_a_batch_that_takes_people_is_pending_and_the_others_are_released() {
    let id = ProposalId::new([7; 16]);
    let (ground, _) = serve(Log::new(4, 0), move |service, operation, envelope| {
        if operation != Operation::ValueBatch {
            return None;
        }
        let Step::Reply(bytes) = service.answer(operation, envelope) else { return None };
        let reply: ValueBatchReply = cbor::decode(&bytes, cbor::REPLY_LEN_MAX).unwrap();
        let mut outcomes = reply.outcomes.into_vec();
        let refusal = Refusal::ApprovalRequired { proposal: id, persons: 2, departments: 2 };
        outcomes[0] = UpdateOutcome::Refused { refusal };
        let outcomes = outcomes.try_into().unwrap();
        Some(Step::Reply(cbor::encode(&ValueBatchReply { outcomes, ..reply })))
    })
    .await;
    let terminal = Terminal::connect(&ground.config()).await.unwrap();
    let mut signed = Vec::new();
    for purse in [1, 2] {
        let update = keysvc_protocol::request::UpdateValue {
            purse,
            txn: keysvc_protocol::bytes::Idem::new([purse; 16]),
            ..request()
        };
        signed.push(terminal.sign_update(&update).await.unwrap());
    }
    let outcomes = Hub::connect(&ground.config()).await.unwrap().send(&signed).await.unwrap();
    let [Err(pending @ NotReleased::Pending { proposal, .. }), Ok(_)] = outcomes.as_slice() else {
        panic!("{outcomes:?}")
    };
    assert_eq!((*proposal, pending.retryable()), (id, false));
}
