//! The tests' people: officers, a station and terminals with keys of their own, and what they sign.

use super::{NOW_MS, Store};
use crate::keeper::ledger::change::{Change, Outcome, Recording, Retry};
use keysvc_protocol::{
    bytes::{Blob, Digest, Idem, ProposalId, from_hex},
    cbor,
    control::Moment,
    cose::{Kind, Unsigned},
    freeze::Scope,
    hash::sha256,
    leaf::{ChangedLeaf, ProposalMadeLeaf, Statement},
    merkle::leaf_hash,
    proposal::{Evidence, Proposed},
    public_key::PublicKey,
    quorum::{Approval, Need, Verdict},
    refusal::Refusal,
    request::{
        ActivateKey, CancelProposal, DestroyKey, DisablePrincipal, LiftFreeze, Operation, RetireKey,
        SetFreeze, SetQuorum, SuspendKey,
    },
    schema::Schema,
};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write as _, sync::OnceLock};

const SPKI_HEAD: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
/// The order of P-256.
const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
/// The delays of the ground's founding, in milliseconds.
pub(crate) const ROSTER_DELAY_MS: u64 = 60_000;
pub(crate) const DESTROY_DELAY_MS: u64 = 120_000;
pub(crate) const OFFICERS: [&str; 3] = ["anna", "boris", "clara"];

/// Everybody else: name, kind, organisation, and what they may do beyond their kind or their wrapping key.
const PRINCIPALS: [(&str, &str, &str, &str); 12] = [
    ("terminal-1", "terminal", "store-1", ""),
    ("terminal-2", "terminal", "store-1", ""),
    ("office-1", "office", "store-1", ""),
    ("office-2", "office", "store-2", ""),
    ("station-1", "station", "bureau", "wrapping-key = \"AAAA\"\n"),
    ("data-1", "operator", "bureau", "capabilities = [\"data-operator\"]\n"),
    ("data-2", "operator", "bureau", "capabilities = [\"data-operator\"]\n"),
    ("operator-1", "operator", "bureau", "capabilities = [\"station-operator\"]\n"),
    ("operator-2", "operator", "bureau", "capabilities = [\"station-operator\"]\n"),
    ("operator-3", "operator", "bureau", "capabilities = [\"station-operator\"]\n"),
    ("reviewer-1", "operator", "bureau", "capabilities = [\"reviewer\"]\n"),
    ("monitor-1", "operator", "bureau", "capabilities = [\"monitor\"]\n"),
];

/// Somebody with a statement key.
pub(crate) struct Person {
    name: &'static str,
    key: EcdsaKeyPair,
    public: PublicKey,
}

fn all() -> &'static BTreeMap<&'static str, Person> {
    static ALL: OnceLock<BTreeMap<&'static str, Person>> = OnceLock::new();
    ALL.get_or_init(|| {
        let random = SystemRandom::new();
        let person = |name| {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
            let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random);
            let key = key.unwrap();
            let mut spki = from_hex(SPKI_HEAD).unwrap();
            spki.extend_from_slice(key.public_key().as_ref());
            (name, Person { name, key, public: PublicKey::from_spki(&spki).unwrap() })
        };
        let principals = PRINCIPALS.iter().map(|(name, ..)| *name);
        OFFICERS.into_iter().chain(principals).map(person).collect()
    })
}

pub(crate) fn person(name: &str) -> &'static Person {
    &all()[name]
}

impl Person {
    /// A COSE_Sign1 in low-S form.
    pub(crate) fn sign(&self, kind: Kind, genesis: &Digest, payload: Vec<u8>) -> Vec<u8> {
        let unsigned = Unsigned::new(kind, genesis.as_bytes(), self.public.identifier(), payload);
        let signature = self.key.sign(&SystemRandom::new(), &unsigned.to_be_signed()).unwrap();
        let mut bytes: [u8; 64] = signature.as_ref().try_into().unwrap();
        if !keysvc_protocol::public_key::low_s(&bytes) {
            let order = from_hex(ORDER).unwrap();
            let mut borrow = 0;
            for place in (0..32).rev() {
                let left = i16::from(order[place]) - i16::from(bytes[32 + place]) - borrow;
                borrow = i16::from(left < 0);
                bytes[32 + place] = u8::try_from(left + 256 * borrow).unwrap();
            }
        }
        unsigned.with_signature(&bytes)
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let word = u32::from_be_bytes([0, part[0], *part.get(1).unwrap_or(&0), *part.get(2).unwrap_or(&0)]);
        for place in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * place) & 63) as usize] as char;
            text.push(if place <= part.len() { letter } else { '=' });
        }
    }
    text
}

