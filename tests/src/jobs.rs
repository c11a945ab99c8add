//! Personalization jobs over the raw wire: the people of a floor, and one call for each thing they do.
//!
//! Each call is one request and judges nothing of the reply but its form; tests judge. What must hold of counts and cards
//! is the protocol's. A station with its people around it, for tests that want keys and no jobs, is the [`Bench`].

mod bench;
mod cards;

pub use bench::Bench;
pub use cards::{delivered, derive, give, receipt, results, suspend};

use crate::{
    agreed::{idem, name},
    cards::Card,
    raw::{Caller, genesis, key, sign},
};
use keysvc_client::{agreement::SignedAgreement, signer::StatementSigner};
use keysvc_protocol::{
    bytes::{Blob, Digest, Exchange},
    cbor,
    cose::{Kind, Signed},
    delivery::ExchangeOpening,
    job::{AGREEMENT_LEN_MAX, Counts, Incident, JobAct, JobAgreement, JobHead, JobItem, PurgeReceipt},
    merkle::Frontier,
    name::Name,
    refusal::Refusal,
    reply::{JobChangedReply, JobCountReply, JobOpenReply},
    request::{
        AddJobItems, Agreements, CloseJob, CountJob, CreateJob, OpenJob, Operation, ReportIncident,
        ResumeJob, SealJob,
    },
    schema::Schema,
};
use softhsm_setup::Site;
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01 UTC.
///
/// # Panics
/// When the clock stands before 1970.
#[must_use]
pub fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A head of a job that takes cards as they are encountered, for `station-1`, due in a day.
#[must_use]
pub fn head(profile: &str, version: u32, cards: u32) -> JobHead {
    JobHead {
        schema: Schema,
        order: "order 4711".parse().unwrap(),
        customer: "C-17".parse().unwrap(),
        profile: name(profile),
        profile_version: version,
        lot: "lot 9".parse().unwrap(),
        station: name("station-1"),
        equipment: "encoder 1".parse().unwrap(),
        ordered: cards,
        issued: cards,
        carried_over: 0,
        listed: false,
        due_ms: now_ms() + 24 * 60 * 60 * 1000,
    }
}

/// The root of a manifest.
#[must_use]
pub fn root(items: &[JobItem]) -> Digest {
    let mut tree = Frontier::new();
    items.iter().for_each(|item| _ = tree.append(item.hash()));
    tree.root()
}

/// The people of the development site's floor: two data operators on their connections, and those who sign at a station.
pub struct Floor {
    /// Who makes jobs, and who seals them.
    pub data: [Caller; 2],
    /// The station operators' keys: operator-1 and operator-2.
    pub operators: [Box<dyn StatementSigner>; 2],
    /// The reviewer's key.
    pub reviewer: Box<dyn StatementSigner>,
    /// The monitor's card, where the monitor is there.
    pub monitor: Option<Box<dyn StatementSigner>>,
    genesis: Digest,
}

impl std::fmt::Debug for Floor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Floor")
    }
}

/// A session at a station.
#[derive(Debug, Clone)]
pub struct Shift {
    /// The job.
    pub job: Name,
    /// The session's exchange.
    pub exchange: Exchange,
    /// The request that opened it, to be repeated.
    pub request: OpenJob,
}

impl Floor {
    /// Everybody. `program` is this package's `card`, as `env!("CARGO_BIN_EXE_card")` names it.
    ///
    /// # Panics
    /// When somebody does not come.
    #[must_use]
    pub fn new(program: &str, site: &Site) -> Self {
        Self {
            monitor: Some(Box::new(Card::insert(program, site, "monitor-1"))),
            ..Self::without_monitor(site)
        }
    }

    /// Everybody but the monitor, who opens jobs and closes none.
    ///
    /// # Panics
    /// When somebody does not come.
    #[must_use]
    pub fn without_monitor(site: &Site) -> Self {
        let file = |persona| -> Box<dyn StatementSigner> { Box::new(key(site, persona)) };
        Self {
            data: ["data-1", "data-2"].map(|persona| Caller::new(site, persona)),
            operators: ["operator-1", "operator-2"].map(file),
            reviewer: file("reviewer-1"),
            monitor: None,
            genesis: genesis(site),
        }
    }

