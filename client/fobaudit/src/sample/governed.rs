//! What a site is governed by, in the sample log: a key from components, a card profile, policies, the record of a ceremony.

use super::{ALICE, BOB, CARD, DORA, FIRST, Sample, enrolment, founding::record, job::good, start, uid};
use keysvc_protocol::{
    bytes::{Blob, Digest, Idem, ProposalId, ShortCheck},
    founding::{PrincipalKind, Profile},
    job::Counts,
    key::{AttributeText, CheckValue, KeyKind, KeyRecord, KeyState},
    leaf::{KeyIntentLeaf, KeyOutcomeLeaf, LeafKind},
    list::List,
    proposal::Proposal,
    request::{
        ActivateKey, ComponentOrder, EnrolPrincipal, GiveComponent, ImportKey, Operation, PolicyDifference,
        PolicyFile, PolicyProof, ProposePolicy, PutProfile, RecordCeremony,
    },
    schema::Schema,
};

/// The check value of the sample's imported key, as its components make it.
pub(crate) const IMPORTED: ShortCheck = ShortCheck::new([0x77; 5]);
/// The check values of its components: of alice's and of dora's.
pub(crate) const COMPONENTS: [ShortCheck; 2] = [ShortCheck::new([0xa1; 5]), ShortCheck::new([0xd0; 5])];

impl Sample {
    fn idem(&self) -> Idem {
        Idem::new(u128::from(self.next_index()).to_be_bytes())
    }

    /// The request for the next version of the card master from components of alice and dora.
    pub(crate) fn import(&self) -> ImportKey {
        let held = ["alice", "dora"].into_iter().zip(COMPONENTS);
        let held =
            held.map(|(custodian, check)| ComponentOrder { custodian: custodian.parse().unwrap(), check });
        ImportKey {
            schema: Schema,
            idem: self.idem(),
            name: "fob-master".parse().unwrap(),
            kind: KeyKind::CardMaster,
            check: IMPORTED,
            components: held.collect::<Vec<_>>().try_into().unwrap(),
            reason: "from the bank's envelope".parse().unwrap(),
        }
    }

    /// Appends the order of an import, and gives its proposal.
    pub(crate) fn order_import(&mut self) -> ProposalId {
        let id = ProposalId::new(u128::from(self.next_index()).to_be_bytes());
        let request = self.import();
        self.agreed(Operation::KeyImport, &request);
        id
    }

    /// A log in which three officers agree to an import, who are the custodians of its three components; a fourth did not.
    /// With it the leaves that made the four officers, and the act's.
    pub(crate) fn custodians_alone() -> (Self, [u64; 4], u64) {
        let mut sample = Self::good();
        let acts = [("carol", 40), ("dan", 44)].map(|(name, seed)| {
            let principal = enrolment(name, PrincipalKind::Officer, seed);
            let request = EnrolPrincipal { schema: Schema, idem: sample.idem(), principal };
            sample.agreed(Operation::PrincipalEnrol, &request)
        });
        sample.later_ms = 25 * 3_600_000;
        let [carol, dan] = acts.map(|act| sample.take_effect(act, sample.next_time()));
        let checks = [COMPONENTS[0], COMPONENTS[1], ShortCheck::new([0xc0; 5])];
        let held = ["alice", "bob", "carol"].into_iter().zip(checks);
        let held =
            held.map(|(custodian, check)| ComponentOrder { custodian: custodian.parse().unwrap(), check });
        let components = held.collect::<Vec<_>>().try_into().unwrap();
        let request = ImportKey { components, ..sample.import() };
        let request = sample.proposed(("alice", ALICE), Operation::KeyImport, &request);
        let bytes = sample.propose(&sample.drafted(request.clone(), None));
        let approvals = [ALICE, BOB, 40].map(|seed| sample.approve(&bytes, seed));
        let act = sample.act(&request, &bytes, &approvals);
        (sample, [acts[0], acts[1], carol, dan], act)
    }