/// The ground's founding file.
pub(crate) fn founding_file() -> String {
    let mut file = format!(
        "trust-domain = \"demo.keysvc.test\"\nca = \"{0}\"\npolicy = \"{0}\"\ndevelopment = true\n\
         [delays]\nroster-s = {1}\ndestroy-s = {2}\n",
        "1".repeat(64),
        ROSTER_DELAY_MS / 1_000,
        DESTROY_DELAY_MS / 1_000,
    );
    for person in all().values() {
        let (name, key) = (person.name, base64(person.public.spki()));
        let pin = sha256(&[name.as_bytes()]);
        if OFFICERS.contains(&name) {
            write!(
                file,
                "[[officers]]\nname = \"{name}\"\ndepartment = \"d-{name}\"\ntls-key = \"{pin}\"\n\
                 approval-key = \"{key}\"\n"
            )
            .unwrap();
        }
    }
    for (name, kind, organisation, more) in PRINCIPALS {
        let (pin, key) = (sha256(&[name.as_bytes()]), base64(person(name).public.spki()));
        write!(
            file,
            "[[principals]]\nid = \"{name}\"\nkind = \"{kind}\"\norganisation = \"{organisation}\"\n\
             tls-key = \"{pin}\"\nstatement-key = \"{key}\"\n{more}"
        )
        .unwrap();
    }
    file.push_str(
        "[[keys]]\nname = \"b\"\nkind = \"card-master\"\n[[keys]]\nname = \"value\"\nkind = \"value-signing\"\n\
         [[programmes]]\nname = \"coffee\"\norganisation = \"store-1\"\ncurrency = 978\nprofile = \"tag\"\n\
         value-key = \"value\"\n\
         [[profiles]]\nname = \"tag\"\nversion = 1\nfamily = \"ntag-424-dna\"\n\
         functions = [\"stored-value\"]\npipeline = 1000\nscheme = \"an10922-aes128\"\n\
         input = [\"uid\", \"system-identifier\"]\nsystem-identifier = \"6b6579737663616263\"\n\
         slots = [{ slot = 1, key = \"b\", key-version = 1, key-number = 1, application = \"000001\" }]\n\
         [profiles.value]\npurses = [1]\ncurrency = 978\nreloadable = true\nceiling = 10000\nload-max = 5000\ndebit-max = 2000\n\
         card-session = \"passive-tag\"\n",
    );
    file
}

/// A request as its requester signed it.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) retry: Retry,
    pub(crate) proposed: Proposed,
}

pub(crate) fn idem(number: u8) -> Idem {
    Idem::new([number; 16])
}

pub(crate) fn id(number: u8) -> ProposalId {
    ProposalId::new([number; 16])
}

fn reason() -> keysvc_protocol::name::Reason {
    "because".parse().unwrap()
}

impl Store {
    pub(crate) fn genesis(&self) -> Digest {
        leaf_hash(&self.reader.leaf(0).unwrap().entry)
    }

    pub(crate) fn asked(
        &self,
        by: &str,
        operation: Operation,
        number: u8,
        request: &impl Serialize,
    ) -> Request {
        let payload = cbor::encode(request);
        let principal: keysvc_protocol::name::Name = by.parse().unwrap();
        let payload_digest = sha256(&[&payload]);
        let signed = person(by).sign(Kind::Request(operation), &self.genesis(), payload);
        let statement = Statement(Blob::try_from(signed).unwrap());
        Request {
            retry: Retry { principal: principal.clone(), idem: idem(number), payload_digest },
            proposed: Proposed { operation, requester: principal, statement },
        }
    }

    pub(crate) fn key_event(&self, by: &str, operation: Operation, number: u8, key: (&str, u32)) -> Request {
        let (schema, idem, reason) = (Schema, idem(number), reason());
        let (name, version) = (key.0.parse().unwrap(), key.1);
        match operation {
            Operation::KeyActivate => {
                self.asked(by, operation, number, &ActivateKey { schema, idem, name, version, reason })
            }
            Operation::KeySuspend => {
                self.asked(by, operation, number, &SuspendKey { schema, idem, name, version, reason })
            }
            Operation::KeyRetire => {
                self.asked(by, operation, number, &RetireKey { schema, idem, name, version, reason })
            }
            _ => self.asked(by, operation, number, &DestroyKey { schema, idem, name, version, reason }),
        }
    }

