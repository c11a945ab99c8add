//! The documents say what the code does: their tables are read and compared with it, in both directions.
//!
//! The golden messages of docs/wire.md and docs/wire.cddl have their own test beside the protocol.

#[path = "documents/security.rs"]
mod security;

use keysvc::{
    config::{FrontLimits, KeeperLimits},
    error::Exit,
    link::status_of,
};
use keysvc_policies::{
    ContextFacts, Decision, JobFacts, PolicySet, PrincipalFacts, Question, QuorumFacts, ResourceFacts,
};
use keysvc_protocol::{
    bytes::ProposalId,
    card::CardState,
    cbor,
    cose::Kind,
    founding::{CardFamily, Function, PrincipalKind},
    freeze::ScopeKind,
    job::JobState,
    key::{CheckValue, KeyEvent, KeyKind, KeyState},
    leaf::{LeafKind, RetentionClass},
    quorum::{floor, one_is_enough},
    refusal::{Conflict, Forbids, Invalid, Refusal, Thing, Uncounted},
    request::Operation,
};
use keysvc_token::profile::{Flag, Half, KeyKind as TokenKind, Life, Mechanism, Shape, Wanted};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rows of the table with this heading, cell by cell.
fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let text = read(document);
    let mut lines = text.lines().skip_while(|line| *line != heading);
    assert_eq!(lines.next(), Some(heading), "{document} has no such table");
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| {
        let row = row.strip_prefix('|').unwrap().strip_suffix('|').unwrap();
        row.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let rows: Vec<Vec<String>> = rows.map(cells).collect();
    assert!(!rows.is_empty());
    for row in &rows {
        assert_eq!(row.len(), rows[0].len(), "{document}: {row:?}");
    }
    rows
}

/// The words in backticks.
fn words(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn word(cell: &str) -> String {
    let words = words(cell);
    assert_eq!(words.len(), 1, "{cell}");
    words.into_iter().next().unwrap()
}

/// A variant's name without its fields.
fn variant(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    text.split([' ', '(', '{']).next().unwrap().to_owned()
}

fn yes(condition: bool) -> &'static str {
    if condition { "yes" } else { "no" }
}

/// What an enum's variant is on the wire: its number.
fn number<T: serde::Serialize>(value: &T) -> String {
    let bytes = cbor::encode(value);
    // A number, from 24 on behind a byte of its own; a variant with fields in a map of one entry.
    let byte = match bytes[..] {
        [0xa1 | 0x18, byte, ..] | [byte, ..] => byte,
        [] => panic!("nothing is encoded"),
    };
    byte.to_string()
}

#[test]
fn the_key_table_is_the_one_in_the_code() {
    let heading = "| kind | shape | lives | true usage flags | true flags of the public half | allowed mechanisms | also, where the token offers it | check value |";
    let rows = table("docs/keys.md", heading);
    assert_eq!(rows.len(), TokenKind::ALL.len());
    let names = |flags: &[Flag]| flags.iter().map(|flag| flag.name().to_owned()).collect::<BTreeSet<_>>();
    let mechanisms = |all: &[Mechanism]| all.iter().map(|one| one.name().to_owned()).collect::<BTreeSet<_>>();
    for (kind, row) in TokenKind::ALL.into_iter().zip(rows) {
        let profile = kind.profile();
        let shape = match profile.shape {
            Shape::Aes128 => "AES-128",
            Shape::Aes256 => "AES-256",
            Shape::EcP256 => "EC P-256",
            Shape::Rsa3072 => "RSA-3072",
        };
        let life = match profile.life {
            Life::Token => "token",
            Life::Session => "session",
        };
        // The method follows from what the key can do: docs/keys.md says how.
        let method = match kind {
            TokenKind::CardMaster | TokenKind::CardKey => "cmac",
            TokenKind::Storage | TokenKind::Transport => "kw",
            _ => "spki",
        };
        assert_eq!(profile.shape.is_pair(), method == "spki");
        assert_eq!(row[..3], [kind.name(), shape, life]);
        assert_eq!(words(&row[3]), names(profile.uses), "{kind}");
        assert_eq!(words(&row[4]), names(profile.public_uses), "{kind}");
        assert_eq!(words(&row[5]), mechanisms(profile.mechanisms), "{kind}");
        assert_eq!(words(&row[6]), mechanisms(profile.mechanisms_if_offered), "{kind}");
        assert_eq!(word(&row[7]), method, "{kind}");
    }
    let users = table("docs/keys.md", "| kind | whose token | what it does | made by |");
    let kinds: Vec<_> = users.into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(kinds, TokenKind::ALL.map(TokenKind::name));
}

