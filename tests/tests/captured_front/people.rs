//! Lies to an officer: which proposal it is, what it says, whose vote was counted.
//!
//! Officers' cards are real ones, each in a child. Nothing here is executed: the proposals stay open.

use crate::{
    downward::words,
    front::{Asked, Hands, Told, between},
    table::{
        By::{Keeper, Nobody, Officer as ByOfficer},
        Lie, Stage, Watch, lie,
    },
};
use keysvc_client::{ClientError, Officer, signer::StatementSigner};
use keysvc_protocol::{
    bytes::{Blob, Digest},
    cbor,
    freeze::Scope,
    key::{KeyKind, KeyState},
    leaf::Statement,
    proposal::{Proposal, ProposalState},
    quorum::Need,
    reply::{ChangedReply, ProposalReply, VoteReply},
    request::{Envelope, Operation},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{Pending, create, freeze, key_state, propose, reason},
    cards::{self, Card},
    ground::Ground,
    raw::{Answer, Caller, envelope},
};
use serde::Serialize;
use softhsm_setup::Site;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// An officer between two fronts, and two proposals that another made.
pub struct People {
    site: Site,
    runtime: Runtime,
    watch: Watch,
    one: Caller,
    card: Arc<dyn StatementSigner>,
    asked: Pending,
    other: Pending,
    /// What officer-1 sent and the front keeps: a vote and a freeze.
    vote: Vec<u8>,
    freeze: Vec<u8>,
}

impl Stage for People {
    fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }
}

pub const LIES: &[Lie<People>] = &[
    lie(
        "shows an officer another proposal than was asked for",
        ByOfficer,
        "the answer is not the protocol's: another proposal than asked for",
        |s| s.shown(|reply, kept| reply.proposal = kept.other.clone()),
    ),
    lie(
        "shows an officer a proposal of another log",
        ByOfficer,
        "nothing is signed: the proposal is of another log",
        |s| s.edited(|proposal| proposal.genesis = Digest::new([3; 32])),
    ),
    lie(
        "shows an officer other words in a requester's name",
        ByOfficer,
        "nothing is signed: the request in the proposal is not signed by officer-1: the signature does not verify",
        |s| {
            s.edited(|proposal| {
                let statement = proposal.request.statement.0.as_bytes().to_vec();
                let place = statement.windows(5).position(|five| five == b"spare").unwrap();
                let mut other = statement;
                other[place..place + 5].copy_from_slice(b"spark");
                proposal.request.statement = Statement(Blob::try_from(other).unwrap());
            })
        },
    ),
    lie(
        "shows an officer a proposal in another's name",
        ByOfficer,
        "nothing is signed: the request in the proposal is not signed by officer-3: signed with another key",
        |s| s.edited(|proposal| proposal.request.requester = "officer-3".parse().unwrap()),
    ),
    lie(
        "shows an officer a proposal that takes nobody",
        ByOfficer,
        "nothing is signed: the proposal asks for no sound number of people",
        |s| s.edited(|proposal| proposal.need = Need { persons: 0, ..Need::of(2) }),
    ),
    lie(
        "has an officer sign a proposal with another need",
        Keeper,
        "the service refused: the approval does not count: it is over another proposal",
        |s| s.signed(|proposal| proposal.need.persons += 1),
    ),
    lie(
        "has an officer sign a proposal that ends later",
        Keeper,
        "the service refused: the approval does not count: it is over another proposal",
        |s| s.signed(|proposal| proposal.expires_ms += 60_000),
    ),
    lie(
        "brings an officer's vote to another proposal",
        Keeper,
        "the service refused: the approval does not count: it is over another proposal",
        People::other_proposal,
    ),
    lie(
        "brings an officer's vote as another officer's",
        Keeper,
        "the service refused: the approval does not count: it was signed by somebody else than the caller",
        People::other_officer,
    ),
    lie(
        "keeps an officer's vote back and shows another's",
        ByOfficer,
        "the leaf records another vote than ours",
        People::vote_kept_back,
    ),
    lie(
        "keeps an officer's freeze back and shows another's",
        ByOfficer,
        "the leaf's statement: signed with another key",
        People::freeze_kept_back,
    ),
    lie(
        "tells an officer of another proposal than was asked for",
        ByOfficer,
        "the request in its proposal is not ours: signed with another key",
        People::other_pending,
    ),
    lie(
        "tells an officer that the own request was done that waits for people",
        ByOfficer,
        "another key was made than was asked for",
        People::falsely_done,
    ),
    lie(
        "says of a proposal that it was executed",
        Nobody,
        "believed of its state, and of no key",
        People::false_state,
    ),
];

/// What a lie may use.
struct Kept {
    other: Blob<{ keysvc_protocol::proposal::PROPOSAL_LEN_MAX }>,
}

fn reply<T: Serialize>(reply: &T) -> Told {
    Told::Answer(Answer { status: 200, body: cbor::encode(reply) })
}

