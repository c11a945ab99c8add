//! What is in force is the log's word: at a start, on a reload and for the doctor. The folder's policies are compared, and
//! the token must compute what card profiles say it computes.

use keysvc::{
    config::Config,
    keeper::{
        founding::open_token,
        ledger::{Change, Outcome, Recording, Retry, Sequencer},
        start::{install_seals, open_store},
    },
};
use keysvc_policies::DEFAULT_SITE;
use keysvc_protocol::{
    bytes::{Blob, Digest, ProposalId},
    cbor,
    cose::Kind,
    evidence::EvidenceFile,
    founding::Founding,
    hash::sha256,
    key::KeyKind,
    leaf::{ChangedLeaf, FoundingLeaf, ProposalMadeLeaf, Statement},
    name::Name,
    proposal::Proposed,
    quorum::{Approval, Verdict},
    refusal::{Invalid, Refusal, Uncounted},
    reply::{EvidenceReply, PolicyReply, StatusReply},
    request::{
        Operation, POLICY_SET_LEN_MAX, ProposePolicy, PutProfile, ReadEvidence, ReadPolicy, ReadStatus,
        UpdateValue, ValueOperation::Load,
    },
    schema::Schema,
    trust::Trust,
};
use keysvc_tests::{
    agreed::{Sent, create, done, idem, next_version, propose, propose_files, propose_policy, put, send},
    cards::{self, Card},
    ended::{ended, refusal},
    ground::{Ground, OFFICERS, text},
    raw::{self, Caller},
    watched,
};
use rustix::process::Signal;
use softhsm_setup::Site;
use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

fn officers(ground: &Ground) -> [Caller; 3] {
    OFFICERS.map(|persona| cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), persona))
}

/// The shipped policies, but loads above this take people.
fn limited_to(load_max: u64) -> String {
    let changed = DEFAULT_SITE.replace("context.amount <= 100000", &format!("context.amount <= {load_max}"));
    assert_ne!(changed, DEFAULT_SITE);
    changed
}

/// The same at the longest that a proposal holds.
fn at_its_longest(site_cedar: &str) -> String {
    let room = POLICY_SET_LEN_MAX - site_cedar.len() - "\n//".len();
    format!("{site_cedar}\n//{}", "x".repeat(room))
}

fn status(line: &mut raw::Line) -> StatusReply {
    line.put(Operation::Status, cbor::encode(&ReadStatus { schema: Schema })).unwrap()
}

/// Whether a load by the terminal alone is done.
fn loads(terminal: &mut Caller, request: &UpdateValue) -> bool {
    matches!(
        send::<keysvc_protocol::reply::ValueUpdateReply>(terminal, Operation::ValueUpdate, request),
        Ok(Sent::Done(_))
    )
}

fn reload(ground: &Ground, said: &str) {
    let count = |text: &str| text.matches(said).count();
    let before = count(&ground.said());
    watched::send(ground.half("keeper").unwrap(), Signal::HUP);
    ground.wait_until(said, || count(&ground.said()) > before);
}