#[test]
fn the_attributes_beside_usage_are_those_in_the_code() {
    let rows = table("docs/keys.md", "| object | true | false |");
    let [secret, session, private_session, public, public_session] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    for kind in TokenKind::ALL {
        let profile = kind.profile();
        for half in profile.halves() {
            let row = match (half, profile.life) {
                (Half::Public, Life::Token) => public,
                (Half::Public, Life::Session) => public_session,
                (Half::Secret, Life::Token) => secret,
                (Half::Secret, Life::Session) if profile.shape.is_pair() => private_session,
                (Half::Secret, Life::Session) => session,
            };
            let flags = profile.flags(*half);
            let is_use = |flag: &str| {
                [
                    "CKA_ENCRYPT",
                    "CKA_DECRYPT",
                    "CKA_SIGN",
                    "CKA_VERIFY",
                    "CKA_WRAP",
                    "CKA_UNWRAP",
                    "CKA_DERIVE",
                ]
                .iter()
                .any(|usage| flag.starts_with(usage))
                    || flag == "CKA_ALWAYS_AUTHENTICATE"
            };
            let beside = |value: bool| -> BTreeSet<String> {
                let named =
                    flags.iter().filter(|Wanted(_, wanted)| *wanted == value).map(|wanted| wanted.0.name());
                named.filter(|flag| !is_use(flag)).map(str::to_owned).collect()
            };
            assert_eq!(words(&row[1]), beside(true), "{kind} {half:?}");
            assert_eq!(words(&row[2]), beside(false), "{kind} {half:?}");
        }
    }
}

const KINDS: [KeyKind; 5] = [
    KeyKind::CardMaster,
    KeyKind::ValueSigning,
    KeyKind::ServiceStatement,
    KeyKind::Checkpoint,
    KeyKind::Storage,
];
const STATES: [KeyState; 6] = [
    KeyState::PreActivation,
    KeyState::Active,
    KeyState::Suspended,
    KeyState::Deactivated,
    KeyState::Compromised,
    KeyState::Destroyed,
];
const EVENTS: [KeyEvent; 5] =
    [KeyEvent::Activate, KeyEvent::Suspend, KeyEvent::Deactivate, KeyEvent::Compromise, KeyEvent::Destroy];

#[test]
fn the_kinds_in_the_log_are_those_in_the_code() {
    let rows = table("docs/keys.md", "| number | kind | name in the founding file and on screen |");
    let kinds: Vec<_> = KINDS
        .iter()
        .map(|kind| vec![number(kind), format!("`{}`", variant(kind)), format!("`{kind}`")])
        .collect();
    assert_eq!(rows, kinds);
    assert!(cbor::decode::<KeyKind>(&[5], 1).is_err(), "a kind is missing here");
}

#[test]
fn the_check_value_methods_are_those_in_the_code() {
    let rows = table("docs/keys.md", "| method | what it is |");
    let short = keysvc_protocol::bytes::ShortCheck::new([0; 5]);
    let digest = keysvc_protocol::bytes::Digest::new([0; 32]);
    let methods = [
        CheckValue::Cmac { value: short },
        CheckValue::Kw { value: short },
        CheckValue::Spki { value: digest },
    ];
    let named: Vec<_> = rows.iter().map(|row| word(&row[0])).collect();
    assert_eq!(named, methods.map(|method| method.method()));
}

