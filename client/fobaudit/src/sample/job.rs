//! Personalization jobs in the sample log: put together, sealed, opened, worked, counted, closed and purged by the people of
//! the floor, each step a leaf of its own that a test can leave out, repeat or bend.

use super::{
    ALICE, BEGIN_MS, BOB, Sample, TestKey,
    founding::{FLOOR, SERVICE_KEY, STATION_KEY},
    later_key, two,
};
use keysvc_protocol::{
    bytes::{Blob, Exchange, Idem, ShortCheck},
    card::{CardState, CardUid},
    cbor::{self, REQUEST_LEN_MAX},
    checkpoint::SignedCheckpoint,
    control::STORAGE_OF_JOB,
    cose::{Kind, Signed},
    hash::sha256,
    job::{
        CardResult, Counts, Incident, ItemData, Job, JobAct, JobAgreement, JobHead, JobItem, JobRecord,
        Outcome, PurgeReceipt, SESSION_LIFE_MS, Suspended, Tally,
    },
    key::{CheckValue, KeyKind, KeyRecord, KeyState},
    leaf::{
        CardKeysDerivedLeaf, CardsChangedLeaf, DerivedItem, IncidentReportedLeaf, JobChangedLeaf,
        JobItemsLeaf, JobOpenedLeaf, JobPurgedLeaf, JobRecordMadeLeaf, KeyDestroyedLeaf, KeyIntentLeaf,
        KeyOutcomeLeaf, LeafKind, Statement,
    },
    name::{Name, Reason},
    request::{
        AddJobItems, Agreements, CloseJob, CountJob, CreateJob, DeriveCardKeys, GiveResults, MoveCards,
        OpenJob, Operation, ReportIncident, ResumeJob, SealJob, SuspendJob, WithdrawJob,
    },
    schema::Schema,
};
use serde::Serialize;

/// The first job of the sample log.
pub(crate) const FIRST: &str = "nfc-1";
/// What agrees where nobody was named.
const TWO_OPERATORS: [&str; 2] = ["operator-1", "operator-2"];

/// What a station says of a card.
pub(crate) type Given = (CardUid, Outcome);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn text(text: &str) -> Reason {
    text.parse().unwrap()
}

/// The card of this number.
pub(crate) fn uid(number: u32) -> CardUid {
    let [a, b, c, d] = number.to_be_bytes();
    CardUid::try_from([4, 0, 0, a, b, c, d].as_slice()).unwrap()
}

fn seed_of(person: &str) -> u8 {
    let found = FLOOR.iter().find(|(known, ..)| *known == person).map(|(.., seed)| *seed);
    found.unwrap_or(STATION_KEY)
}

fn signed(agreements: &[Vec<u8>]) -> Agreements {
    let blobs = agreements.iter().map(|agreement| Blob::try_from(agreement.clone()).unwrap());
    blobs.collect::<Vec<_>>().try_into().unwrap()
}

/// Good cards.
pub(crate) const fn good(good: u32) -> Counts {
    Counts { good, rejected: 0, sample: 0, returned: 0, handed_over: 0 }
}

impl Sample {
    fn number(&self) -> Idem {
        Idem::new((1 << 64 | u128::from(self.next_index())).to_be_bytes())
    }

    /// What a job of this version of the profile is about: ten blanks, cards as they are encountered.
    pub(crate) fn head(profile_version: u32) -> JobHead {
        JobHead {
            schema: Schema,
            order: text("4711"),
            customer: text("CAFE"),
            profile: name("fob"),
            profile_version,
            lot: text("L-17"),
            station: name("station-1"),
            equipment: text("encoder 2"),
            ordered: 1,
            issued: 10,
            carried_over: 0,
            listed: false,
            due_ms: BEGIN_MS + 30 * 86_400_000,
        }
    }

    fn changed_by<T: Serialize>(&mut self, by: &str, operation: Operation, request: &T) -> u64 {
        let statement = self.statement(seed_of(by), operation, request);
        let leaf = JobChangedLeaf { schema: Schema, principal: name(by), operation, statement };
        self.push(LeafKind::JobChanged, &leaf)
    }

    /// Appends the making of a job by data-1.
    pub(crate) fn create_job(&mut self, job: &str, head: JobHead) -> u64 {
        let request = CreateJob { schema: Schema, idem: self.number(), job: name(job), head };
        self.changed_by("data-1", Operation::JobCreate, &request)
    }