    /// Appends the proposal of an import whose components are the only two officers'.
    pub(crate) fn propose_custodians_alone(&mut self) -> u64 {
        let request = self.import();
        let good = self.proposed(("alice", ALICE), Operation::KeyImport, &request);
        let mut components = request.components.to_vec();
        components[1].custodian = "bob".parse().unwrap();
        let request = ImportKey { components: components.try_into().unwrap(), ..request };
        let request = self.proposed(("alice", ALICE), Operation::KeyImport, &request);
        let index = self.next_index();
        self.propose(&Proposal { request, ..self.drafted(good, None) });
        index
    }

    /// Appends that the custodian gave a component, and gives the leaf.
    pub(crate) fn give(&mut self, proposal: ProposalId, number: u8) -> u64 {
        self.give_by([("alice", ALICE), ("dora", DORA)][usize::from(number) - 1], proposal, number)
    }

    /// Appends that somebody gave a component, and gives the leaf.
    pub(crate) fn give_by(&mut self, by: (&str, u8), proposal: ProposalId, number: u8) -> u64 {
        let idem = self.idem();
        self.give_as(by, (proposal, number), idem)
    }

    /// The same as the act of this idempotency key.
    pub(crate) fn give_as(
        &mut self,
        by: (&str, u8),
        (proposal, number): (ProposalId, u8),
        idem: Idem,
    ) -> u64 {
        let place = usize::from(number) - 1;
        let request = GiveComponent {
            schema: Schema,
            idem,
            proposal,
            number,
            check: COMPONENTS[place],
            import_key: Digest::new([50; 32]),
            sealed: Digest::new([51 + number; 32]),
        };
        let request = self.proposed(by, Operation::ComponentGive, &request);
        self.push(LeafKind::SiteChanged, &Self::changed(&request))
    }

    /// The record of the imported key.
    pub(crate) fn imported(&self) -> KeyRecord {
        let attribute =
            |name: &str, value: &str| AttributeText { name: name.to_owned(), value: value.to_owned() };
        let read = vec![attribute("CKA_LOCAL", "false"), attribute("CKA_SENSITIVE", "true")];
        KeyRecord {
            version: 2,
            state: KeyState::PreActivation,
            check: CheckValue::Cmac { value: IMPORTED },
            attributes: List::try_from(read).unwrap(),
            made_at_ms: self.next_time(),
            ..record("fob-master", KeyKind::CardMaster, 62)
        }
    }

    /// Appends the intent to make a key of this record.
    pub(crate) fn intend(&mut self, key: &KeyRecord) -> u64 {
        let intent = KeyIntentLeaf {
            schema: Schema,
            id: key.id,
            kind: key.kind,
            name: key.name.clone(),
            version: key.version,
        };
        self.push(LeafKind::KeyIntent, &intent)
    }

    /// Appends intent and outcome of a key of this record.
    pub(crate) fn comes_in(&mut self, key: &KeyRecord) -> u64 {
        let intent = self.intend(key);
        self.push(LeafKind::KeyOutcome, &KeyOutcomeLeaf { schema: Schema, intent, key: key.clone() })
    }

    /// The next version of the card profile, as it now stands.
    pub(crate) fn next_profile(&self) -> Profile {
        let profiles = self.control.as_ref().unwrap().profiles();
        let mut profile = profiles.newest(&"fob".parse().unwrap()).unwrap().profile.clone();
        profile.version += 1;
        profile
    }

    /// The request to put a profile into use.
    pub(crate) fn put_request(&self, profile: Profile) -> PutProfile {
        let reason = "new cards".parse().unwrap();
        PutProfile { schema: Schema, idem: self.idem(), profile, reason }
    }

    /// Appends what puts a profile into use, and gives the act's leaf.
    pub(crate) fn put_profile(&mut self, profile: Profile) -> u64 {
        let request = self.put_request(profile);
        self.agreed(Operation::ProfilePut, &request)
    }