#[test]
fn the_states_and_their_steps_are_those_in_the_code() {
    let heading =
        "| number | state | Activate | Suspend | Deactivate | Compromise | Destroy | protects | processes |";
    let rows = table("docs/keys.md", heading);
    assert_eq!(rows.len(), STATES.len());
    for (state, row) in STATES.into_iter().zip(rows) {
        assert_eq!(row[..2], [number(&state), variant(&state)]);
        for (event, cell) in EVENTS.into_iter().zip(&row[2..7]) {
            let after = state.after(event).map_or_else(|_| "-".to_owned(), |after| variant(&after));
            assert_eq!(*cell, after, "{state:?} {event:?}");
        }
        assert_eq!(row[7..], [yes(state.protects()), yes(state.processes())]);
    }
    assert!(cbor::decode::<KeyState>(&[6], 1).is_err(), "a state is missing here");
}

#[test]
fn the_operations_of_the_wire_are_those_in_the_code() {
    let rows = table("docs/wire.md", "| number | operation | signed | leaf | who, by the shipped policies |");
    assert_eq!(rows.len(), Operation::ALL.len());
    for (operation, row) in Operation::ALL.into_iter().zip(rows) {
        assert_eq!(row[..2], [number(&operation), format!("`{operation}`")]);
        assert_eq!(row[2], yes(operation.is_signed()), "{operation}");
        let leaves = words(&row[3]);
        assert_eq!(leaves.is_empty(), row[3] == "none", "{operation}");
        assert!(leaves.iter().all(|leaf| LEAVES.iter().any(|kind| variant(kind) == *leaf)), "{operation}");
    }
}

const SOMEONE: &str = "someone";
const JOB: ResourceFacts<'_> = ResourceFacts::Job { name: "nfc-1", customer: "acme", profile: "generated" };

/// An act on a job that others made and sealed.
fn acted<'a>(operators: &'a [String], operated_by: &'a [String]) -> JobFacts<'a> {
    JobFacts {
        created_by: "data-1",
        sealed_by: "data-2",
        operated_by,
        reviewed_by: &[],
        operators,
        reviewer: "reviewer-1",
        witness: "monitor-1",
    }
}