    /// Appends cards with data to a job by data-1.
    pub(crate) fn add_items(&mut self, job: &str, cards: &[CardUid]) -> u64 {
        let item = |card: &CardUid| JobItem {
            card: *card,
            data: ItemData(Blob::try_from(format!("holder {card}").into_bytes()).unwrap()),
        };
        let items: Vec<_> = cards.iter().map(item).collect();
        let request = AddJobItems {
            schema: Schema,
            idem: self.number(),
            job: name(job),
            items: items.try_into().unwrap(),
        };
        let statement = self.statement(seed_of("data-1"), Operation::JobItems, &request);
        let leaf = JobItemsLeaf { schema: Schema, principal: name("data-1"), statement };
        self.push(LeafKind::JobItemsAdded, &leaf)
    }

    fn job(&self, job: &str) -> (Job, Tally) {
        self.registry.job_of(&name(job)).cloned().unwrap()
    }

    /// Appends the seal of a job as it stands.
    pub(crate) fn seal_job(&mut self, by: &str, job: &str) -> u64 {
        let (standing, _) = self.job(job);
        let request = SealJob {
            schema: Schema,
            idem: self.number(),
            job: name(job),
            head: standing.head.digest(),
            items: standing.items,
            root: standing.manifest_root().unwrap(),
        };
        self.changed_by(by, Operation::JobSeal, &request)
    }

    /// Appends this seal.
    pub(crate) fn seal_with(&mut self, by: &str, request: &SealJob) -> u64 {
        self.changed_by(by, Operation::JobSeal, request)
    }

    /// The seal in a leaf.
    pub(crate) fn sealed_request(&self, leaf: u64) -> SealJob {
        let leaf: JobChangedLeaf = self.payload(leaf);
        let signed = Signed::parse(leaf.statement.0.as_bytes()).unwrap();
        cbor::decode(signed.recorded_payload(), REQUEST_LEN_MAX).unwrap()
    }

    /// Appends the end of a job that was never opened.
    pub(crate) fn withdraw_job(&mut self, job: &str) -> u64 {
        self.withdraw_by("data-1", job)
    }

    /// The same by somebody else.
    pub(crate) fn withdraw_by(&mut self, by: &str, job: &str) -> u64 {
        let request =
            WithdrawJob { schema: Schema, idem: self.number(), job: name(job), reason: text("no order") };
        self.changed_by(by, Operation::JobWithdraw, &request)
    }

    /// A person's agreement to an act on a job, signed now.
    pub(crate) fn agree(&self, person: &str, job: &str, act: &JobAct) -> Vec<u8> {
        self.agree_at(person, job, act, self.next_time())
    }

    /// The same, signed at this time.
    pub(crate) fn agree_at(&self, person: &str, job: &str, act: &JobAct, signed_ms: u64) -> Vec<u8> {
        let seed = seed_of(person);
        let nonce = u128::from(self.next_index()) << 8 | u128::from(seed);
        let said = JobAgreement {
            schema: Schema,
            job: name(job),
            act: act.clone(),
            person: name(person),
            signed_ms,
            nonce: Idem::new(nonce.to_be_bytes()),
        };
        TestKey::new(seed).sign(Kind::JobAgreement, self.genesis().as_bytes(), cbor::encode(&said))
    }

    /// Both agreements to an act.
    pub(crate) fn both(&self, people: [&str; 2], job: &str, act: &JobAct) -> Vec<Vec<u8>> {
        people.map(|person| self.agree(person, job, act)).to_vec()
    }

    /// What two people agree to who open a job, or let it go on.
    pub(crate) fn opening(resumes: bool) -> JobAct {
        let station = name("station-1");
        if resumes { JobAct::Resume { station } } else { JobAct::Open { station } }
    }

    /// Appends a session of a job under these agreements, and this long.
    pub(crate) fn open_with(
        &mut self,
        job: &str,
        (exchange, resumes): (u8, bool),
        agreements: &[Vec<u8>],
        life_ms: u64,
    ) -> u64 {
        let (idem, agreements) = (self.number(), signed(agreements));
        let (operation, statement): (_, Statement) = if resumes {
            let request = ResumeJob { schema: Schema, idem, job: name(job), agreements };
            (Operation::JobResume, self.statement(STATION_KEY, Operation::JobResume, &request))
        } else {
            let request = OpenJob { schema: Schema, idem, job: name(job), agreements };
            (Operation::JobOpen, self.statement(STATION_KEY, Operation::JobOpen, &request))
        };
        let leaf = JobOpenedLeaf {
            schema: Schema,
            station: name("station-1"),
            operation,
            exchange: Exchange::new([exchange; 16]),
            expires_at_ms: self.next_time() + life_ms,
            statement,
        };
        self.push(LeafKind::JobOpened, &leaf)
    }

