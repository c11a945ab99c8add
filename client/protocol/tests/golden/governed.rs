//! One message of each kind about imports, profiles, policies and ceremonies.

use super::messages::{
    DOMAIN, Golden, TIME_MS, blob, evidence as leaf_evidence, genesis, golden, list, name, of, pair_record,
    public_key, receipt, request, signed,
};
use keysvc_protocol::{
    bytes::{Digest, Idem, ProposalId, ShortCheck},
    cbor,
    ceremony::{
        CeremonyFile, Fact, Outcome, PlanAgreement, Role, StepRecord, Transcript, TranscriptAgreement,
    },
    component::ComponentKeyOffer,
    cose::Kind,
    founding::{
        CardFamily, CardSession, Function, GoldenVector, InputPart, Profile, Scheme, Slot, ValueRules,
    },
    hash::sha256,
    key::KeyKind,
    name::Reason,
    refusal::{Conflict, Forbids, Invalid, Refusal, RefusalReply, RequestId, Uncounted},
    reply::{
        ChangedReply, ComponentGivenReply, ComponentKeyReply, PolicyReply, PolicyText, ProfileListReply,
        ProfilePutReply, ProfileReply, ProfileView,
    },
    request::{
        ComponentOrder, Envelope, GiveComponent, ImportKey, ListProfiles, Operation, PolicyDifference,
        PolicyFile, PolicyProof, PolicyReplay, ProposePolicy, PutProfile, ReadComponentKey, ReadPolicy,
        ReadProfile, RecordCeremony,
    },
    schema::Schema,
};

const SCHEMA: Schema = Schema;
const PLAN: &[u8] = b"title = \"A plan\"\n";

fn id() -> ProposalId {
    ProposalId::new([0x80; 16])
}

fn idem() -> Idem {
    Idem::new([0x81; 16])
}

fn why() -> Reason {
    "as planned".parse().unwrap()
}

fn check(byte: u8) -> ShortCheck {
    ShortCheck::new([byte; 5])
}

fn digest(byte: u8) -> Digest {
    Digest::new([byte; 32])
}

fn vector() -> GoldenVector {
    GoldenVector { slot: 0, card: "04782e21801d80".to_owned(), check_value: "5b298c80bf".to_owned() }
}

fn profile() -> Profile {
    Profile {
        name: name("stored"),
        version: 2,
        family: CardFamily::DesfireEv3,
        scheme: Scheme::An10922Aes128,
        input: vec![InputPart::Uid, InputPart::Application, InputPart::SystemIdentifier],
        system_identifier: "4e585020416275".to_owned(),
        slots: vec![Slot {
            slot: 0,
            key: name("cm-1"),
            key_version: 2,
            key_number: 1,
            application: "3042f5".to_owned(),
        }],
        functions: vec![Function::StoredValue, Function::Discount],
        vectors: vec![vector()],
        pipeline: 8,
        unit_cost: 45,
        value: Some(ValueRules {
            purses: vec![1],
            currency: 978,
            reloadable: true,
            one_time: false,
            ceiling: 15_000,
            load_max: 10_000,
            debit_max: 5_000,
            card_session: CardSession::Expected,
        }),
    }
}

fn import() -> ImportKey {
    let order = |custodian, byte| ComponentOrder { custodian: name(custodian), check: check(byte) };
    ImportKey {
        schema: SCHEMA,
        idem: idem(),
        name: name("cm-1"),
        kind: KeyKind::CardMaster,
        check: check(1),
        components: list(vec![order("officer-2", 2), order("operator-1", 3)]),
        reason: why(),
    }
}

fn give() -> GiveComponent {
    GiveComponent {
        schema: SCHEMA,
        idem: idem(),
        proposal: id(),
        number: 1,
        check: check(2),
        import_key: digest(0x82),
        sealed: sha256(&[&[0x83; 97]]),
    }
}

fn put() -> PutProfile {
    PutProfile { schema: SCHEMA, idem: idem(), profile: profile(), reason: why() }
}

