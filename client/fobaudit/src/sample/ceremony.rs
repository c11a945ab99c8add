//! A ceremony in the sample log: its plan, what was done step by step, and the people's signatures.
//!
//! Every part can be bent before it is signed, or after, so that each test has one thing wrong.

use super::{
    ALICE, BOB, DORA, Export, Sample, TestKey,
    founding::WILMA,
    governed::{COMPONENTS, IMPORTED},
};
use crate::{
    ceremony::{self, Held},
    log_folder::LogFolder,
};
use keysvc_protocol::{
    bytes::{Blob, Digest, Idem, ProposalId},
    cbor,
    ceremony::{
        CeremonyFile, Fact, Outcome, Role, StepRecord, Text, Transcript, TranscriptAgreement, idem_of_step,
    },
    cose::Kind,
    hash::sha256,
    list::List,
    request::{ActivateKey, ImportKey, Operation},
    schema::Schema,
};
use serde::Serialize;

/// The people of the ceremony.
pub(crate) const PEOPLE: [(&str, Role, u8); 4] = [
    ("alice", Role::Officer, ALICE),
    ("bob", Role::Officer, BOB),
    ("dora", Role::Custodian, DORA),
    ("wilma", Role::Witness, WILMA),
];

/// A ceremony as far as it was held.
#[derive(Debug, Clone)]
pub(crate) struct Ceremony {
    /// The log.
    pub(crate) sample: Sample,
    /// The plan's text.
    pub(crate) plan: String,
    /// The records; their links are made when the transcript is.
    pub(crate) steps: Vec<StepRecord>,
    /// Whether it was a rehearsal.
    pub(crate) rehearsal: bool,
    /// The genesis digest that it names.
    pub(crate) genesis: Digest,
    /// The agreements to the plan.
    pub(crate) plan_agreements: Vec<Vec<u8>>,
}

fn plan(genesis: &Digest) -> String {
    let [alice, dora] = COMPONENTS;
    format!(
        r#"
title = "Card master from the bank"
purpose = "The next year's cards"
place = "Room 4"
trust-domain = "demo.keysvc.test"
genesis = "{genesis}"
people = [
  {{ name = "alice", role = "officer" }},
  {{ name = "bob", role = "officer" }},
  {{ name = "dora", role = "custodian" }},
  {{ name = "wilma", role = "witness" }},
]

[[steps]]
say = "Look at the service."
by = "wilma"
do = {{ act = "status" }}

[[steps]]
say = "Ask for the import."
by = "alice"
do = {{ act = "key-import", name = "fob-master", check-value = "{IMPORTED}", components = [
  {{ custodian = "alice", check-value = "{alice}" }},
  {{ custodian = "dora", check-value = "{dora}" }},
] }}

[[steps]]
say = "Approve the import."
by = "alice"
do = {{ act = "approve", of-step = 2 }}

[[steps]]
say = "Approve the import."
by = "bob"
do = {{ act = "approve", of-step = 2 }}

[[steps]]
say = "Enter the first component."
by = "alice"
do = {{ act = "component-give", of-step = 2 }}

[[steps]]
say = "Enter the second component."
by = "dora"
do = {{ act = "component-give", of-step = 2 }}

[[steps]]
say = "Ask to put the key into use."
by = "bob"
do = {{ act = "key-activate", name = "fob-master", version = 2 }}

[[steps]]
say = "Approve its use."
by = "alice"
do = {{ act = "approve", of-step = 7 }}

[[steps]]
say = "Approve its use."
by = "bob"
do = {{ act = "approve", of-step = 7 }}

[[steps]]
say = "Look at the key."
by = "wilma"
do = {{ act = "key-show", name = "fob-master", version = 2, check-value = "{IMPORTED}", state = "active" }}

[[steps]]
say = "Close the safe."
by = "wilma"
"#
    )
}

impl Ceremony {
    /// A ceremony before its first step, under a plan that everybody signed.
    pub(crate) fn planned() -> Self {
        Self::planned_as(|plan| plan)
    }

    /// The same under another plan.
    pub(crate) fn planned_as(edit: impl FnOnce(String) -> String) -> Self {
        let sample = Sample::good();
        let genesis = sample.genesis();
        let mut ceremony = Self {
            plan: edit(plan(&genesis)),
            sample,
            steps: Vec::new(),
            rehearsal: false,
            genesis,
            plan_agreements: Vec::new(),
        };
        ceremony.sign_plan();
        ceremony
    }