    /// Appends a session of a job by both operators.
    pub(crate) fn open_job(&mut self, job: &str, exchange: u8) -> u64 {
        let agreements = self.both(TWO_OPERATORS, job, &Self::opening(false));
        self.open_with(job, (exchange, false), &agreements, SESSION_LIFE_MS)
    }

    /// Appends that a stopped job goes on.
    pub(crate) fn resume_job(&mut self, job: &str, exchange: u8) -> u64 {
        let agreements = self.both(TWO_OPERATORS, job, &Self::opening(true));
        self.open_with(job, (exchange, true), &agreements, SESSION_LIFE_MS)
    }

    /// The leaf of cards' keys in a job's session.
    pub(crate) fn derived_of(
        &self,
        job: &str,
        (exchange, idem): (u8, u8),
        generation: u32,
        cards: &[CardUid],
    ) -> CardKeysDerivedLeaf {
        let request = DeriveCardKeys {
            schema: Schema,
            idem: Idem::new([idem; 16]),
            exchange: Exchange::new([exchange; 16]),
            job: name(job),
            generation,
            cards: cards.to_vec().try_into().unwrap(),
        };
        self.derived_for(job, &request)
    }

    fn derived_for(&self, job: &str, request: &DeriveCardKeys) -> CardKeysDerivedLeaf {
        let (standing, _) = self.job(job);
        let (profile, version) = (&standing.head.profile, standing.head.profile_version);
        let in_use = self.control.as_ref().unwrap().profiles().get(profile, version).unwrap();
        let cards = u32::try_from(request.cards.len()).unwrap();
        CardKeysDerivedLeaf {
            schema: Schema,
            station: name("station-1"),
            profile: profile.clone(),
            profile_version: version,
            cards,
            count: cards * u32::try_from(in_use.profile.slots.len()).unwrap(),
            root: DerivedItem::root(&in_use.profile, &request.cards).unwrap(),
            statement: self.statement(STATION_KEY, Operation::CardDerive, request),
        }
    }

    /// Appends the release of cards' keys in a job's session.
    pub(crate) fn derive(&mut self, job: &str, exchange: u8, cards: &[CardUid]) -> u64 {
        let request = DeriveCardKeys {
            schema: Schema,
            idem: self.number(),
            exchange: Exchange::new([exchange; 16]),
            job: name(job),
            generation: 1,
            cards: cards.to_vec().try_into().unwrap(),
        };
        let leaf = self.derived_for(job, &request);
        self.push(LeafKind::CardKeysDerived, &leaf)
    }

    /// Appends the release of a card's keys in another generation, to which two officers agreed.
    pub(crate) fn derive_again(&mut self, job: &str, exchange: u8, generation: u32, card: CardUid) -> u64 {
        let request = DeriveCardKeys {
            schema: Schema,
            idem: self.number(),
            exchange: Exchange::new([exchange; 16]),
            job: name(job),
            generation,
            cards: vec![card].try_into().unwrap(),
        };
        let asked = self.proposed(("station-1", STATION_KEY), Operation::CardDerive, &request);
        let bytes = self.propose(&self.drafted(asked, Some(two())));
        let approvals = [ALICE, BOB].map(|seed| self.approve(&bytes, seed));
        let leaf = self.derived_for(job, &request);
        let act = self.act_leaf(Self::evidence(&bytes, &approvals), LeafKind::CardKeysDerived, &leaf);
        self.push(LeafKind::SealedActByQuorum, &act)
    }

    /// Appends what became of cards.
    pub(crate) fn give_results(&mut self, job: &str, given: &[Given]) -> u64 {
        let result = |(card, outcome): &Given| {
            let read = if matches!(outcome, Outcome::Reject { .. }) { 0 } else { 2 };
            CardResult {
                card: *card,
                outcome: outcome.clone(),
                readback: vec![ShortCheck::new([3; 5]); read].try_into().unwrap(),
            }
        };
        let results: Vec<_> = given.iter().map(result).collect();
        let request = GiveResults {
            schema: Schema,
            idem: self.number(),
            job: name(job),
            results: results.try_into().unwrap(),
        };
        self.cards_changed(("station-1", STATION_KEY), Operation::CardResult, &request)
    }