fn propose(replay: bool) -> ProposePolicy {
    let lines = || list(vec!["officer-1 may no longer lift a freeze alone".parse().unwrap()]);
    let replayed = PolicyReplay {
        requests: 10_000,
        differing: 1,
        from_leaf: 5,
        to_leaf: 20_000,
        report: digest(0x86),
        lines: lines(),
    };
    ProposePolicy {
        schema: SCHEMA,
        idem: idem(),
        policy: digest(0x84),
        files: list(vec![PolicyFile { name: name("site.cedar"), text: blob(b"// nothing\n".to_vec()) }]),
        difference: PolicyDifference { cases: 412, changed: 1, report: digest(0x85), lines: lines() },
        proof: PolicyProof {
            solver: "cvc5 1.0.3".parse().unwrap(),
            theorems: 16,
            environments: 44,
            load_max: 100_000,
            report: digest(0x87),
        },
        reason: why(),
        replay: replay.then_some(replayed),
    }
}

fn record() -> RecordCeremony {
    RecordCeremony {
        schema: SCHEMA,
        idem: idem(),
        title: "A new card master".parse().unwrap(),
        plan: sha256(&[PLAN]),
        transcript: sha256(&[&cbor::encode(&transcript())]),
        people: list(vec![name("officer-1"), name("officer-2")]),
    }
}

fn offer() -> ComponentKeyOffer {
    ComponentKeyOffer {
        schema: SCHEMA,
        proposal: id(),
        custodian: name("officer-2"),
        number: 1,
        name: name("cm-1"),
        version: 3,
        components: 2,
        public: blob(public_key().spki().to_vec()),
        expires_ms: TIME_MS,
    }
}

fn plan_agreement() -> PlanAgreement {
    PlanAgreement { schema: SCHEMA, plan: sha256(&[PLAN]), person: name("officer-1"), role: Role::Officer }
}

fn transcript_agreement() -> TranscriptAgreement {
    let transcript = sha256(&[&cbor::encode(&transcript())]);
    TranscriptAgreement { schema: SCHEMA, transcript, person: name("auditor-1"), role: Role::Witness }
}

fn step() -> StepRecord {
    StepRecord {
        schema: SCHEMA,
        number: 1,
        previous: sha256(&[PLAN]),
        person: name("officer-1"),
        started_ms: TIME_MS,
        ended_ms: TIME_MS + 1_000,
        outcome: Outcome::Deviated,
        initials: "AB".parse().unwrap(),
        facts: list(vec![Fact { name: "state".parse().unwrap(), value: "active".parse().unwrap() }]),
        deviation: Some("the printer jammed".parse().unwrap()),
        proposal: Some(id()),
        leaf: Some(9),
    }
}

fn transcript() -> Transcript {
    let agreed = signed(Kind::Plan, DOMAIN.as_bytes(), cbor::encode(&plan_agreement()));
    Transcript {
        schema: SCHEMA,
        trust_domain: DOMAIN.parse().unwrap(),
        genesis: genesis(),
        rehearsal: false,
        plan: blob(PLAN.to_vec()),
        agreements: list(vec![blob(agreed)]),
        program: "fobctl 0.1.0".parse().unwrap(),
        started_ms: TIME_MS,
        ended_ms: TIME_MS + 2_000,
        interruptions: 1,
        steps: list(vec![step()]),
    }
}

fn file() -> CeremonyFile {
    let agreed = signed(Kind::Transcript, genesis().as_bytes(), cbor::encode(&transcript_agreement()));
    CeremonyFile {
        schema: SCHEMA,
        transcript: blob(cbor::encode(&transcript())),
        agreements: list(vec![blob(agreed)]),
    }
}

pub(super) fn requests() -> Vec<Golden> {
    let schema = SCHEMA;
    let given = request(Operation::ComponentGive, &give());
    let beside = Some(blob(vec![0x83; 97]));
    vec![
        of("request", Operation::KeyImport, &import()),
        of("request", Operation::ComponentKey, &ReadComponentKey { schema, proposal: id() }),
        of("request", Operation::ComponentGive, &give()),
        of("request", Operation::ProfilePut, &put()),
        of("request", Operation::ProfileGet, &ReadProfile { schema, name: name("stored"), version: Some(2) }),
        golden(
            "request-profile.get-newest",
            "request-profile.get",
            &ReadProfile { schema, name: name("stored"), version: None },
        ),
        of("request", Operation::ProfileList, &ListProfiles { schema, after: Some(name("stored")) }),
        golden("request-profile.list-first", "request-profile.list", &ListProfiles { schema, after: None }),
        of("request", Operation::PolicyPropose, &propose(true)),
        golden("request-policy.propose-without-replay", "request-policy.propose", &propose(false)),
        of("request", Operation::PolicyGet, &ReadPolicy { schema }),
        of("request", Operation::CeremonyRecord, &record()),
        golden(
            "envelope-component.give",
            "envelope",
            &Envelope { schema, request: blob(given), seen: None, beside },
        ),
        golden("profile", "profile", &profile()),
    ]
}