    /// A person's signed agreement, signed now.
    ///
    /// # Panics
    /// When the key does not sign.
    #[must_use]
    pub fn agreement(
        &self,
        (person, signer): (&str, &dyn StatementSigner),
        job: &Name,
        act: &JobAct,
    ) -> Blob<AGREEMENT_LEN_MAX> {
        let said = JobAgreement {
            schema: Schema,
            job: job.clone(),
            act: act.clone(),
            person: name(person),
            signed_ms: now_ms(),
            nonce: idem(),
        };
        let message = sign(signer, Kind::JobAgreement, self.genesis.as_bytes(), cbor::encode(&said));
        message.try_into().unwrap()
    }

    /// Both operators' agreements.
    ///
    /// # Panics
    /// When a key does not sign.
    #[must_use]
    pub fn operators_agree(&self, job: &Name, act: &JobAct) -> Agreements {
        let [one, other] = &self.operators;
        let people = [("operator-1", one), ("operator-2", other)];
        let signed = people.map(|(person, signer)| self.agreement((person, signer.as_ref()), job, act));
        signed.to_vec().try_into().unwrap()
    }

    /// Both operators' agreements that a session of a job begins, as the client library takes them.
    ///
    /// # Panics
    /// When a key does not sign.
    #[must_use]
    pub fn beginning(&self, job: &str, station: &str) -> [SignedAgreement; 2] {
        let act = JobAct::Open { station: name(station) };
        let signed = self.operators_agree(&name(job), &act).to_vec();
        let read = |one: Blob<AGREEMENT_LEN_MAX>| SignedAgreement::from_bytes(one.into_bytes()).unwrap();
        signed.into_iter().map(read).collect::<Vec<_>>().try_into().unwrap()
    }

    /// The agreements of operator-1 and the reviewer.
    ///
    /// # Panics
    /// When a key does not sign.
    #[must_use]
    pub fn reviewed(&self, job: &Name, act: &JobAct) -> Agreements {
        let operator = self.agreement(("operator-1", self.operators[0].as_ref()), job, act);
        let reviewer = self.agreement(("reviewer-1", self.reviewer.as_ref()), job, act);
        vec![operator, reviewer].try_into().unwrap()
    }