    /// Appends that all of these cards are good.
    pub(crate) fn all_good(&mut self, job: &str, cards: &[CardUid]) -> u64 {
        let given: Vec<_> = cards.iter().map(|card| (*card, Outcome::Good)).collect();
        self.give_results(job, &given)
    }

    fn cards_changed<T: Serialize>(
        &mut self,
        (by, seed): (&str, u8),
        operation: Operation,
        request: &T,
    ) -> u64 {
        let statement = self.statement(seed, operation, request);
        let leaf = CardsChangedLeaf { schema: Schema, principal: name(by), operation, statement };
        self.push(LeafKind::CardsChanged, &leaf)
    }

    /// Appends that a terminal moved cards into a state.
    pub(crate) fn move_cards(&mut self, by: (&str, u8), cards: &[CardUid], to: CardState) -> u64 {
        let cards = cards.to_vec().try_into().unwrap();
        let request =
            MoveCards { schema: Schema, idem: self.number(), cards, to, location: None, holder: None };
        self.cards_changed(by, Operation::CardTransition, &request)
    }

    /// Appends a stop of a job by operator-1.
    pub(crate) fn suspend_job(&mut self, job: &str) -> u64 {
        let suspended = Suspended { counts: good(0), place: text("tray 3"), cause: text("the printer jams") };
        let request = SuspendJob { schema: Schema, idem: self.number(), job: name(job), suspended };
        self.changed_by("operator-1", Operation::JobSuspend, &request)
    }

    /// Appends a count of a job, agreed by operator and reviewer.
    pub(crate) fn count_by(&mut self, people: [&str; 2], job: &str, counts: Counts) -> u64 {
        let agreements = self.both(people, job, &JobAct::Count { counts });
        self.count_with(job, counts, &agreements)
    }

    /// Appends a count of a job under these agreements.
    pub(crate) fn count_with(&mut self, job: &str, counts: Counts, agreements: &[Vec<u8>]) -> u64 {
        let agreements = signed(agreements);
        let request = CountJob { schema: Schema, idem: self.number(), job: name(job), counts, agreements };
        self.changed_by("station-1", Operation::JobCount, &request)
    }

    /// Appends a count of a job.
    pub(crate) fn count_job(&mut self, job: &str, counts: Counts) -> u64 {
        self.count_by(["operator-1", "reviewer-1"], job, counts)
    }

    /// Appends the report of an incident.
    pub(crate) fn report_incident(&mut self, job: &str) -> u64 {
        let incident = Incident {
            equipment: text("encoder 2"),
            time_ms: self.next_time() - 60_000,
            cause: text("a card tore"),
            place: text("tray 4"),
            in_hand: 1,
        };
        let act = JobAct::Incident { incident: incident.clone() };
        let agreements = signed(&self.both(["operator-2", "reviewer-1"], job, &act));
        let request =
            ReportIncident { schema: Schema, idem: self.number(), job: name(job), incident, agreements };
        let statement = self.statement(STATION_KEY, Operation::JobIncident, &request);
        let leaf = IncidentReportedLeaf { schema: Schema, station: name("station-1"), statement };
        self.push(LeafKind::IncidentReported, &leaf)
    }

    /// Appends the station's purge receipt, witnessed.
    pub(crate) fn close_by(&mut self, witness: &str, job: &str) -> u64 {
        self.close_erased(witness, job, self.next_time() - 1000)
    }

    /// The same, erased at this time.
    pub(crate) fn close_erased(&mut self, witness: &str, job: &str, erased_ms: u64) -> u64 {
        let receipt = PurgeReceipt {
            station: name("station-1"),
            erased_ms,
            files: 2,
            method: text("overwritten and deleted"),
        };
        let agreement = self.agree(witness, job, &JobAct::Close { receipt: receipt.clone() });
        let agreements = signed(&[agreement]);
        let request = CloseJob { schema: Schema, idem: self.number(), job: name(job), receipt, agreements };
        self.changed_by("station-1", Operation::JobClose, &request)
    }

    /// Appends the storage key of a job, as the token makes it.
    pub(crate) fn job_key(&mut self, job: &str, seed: u8) -> KeyRecord {
        let key = KeyRecord {
            name: name(&format!("{STORAGE_OF_JOB}{job}")),
            kind: KeyKind::Storage,
            state: KeyState::Active,
            check: CheckValue::Kw { value: ShortCheck::new([seed; 5]) },
            public: None,
            ..later_key("later", seed)
        };
        let (id, kind, version) = (key.id, key.kind, key.version);
        let intent = KeyIntentLeaf { schema: Schema, id, kind, name: key.name.clone(), version };
        let intent = self.push(LeafKind::KeyIntent, &intent);
        self.push(LeafKind::KeyOutcome, &KeyOutcomeLeaf { schema: Schema, intent, key: key.clone() });
        key
    }