pub(super) fn statements() -> Vec<Golden> {
    let plan = signed(Kind::Plan, DOMAIN.as_bytes(), cbor::encode(&plan_agreement()));
    let of_log = |kind, payload| signed(kind, genesis().as_bytes(), payload);
    let statement = |operation: Operation, bytes| Golden {
        name: format!("signed-{operation}"),
        rule: format!("signed-{operation}"),
        bytes,
    };
    let other = |name: &str, bytes| Golden { name: name.to_owned(), rule: name.to_owned(), bytes };
    vec![
        golden("component-offer", "component-offer", &offer()),
        golden("plan-agreement", "plan-agreement", &plan_agreement()),
        golden("transcript-agreement", "transcript-agreement", &transcript_agreement()),
        golden("transcript", "transcript", &transcript()),
        golden("ceremony-file", "ceremony-file", &file()),
        other("signed-component-offer", of_log(Kind::ImportOffer, cbor::encode(&offer()))),
        other("signed-plan-agreement", plan),
        other("signed-transcript-agreement", of_log(Kind::Transcript, cbor::encode(&transcript_agreement()))),
        statement(Operation::KeyImport, request(Operation::KeyImport, &import())),
        statement(Operation::ComponentGive, request(Operation::ComponentGive, &give())),
        statement(Operation::ProfilePut, request(Operation::ProfilePut, &put())),
        statement(Operation::PolicyPropose, request(Operation::PolicyPropose, &propose(true))),
        statement(Operation::CeremonyRecord, request(Operation::CeremonyRecord, &record())),
    ]
}

pub(super) fn replies() -> Vec<Golden> {
    let schema = SCHEMA;
    let changed = ChangedReply { schema, receipt: receipt(Some(leaf_evidence())) };
    let offered = blob(signed(Kind::ImportOffer, genesis().as_bytes(), cbor::encode(&offer())));
    let given =
        |missing, key| ComponentGivenReply { schema, missing: list(missing), receipt: receipt(None), key };
    let view = ProfileView {
        name: name("stored"),
        version: 2,
        family: CardFamily::DesfireEv3,
        functions: list(vec![Function::StoredValue]),
        leaf: 12,
    };
    let text = PolicyText { name: "site.cedar".to_owned(), text: "// nothing\n".to_owned() };
    let same = [Operation::KeyImport, Operation::PolicyPropose, Operation::CeremonyRecord];
    let mut all: Vec<_> = same.into_iter().map(|operation| of("reply", operation, &changed)).collect();
    all.extend([
        of(
            "reply",
            Operation::ComponentKey,
            &ComponentKeyReply { schema, offer: offered, held: list(vec![2]) },
        ),
        of("reply", Operation::ComponentGive, &given(vec![], Some(pair_record()))),
        golden("reply-component.give-missing", "reply-component.give", &given(vec![2], None)),
        of(
            "reply",
            Operation::ProfilePut,
            &ProfilePutReply { schema, vectors: list(vec![vector()]), receipt: receipt(None) },
        ),
        of(
            "reply",
            Operation::ProfileGet,
            &ProfileReply { schema, profile: profile(), leaf: 12, newest: true },
        ),
        of("reply", Operation::ProfileList, &ProfileListReply { schema, profiles: list(vec![view]) }),
        of(
            "reply",
            Operation::PolicyGet,
            &PolicyReply { schema, policy: digest(0x84), leaf: 13, files: list(vec![text]) },
        ),
    ]);
    all
}

pub(super) fn refusals() -> Vec<Golden> {
    let refusals = [
        ("version", Refusal::StateConflict { reason: Conflict::Version { newest: 3 } }),
        ("custodians-alone", Refusal::ApprovalInvalid { reason: Uncounted::CustodiansAlone }),
        ("not-reloadable", Refusal::ProfileForbids { reason: Forbids::NotReloadable }),
        ("locks-out", Refusal::Invalid { reason: Invalid::LocksOut }),
    ];
    let reply = |(name, refusal): (&str, Refusal)| {
        let reply = RefusalReply::new(refusal, RequestId(Idem::new([3; 16])));
        golden(format!("refusal-reply-{name}"), "refusal-reply", &reply)
    };
    refusals.into_iter().map(reply).collect()
}