    /// Has everybody sign the plan as it stands.
    pub(crate) fn sign_plan(&mut self) {
        let agreed = PEOPLE.map(|(name, role, seed)| {
            let payload = Transcript::agreement(self.plan.as_bytes(), &name.parse().unwrap(), role);
            TestKey::new(seed).sign(Kind::Plan, b"demo.keysvc.test", payload)
        });
        self.plan_agreements = agreed.to_vec();
    }

    /// A ceremony that went as planned, whose transcript is not in the log yet.
    pub(crate) fn held() -> Self {
        let mut ceremony = Self::planned();
        ceremony.go();
        ceremony
    }

    /// The idempotency key of the next step's request.
    pub(crate) fn idem(&self) -> Idem {
        idem_of_step(&sha256(&[self.plan.as_bytes()]), u16::try_from(self.steps.len() + 1).unwrap())
    }

    /// All steps, as planned.
    pub(crate) fn go(&mut self) {
        let policy = Digest::new([91; 32]).to_string();
        let genesis = self.genesis.to_string();
        self.step("wilma", &[("genesis", &genesis), ("policy", &policy)], |_| (None, None));
        self.import(&[ALICE, BOB]);
        self.give_both();
        self.activate();
        let shown = [
            ("check-value", IMPORTED.to_string()),
            ("state", "active".to_owned()),
            ("CKA_SENSITIVE", "true".to_owned()),
            ("serial number of the envelope", "4711".to_owned()),
        ];
        let shown: Vec<_> = shown.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.step("wilma", &shown, |_| (None, None));
        self.step("wilma", &[], |_| (None, None));
    }

    /// Steps 2 to 4: the import is asked for and approved by the keys of these seeds.
    pub(crate) fn import(&mut self, approving: &[u8]) {
        let request = ImportKey { idem: self.idem(), ..self.sample.import() };
        self.agreed(("alice", ALICE), Operation::KeyImport, &request, approving);
    }

    /// Steps 5 and 6.
    pub(crate) fn give_both(&mut self) {
        let import = self.steps[1].proposal.unwrap();
        let [alice, dora] = COMPONENTS.map(|check| check.to_string());
        let idem = self.idem();
        let given = |sample: &mut Sample, by, number, idem| {
            (Some(import), Some(sample.give_as(by, (import, number), idem)))
        };
        self.step("alice", &[("number", "1"), ("check-value", &alice)], |sample| {
            given(sample, ("alice", ALICE), 1, idem)
        });
        let whole = IMPORTED.to_string();
        let facts = [
            ("number", "2"),
            ("check-value", dora.as_str()),
            ("key-check-value", whole.as_str()),
            ("version", "2"),
            ("state", "pre-activation"),
            ("CKA_LOCAL", "false"),
        ];
        let idem = self.idem();
        self.step("dora", &facts, |sample| {
            let leaf = given(sample, ("dora", DORA), 2, idem);
            let key = sample.imported();
            sample.comes_in(&key);
            leaf
        });
    }

    /// Steps 7 to 9.
    pub(crate) fn activate(&mut self) {
        let idem = self.idem();
        let (name, reason) = ("fob-master".parse().unwrap(), "tested".parse().unwrap());
        let request = ActivateKey { schema: Schema, idem, name, version: 2, reason };
        self.agreed(("bob", BOB), Operation::KeyActivate, &request, &[ALICE, BOB]);
    }

    /// A step that asks, and one step for each approval; the last one brings the act about.
    pub(crate) fn agreed<T: Serialize>(
        &mut self,
        by: (&str, u8),
        operation: Operation,
        request: &T,
        approving: &[u8],
    ) {
        let request = self.sample.proposed(by, operation, request);
        let proposal = self.sample.drafted(request.clone(), None);
        let id = proposal.id;
        let mut bytes = Vec::new();
        self.step(by.0, &[], |sample| {
            bytes = sample.propose(&proposal);
            (Some(id), None)
        });
        let mut approvals = Vec::new();
        for seed in approving {
            let name = PEOPLE.iter().find(|(_, _, key)| key == seed).unwrap().0;
            self.step(name, &[], |sample| {
                approvals.push(sample.approve(&bytes, *seed));
                let last = approvals.len() == approving.len();
                (Some(id), last.then(|| sample.act(&request, &bytes, &approvals)))
            });
        }
    }

