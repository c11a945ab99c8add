//! The book of attacks: each is tried, must be refused with exactly its refusal, must be found in the log, and must have
//! left everything as it was.
//!
//! The log is read as the auditor reads it, from where the last reading ended: what an attack left behind is then exactly
//! what came between two readings. It tries nothing of its own.

use keysvc_protocol::{
    hash::sha256,
    leaf::{LeafKind, ProposalClosedLeaf, RefusalsCountedLeaf, RefusedLeaf},
    proposal::{Proposal, ProposalEnd},
    refusal::Refusal,
    reply::{EntriesReply, FreezeListReply, KeyListReply, PrincipalListReply},
    request::{ENTRIES_MAX, ListFreezes, ListKeys, ListPrincipals, Operation, ReadEntries},
    schema::Schema,
};
use keysvc_tests::{
    ground::{Ground, text},
    raw::{self, Answer, Caller, Leaf, Line, envelope},
    second_verifier::assert_agreed,
};
use std::collections::BTreeMap;

/// Refusals of one caller that have leaves of their own within a minute; the rest are counted.
const LEAVES_A_MINUTE: usize = 10;

/// A way to the service.
pub trait Way {
    /// Puts a body to an operation.
    fn post(&mut self, operation: Operation, body: &[u8]) -> Answer;
}

impl Way for Line {
    fn post(&mut self, operation: Operation, body: &[u8]) -> Answer {
        Line::post(self, operation.name(), body)
    }
}

/// One try.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// What is tried, as a sentence.
    pub name: &'static str,
    /// Who calls.
    pub by: &'a str,
    /// What is called.
    pub operation: Operation,
    /// The request inside its envelope.
    pub message: Vec<u8>,
    /// What it must be answered with.
    pub refusal: Refusal,
}

/// All that people move, as the auditor reads it.
#[derive(Debug, PartialEq, Eq)]
pub struct Standing {
    principals: PrincipalListReply,
    keys: KeyListReply,
    freezes: FreezeListReply,
}

/// The book.
#[derive(Debug)]
pub struct Book {
    auditor: Caller,
    seen: u64,
    names: Vec<&'static str>,
    told: BTreeMap<String, usize>,
    strangers: u64,
    others_called: bool,
}

impl Book {
    /// Opens one on a ground that serves.
    pub fn open(ground: &Ground) -> Self {
        let auditor = Caller::new(ground.site(), "auditor-1");
        let mut book = Self {
            auditor,
            seen: 0,
            names: Vec::new(),
            told: BTreeMap::new(),
            strangers: 0,
            others_called: false,
        };
        book.fresh();
        book
    }

    /// Connects the auditor anew, after a new start of the service.
    pub fn reconnect(&mut self, ground: &Ground) {
        self.auditor.line = Line::open(ground.site(), "auditor-1");
    }

    /// The leaves since the last reading.
    pub fn fresh(&mut self) -> Vec<Leaf> {
        // A read is recorded itself, and its receipt covers all that was recorded before it.
        let first = ReadEntries { schema: Schema, from: 0, to: 1 };
        let read: EntriesReply = self.auditor.ask(Operation::LogEntries, &first).unwrap();
        let size = read.receipt.checkpoint.checkpoint().head.size;
        let mut leaves = Vec::new();
        while self.seen < size {
            let to = size.min(self.seen + ENTRIES_MAX as u64);
            let request = ReadEntries { schema: Schema, from: self.seen, to };
            let reply: EntriesReply = self.auditor.ask(Operation::LogEntries, &request).unwrap();
            for leaf in reply.entries.into_vec() {
                leaves.push((leaf.check().unwrap(), leaf.payload.unwrap().into_bytes()));
                self.seen += 1;
            }
        }
        leaves
    }

    /// Everything as it stands.
    pub fn standing(&mut self) -> Standing {
        let schema = Schema;
        let (principals, freezes) =
            (ListPrincipals { schema, after: None }, ListFreezes { schema, after: None });
        Standing {
            principals: self.auditor.ask(Operation::PrincipalList, &principals).unwrap(),
            keys: self.auditor.ask(Operation::KeyList, &ListKeys { schema }).unwrap(),
            freezes: self.auditor.ask(Operation::FreezeList, &freezes).unwrap(),
        }
    }

    /// Tries what must be refused, and finds its one leaf.
    pub fn refused(&mut self, way: &mut impl Way, attempt: Attempt<'_>) {
        let Attempt { name, by, operation, message, refusal } = attempt;
        let told = RefusedLeaf {
            schema: Schema,
            principal: by.parse().unwrap(),
            operation,
            refusal,
            request: sha256(&[&message]),
        };
        let leaves = self.nothing_comes_of(name, || {
            let answer = way.post(operation, &envelope(message));
            assert!(answer.status >= 400, "{name}: answered with status {}", answer.status);
            assert_eq!(answer.refusal(), told.refusal, "{name}");
        });
        let new: Vec<RefusedLeaf> = raw::of_kind(&leaves, LeafKind::Refused);
        assert_eq!(new, [told], "{name}: its leaf");
        let others: Vec<_> =
            leaves.iter().map(|(entry, _)| entry.kind).filter(|kind| !is_routine(*kind)).collect();
        assert_eq!(others, [LeafKind::Refused], "{name}: nothing but the refusal was written");
        self.count(name, by);
    }

    fn count(&mut self, name: &str, by: &str) {
        let told = self.told.entry(by.to_owned()).or_default();
        *told += 1;
        assert!(*told <= LEAVES_A_MINUTE, "{name}: {by} has had its ten leaves; let another try it");
    }