    /// The request for policies with a digest of this byte.
    pub(crate) fn policies(&self, policy: u8) -> ProposePolicy {
        let text = Blob::try_from(b"permit (principal, action, resource);\n".to_vec()).unwrap();
        let difference = PolicyDifference {
            cases: 200,
            changed: 1,
            report: Digest::new([52; 32]),
            lines: List::try_from(vec!["an officer may put a profile with two people".parse().unwrap()])
                .unwrap(),
        };
        let proof = PolicyProof {
            solver: "cvc5 1.3.1".parse().unwrap(),
            theorems: 40,
            environments: 60,
            load_max: 5000,
            report: Digest::new([53; 32]),
        };
        let file = PolicyFile { name: "site.cedar".parse().unwrap(), text };
        ProposePolicy {
            schema: Schema,
            idem: self.idem(),
            policy: Digest::new([policy; 32]),
            files: List::try_from(vec![file]).unwrap(),
            difference,
            proof,
            reason: "tills may load less alone".parse().unwrap(),
            replay: None,
        }
    }

    /// Appends what puts policies with a digest of this byte into force, and gives the act's leaf.
    pub(crate) fn put_policies(&mut self, policy: u8) -> u64 {
        let request = self.policies(policy);
        self.agreed(Operation::PolicyPropose, &request)
    }

    /// Appends the activation of the card master's second version.
    pub(crate) fn activate_imported(&mut self) -> u64 {
        let reason = "tested".parse().unwrap();
        let name = "fob-master".parse().unwrap();
        let request = ActivateKey { schema: Schema, idem: self.idem(), name, version: 2, reason };
        self.agreed(Operation::KeyActivate, &request)
    }

    /// Appends the record of a ceremony by bob, and gives its leaf.
    pub(crate) fn record_ceremony(&mut self, plan: Digest, transcript: Digest, people: &[&str]) -> u64 {
        let people = people.iter().map(|name| name.parse().unwrap());
        let request = RecordCeremony {
            schema: Schema,
            idem: self.idem(),
            title: "Card master from the bank".parse().unwrap(),
            plan,
            transcript,
            people: people.collect::<Vec<_>>().try_into().unwrap(),
        };
        let request = self.proposed(("bob", BOB), Operation::CeremonyRecord, &request);
        self.push(LeafKind::SiteChanged, &Self::changed(&request))
    }

    /// A log with an import, a profile that uses the new key, other policies with a start under them, and the record of a
    /// ceremony.
    pub(crate) fn ruled() -> Self {
        let mut sample = Self::working();
        sample.heartbeat();
        let import = sample.order_import();
        sample.give(import, 2);
        sample.give(import, 1);
        let key = sample.imported();
        sample.comes_in(&key);
        sample.activate_imported();
        let mut profile = sample.next_profile();
        profile.slots.iter_mut().for_each(|slot| slot.key_version = 2);
        profile.value.as_mut().unwrap().load_max = 9000;
        sample.put_profile(profile);
        sample.all_good(FIRST, &[CARD.parse().unwrap(), uid(2)]);
        let returned = Counts { returned: 8, ..good(2) };
        sample.count_job(FIRST, returned);
        sample.end_job(FIRST);
        // Cards of the next job get keys of the new version.
        sample.create_job("nfc-2", Sample::head(2));
        sample.seal_job("data-2", "nfc-2");
        sample.open_job("nfc-2", 2);
        sample.derive("nfc-2", 2, &[uid(3)]);
        sample.put_policies(92);
        sample.push(LeafKind::Start, &start(92));
        sample.update(|_| {});
        sample.record_ceremony(Digest::new([54; 32]), Digest::new([55; 32]), &["alice", "bob", "dora"]);
        sample.large_load();
        sample.heartbeat();
        sample
    }
}