    /// A step by this person with these facts, as far as `doing` says where it stands.
    pub(crate) fn step(
        &mut self,
        person: &str,
        facts: &[(&str, &str)],
        doing: impl FnOnce(&mut Sample) -> (Option<ProposalId>, Option<u64>),
    ) {
        let started_ms = self.sample.next_time();
        let (proposal, leaf) = doing(&mut self.sample);
        let facts = facts.iter().map(|(name, value)| Fact::new(name, value));
        self.steps.push(StepRecord {
            schema: Schema,
            number: u16::try_from(self.steps.len() + 1).unwrap(),
            previous: Digest::new([0; 32]),
            person: person.parse().unwrap(),
            started_ms,
            ended_ms: self.sample.next_time(),
            outcome: Outcome::Done,
            initials: Text::lossy(&person[..2].to_uppercase()),
            facts: facts.collect::<Vec<_>>().try_into().unwrap(),
            deviation: None,
            proposal,
            leaf,
        });
    }

    /// Says of a step how it was not as planned.
    pub(crate) fn deviates(&mut self, number: usize, outcome: Outcome, deviation: &str) {
        let step = &mut self.steps[number - 1];
        (step.outcome, step.deviation) = (outcome, Some(deviation.parse().unwrap()));
    }

    /// The transcript, with its records linked.
    pub(crate) fn transcript(&self) -> Transcript {
        let mut previous = sha256(&[self.plan.as_bytes()]);
        let steps = self.steps.iter().cloned().map(|step| {
            let step = StepRecord { previous, ..step };
            previous = sha256(&[&cbor::encode(&step)]);
            step
        });
        let steps: Vec<_> = steps.collect();
        let blobs = self.plan_agreements.iter().map(|agreed| Blob::try_from(agreed.clone()).unwrap());
        Transcript {
            schema: Schema,
            trust_domain: "demo.keysvc.test".parse().unwrap(),
            genesis: self.genesis,
            rehearsal: self.rehearsal,
            plan: Blob::try_from(self.plan.clone().into_bytes()).unwrap(),
            agreements: blobs.collect::<Vec<_>>().try_into().unwrap(),
            program: "fobctl 0.1.0".parse().unwrap(),
            started_ms: steps[0].started_ms,
            ended_ms: steps.iter().map(|step| step.ended_ms).max().unwrap(),
            interruptions: 0,
            steps: List::try_from(steps).unwrap(),
        }
    }

    /// The agreement of one person to a transcript, by the key of this seed.
    pub(crate) fn agreement(&self, transcript: &[u8], (name, role): (&str, Role), seed: u8) -> Vec<u8> {
        let agreement = TranscriptAgreement {
            schema: Schema,
            transcript: sha256(&[transcript]),
            person: name.parse().unwrap(),
            role,
        };
        TestKey::new(seed).sign(Kind::Transcript, self.genesis.as_bytes(), cbor::encode(&agreement))
    }

    /// Everybody's agreements to a transcript.
    pub(crate) fn agreements(&self, transcript: &[u8]) -> Vec<Vec<u8>> {
        PEOPLE.map(|(name, role, seed)| self.agreement(transcript, (name, role), seed)).to_vec()
    }

    /// Appends the record of the transcript to the log, and gives its leaf.
    pub(crate) fn anchor(&mut self, transcript: &[u8]) -> u64 {
        let people = PEOPLE.map(|(name, _, _)| name);
        self.sample.record_ceremony(sha256(&[self.plan.as_bytes()]), sha256(&[transcript]), &people)
    }

    /// The file of a transcript with these agreements.
    pub(crate) fn file(transcript: &[u8], agreements: &[Vec<u8>]) -> Vec<u8> {
        let blobs = agreements.iter().map(|agreed| Blob::try_from(agreed.clone()).unwrap());
        cbor::encode(&CeremonyFile {
            schema: Schema,
            transcript: Blob::try_from(transcript.to_vec()).unwrap(),
            agreements: blobs.collect::<Vec<_>>().try_into().unwrap(),
        })
    }

    /// Anchors the transcript, has everybody sign it, and gives the file.
    pub(crate) fn ended(&mut self) -> Vec<u8> {
        let transcript = cbor::encode(&self.transcript());
        self.anchor(&transcript);
        Self::file(&transcript, &self.agreements(&transcript))
    }

    /// What is found of a file by this log.
    pub(crate) fn verify(&self, file: &[u8]) -> Held {
        Self::verify_by(&self.sample.export(), file)
    }

    /// What is found of a file by an exported log.
    pub(crate) fn verify_by(export: &Export, file: &[u8]) -> Held {
        let folder = LogFolder::new(export.folder());
        let asked = ceremony::Asked { bytes: file, folder, trust: &export.trust, previous: &[] };
        ceremony::run(&asked, &mut |_, _| {}).unwrap()
    }
}