/// Whether the shipped policies let a principal of this kind ask for it, of its own organisation's things.
fn is_allowed(policies: &PolicySet, kind: PrincipalKind, operation: Operation) -> bool {
    let people = &["operator-1", "operator-2"].map(str::to_owned);
    let own = &[SOMEONE.to_owned()];
    let operated_by: &[String] = if operation == Operation::JobSuspend { own } else { people };
    let (resource, context) = match operation {
        Operation::CardDerive => (
            ResourceFacts::Profile { name: "generated" },
            ContextFacts::CardDerive { cards: 1, slots: 1, generation: 1, development: false },
        ),
        Operation::ValueUpdate => (
            ResourceFacts::Programme { name: "coffee", organisation: "own", currency: 978 },
            ContextFacts::ValueUpdate {
                operation: "load",
                amount: 1,
                no_card_session: true,
                passive_tag: true,
                development: false,
            },
        ),
        Operation::LogCheckpoint | Operation::LogEntries | Operation::LogProof => {
            (ResourceFacts::Log, ContextFacts::None)
        }
        Operation::JobCreate
        | Operation::JobItems
        | Operation::JobSeal
        | Operation::JobWithdraw
        | Operation::JobOpen
        | Operation::JobResume
        | Operation::JobSuspend
        | Operation::CardResult
        | Operation::JobCount
        | Operation::JobIncident
        | Operation::JobClose => (JOB, ContextFacts::Job(acted(people, operated_by))),
        Operation::JobGet | Operation::JobRecord => {
            let (created_by, sealed_by) = ("data-1", "data-2");
            (JOB, ContextFacts::JobRead { created_by, sealed_by, operated_by })
        }
        Operation::CardTransition => {
            (ResourceFacts::Service, ContextFacts::CardTransition { to: "active", cards: 1 })
        }
        Operation::PrincipalEnrol
        | Operation::PrincipalRotate
        | Operation::PrincipalDisable
        | Operation::PrincipalEnable => {
            let own = operation == Operation::PrincipalRotate;
            let (subject_kind, subject_organisation) = (kind.name(), "own");
            let subject = ContextFacts::Principal { subject_kind, subject_organisation, own, officers: 5 };
            (ResourceFacts::Service, subject)
        }
        Operation::KeyCreate
        | Operation::KeyActivate
        | Operation::KeySuspend
        | Operation::KeyRetire
        | Operation::KeyCompromise
        | Operation::KeyDestroy => {
            (ResourceFacts::Service, ContextFacts::Key { kind: "value-signing", officers: 5 })
        }
        Operation::KeyImport => {
            (ResourceFacts::Service, ContextFacts::Key { kind: "card-master", officers: 5 })
        }
        Operation::ProfilePut => (
            ResourceFacts::Service,
            ContextFacts::Profile { family: "desfire-ev3", stored_value: true, officers: 5 },
        ),
        Operation::FreezeSet | Operation::FreezeLift => (
            ResourceFacts::Service,
            ContextFacts::Freeze { scope: "terminal", organisation: "own", officers: 5 },
        ),
        Operation::QuorumSet | Operation::ClockConfirm | Operation::PolicyPropose => {
            (ResourceFacts::Service, ContextFacts::Site { officers: 5 })
        }
        _ => (ResourceFacts::Service, ContextFacts::None),
    };
    // Which operator it takes is in words; that it takes one is what is asked here.
    let capabilities = ["data-operator", "station-operator", "reviewer", "monitor"].map(str::to_owned);
    let principal = PrincipalFacts {
        id: SOMEONE,
        kind: kind.name(),
        organisation: "own",
        department: "",
        capabilities: &capabilities,
    };
    // Three people of three departments: what is asked here is who may ask, not how many must agree.
    let departments = ["audit", "operations", "security"].map(str::to_owned);
    let quorum = QuorumFacts { persons: 3, departments: &departments };
    let question = Question { principal, action: operation.name(), resource, context, quorum };
    policies.decide(&question).unwrap() == Decision::Allow
}

#[test]
fn the_callers_of_each_operation_are_those_of_the_shipped_policies() {
    use PrincipalKind::{Auditor, Office, Officer, Operator, Platform, Station, Terminal};
    let policies = PolicySet::shipped().unwrap();
    let rows = table("docs/wire.md", "| number | operation | signed | leaf | who, by the shipped policies |");
    for (operation, row) in Operation::ALL.into_iter().zip(rows) {
        let (said, _) = row[4].split_once(", in ").unwrap_or((&row[4], ""));
        let (said, _) = said.split_once(": ").unwrap_or((said, ""));
        for kind in [Station, Terminal, Officer, Operator, Office, Auditor, Platform] {
            let named = said == "everyone enrolled" || said.split(", ").any(|name| name == kind.name());
            assert_eq!(named, is_allowed(&policies, kind, operation), "{kind} {operation}");
        }
    }
}

#[test]
fn the_exit_codes_of_operations_are_those_in_the_code() {
    let rows = table("docs/operations.md", "| code | `keysvc` | `fobctl`, `fobaudit` |");
    let of_the_service: Vec<_> = rows
        .iter()
        .filter(|row| row[1].contains("restarted"))
        .map(|row| row[0].parse::<u8>().unwrap())
        .collect();
    assert_eq!(
        of_the_service,
        [Exit::Refusing, Exit::Token, Exit::Store, Exit::Invariant, Exit::Pin, Exit::OtherToken]
            .map(|exit| exit as u8)
    );
    assert_eq!(keysvc::supervisor::REFUSES_TO_SERVE, Exit::Refusing as u8);
}