    /// Makes a draft.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn create(&mut self, job: &str, head: &JobHead) -> Result<JobChangedReply, Refusal> {
        let request = CreateJob { schema: Schema, idem: idem(), job: name(job), head: head.clone() };
        self.data[0].ask(Operation::JobCreate, &request)
    }

    /// Adds cards to a draft.
    ///
    /// # Errors
    /// The [`Refusal`].
    ///
    /// # Panics
    /// For more cards than one request takes.
    pub fn add(&mut self, job: &str, items: &[JobItem]) -> Result<JobChangedReply, Refusal> {
        let items = items.to_vec().try_into().unwrap();
        let request = AddJobItems { schema: Schema, idem: idem(), job: name(job), items };
        self.data[0].ask(Operation::JobItems, &request)
    }

    /// Seals a draft.
    ///
    /// # Errors
    /// The [`Refusal`].
    ///
    /// # Panics
    /// For more cards than there can be.
    pub fn seal(&mut self, job: &str, head: &JobHead, items: &[JobItem]) -> Result<JobChangedReply, Refusal> {
        let request = SealJob {
            schema: Schema,
            idem: idem(),
            job: name(job),
            head: head.digest(),
            items: u32::try_from(items.len()).unwrap(),
            root: root(items),
        };
        self.data[1].ask(Operation::JobSeal, &request)
    }

    /// Makes and seals a job that takes cards as they are encountered.
    ///
    /// # Panics
    /// When it is refused.
    pub fn prepare(&mut self, job: &str, head: &JobHead) {
        self.create(job, head).unwrap();
        self.seal(job, head, &[]).unwrap();
    }

    /// The request that opens a job.
    #[must_use]
    pub fn open_request(&self, job: &str, station: &str) -> OpenJob {
        let (job, act) = (name(job), JobAct::Open { station: name(station) });
        let agreements = self.operators_agree(&job, &act);
        OpenJob { schema: Schema, idem: idem(), job, agreements }
    }

    /// Opens a job at a station.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn open(&self, (station, persona): (&mut Caller, &str), job: &str) -> Result<Shift, Refusal> {
        let request = self.open_request(job, persona);
        let reply: JobOpenReply = station.ask(Operation::JobOpen, &request)?;
        Ok(Shift { job: request.job.clone(), exchange: exchange(&reply), request })
    }

    /// Lets a suspended job go on.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn resume(&self, (station, persona): (&mut Caller, &str), job: &str) -> Result<Exchange, Refusal> {
        let (job, act) = (name(job), JobAct::Resume { station: name(persona) });
        let agreements = self.operators_agree(&job, &act);
        let request = ResumeJob { schema: Schema, idem: idem(), job, agreements };
        let reply: JobOpenReply = station.ask(Operation::JobResume, &request)?;
        Ok(exchange(&reply))
    }

    /// Makes, seals and opens a job at `station-1` that takes cards as they are encountered.
    ///
    /// # Panics
    /// When it is refused.
    pub fn shift(&mut self, station: &mut Caller, job: &str, head: &JobHead) -> Shift {
        self.prepare(job, head);
        let persona = head.station.to_string();
        self.open((station, &persona), job).unwrap()
    }

    /// Gives counts.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn count(&self, station: &mut Caller, job: &str, counts: Counts) -> Result<bool, Refusal> {
        let (job, act) = (name(job), JobAct::Count { counts });
        let agreements = self.reviewed(&job, &act);
        let request = CountJob { schema: Schema, idem: idem(), job, counts, agreements };
        let reply: JobCountReply = station.ask(Operation::JobCount, &request)?;
        Ok(reply.balanced)
    }

    /// Reports an incident.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn incident(&self, station: &mut Caller, job: &str, incident: &Incident) -> Result<(), Refusal> {
        let (job, act) = (name(job), JobAct::Incident { incident: incident.clone() });
        let agreements = self.reviewed(&job, &act);
        let incident = incident.clone();
        let request = ReportIncident { schema: Schema, idem: idem(), job, incident, agreements };
        station.ask::<JobChangedReply>(Operation::JobIncident, &request).map(drop)
    }

    /// Closes a job, the purge witnessed by the monitor.
    ///
    /// # Errors
    /// The [`Refusal`].
    ///
    /// # Panics
    /// As [`Floor::close_with`].
    pub fn close(&self, station: &mut Caller, job: &str) -> Result<JobChangedReply, Refusal> {
        let receipt = receipt("station-1");
        self.close_with(station, job, receipt)
    }

    /// Closes a job with this receipt.
    ///
    /// # Errors
    /// The [`Refusal`].
    ///
    /// # Panics
    /// When the monitor is not there.
    pub fn close_with(
        &self,
        station: &mut Caller,
        job: &str,
        receipt: PurgeReceipt,
    ) -> Result<JobChangedReply, Refusal> {
        let (job, act) = (name(job), JobAct::Close { receipt: receipt.clone() });
        let monitor = self.monitor.as_ref().unwrap();
        let witness = self.agreement(("monitor-1", monitor.as_ref()), &job, &act);
        let agreements = vec![witness].try_into().unwrap();
        let request = CloseJob { schema: Schema, idem: idem(), job, receipt, agreements };
        station.ask(Operation::JobClose, &request)
    }

    /// Ends a job whose cards all have their results: counted, closed, purged.
    ///
    /// # Panics
    /// When it does not balance, or is refused.
    pub fn finish(&self, station: &mut Caller, job: &str, counts: Counts, at: &str) {
        assert_eq!(self.count(station, job, counts), Ok(true));
        self.close_with(station, job, receipt(at)).unwrap();
    }
}

/// The exchange of an opening, read without judging it.
fn exchange(reply: &JobOpenReply) -> Exchange {
    let signed = Signed::parse(reply.opening.as_bytes()).unwrap();
    let opening: ExchangeOpening = cbor::decode(signed.recorded_payload(), 4096).unwrap();
    opening.exchange
}