    pub(crate) fn freeze(&self, by: &str, number: u8, scope: Scope) -> Request {
        let request = SetFreeze { schema: Schema, idem: idem(number), scope, reason: reason() };
        self.asked(by, Operation::FreezeSet, number, &request)
    }

    pub(crate) fn lift(&self, by: &str, number: u8, scope: Scope) -> Request {
        let request = LiftFreeze { schema: Schema, idem: idem(number), scope, reason: reason() };
        self.asked(by, Operation::FreezeLift, number, &request)
    }

    pub(crate) fn disable(&self, by: &str, number: u8, id: &str) -> Request {
        let id = id.parse().unwrap();
        let request = DisablePrincipal { schema: Schema, idem: idem(number), id, reason: reason() };
        self.asked(by, Operation::PrincipalDisable, number, &request)
    }

    pub(crate) fn threshold(&self, by: &str, number: u8, of: Operation, persons: u8) -> Request {
        let request =
            SetQuorum { schema: Schema, idem: idem(number), operation: of, need: Need::of(persons) };
        self.asked(by, Operation::QuorumSet, number, &request)
    }

    pub(crate) fn cancel(&self, by: &str, number: u8, proposal: u8) -> Change {
        let (idem, id) = (idem(number), id(proposal));
        let request = CancelProposal { schema: Schema, idem, id, reason: reason() };
        let asked = self.asked(by, Operation::ProposalCancel, number, &request);
        Change::Cancel { retry: asked.retry, proposal: id, statement: asked.proposed.statement }
    }

    pub(crate) fn vote(&self, caller: &str, proposal: u8, verdict: Verdict) -> Change {
        self.vote_of(caller, caller, proposal, verdict)
    }

    /// A vote by `signer`, sent by `caller`.
    pub(crate) fn vote_of(&self, caller: &str, signer: &str, proposal: u8, verdict: Verdict) -> Change {
        let on_record = self.reader.proposal(&id(proposal)).unwrap().unwrap();
        let made: ProposalMadeLeaf = cbor::decode(&on_record.made.payload, 1 << 17).unwrap();
        let approval = Approval {
            schema: Schema,
            proposal: sha256(&[made.proposal.as_bytes()]),
            verdict,
            signed_at_ms: NOW_MS,
            nonce: idem(proposal),
        };
        let message = person(signer).sign(Kind::Approval, &self.genesis(), cbor::encode(&approval));
        Change::Vote {
            caller: caller.parse().unwrap(),
            proposal: id(proposal),
            verdict,
            approval: Blob::try_from(message).unwrap(),
            request: sha256(&[b"request"]),
        }
    }

    pub(crate) fn evidence(&self, proposal: u8) -> Evidence {
        self.reader.control().unwrap().proposals().get(&id(proposal)).unwrap().evidence()
    }

    /// Proposes a request and has these officers approve it.
    pub(crate) fn approved(&mut self, request: &Request, proposal: u8, by: &[&str], now: Moment) -> Evidence {
        self.made(&request.propose(proposal), now);
        for officer in by {
            let vote = self.vote(officer, proposal, Verdict::Approve);
            self.made(&vote, now);
        }
        self.evidence(proposal)
    }

    pub(crate) fn made(&mut self, change: &Change, now: Moment) -> Recording {
        match self.at(change, now) {
            Outcome::Recorded(leaf) => leaf,
            other => panic!("not recorded: {other:?}"),
        }
    }

    pub(crate) fn not_made(&mut self, change: &Change, now: Moment) -> Refusal {
        match self.at(change, now) {
            Outcome::Refused(refusal) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }
}

impl Request {
    pub(crate) fn propose(&self, number: u8) -> Change {
        Change::Propose {
            retry: self.retry.clone(),
            request: self.proposed.clone(),
            need: None,
            id: id(number),
            life_ms: 3_600_000,
        }
    }

    pub(crate) fn alter(&self) -> Change {
        let Proposed { operation, requester, statement } = self.proposed.clone();
        let leaf = ChangedLeaf { schema: Schema, principal: requester, operation, statement };
        Change::Alter { retry: self.retry.clone(), leaf }
    }

    pub(crate) fn by_quorum(&self, evidence: &Evidence) -> Change {
        by_quorum(self.alter(), evidence)
    }
}

pub(crate) fn by_quorum(change: Change, evidence: &Evidence) -> Change {
    Change::ByQuorum { evidence: evidence.clone(), change: Box::new(change) }
}
