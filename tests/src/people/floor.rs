//! The floor of a bureau: a log of personalization jobs, filled leaf by leaf through the real judge of jobs and cards.
//!
//! It makes leaves as the keeper would and keeps them for a replay; it has no token, no store and no policies. Every leaf
//! is put with nobody trusted, if the test does not say otherwise, so that each signature in it is verified; what is
//! refused must change nothing.

pub use super::makings::{card, counts, head, incident, item, receipt, reject, result, suspended, words};

use super::{BEGIN_MS, Kept, Person, Site, name, shelf::Shelf};
use keysvc_protocol::{
    bytes::{Blob, Digest, Exchange, Idem},
    cbor,
    control::{At, Control},
    cose::Kind,
    job::{
        AGREEMENT_LEN_MAX, CardResult, Counts, Derivation, Job, JobAct, JobAgreement, JobHead, JobItem,
        Judge, PurgeReceipt, SESSION_LIFE_MS, Tally, Trust, apply, derivation,
    },
    leaf::{
        CardKeysDerivedLeaf, CardsChangedLeaf, DerivedItem, IncidentReportedLeaf, JobChangedLeaf,
        JobItemsLeaf, JobOpenedLeaf, JobPurgedLeaf, LeafKind,
    },
    list::List,
    merkle::Frontier,
    refusal::Refusal,
    request::{
        AddJobItems, Agreements, CloseJob, CountJob, CreateJob, DeriveCardKeys, GiveResults, MoveCards,
        OpenJob, Operation, ReportIncident, ResumeJob, SealJob, SuspendJob, WithdrawJob,
    },
    schema::Schema,
};
use serde::Serialize;
use std::{convert::Infallible, sync::Arc};

/// A log of jobs, and the people who fill it.
#[derive(Debug, Clone)]
pub struct Floor {
    /// The site.
    pub site: Arc<Site>,
    /// Who is enrolled, and the profiles.
    pub control: Arc<Control>,
    /// Jobs and cards.
    pub book: Shelf,
    /// The leaves that were taken, each with whether officers agreed to it.
    pub leaves: Vec<(Arc<Kept>, bool)>,
    /// Now.
    pub now_ms: u64,
    /// Whose signatures are not verified when a leaf is put.
    pub trust: Trust,
    /// How many numbers were given; set back, the same messages are made again.
    pub numbers: u64,
}

/// Fails only with what the judge refuses.
pub type Told<T = ()> = Result<T, Refusal>;

fn told<T>(answer: Result<Told<T>, Infallible>) -> Told<T> {
    match answer {
        Ok(told) => told,
    }
}

impl Floor {
    /// An empty floor.
    pub fn new(site: &Arc<Site>) -> Self {
        Self {
            site: site.clone(),
            control: Arc::new(site.control()),
            book: Shelf::default(),
            leaves: Vec::new(),
            now_ms: BEGIN_MS,
            trust: Trust::Nobody,
            numbers: 0,
        }
    }

    /// Where the next leaf stands.
    pub fn at(&self) -> At {
        let last_ms = self.leaves.last().map_or(BEGIN_MS, |(leaf, _)| leaf.at.time_ms);
        let index = u64::try_from(self.leaves.len()).unwrap() + 1;
        At { index, time_ms: self.now_ms.max(last_ms) }
    }

