//! Somebody who reads the leaves of jobs alone, and says what must never stand in a log.
//!
//! Written against what people are promised, without the judge of jobs and its book: another count, kept apart so that one
//! can be wrong without the other.

use super::{Kept, Site};
use keysvc_protocol::{
    bytes::{Blob, Exchange, Idem},
    card::CardUid,
    cbor,
    cose::{Kind, Signed},
    job::{AGREEMENT_LEN_MAX, Counts, JobAct, JobAgreement, JobHead, Outcome},
    leaf::{
        CardKeysDerivedLeaf, CardsChangedLeaf, IncidentReportedLeaf, JobChangedLeaf, JobOpenedLeaf,
        JobPurgedLeaf, LeafKind, Statement,
    },
    name::Name,
    request::{
        CloseJob, CountJob, CreateJob, DeriveCardKeys, GiveResults, OpenJob, Operation, ReportIncident,
        ResumeJob, SealJob, SuspendJob, WithdrawJob,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet};

const LONGEST: usize = 1 << 20;
const QUARTER_MS: u64 = 15 * 60 * 1000;
const FIVE_MINUTES_MS: u64 = 5 * 60 * 1000;
const TWO_HOURS_MS: u64 = 2 * 60 * 60 * 1000;

/// What an onlooker knows of a job.
#[derive(Debug, Clone)]
struct Seen {
    head: JobHead,
    maker: Name,
    sealer: Option<Name>,
    operators: BTreeSet<Name>,
    reviewers: BTreeSet<Name>,
    /// The exchange, the two people, and the end of the newest session.
    session: Option<(Exchange, [Name; 2], u64)>,
    stopped: bool,
    /// Each card that ever got keys in the job, and what became of it since it got them last.
    cards: BTreeMap<CardUid, Option<Outcome>>,
    /// Whether what was counted last agrees with all that was done, and nothing was done since.
    even: bool,
    end: End,
}

/// How far a job has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Running,
    Closed,
    Purged,
}

/// Reads leaf after leaf.
#[derive(Debug, Clone, Default)]
pub struct Onlooker {
    /// The first thing that must never be.
    pub wrong: Option<&'static str>,
    trusting: bool,
    jobs: BTreeMap<Name, Seen>,
    /// Jobs whose data a station holds.
    held: BTreeMap<Name, BTreeSet<Name>>,
    /// The newest generation of a card, and the job it was issued in.
    issued: BTreeMap<CardUid, (u32, Name)>,
    used: BTreeSet<(Name, Idem)>,
}

fn read<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> T {
    cbor::decode(bytes, LONGEST).unwrap()
}

impl Onlooker {
    /// One who has seen nothing yet, and may believe signatures without verifying them.
    pub fn new(trusting: bool) -> Self {
        Self { trusting, ..Self::default() }
    }

    /// Whether the job was purged.
    pub fn purged(&self, job: &Name) -> bool {
        self.jobs.get(job).is_some_and(|job| job.end == End::Purged)
    }

    fn told(&mut self, wrong: bool, what: &'static str) {
        if wrong && self.wrong.is_none() {
            self.wrong = Some(what);
        }
    }