#[test]
fn the_checks_of_doctor_are_those_in_the_code() {
    let text = read("docs/operations.md");
    let said = text.lines().find(|line| line.starts_with("`keysvc --config FILE doctor`")).unwrap();
    let source = read("keysvc/src/doctor.rs");
    let names: BTreeSet<_> =
        source.split("report.line(\"").skip(1).map(|rest| rest.split_once('"').unwrap().0).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(said.contains(name), "{name}");
    }
}

#[test]
fn the_variables_that_documents_name_are_read_by_the_code() {
    let documents = ["README.md", "docs/operations.md"].map(read).concat();
    let sources = ["keysvc/src/telemetry.rs", "softhsm-setup/src/debian.rs"].map(read).concat();
    for name in documents.split('`').skip(1).step_by(2).filter(|piece| piece.starts_with("KEYSVC_")) {
        let (name, _) = name.split_once('=').unwrap_or((name, ""));
        assert!(sources.contains(name), "{name}");
    }
}

fn refusals() -> Vec<Refusal> {
    let all = vec![
        Refusal::Unauthenticated,
        Refusal::Forbidden,
        Refusal::NotFound { what: Thing::Key },
        Refusal::Invalid { reason: Invalid::Encoding },
        Refusal::ProfileForbids { reason: Forbids::ShortUid },
        Refusal::IdemConflict,
        Refusal::ExchangeUnknown,
        Refusal::CounterConflict { expected_seq: 7 },
        Refusal::BalanceMismatch { balance: 1 },
        Refusal::LimitExceeded { limit: 1 },
        Refusal::HistoryRolledBack,
        Refusal::Busy,
        Refusal::TokenUnavailable,
        Refusal::StoreUnavailable,
        Refusal::Internal,
        Refusal::StateConflict { reason: Conflict::ProposalEnded },
        Refusal::ApprovalInvalid { reason: Uncounted::TooFew },
        Refusal::Expired,
        Refusal::SamePerson,
        Refusal::Frozen { scope: ScopeKind::Terminal },
        Refusal::ApprovalRequired { proposal: ProposalId::new([7; 16]), persons: 2, departments: 1 },
        Refusal::ResultPending,
        Refusal::PurgePending,
    ];
    assert!(cbor::decode::<Refusal>(&[23], 1).is_err(), "a refusal is missing here");
    all
}

#[test]
fn the_refusals_of_the_wire_are_those_in_the_code() {
    let heading = "| number | refusal | retryable | status | example | when it is given |";
    let rows = table("docs/wire.md", heading);
    assert_eq!(rows.len(), refusals().len());
    for (refusal, row) in refusals().into_iter().zip(rows) {
        let example: String = cbor::encode(&refusal).iter().map(|byte| format!("{byte:02x}")).collect();
        let said = [
            refusal.number().to_string(),
            format!("`{}`", variant(&refusal)),
            yes(refusal.retryable()).to_owned(),
            status_of(&refusal).to_string(),
            format!("`{example}`"),
        ];
        assert_eq!(row[..5], said);
    }
}

#[test]
fn the_reasons_of_the_wire_are_those_in_the_code() {
    let invalid = [
        Invalid::Http,
        Invalid::TooLong,
        Invalid::Encoding,
        Invalid::NotSigned,
        Invalid::Signature,
        Invalid::Seen,
        Invalid::ZeroAmount,
        Invalid::Items,
        Invalid::Range,
        Invalid::Keys,
        Invalid::Need,
        Invalid::Time,
        Invalid::Custodian,
        Invalid::Component,
        Invalid::ComponentEqual,
        Invalid::Combined,
        Invalid::Profile,
        Invalid::GoldenVector,
        Invalid::Policy,
        Invalid::LocksOut,
        Invalid::Job,
        Invalid::Manifest,
        Invalid::ReadBack,
    ];
    reasons("Invalid", &invalid);
    assert!(cbor::decode::<Invalid>(&[23], 1).is_err(), "a reason is missing here");
    let forbids = [
        Forbids::ShortUid,
        Forbids::InputLength { found: 40 },
        Forbids::Currency { expected: 978 },
        Forbids::Purse,
        Forbids::Function,
        Forbids::NotReloadable,
    ];
    reasons("ProfileForbids", &forbids);
    assert!(cbor::decode::<Forbids>(&[6], 1).is_err(), "a reason is missing here");
}