    /// Tries as somebody the service does not know: such refusals are only counted.
    pub fn unknown(
        &mut self,
        way: &mut impl Way,
        name: &'static str,
        operation: Operation,
        message: Vec<u8>,
    ) {
        let leaves = self.nothing_comes_of(name, || {
            let answer = way.post(operation, &envelope(message));
            assert_eq!(answer.refusal(), Refusal::Unauthenticated, "{name}");
        });
        assert!(is_quiet(&leaves), "{name}: a stranger has no leaves");
        self.strangers += 1;
    }

    /// Notes an attack that was tried and judged by the test itself.
    pub fn tried(&mut self, name: &'static str) {
        println!("attack: {name}");
        self.names.push(name);
    }

    /// From here on the test itself calls as somebody unknown, some number of times.
    pub fn strangers_call(&mut self) {
        self.others_called = true;
    }

    /// Tries what is answered, and comes to nothing: no act is recorded, and everything is as it was. Gives the leaves
    /// that it left.
    pub fn nothing_comes_of(&mut self, name: &'static str, attempt: impl FnOnce()) -> Vec<Leaf> {
        let before = self.standing();
        self.fresh();
        attempt();
        let leaves = self.fresh();
        let acts: Vec<_> = leaves.iter().filter(|(entry, _)| is_act(entry.kind)).collect();
        assert!(acts.is_empty(), "{name}: {acts:?}");
        assert_eq!(self.standing(), before, "{name}: something has changed");
        self.tried(name);
        leaves
    }

    /// Tries what enough people agreed to and which must fail all the same, when it is performed: the requester is told in
    /// the log, and the proposal ends with that refusal.
    pub fn fails(
        &mut self,
        name: &'static str,
        proposal: &Proposal,
        refusal: &Refusal,
        attempt: impl FnOnce(),
    ) {
        let leaves = self.nothing_comes_of(name, attempt);
        let request = &proposal.request;
        let told = RefusedLeaf {
            schema: Schema,
            principal: request.requester.clone(),
            operation: request.operation,
            refusal: refusal.clone(),
            request: sha256(&[request.statement.0.as_bytes()]),
        };
        assert_eq!(raw::of_kind::<RefusedLeaf>(&leaves, LeafKind::Refused), [told], "{name}: its leaf");
        let end = ProposalEnd::Failed { refusal: refusal.clone() };
        let closed = ProposalClosedLeaf { schema: Schema, proposal: proposal.id, end };
        assert_eq!(raw::of_kind::<ProposalClosedLeaf>(&leaves, LeafKind::ProposalClosed), [closed], "{name}");
        self.count(name, request.requester.as_str());
    }

    /// Compares with the list of attacks that this part of the book is to hold, and ends the service: what strangers tried
    /// was counted, the two verifiers find nothing wrong in the log, and neither does verify-store.
    pub fn close(mut self, attacks: &[&str], ground: &mut Ground) {
        assert_eq!(self.names, attacks, "the attacks tried and those listed");
        ground.stop();
        ground.start().unwrap();
        self.reconnect(ground);
        self.seen = 0;
        let counted: Vec<RefusalsCountedLeaf> = raw::of_kind(&self.fresh(), LeafKind::RefusalsCounted);
        let strangers: u64 =
            counted.iter().filter(|leaf| leaf.principal.is_none()).map(|leaf| leaf.count).sum();
        assert!(
            strangers == self.strangers || (self.others_called && strangers > self.strangers),
            "{strangers} strangers are counted, and {} called",
            self.strangers
        );
        self.is_verified(ground);
    }

    fn is_verified(&self, ground: &mut Ground) {
        let folder = ground.site().folder().join("attacked");
        let exported = async { ground.auditor().await?.export(&folder, |_, _| {}).await };
        ground.block_on(exported).unwrap();
        let fobaudit = &ground.programs().fobaudit;
        let acts = assert_agreed(fobaudit, &folder, &ground.site().trust());
        assert!(!acts.is_empty(), "an honest quorum did something");
        println!("both verifiers agree on {} acts", acts.len());
        ground.stop();
        let stored = ground.keysvc(&["verify-store"]).output().unwrap();
        assert!(stored.status.success(), "{}", text(&stored));
    }
}

/// Whether nothing was written but what comes by itself, or by reading.
pub fn is_quiet(leaves: &[Leaf]) -> bool {
    leaves.iter().all(|(entry, _)| is_routine(entry.kind))
}

/// What comes by itself, or by reading.
const fn is_routine(kind: LeafKind) -> bool {
    matches!(kind, LeafKind::EntriesRead | LeafKind::Heartbeat | LeafKind::BundleMade | LeafKind::Start)
}

/// What changes something.
const fn is_act(kind: LeafKind) -> bool {
    matches!(
        kind,
        LeafKind::KeyIntent
            | LeafKind::KeyOutcome
            | LeafKind::JobOpened
            | LeafKind::CardKeysDerived
            | LeafKind::JobChanged
            | LeafKind::JobItemsAdded
            | LeafKind::IncidentReported
            | LeafKind::CardsChanged
            | LeafKind::JobPurged
            | LeafKind::JobRecordMade
            | LeafKind::ValueUpdated
            | LeafKind::SiteChanged
            | LeafKind::FreezeChanged
            | LeafKind::ActByQuorum
            | LeafKind::SealedActByQuorum
            | LeafKind::TookEffect
            | LeafKind::KeyDestroyed
    )
}