    fn told_each(&mut self, wrong: impl IntoIterator<Item = (bool, &'static str)>) {
        for (is, what) in wrong {
            self.told(is, what);
        }
    }

    /// The payload of a message, and whether this person signed it.
    fn payload<T: Serialize + DeserializeOwned>(
        &mut self,
        site: &Site,
        (by, kind): (&Name, Kind),
        message: &[u8],
    ) -> T {
        let signed = Signed::parse(message).unwrap();
        if !self.trusting {
            let key = site.person(by.as_str()).key.public;
            let opened = signed.open(kind, site.genesis().as_bytes(), &key);
            self.told(opened.is_err(), "somebody did not sign what is said in their name");
        }
        read(signed.recorded_payload())
    }

    fn request<T: Serialize + DeserializeOwned>(
        &mut self,
        site: &Site,
        by: (&Name, Operation),
        statement: &Statement,
    ) -> T {
        self.payload(site, (by.0, Kind::Request(by.1)), statement.0.as_bytes())
    }

    /// Who agreed to an act on a job, by agreements that are fresh and new.
    fn people(
        &mut self,
        (site, at_ms): (&Site, u64),
        (job, act): (&Name, &JobAct),
        agreements: &[Blob<AGREEMENT_LEN_MAX>],
    ) -> Vec<Name> {
        let mut people = Vec::new();
        for agreement in agreements {
            let signed = Signed::parse(agreement.as_bytes()).unwrap();
            let person = read::<JobAgreement>(signed.recorded_payload()).person;
            let said: JobAgreement = self.payload(site, (&person, Kind::JobAgreement), agreement.as_bytes());
            self.told(said.job != *job || said.act != *act, "somebody agreed to another act");
            let fresh = said.signed_ms <= at_ms + FIVE_MINUTES_MS && at_ms <= said.signed_ms + QUARTER_MS;
            self.told(!fresh, "an agreement is old or from the future");
            let new = self.used.insert((job.clone(), said.nonce));
            self.told(!new, "an agreement serves twice");
            people.push(person);
        }
        people
    }

    /// Sees a leaf that was taken.
    pub fn see(&mut self, site: &Site, leaf: &Kept, by_quorum: bool) {
        let at_ms = leaf.at.time_ms;
        match leaf.kind {
            LeafKind::JobChanged => self.changed(site, at_ms, &read(&leaf.payload)),
            LeafKind::JobOpened => self.opened(site, at_ms, &read(&leaf.payload)),
            LeafKind::CardKeysDerived => self.derived(site, at_ms, &read(&leaf.payload), by_quorum),
            LeafKind::CardsChanged => self.given(site, &read(&leaf.payload)),
            LeafKind::IncidentReported => {
                let leaf: IncidentReportedLeaf = read(&leaf.payload);
                let by = (&leaf.station, Operation::JobIncident);
                let said: ReportIncident = self.request(site, by, &leaf.statement);
                let act = JobAct::Incident { incident: said.incident };
                let people = self.people((site, at_ms), (&said.job, &act), &said.agreements);
                self.reviewed(&said.job, &people);
            }
            LeafKind::JobPurged => {
                let leaf: JobPurgedLeaf = read(&leaf.payload);
                let closed = self.jobs.get(&leaf.job).is_some_and(|job| job.end == End::Closed);
                self.told(!closed, "a job is purged that is not closed");
                if let Some(job) = self.jobs.get_mut(&leaf.job) {
                    job.end = End::Purged;
                }
                self.held.values_mut().for_each(|jobs| {
                    jobs.remove(&leaf.job);
                });
            }
            _ => {}
        }
    }

    fn changed(&mut self, site: &Site, at_ms: u64, leaf: &JobChangedLeaf) {
        let by = (&leaf.principal, leaf.operation);
        match leaf.operation {
            Operation::JobCreate => {
                let said: CreateJob = self.request(site, by, &leaf.statement);
                let seen = Seen {
                    head: said.head,
                    maker: leaf.principal.clone(),
                    sealer: None,
                    operators: BTreeSet::new(),
                    reviewers: BTreeSet::new(),
                    session: None,
                    stopped: false,
                    cards: BTreeMap::new(),
                    even: false,
                    end: End::Running,
                };
                let before = self.jobs.insert(said.job, seen);
                self.told(before.is_some(), "a job's name is used again");
            }
            Operation::JobSeal => {
                let said: SealJob = self.request(site, by, &leaf.statement);
                let job = self.jobs.get_mut(&said.job).unwrap();
                let again = job.sealer.replace(leaf.principal.clone()).is_some();
                let alone = job.maker == leaf.principal;
                let other = said.head != job.head.digest();
                self.told(alone, "one person makes and seals a job");
                self.told(again || other, "a job is sealed twice or otherwise than it was made");
            }
            Operation::JobWithdraw => {
                let said: WithdrawJob = self.request(site, by, &leaf.statement);
                let job = self.jobs.get_mut(&said.job).unwrap();
                let worked = job.session.is_some() || job.end != End::Running;
                job.end = End::Closed;
                self.told(worked, "a job is given up that was opened");
            }
            Operation::JobSuspend => {
                let said: SuspendJob = self.request(site, by, &leaf.statement);
                let job = self.jobs.get_mut(&said.job).unwrap();
                let people = job.session.as_ref().map(|(_, people, _)| people);
                let stranger = !people.is_some_and(|people| people.contains(&leaf.principal));
                job.stopped = true;
                self.told(stranger, "somebody stops a job who does not operate it");
            }
            Operation::JobCount => self.counted(site, at_ms, leaf),
            Operation::JobClose => self.closed(site, at_ms, leaf),
            _ => self.told(true, "a leaf has an operation that is not its kind's"),
        }
    }

    fn opened(&mut self, site: &Site, at_ms: u64, leaf: &JobOpenedLeaf) {
        let by = (&leaf.station, leaf.operation);
        let station = leaf.station.clone();
        let resumed = leaf.operation == Operation::JobResume;
        let (name, agreements, act) = if resumed {
            let said: ResumeJob = self.request(site, by, &leaf.statement);
            (said.job, said.agreements, JobAct::Resume { station })
        } else {
            let said: OpenJob = self.request(site, by, &leaf.statement);
            (said.job, said.agreements, JobAct::Open { station })
        };
        let people = self.people((site, at_ms), (&name, &act), &agreements);
        let held = self.held.entry(leaf.station.clone()).or_default();
        held.insert(name.clone());
        let holds = held.len();
        self.told(holds > 1, "a station holds the data of two jobs");
        let Some(job) = self.jobs.get_mut(&name) else {
            return self.told(true, "a job is opened that was never made");
        };
        let [one, other] = people.as_slice() else {
            return self.told(true, "a job is opened by another number of people than two");
        };
        let wrong = [
            (one == other, "one person opens a job"),
            (
                job.sealer.is_none() || job.end != End::Running,
                "a job is opened that is not sealed, or is closed",
            ),
            (job.head.station != leaf.station, "a job is opened at another station"),
            (job.stopped != resumed, "a job goes on otherwise than it was stopped"),
            (
                people.iter().any(|who| *who == job.maker || Some(who) == job.sealer.as_ref()),
                "whoever put a job together operates it",
            ),
            (people.iter().any(|who| job.reviewers.contains(who)), "whoever reviewed a job operates it"),
            (leaf.expires_at_ms > at_ms + TWO_HOURS_MS, "a session is longer than two hours"),
        ];
        job.operators.extend(people.iter().cloned());
        job.session = Some((leaf.exchange, [one.clone(), other.clone()], leaf.expires_at_ms));
        job.stopped = false;
        job.even = false;
        self.told_each(wrong);
    }

    fn derived(&mut self, site: &Site, at_ms: u64, leaf: &CardKeysDerivedLeaf, by_quorum: bool) {
        let by = (&leaf.station, Operation::CardDerive);
        let said: DeriveCardKeys = self.request(site, by, &leaf.statement);
        let Some(job) = self.jobs.get_mut(&said.job) else {
            return self.told(true, "cards get keys in a job that was never made");
        };
        let session = job.session.as_ref();
        let runs =
            session.is_some_and(|(exchange, _, end_ms)| *exchange == said.exchange && at_ms <= *end_ms);
        let mut wrong = vec![
            (!runs || job.stopped || job.end != End::Running, "cards get keys outside a session"),
            (job.head.station != leaf.station, "cards get keys at another station"),
        ];
        job.even = false;
        let first = usize::try_from(leaf.cards).unwrap();
        for card in said.cards.iter().take(first) {
            let newest = self.issued.get(card);
            let generation = newest.map_or(0, |(generation, _)| *generation);
            if newest.is_some_and(|(generation, of)| *generation == said.generation && *of == said.job) {
                let finished = job.cards.get(card).is_none_or(Option::is_some);
                wrong.push((finished, "a card is issued twice in one generation"));
                continue;
            }
            wrong.push((said.generation != generation + 1, "a card's generation does not follow its last"));
            wrong.push((said.generation > 1 && !by_quorum, "one person issues a card again"));
            self.issued.insert(*card, (said.generation, said.job.clone()));
            job.cards.insert(*card, None);
        }
        let most = usize::try_from(job.head.issued + job.head.carried_over).unwrap();
        wrong.push((job.cards.len() > most, "more cards get keys than there are"));
        wrong.push((said.cards.len() < first, "more cards get keys than were asked for"));
        self.told_each(wrong);
    }

    fn given(&mut self, site: &Site, leaf: &CardsChangedLeaf) {
        if leaf.operation != Operation::CardResult {
            return;
        }
        let by = (&leaf.principal, Operation::CardResult);
        let said: GiveResults = self.request(site, by, &leaf.statement);
        let job = self.jobs.get_mut(&said.job).unwrap();
        let mut wrong = job.head.station != leaf.principal || job.stopped || job.end != End::Running;
        for result in said.results.iter() {
            let newest = job.cards.get(&result.card);
            let again = newest == Some(&Some(result.outcome.clone()));
            wrong |= !again && newest != Some(&None);
            wrong |= self.issued.get(&result.card).is_none_or(|(_, of)| *of != said.job);
            job.even &= again;
            job.cards.insert(result.card, Some(result.outcome.clone()));
        }
        self.told(wrong, "a result is given of what was not in hand");
    }

    fn reviewed(&mut self, job: &Name, people: &[Name]) {
        let job = self.jobs.get_mut(job).unwrap();
        let [operator, reviewer] = people else {
            return self.told(true, "it takes an operator and a reviewer");
        };
        let wrong = !job.operators.contains(operator) || job.operators.contains(reviewer);
        job.reviewers.insert(reviewer.clone());
        self.told(wrong, "a count or incident without an operator, or reviewed by one");
    }

    fn counted(&mut self, site: &Site, at_ms: u64, leaf: &JobChangedLeaf) {
        let by = (&leaf.principal, Operation::JobCount);
        let said: CountJob = self.request(site, by, &leaf.statement);
        let act = JobAct::Count { counts: said.counts };
        let people = self.people((site, at_ms), (&said.job, &act), &said.agreements);
        self.reviewed(&said.job, &people);
        let job = self.jobs.get_mut(&said.job).unwrap();
        let known = |wanted: &dyn Fn(&Outcome) -> bool| {
            let of = job.cards.values().flatten().filter(|outcome| wanted(outcome));
            u32::try_from(of.count()).unwrap()
        };
        let Counts { good, rejected, sample, returned, handed_over } = said.counts;
        let total: u64 = [good, rejected, sample, returned, handed_over].into_iter().map(u64::from).sum();
        job.even = job.cards.values().all(Option::is_some)
            && good == known(&|outcome| *outcome == Outcome::Good)
            && rejected == known(&|outcome| matches!(outcome, Outcome::Reject { .. }))
            && sample == known(&|outcome| *outcome == Outcome::Sample)
            && total == u64::from(job.head.issued) + u64::from(job.head.carried_over);
    }

    fn closed(&mut self, site: &Site, at_ms: u64, leaf: &JobChangedLeaf) {
        let by = (&leaf.principal, Operation::JobClose);
        let said: CloseJob = self.request(site, by, &leaf.statement);
        let act = JobAct::Close { receipt: said.receipt.clone() };
        let people = self.people((site, at_ms), (&said.job, &act), &said.agreements);
        let job = self.jobs.get_mut(&said.job).unwrap();
        let third = |who: &Name| {
            *who != job.maker
                && Some(who) != job.sealer.as_ref()
                && !job.operators.contains(who)
                && !job.reviewers.contains(who)
        };
        let wrong = [
            (!job.even || job.end != End::Running, "a job is closed that does not balance"),
            (people.len() != 1 || !people.iter().all(third), "the witness is not a third person"),
            (said.receipt.station != leaf.principal, "a station gives another one's receipt"),
            (job.head.station != leaf.principal, "a job is closed at another station"),
        ];
        job.end = End::Closed;
        self.told_each(wrong);
    }
}