/// The doctor's lines about this; all its checks pass.
fn doctor(ground: &Ground, about: &str) -> Vec<String> {
    let output = ended(ground.keysvc(&["doctor"]));
    let said = text(&output);
    assert!(output.status.success() && said.contains("all checks passed"), "{said}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .filter(|line| line.get(6..).is_some_and(|line| line.starts_with(about)))
        .map(str::to_owned)
        .collect()
}

/// Leaf 0's file, if every officer signed it.
fn founding(leaf: &FoundingLeaf) -> Option<Founding> {
    let bytes = leaf.founding.as_bytes();
    let founding: Founding = toml::from_str(std::str::from_utf8(bytes).ok()?).ok()?;
    founding.check().ok()?;
    for officer in &founding.officers {
        let signature = leaf.signatures.iter().find(|one| one.officer == officer.name)?;
        founding.verify_agreement(bytes, officer, signature.signed.as_bytes()).ok()?;
    }
    Some(founding)
}

#[test]
fn policies_that_people_put_in_force_hold_at_once_and_over_restarts_whatever_the_folder_says() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let older = propose(&mut ann, Operation::KeyCreate, &create("spare", KeyKind::CardMaster)).unwrap();
    assert!(loads(&mut terminal, &raw::update(Load, 1, 50_000, 0)));

    let other = propose_policy(&at_its_longest(&limited_to(40_000)));
    done(&mut [&mut ann, &mut ben, &mut cat], Operation::PolicyPropose, &other);
    assert!(!loads(&mut terminal, &raw::update(Load, 2, 50_000, 50_000)));
    assert!(loads(&mut terminal, &raw::update(Load, 2, 40_000, 50_000)));
    assert_eq!(status(&mut ben.line).policy, other.policy);
    let in_force: PolicyReply = ben.ask(Operation::PolicyGet, &ReadPolicy { schema: Schema }).unwrap();
    assert_eq!(in_force.policy, other.policy);
    assert_eq!(in_force.files[0].text.as_bytes(), other.files[0].text.as_bytes());
    let late = Refusal::ApprovalInvalid { reason: Uncounted::OtherPolicy };
    assert_eq!(older.approve(&mut ben), Err(late));

    // An act under them is proved with the leaf that brought them.
    let act = done(&mut [&mut ann, &mut ben], Operation::KeyCreate, &create("spare", KeyKind::CardMaster));
    let read = ReadEvidence { schema: Schema, id: act.id() };
    let reply: EvidenceReply = ann.ask(Operation::EvidenceGet, &read).unwrap();
    let file = EvidenceFile::read(reply.evidence.as_bytes()).unwrap();
    let leaves: Vec<_> = file.leaves.iter().map(|one| one.leaf.check().unwrap().index).collect();
    assert_eq!((leaves.len(), leaves[1]), (3, in_force.leaf));
    let trust = Trust::parse(&fs::read_to_string(ground.site().trust()).unwrap()).unwrap();
    assert_eq!(file.verify(&trust, founding).unwrap().proposal.policy, other.policy);

    reload(&ground, "policies read again, not those in force");
    let lines = doctor(&ground, "policies ");
    assert!(lines[0].starts_with("ok ") && lines[0].contains(&other.policy.to_string()), "{lines:#?}");
    assert!(lines[1].starts_with("note ") && lines[1].contains("fobctl policy show --out"), "{lines:#?}");
    ground.stop();
    ground.start().unwrap();
    assert!(ground.said().contains("the policy folder is not what is in force"));
    ground.reconnect(&mut terminal, "terminal-1");
    assert_eq!(status(&mut terminal.line).policy, other.policy);
    assert!(!loads(&mut terminal, &raw::update(Load, 3, 50_000, 90_000)));

    // Not even a folder that does not load keeps it from serving; one that agrees is not spoken of.
    let file = ground.site().service().folder().join("policies/site.cedar");
    fs::write(&file, "permit(").unwrap();
    assert!(doctor(&ground, "policies ")[1].contains("does not load"));
    ground.stop();
    ground.start().unwrap();
    fs::write(&file, at_its_longest(&limited_to(40_000))).unwrap();
    assert_eq!(doctor(&ground, "policies ").len(), 1);
    reload(&ground, "policies read again, the same as in the log");
    ground.stop();
    let verified = ended(ground.keysvc(&["verify-store"]));
    assert!(verified.status.success(), "{}", text(&verified));
}

#[test]
fn requests_that_are_under_way_while_the_policies_change_are_answered_and_the_keeper_goes_on() {
    let ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let before = status(&mut ann.line).started_at_ms;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for persona in ["terminal-1", "terminal-2", "office-1", "station-1"] {
            let mut line = raw::Line::open(ground.site(), persona);
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    status(&mut line);
                }
            });
        }
        // The first change is the one from what lies in the folder to what lies in the log.
        for load_max in [40_000, 50_000, 60_000] {
            let other = propose_policy(&limited_to(load_max));
            done(&mut [&mut ann, &mut ben, &mut cat], Operation::PolicyPropose, &other);
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(status(&mut ann.line).started_at_ms, before, "no other keeper was started");
}

#[test]
fn policies_that_do_not_load_or_could_never_be_replaced_are_not_even_proposed() {
    let ground = Ground::new();
    let [mut ann, ..] = officers(&ground);
    let mut refused =
        |request: &ProposePolicy| propose(&mut ann, Operation::PolicyPropose, request).unwrap_err();
    let policy = Refusal::Invalid { reason: Invalid::Policy };
    let whole = propose_policy(&limited_to(40_000));
    assert_eq!(refused(&ProposePolicy { policy: Digest::new([9; 32]), ..whole.clone() }), policy);
    assert_eq!(refused(&propose_files(&[("site.cedar", b"permit(")], whole.policy)), policy);
    let locks = propose_policy("permit (principal, action == Action::\"status\", resource);");
    assert_eq!(refused(&locks), Refusal::Invalid { reason: Invalid::LocksOut });
}

#[test]
fn a_founding_whose_golden_vector_the_token_computes_otherwise_is_refused_before_leaf_0() {
    let ground = Ground::laid_out();
    let file = ground.site().founding();
    let founding = fs::read_to_string(&file).unwrap();
    let wrong = founding.replace("5b298c80bf", "5b298c80be");
    assert_ne!(wrong, founding);
    fs::write(&file, wrong).unwrap();
    ground.sign_founding().unwrap();
    let said = refusal(ground.keysvc(&["init"]));
    let names = "profile known version 1, slot 0, card 04782e21801d80: 5b298c80bf instead of 5b298c80be";
    assert!(said.contains(names) && said.contains("keysvc init --discard-orphans"), "{said}");
    assert!(!ground.site().trust().exists());
    fs::write(&file, founding).unwrap();
    for signature in fs::read_dir(ground.site().signatures()).unwrap() {
        fs::remove_file(signature.unwrap().path()).unwrap();
    }
    ground.sign_founding().unwrap();
    let said = refusal(ground.keysvc(&["init"]));
    assert!(said.contains("an earlier founding was interrupted (no leaf was written yet)"), "{said}");
    let anew = ended(ground.keysvc(&["init", "--discard-orphans", "--yes"]));
    assert!(anew.status.success(), "{}", text(&anew));
}