    /// Appends that the storage key of a job is destroyed.
    pub(crate) fn destroy_job_key(&mut self, key: &KeyRecord, intent: u64) -> u64 {
        let leaf = KeyDestroyedLeaf {
            schema: Schema,
            intent,
            name: key.name.clone(),
            version: key.version,
            id: key.id,
        };
        self.push(LeafKind::KeyDestroyed, &leaf)
    }

    /// Appends the end of a job's data.
    pub(crate) fn purge_job(&mut self, job: &str, had_key: bool) -> u64 {
        self.push(LeafKind::JobPurged, &JobPurgedLeaf { schema: Schema, job: name(job), had_key })
    }

    /// Appends close and purge of a job without data.
    pub(crate) fn end_job(&mut self, job: &str) -> u64 {
        self.close_by("monitor-1", job);
        self.purge_job(job, false)
    }

    /// The audit record of a job as it stands, bent, with the leaf that says that it was made; the record as signed.
    pub(crate) fn job_record(&mut self, job: &str, bend: impl FnOnce(&mut JobRecord)) -> Vec<u8> {
        let (standing, tally) = self.job(job);
        let checkpoint = SignedCheckpoint::parse(&self.note()).unwrap();
        let made_ms = self.next_time();
        let mut record = JobRecord { schema: Schema, job: standing, tally, checkpoint, made_ms };
        bend(&mut record);
        let payload = cbor::encode(&record);
        let leaf = JobRecordMadeLeaf {
            schema: Schema,
            reader: name("auditor-1"),
            job: name(job),
            record: sha256(&[&payload]),
        };
        self.push(LeafKind::JobRecordMade, &leaf);
        TestKey::new(SERVICE_KEY).sign(Kind::JobRecord, self.genesis().as_bytes(), payload)
    }

    /// A log of a listed job with rejects, a sample, a stop, an incident and a wrong count, closed and purged, and of a second
    /// one that is under work, with cards sold.
    pub(crate) fn produced() -> Self {
        let mut sample = Self::good();
        let cards: Vec<_> = (1..=8).map(uid).collect();
        sample.withdraw_job(FIRST);
        sample.purge_job(FIRST, false);
        let key = sample.job_key("nfc-2", 80);
        let head = JobHead { listed: true, ordered: 6, issued: 9, carried_over: 1, ..Sample::head(1) };
        sample.create_job("nfc-2", head);
        let items = [sample.add_items("nfc-2", &cards[..5]), sample.add_items("nfc-2", &cards[5..])];
        sample.seal_job("data-2", "nfc-2");
        sample.open_job("nfc-2", 2);
        sample.derive("nfc-2", 2, &cards[..3]);
        // A card whose reply was lost is asked for again.
        sample.derive("nfc-2", 2, &cards[2..3]);
        let reject = Outcome::Reject { cause: text("torn") };
        sample.give_results(
            "nfc-2",
            &[(cards[0], Outcome::Good), (cards[1], reject), (cards[2], Outcome::Sample)],
        );
        sample.suspend_job("nfc-2");
        sample.report_incident("nfc-2");
        sample.resume_job("nfc-2", 3);
        sample.derive("nfc-2", 3, &cards[3..]);
        sample.all_good("nfc-2", &cards[3..]);
        let wrong = Counts { good: 6, rejected: 1, sample: 1, returned: 1, handed_over: 0 };
        sample.count_job("nfc-2", wrong);
        sample.count_job("nfc-2", Counts { returned: 2, ..wrong });
        let closed = sample.close_by("monitor-1", "nfc-2");
        sample.destroy_job_key(&key, closed);
        sample.purge_job("nfc-2", true);
        for leaf in items {
            sample.withhold(leaf);
        }
        sample.create_job("nfc-3", Sample::head(1));
        sample.seal_job("data-2", "nfc-3");
        sample.open_job("nfc-3", 4);
        sample.derive("nfc-3", 4, &[uid(20), uid(21)]);
        sample.all_good("nfc-3", &[uid(20)]);
        sample.move_cards(("terminal-1", super::TERMINAL_KEY), &cards[3..5], CardState::Active);
        sample
    }
}