/// Compares a table of reasons with the code's.
fn reasons<T: serde::Serialize + Debug>(refusal: &str, coded: &[T]) {
    let coded: Vec<_> =
        coded.iter().map(|reason| [number(reason), format!("`{}`", variant(reason))]).collect();
    let rows = table("docs/wire.md", &format!("| number | reason of `{refusal}` | when it is given |"));
    assert_eq!(rows.iter().map(|row| [row[0].clone(), row[1].clone()]).collect::<Vec<_>>(), coded);
}

#[test]
fn the_reasons_about_people_and_states_are_those_in_the_code() {
    let conflicts = [
        Conflict::KeyState { state: KeyState::Active },
        Conflict::ProposalEnded,
        Conflict::ProposalOpen,
        Conflict::NameTaken,
        Conflict::KeyTaken,
        Conflict::TooFewOfficers,
        Conflict::Waiting,
        Conflict::Disabled,
        Conflict::Precondition,
        Conflict::ClockDisputed,
        Conflict::Full,
        Conflict::Version { newest: 3 },
        Conflict::JobState { state: JobState::Draft },
        Conflict::JobComplete,
        Conflict::CardState { state: CardState::Blank },
        Conflict::Generation { newest: 1 },
        Conflict::OtherStation,
        Conflict::SessionOver,
        Conflict::Unbalanced,
        Conflict::OtherJob,
    ];
    reasons("StateConflict", &conflicts);
    assert!(cbor::decode::<Conflict>(&[20], 1).is_err(), "a reason is missing here");
    let uncounted = [
        Uncounted::Form,
        Uncounted::Signature,
        Uncounted::NotAnOfficer,
        Uncounted::Disabled,
        Uncounted::OtherProposal,
        Uncounted::OtherVerdict,
        Uncounted::OtherCaller,
        Uncounted::OtherPolicy,
        Uncounted::OtherRoster,
        Uncounted::TooFew,
        Uncounted::OtherLog,
        Uncounted::BelowFloor,
        Uncounted::CustodiansAlone,
        Uncounted::NotInRole,
        Uncounted::OtherAct,
        Uncounted::Stale,
        Uncounted::UsedBefore,
    ];
    reasons("ApprovalInvalid", &uncounted);
    assert!(cbor::decode::<Uncounted>(&[17], 1).is_err(), "a reason is missing here");
}

#[test]
fn the_people_that_operations_take_are_those_in_the_code() {
    let heading = "| operation | people at least | where an officer is the subject | delay |";
    let rows = table("docs/wire.md", heading);
    let said: BTreeMap<String, Vec<String>> =
        rows.into_iter().map(|row| (word(&row[0]), row[1..3].to_vec())).collect();
    for operation in Operation::ALL {
        let floors = [false, true].map(|of_officer| floor(operation, of_officer, 5));
        let coded: Vec<_> = floors.iter().flatten().map(|need| need.persons.to_string()).collect();
        assert_eq!(said.get(operation.name()).cloned().unwrap_or_default(), coded, "{operation}");
        for need in [false, true].into_iter().filter_map(|of_officer| floor(operation, of_officer, 2)) {
            assert_eq!(need.persons, 2, "{operation}");
        }
    }
    let text = read("docs/wire.md");
    let alone = text.lines().find(|line| line.contains("One officer alone stops things")).unwrap();
    let (_, alone) = alone.split_once("One officer alone stops things").unwrap();
    let (alone, _) = alone.split_once(". ").unwrap();
    let coded = Operation::ALL.into_iter().filter(|operation| one_is_enough(*operation));
    let coded: BTreeSet<_> = coded.map(|operation| operation.name().to_owned()).collect();
    assert_eq!(words(alone), coded);
}