/// Records a profile without asking the token, as a keeper that was not in its right mind would. Officers do sign for it.
struct Forger {
    sequencer: Sequencer,
    genesis: Digest,
    officers: [Card; 3],
}

impl Forger {
    async fn recorded(&self, change: Change) -> Recording {
        match self.sequencer.submit(change).await.unwrap().outcome {
            Outcome::Recorded(leaf) => leaf,
            other => panic!("not recorded: {other:?}"),
        }
    }

    fn signed<const MAX: usize>(&self, officer: usize, kind: Kind, payload: Vec<u8>) -> Blob<MAX> {
        let message = raw::sign(&self.officers[officer], kind, self.genesis.as_bytes(), payload);
        Blob::try_from(message).unwrap()
    }

    async fn put(&self, request: &PutProfile) {
        let (operation, payload) = (Operation::ProfilePut, cbor::encode(request));
        let principal: Name = OFFICERS[0].parse().unwrap();
        let payload_digest = sha256(&[&payload]);
        let statement = Statement(self.signed(0, Kind::Request(operation), payload));
        let retry = Retry { principal: principal.clone(), idem: request.idem, payload_digest };
        let id = ProposalId::new([7; 16]);
        let made = Change::Propose {
            retry: retry.clone(),
            request: Proposed { operation, requester: principal.clone(), statement: statement.clone() },
            need: None,
            id,
            life_ms: 3_600_000,
        };
        let made: ProposalMadeLeaf = cbor::decode(&self.recorded(made).await.payload, 1 << 17).unwrap();
        for (officer, name) in OFFICERS.iter().enumerate().take(2) {
            let proposal = sha256(&[made.proposal.as_bytes()]);
            let (verdict, nonce) = (Verdict::Approve, idem());
            let approval = Approval { schema: Schema, proposal, verdict, signed_at_ms: 1, nonce };
            let approval = self.signed(officer, Kind::Approval, cbor::encode(&approval));
            let (caller, request) = (name.parse().unwrap(), Digest::new([0; 32]));
            self.recorded(Change::Vote { caller, proposal: id, verdict, approval, request }).await;
        }
        let evidence = self.sequencer.control().unwrap().proposals().get(&id).unwrap().evidence();
        let leaf = ChangedLeaf { schema: Schema, principal, operation, statement };
        let change = Box::new(Change::Alter { retry, leaf });
        self.recorded(Change::ByQuorum { evidence, change }).await;
    }
}

/// Forges in a child that sees the service's token.
fn forge(site: &Site) {
    let request = fs::read(site.folder().join("request")).unwrap();
    let request: PutProfile = cbor::decode(&request, request.len()).unwrap();
    let config = Config::read(&site.service_config()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let token = open_token(&config).unwrap();
        let (sequencer, _reader) = open_store(&config).unwrap();
        install_seals(&config, &token, &sequencer).unwrap();
        sequencer.restore_control().unwrap();
        let officers = OFFICERS.map(|officer| Card::insert(env!("CARGO_BIN_EXE_card"), site, officer));
        let forger = Forger { sequencer, genesis: raw::genesis(site), officers };
        forger.put(&request).await;
        forger.sequencer.close();
    });
}

#[test]
fn a_golden_vector_in_the_log_that_the_token_computes_otherwise_keeps_the_keeper_from_serving() {
    let test = "a_golden_vector_in_the_log_that_the_token_computes_otherwise_keeps_the_keeper_from_serving";
    let make = || {
        let mut ground = Ground::new();
        let [mut ann, ..] = officers(&ground);
        let seen = doctor(&ground, "profiles ");
        assert!(seen[0].contains("3 profiles in use, 1 golden vector computed by the token"), "{seen:?}");
        let mut wrong = next_version(&mut ann, "known");
        wrong.vectors[0].check_value = "0000000001".to_owned();
        // The token is asked before people are.
        let request = put(&wrong);
        let refused = propose(&mut ann, Operation::ProfilePut, &request).unwrap_err();
        assert_eq!(refused, Refusal::Invalid { reason: Invalid::GoldenVector });
        fs::write(ground.site().folder().join("request"), cbor::encode(&request)).unwrap();
        ground.stop();
        ground
    };
    let forged = raw::with_tokens(test, &["service"], make, |site, _| forge(site));
    let Some(ground) = forged else { return };
    let said = ground.keeper_refuses();
    let names = "profile known version 2, slot 0, card 04782e21801d80: 5b298c80bf instead of 0000000001";
    assert!(said.contains("refusing to serve: golden vectors") && said.contains(names), "{said}");
    let output = ended(ground.keysvc(&["doctor"]));
    let lines = String::from_utf8(output.stdout).unwrap();
    assert!(lines.lines().any(|line| line.starts_with("FAIL  profiles ") && line.contains(names)), "{lines}");
}