    /// Lets time pass.
    pub fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
    }

    /// A number that was not used before.
    pub fn idem(&mut self) -> Idem {
        self.numbers += 1;
        let mut number = [0xf1; 16];
        number[8..].copy_from_slice(&self.numbers.to_be_bytes());
        Idem::new(number)
    }

    /// Puts a leaf; one that is refused must have changed nothing.
    pub fn put(&mut self, kind: LeafKind, payload: &impl Serialize) -> Told {
        self.put_as(kind, cbor::encode(payload), false)
    }

    /// The same with the payload's bytes, and whether officers agreed.
    pub fn put_as(&mut self, kind: LeafKind, payload: Vec<u8>, by_quorum: bool) -> Told {
        let (at, before) = (self.at(), self.book.clone());
        let judge = Judge { control: &self.control, at, trust: self.trust, by_quorum };
        if let Err(refusal) = told(apply(&mut self.book, &judge, kind, &payload)) {
            assert_eq!(self.book, before, "a leaf that was refused ({refusal}) changed the book");
            return Err(refusal);
        }
        self.leaves.push((Arc::new(Kept { at, kind, payload }), by_quorum));
        Ok(())
    }

    /// The book as a replay of the whole log makes it.
    pub fn replayed(&self) -> Shelf {
        let (mut book, control) = (Shelf::default(), &*self.control);
        for (leaf, by_quorum) in &self.leaves {
            let judge = Judge { control, at: leaf.at, trust: Trust::Caller, by_quorum: *by_quorum };
            told(apply(&mut book, &judge, leaf.kind, &leaf.payload)).unwrap();
        }
        book
    }

    /// The book as a reader makes it to whom the data of purged jobs are withheld.
    pub fn read_after_the_purge(&self) -> Shelf {
        let mut book = Shelf { erased: true, ..Shelf::default() };
        for (leaf, by_quorum) in &self.leaves {
            if leaf.kind == LeafKind::JobItemsAdded {
                continue;
            }
            let (control, trust) = (&*self.control, Trust::Nobody);
            let judge = Judge { control, at: leaf.at, trust, by_quorum: *by_quorum };
            told(apply(&mut book, &judge, leaf.kind, &leaf.payload)).unwrap();
        }
        book
    }

    /// A job.
    pub fn job(&self, job: &str) -> &Job {
        &self.book.jobs[&name(job)].0
    }

    /// What the log says of a job's cards.
    pub fn tally(&self, job: &str) -> Tally {
        self.book.jobs[&name(job)].1
    }

    /// The exchange of a job's session.
    pub fn exchange(&self, job: &str) -> Exchange {
        let session = self.book.jobs.get(&name(job)).and_then(|(job, _)| job.session());
        session.map_or(Exchange::new([0; 16]), |session| session.exchange)
    }

    /// A person's agreement as it would be signed now.
    pub fn said(&mut self, person: &str, job: &str, act: &JobAct) -> JobAgreement {
        let nonce = self.idem();
        let (job, person) = (name(job), name(person));
        JobAgreement { schema: Schema, job, act: act.clone(), person, signed_ms: self.now_ms, nonce }
    }

    /// An agreement signed by somebody.
    pub fn sign(&self, by: &Person, said: &JobAgreement) -> Blob<AGREEMENT_LEN_MAX> {
        let message = by.key.message(Kind::JobAgreement, &self.site.genesis(), cbor::encode(said));
        Blob::try_from(message).unwrap()
    }

    /// The agreements of these people to an act.
    pub fn agreed(&mut self, people: &[&str], job: &str, act: &JobAct) -> Agreements {
        let sign = |person: &&str| {
            let said = self.said(person, job, act);
            self.sign(self.site.person(person), &said)
        };
        List::try_from(people.iter().map(sign).collect::<Vec<_>>()).unwrap()
    }

    fn changed(&self, by: &str, operation: Operation, request: &impl Serialize) -> JobChangedLeaf {
        let statement = self.site.statement(self.site.person(by), operation, request);
        JobChangedLeaf { schema: Schema, principal: name(by), operation, statement }
    }

    fn change(&mut self, by: &str, operation: Operation, request: &impl Serialize) -> Told {
        let leaf = self.changed(by, operation, request);
        self.put(LeafKind::JobChanged, &leaf)
    }

    /// Makes a draft.
    pub fn create(&mut self, by: &str, job: &str, head: &JobHead) -> Told {
        let request = CreateJob { schema: Schema, idem: self.idem(), job: name(job), head: head.clone() };
        self.change(by, Operation::JobCreate, &request)
    }

    /// Adds cards to a draft.
    pub fn add(&mut self, by: &str, job: &str, items: Vec<JobItem>) -> Told {
        let items = List::try_from(items).unwrap();
        let request = AddJobItems { schema: Schema, idem: self.idem(), job: name(job), items };
        let statement = self.site.statement(self.site.person(by), Operation::JobItems, &request);
        let leaf = JobItemsLeaf { schema: Schema, principal: name(by), statement };
        self.put(LeafKind::JobItemsAdded, &leaf)
    }

    /// What would seal a draft as it stands.
    pub fn sealing(&mut self, job: &str) -> SealJob {
        let idem = self.idem();
        let known = self.book.jobs.get(&name(job)).map(|(job, _)| job);
        let empty = || Frontier::new().root();
        SealJob {
            schema: Schema,
            idem,
            job: name(job),
            head: known.map_or_else(empty, |job| job.head.digest()),
            items: known.map_or(0, |job| job.items),
            root: known.and_then(Job::manifest_root).unwrap_or_else(empty),
        }
    }

    /// Seals a draft as it stands.
    pub fn seal(&mut self, by: &str, job: &str) -> Told {
        let request = self.sealing(job);
        self.seal_as(by, &request)
    }

    /// Seals with these words.
    pub fn seal_as(&mut self, by: &str, request: &SealJob) -> Told {
        self.change(by, Operation::JobSeal, request)
    }

    /// Gives up a job.
    pub fn withdraw(&mut self, by: &str, job: &str) -> Told {
        let reason = words("ordered twice");
        let request = WithdrawJob { schema: Schema, idem: self.idem(), job: name(job), reason };
        self.change(by, Operation::JobWithdraw, &request)
    }

    /// A session with these agreements, which ends after so long.
    pub fn open_as(&mut self, station: &str, job: &str, agreements: Agreements, life_ms: u64) -> Told {
        let request = OpenJob { schema: Schema, idem: self.idem(), job: name(job), agreements };
        self.session(station, Operation::JobOpen, &request, life_ms)
    }

    /// Lets a job go on with these agreements.
    pub fn resume_as(&mut self, station: &str, job: &str, agreements: Agreements, life_ms: u64) -> Told {
        let request = ResumeJob { schema: Schema, idem: self.idem(), job: name(job), agreements };
        self.session(station, Operation::JobResume, &request, life_ms)
    }

    fn session(&mut self, by: &str, operation: Operation, request: &impl Serialize, life_ms: u64) -> Told {
        let exchange = Exchange::new(*self.idem().as_bytes());
        let leaf = JobOpenedLeaf {
            schema: Schema,
            station: name(by),
            operation,
            exchange,
            expires_at_ms: self.at().time_ms + life_ms,
            statement: self.site.statement(self.site.person(by), operation, request),
        };
        self.put(LeafKind::JobOpened, &leaf)
    }

    /// A session of two operators.
    pub fn open(&mut self, station: &str, job: &str, people: &[&str]) -> Told {
        let agreements = self.agreed(people, job, &JobAct::Open { station: name(station) });
        self.open_as(station, job, agreements, SESSION_LIFE_MS)
    }

    /// Two operators let a job go on.
    pub fn resume(&mut self, station: &str, job: &str, people: &[&str]) -> Told {
        let agreements = self.agreed(people, job, &JobAct::Resume { station: name(station) });
        self.resume_as(station, job, agreements, SESSION_LIFE_MS)
    }

    /// What asks for the keys of cards in the session that runs.
    pub fn asking(&mut self, job: &str, generation: u32, cards: &[u8]) -> DeriveCardKeys {
        DeriveCardKeys {
            schema: Schema,
            idem: self.idem(),
            exchange: self.exchange(job),
            job: name(job),
            generation,
            cards: List::try_from(cards.iter().map(|number| card(*number)).collect::<Vec<_>>()).unwrap(),
        }
    }

    /// What the keeper would judge of a request for keys, before any leaf.
    pub fn judged(&self, station: &str, request: &DeriveCardKeys, by_quorum: bool) -> Told<Derivation> {
        let judge = Judge { control: &self.control, at: self.at(), trust: Trust::Caller, by_quorum };
        told(derivation(&mut self.book.clone(), &judge, &name(station), request))
    }

    /// The leaf that releases keys of the first cards of a request.
    pub fn derived(&self, station: &str, request: &DeriveCardKeys, cards: u32) -> CardKeysDerivedLeaf {
        let job = self.book.jobs.get(&request.job).map(|(job, _)| job);
        let (profile, version) =
            job.map_or((name("stored"), 1), |job| (job.head.profile.clone(), job.head.profile_version));
        let known = &self.control.profiles().get(&profile, version).unwrap().profile;
        let first = &request.cards[..usize::try_from(cards).unwrap().min(request.cards.len())];
        CardKeysDerivedLeaf {
            schema: Schema,
            station: name(station),
            cards,
            count: cards * u32::try_from(known.slots.len()).unwrap(),
            root: DerivedItem::root(known, first).unwrap_or(Digest::new([0; 32])),
            profile,
            profile_version: version,
            statement: self.site.statement(self.site.person(station), Operation::CardDerive, request),
        }
    }

    /// Asks for keys as the keeper answers: judged first, then written. How many cards got theirs.
    pub fn derive_as(&mut self, station: &str, request: &DeriveCardKeys, by_quorum: bool) -> Told<u32> {
        let cards = self.judged(station, request, by_quorum)?.cards;
        let leaf = self.derived(station, request, cards);
        self.put_as(LeafKind::CardKeysDerived, cbor::encode(&leaf), by_quorum).map(|()| cards)
    }

    /// Asks for the first keys of cards.
    pub fn derive(&mut self, station: &str, job: &str, cards: &[u8]) -> Told<u32> {
        let request = self.asking(job, 1, cards);
        self.derive_as(station, &request, false)
    }

    /// Says what became of cards.
    pub fn give(&mut self, station: &str, job: &str, results: Vec<CardResult>) -> Told {
        let results = List::try_from(results).unwrap();
        let request = GiveResults { schema: Schema, idem: self.idem(), job: name(job), results };
        self.cards_changed(station, Operation::CardResult, &request)
    }

    /// Moves cards.
    pub fn transition(&mut self, by: &str, request: &MoveCards) -> Told {
        self.cards_changed(by, Operation::CardTransition, request)
    }

    fn cards_changed(&mut self, by: &str, operation: Operation, request: &impl Serialize) -> Told {
        let statement = self.site.statement(self.site.person(by), operation, request);
        let leaf = CardsChangedLeaf { schema: Schema, principal: name(by), operation, statement };
        self.put(LeafKind::CardsChanged, &leaf)
    }

    /// Stops a job.
    pub fn suspend(&mut self, by: &str, job: &str) -> Told {
        let request =
            SuspendJob { schema: Schema, idem: self.idem(), job: name(job), suspended: suspended() };
        self.change(by, Operation::JobSuspend, &request)
    }

    /// Counts, with these agreements.
    pub fn count_as(&mut self, station: &str, job: &str, counts: Counts, agreements: Agreements) -> Told {
        let request = CountJob { schema: Schema, idem: self.idem(), job: name(job), counts, agreements };
        self.change(station, Operation::JobCount, &request)
    }

    /// Counts: an operator and a reviewer.
    pub fn count(&mut self, station: &str, job: &str, people: &[&str], counts: Counts) -> Told {
        let agreements = self.agreed(people, job, &JobAct::Count { counts });
        self.count_as(station, job, counts, agreements)
    }

    /// Reports an incident: an operator and a reviewer.
    pub fn report(&mut self, station: &str, job: &str, people: &[&str]) -> Told {
        let agreements = self.agreed(people, job, &JobAct::Incident { incident: incident() });
        let (idem, incident) = (self.idem(), incident());
        let request = ReportIncident { schema: Schema, idem, job: name(job), incident, agreements };
        let statement = self.site.statement(self.site.person(station), Operation::JobIncident, &request);
        let leaf = IncidentReportedLeaf { schema: Schema, station: name(station), statement };
        self.put(LeafKind::IncidentReported, &leaf)
    }

    /// The station has erased its data, with these agreements.
    pub fn close_as(
        &mut self,
        station: &str,
        job: &str,
        receipt: PurgeReceipt,
        agreements: Agreements,
    ) -> Told {
        let request = CloseJob { schema: Schema, idem: self.idem(), job: name(job), receipt, agreements };
        self.change(station, Operation::JobClose, &request)
    }

    /// The station has erased its data: witnessed by these people.
    pub fn close(&mut self, station: &str, job: &str, people: &[&str]) -> Told {
        let receipt = PurgeReceipt { erased_ms: self.now_ms, ..receipt(station) };
        let agreements = self.agreed(people, job, &JobAct::Close { receipt: receipt.clone() });
        self.close_as(station, job, receipt, agreements)
    }

    /// The service has erased the job's data.
    pub fn purge(&mut self, job: &str) -> Told {
        self.put(LeafKind::JobPurged, &JobPurgedLeaf { schema: Schema, job: name(job), had_key: true })
    }
}