#[test]
fn the_families_and_functions_of_cards_are_those_in_the_code() {
    let rows = table("docs/profiles.md", "| family | highest `ceiling`, in minor units |");
    let coded = CardFamily::ALL.map(|family| {
        let most = family.ceiling_max();
        vec![format!("`{family}`"), most.map_or("identifies, no more".to_owned(), |most| most.to_string())]
    });
    assert_eq!(rows, coded);
    let keys = table("docs/profiles.md", "| key | what it is |");
    let said = keys.iter().find(|row| row[0] == "`functions`").map(|row| words(&row[1])).unwrap();
    assert_eq!(said, Function::ALL.iter().map(|function| function.name().to_owned()).collect());
}

#[test]
fn the_kinds_of_signed_statements_are_those_in_the_code() {
    let rows = table("docs/wire.md", "| kind | typ | domain | scope | signed by | payload |");
    let kinds = [
        Kind::Founding,
        Kind::Request(Operation::CardDerive),
        Kind::ValueUpdate,
        Kind::ExchangeOpening,
        Kind::Delivery,
        Kind::TrustBundle,
        Kind::Approval,
        Kind::ApprovedValueUpdate,
        Kind::ImportOffer,
        Kind::Plan,
        Kind::Transcript,
        Kind::JobAgreement,
        Kind::JobRecord,
    ];
    assert_eq!(rows.len(), kinds.len());
    for kind in kinds {
        let named = format!("`{}`", variant(&kind));
        let row = rows.iter().find(|row| row[0] == named).unwrap_or_else(|| panic!("{named}"));
        assert_eq!(word(&row[1]), kind.typ());
        let domain = word(&row[2]).replace("<operation>", Operation::CardDerive.name());
        assert_eq!(kind.external_aad(b"scope"), [domain.as_bytes(), b"\0scope"].concat());
        let before_the_log = matches!(kind, Kind::Founding | Kind::Plan);
        assert_eq!(row[3], if before_the_log { "trust domain" } else { "genesis digest" });
    }
}

const LEAVES: [LeafKind; 29] = [
    LeafKind::Founding,
    LeafKind::Start,
    LeafKind::KeyIntent,
    LeafKind::KeyOutcome,
    LeafKind::JobOpened,
    LeafKind::CardKeysDerived,
    LeafKind::ValueUpdated,
    LeafKind::EntriesRead,
    LeafKind::Refused,
    LeafKind::RefusalsCounted,
    LeafKind::RollbackShown,
    LeafKind::BundleMade,
    LeafKind::ProposalMade,
    LeafKind::ProposalVoted,
    LeafKind::ProposalClosed,
    LeafKind::SiteChanged,
    LeafKind::FreezeChanged,
    LeafKind::ActByQuorum,
    LeafKind::SealedActByQuorum,
    LeafKind::Heartbeat,
    LeafKind::TookEffect,
    LeafKind::KeyDestroyed,
    LeafKind::EvidenceRead,
    LeafKind::JobChanged,
    LeafKind::JobItemsAdded,
    LeafKind::IncidentReported,
    LeafKind::CardsChanged,
    LeafKind::JobPurged,
    LeafKind::JobRecordMade,
];

#[test]
fn the_kinds_of_leaves_are_those_in_the_code() {
    let rows = table("docs/wire.md", "| number | kind | retention | payload |");
    assert_eq!(rows.len(), LEAVES.len());
    for (kind, row) in LEAVES.into_iter().zip(rows) {
        let retention = match kind.class() {
            RetentionClass::Permanent => "permanent",
            RetentionClass::Operational => "operational",
            RetentionClass::Incident => "incident",
            RetentionClass::Job => "job",
        };
        assert_eq!(row[..3], [number(&kind), format!("`{}`", variant(&kind)), retention.to_owned()]);
    }
    assert!(cbor::decode::<LeafKind>(&[0x18, 29], 2).is_err(), "a kind is missing here");
}