/// The same envelope around another request.
fn around(asked: &Asked, request: &[u8]) -> Vec<u8> {
    let mut envelope: Envelope = cbor::decode(&asked.body, asked.body.len()).unwrap();
    envelope.request = Blob::try_from(request.to_vec()).unwrap();
    cbor::encode(&envelope)
}

impl People {
    pub fn of(ground: &Ground) -> Self {
        let program = env!("CARGO_BIN_EXE_card");
        let site = Site::open(ground.site().folder()).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut one = cards::holder(program, &site, "officer-1");
        let asked = propose(&mut one, Operation::KeyCreate, &create("spare", KeyKind::ValueSigning)).unwrap();
        let other = propose(&mut one, Operation::KeyCreate, &create("other", KeyKind::ValueSigning)).unwrap();
        let approval = asked.verdict(&one, keysvc_protocol::quorum::Verdict::Approve);
        let vote = keysvc_protocol::request::ApproveProposal { schema: Schema, id: asked.id(), approval };
        let vote = cbor::encode(&vote);
        let _: VoteReply = one.line.put(Operation::ProposalApprove, vote.clone()).unwrap();
        let scope = Scope::Terminal { name: "terminal-2".parse().unwrap() };
        let freeze = one.message(Operation::FreezeSet, cbor::encode(&freeze(&scope)));
        let _: ChangedReply = one.line.put(Operation::FreezeSet, freeze.clone()).unwrap();
        let card: Arc<dyn StatementSigner> = Arc::new(Card::insert(program, &site, "officer-2"));
        let watch = Watch::of(&site);
        Self { site, runtime, watch, one, card, asked, other, vote, freeze }
    }

    /// The proposals stand as they stood, and no key came of them.
    pub fn close(&mut self) {
        assert_eq!(key_state(&mut self.one, "spare", 1), None);
        assert_eq!(key_state(&mut self.one, "other", 1), None);
        // Over the true front the two officers' own votes do it.
        let card = cards::Card::insert(env!("CARGO_BIN_EXE_card"), &self.site, "officer-2");
        let mut two = Caller::new(&self.site, "officer-2");
        two.signer = Some(Box::new(card));
        let voted = self.asked.approve(&mut two).unwrap();
        assert!(matches!(voted.state, ProposalState::Executed { .. }), "{:?}", voted.state);
        assert_eq!(key_state(&mut self.one, "spare", 1), Some(KeyState::PreActivation));
    }

    /// What an officer's program makes of a call when the front lies.
    fn officer<T: std::fmt::Debug>(
        &mut self,
        tell: impl FnMut(&mut Hands, &Asked) -> Told + Send + 'static,
        work: impl AsyncFnOnce(Officer) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let config = between(&self.site, "officer-2", tell);
        let card = Arc::clone(&self.card);
        self.runtime.block_on(async {
            let officer = Officer::connect(&config).await.unwrap().with_signer(card).unwrap();
            work(officer).await
        })
    }

    fn shown(&mut self, change: fn(&mut ProposalReply, &Kept)) -> String {
        let (id, kept) = (self.asked.id(), Kept { other: self.other.reply.proposal.clone() });
        let told = self.officer(
            move |hands, asked| {
                let answer = hands.pass(asked);
                if asked.operation != Operation::ProposalGet {
                    return Told::Answer(answer);
                }
                let mut told: ProposalReply = answer.read().unwrap();
                change(&mut told, &kept);
                reply(&told)
            },
            async |officer| officer.proposal(id).await,
        );
        told.map_or_else(|error| words(&error), |_| "SHOWN".to_owned())
    }

    fn edited(&mut self, edit: fn(&mut Proposal)) -> String {
        let (id, edited) = (self.asked.id(), edit_of(&self.asked, edit));
        let told = self.officer(proposal_as(edited), async |officer| officer.proposal(id).await);
        told.map_or_else(|error| words(&error), |_| "SHOWN".to_owned())
    }

    fn signed(&mut self, edit: fn(&mut Proposal)) -> String {
        let (id, edited) = (self.asked.id(), edit_of(&self.asked, edit));
        let told = self.officer(proposal_as(edited), async |officer| {
            let on_record = officer.proposal(id).await?;
            officer.approve(&on_record.approvable).await
        });
        told.map_or_else(|error| words(&error), |voted| format!("VOTED {voted:?}"))
    }

    /// An officer approves of the first proposal, and the front brings something else in its place.
    fn voting(&mut self, mut bring: impl FnMut(&mut Hands, &Asked) -> Answer + Send + 'static) -> String {
        let id = self.asked.id();
        let told = self.officer(
            move |hands, asked| match asked.operation {
                Operation::ProposalApprove => Told::Answer(bring(hands, asked)),
                _ => Told::Answer(hands.pass(asked)),
            },
            async |officer| {
                let on_record = officer.proposal(id).await?;
                officer.approve(&on_record.approvable).await
            },
        );
        told.map_or_else(|error| words(&error), |voted| format!("VOTED {voted:?}"))
    }

    fn other_proposal(&mut self) -> String {
        let other = self.other.id();
        self.voting(move |hands, asked| {
            let envelope: Envelope = cbor::decode(&asked.body, asked.body.len()).unwrap();
            let mut vote: keysvc_protocol::request::ApproveProposal =
                cbor::decode(envelope.request.as_bytes(), envelope.request.as_bytes().len()).unwrap();
            vote.id = other;
            let body = around(asked, &cbor::encode(&vote));
            hands.ask_as("officer-2", Operation::ProposalApprove, &body)
        })
    }

    fn other_officer(&mut self) -> String {
        self.voting(|hands, asked| hands.ask_as("officer-3", Operation::ProposalApprove, &asked.body))
    }

    fn vote_kept_back(&mut self) -> String {
        let vote = self.vote.clone();
        self.voting(move |hands, asked| {
            hands.ask_as("officer-1", Operation::ProposalApprove, &around(asked, &vote))
        })
    }

    fn freeze_kept_back(&mut self) -> String {
        let kept = self.freeze.clone();
        let scope = Scope::Terminal { name: "terminal-1".parse().unwrap() };
        let told = self.officer(
            move |hands, asked| match asked.operation {
                Operation::FreezeSet => {
                    let body = around(asked, &kept);
                    Told::Answer(hands.ask_as("officer-1", Operation::FreezeSet, &body))
                }
                _ => Told::Answer(hands.pass(asked)),
            },
            async |officer| officer.freeze(scope, reason()).await,
        );
        told.map_or_else(|error| words(&error), |changed| format!("CHANGED {changed:?}"))
    }

    /// An officer asks for a key, and the front brings something else.
    fn asking(&mut self, mut bring: impl FnMut(&mut Hands, &Asked) -> Answer + Send + 'static) -> String {
        let told = self.officer(
            move |hands, asked| match asked.operation {
                Operation::KeyCreate => Told::Answer(bring(hands, asked)),
                _ => Told::Answer(hands.pass(asked)),
            },
            async |officer| officer.create_key("third".parse().unwrap(), KeyKind::ValueSigning).await,
        );
        told.map_or_else(|error| words(&error), |made| format!("MADE {made:?}"))
    }

    fn other_pending(&mut self) -> String {
        let kept = Statement(self.asked.proposal.request.statement.0.clone());
        self.asking(move |hands, asked| {
            let body = around(asked, kept.0.as_bytes());
            hands.ask_as("officer-1", Operation::KeyCreate, &body)
        })
    }

    fn falsely_done(&mut self) -> String {
        let kept = self.freeze.clone();
        self.asking(move |hands, asked| {
            let body = around(asked, &kept);
            let done: ChangedReply = hands.ask_as("officer-1", Operation::FreezeSet, &body).read().unwrap();
            let keys = envelope(cbor::encode(&keysvc_protocol::request::ListKeys { schema: Schema }));
            let keys: keysvc_protocol::reply::KeyListReply =
                hands.ask_as("officer-1", Operation::KeyList, &keys).read().unwrap();
            let mut key = keys.keys.to_vec().remove(0);
            key.name = "third".parse().unwrap();
            let made = keysvc_protocol::reply::KeyCreatedReply { schema: Schema, key, receipt: done.receipt };
            Answer { status: 200, body: cbor::encode(&made) }
        })
    }

    fn false_state(&mut self) -> String {
        let id = self.other.id();
        let told = self.officer(
            move |hands, asked| {
                let answer = hands.pass(asked);
                if asked.operation != Operation::ProposalGet {
                    return Told::Answer(answer);
                }
                let mut told: ProposalReply = answer.read().unwrap();
                told.state = ProposalState::Executed { leaf: 3 };
                reply(&told)
            },
            async |officer| officer.proposal(id).await,
        );
        let shown = told.unwrap();
        assert_eq!(shown.state, ProposalState::Executed { leaf: 3 });
        // What the votes come to is counted by the program itself.
        assert!(shown.votes.missing.is_some() && shown.votes.approved.is_empty());
        assert_eq!(key_state(&mut self.one, "other", 1), None);
        "believed of its state, and of no key".to_owned()
    }
}

fn edit_of(pending: &Pending, edit: fn(&mut Proposal)) -> Vec<u8> {
    let mut proposal = pending.proposal.clone();
    edit(&mut proposal);
    cbor::encode(&proposal)
}

/// A front that shows these bytes for the proposal.
fn proposal_as(bytes: Vec<u8>) -> impl FnMut(&mut Hands, &Asked) -> Told + Send + 'static {
    move |hands, asked| {
        let answer = hands.pass(asked);
        if asked.operation != Operation::ProposalGet {
            return Told::Answer(answer);
        }
        let mut told: ProposalReply = answer.read().unwrap();
        told.proposal = Blob::try_from(bytes.clone()).unwrap();
        reply(&told)
    }
}