/// A structure's fields and values, from its Debug form, named as in the configuration.
fn limits(section: &str, value: &impl Debug) -> Vec<(String, String)> {
    let text = format!("{value:?}");
    let (_, fields) = text.split_once(" { ").unwrap();
    let fields = fields.trim_end_matches(" }").split(", ");
    let named = |field: &str| {
        let (name, value) = field.split_once(": ").unwrap();
        (format!("{section}.{}", name.replace('_', "-")), value.to_owned())
    };
    fields.map(named).collect()
}

#[test]
fn the_limits_of_operations_are_the_defaults_in_the_code() {
    let rows = table("docs/operations.md", "| limit | default | what it bounds |");
    let said: Vec<_> = rows.iter().map(|row| (word(&row[0]), row[1].clone())).collect();
    let mut coded = limits("front.limits", &FrontLimits::default());
    coded.extend(limits("keeper.limits", &KeeperLimits::default()));
    assert_eq!(said, coded);
}

#[test]
fn the_configuration_of_operations_is_one_that_is_read() {
    let text = read("docs/operations.md");
    let example: String = text
        .lines()
        .skip_while(|line| !line.starts_with("    trust-domain = "))
        .take_while(|line| line.starts_with("    ") || line.is_empty())
        .map(|line| format!("{}\n", line.trim_start()))
        .collect();
    let config: keysvc::config::Config =
        keysvc::config::parse_toml(Path::new("docs/operations.md"), &example).unwrap();
    assert_eq!(config.trust_domain.as_str(), "example.keysvc.test");
}

#[test]
fn every_file_that_a_document_links_to_is_there() {
    let mut documents = vec!["README.md".to_owned(), "SECURITY.md".into(), "CONTRIBUTING.md".into()];
    documents.push("CHANGELOG.md".to_owned());
    for folder in ["docs", "docs/ceremonies", "docs/decisions"] {
        let files = fs::read_dir(root().join(folder)).unwrap().map(|file| file.unwrap().file_name());
        let files = files.map(|file| format!("{folder}/{}", file.to_str().unwrap()));
        documents.extend(files.filter(|file| file.ends_with(".md")));
    }
    for document in documents {
        let folder = root().join(&document).parent().unwrap().to_owned();
        let text = read(&document);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            if link.contains("://") {
                continue;
            }
            let path = if file.is_empty() { root().join(&document) } else { folder.join(file) };
            assert!(path.exists(), "{document} links to {link}");
            let heading = |line: &str| {
                let title = line.trim_start_matches('#').trim().to_lowercase();
                let kept = title.chars().filter(|char| char.is_alphanumeric() || " -".contains(*char));
                kept.collect::<String>().replace(' ', "-") == anchor && line.starts_with('#')
            };
            let found = anchor.is_empty() || fs::read_to_string(&path).unwrap().lines().any(heading);
            assert!(found, "{document} links to {link}");
        }
    }
}

#[test]
fn every_file_and_folder_in_backticks_is_there() {
    for document in ["README.md", "CONTRIBUTING.md", "docs/ARCHITECTURE.md", "docs/keys.md", "docs/wire.md"] {
        let text = read(document);
        for piece in text.split('`').skip(1).step_by(2) {
            let rooted = [
                "keysvc/src",
                "keysvc/token",
                "keysvc/tests",
                "client/",
                "tests/",
                "policies/",
                "docs/",
                "softhsm-setup/",
                ".ci/",
            ];
            let plain = !piece.contains([' ', '<', '*', ':', '{']);
            if plain && rooted.iter().any(|folder| piece.starts_with(folder)) {
                assert!(root().join(piece).exists(), "{document} names {piece}");
            }
        }
    }
}
