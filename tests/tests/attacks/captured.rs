//! What a captured keeper would have to write: refused by the one state that its ledger asks and auditors replay.
//!
//! Through [`keysvc_protocol::control::Control`] itself, for no honest keeper sends such leaves, and nobody can wait three
//! days for a proposal to expire or turn the clock of the machine the tests run on.

use super::{conflict, forge::fresh_key, invalid, uncounted};
use keysvc_client::signer::StatementSigner as _;
use keysvc_protocol::{
    bytes::{Blob, Digest},
    cbor,
    freeze::Scope,
    leaf::{ActByQuorumLeaf, ChangedLeaf, LeafKind, ValueUpdatedLeaf},
    list::List,
    proposal::{Evidence, Proposal, ProposalEnd, ProposalId},
    quorum::{Need, Verdict},
    refusal::{
        Conflict, Invalid, Refusal,
        Uncounted::{BelowFloor, OtherLog, OtherPolicy, OtherProposal, OtherRoster, OtherVerdict, TooFew},
    },
    request::{CancelProposal, LiftFreeze, Operation, SetFreeze, SetQuorum},
    schema::Schema,
    value::ValueUpdate,
};
use keysvc_tests::people::{DAY_MS, HOUR_MS, Key, Log, Site, idem, load, name};
use std::sync::Arc;

pub const ATTACKS: &[&str] = &[
    "a captured keeper writes alone what takes two",
    "a captured keeper writes an act with one approval",
    "a captured keeper writes one officer's approval twice",
    "a captured keeper writes a rejection as an approval",
    "a captured keeper writes an act edited after it was approved",
    "a captured keeper lowers the need of an approved proposal",
    "a captured keeper writes one act twice",
    "a captured keeper makes a proposal of one person",
    "a captured keeper makes a proposal for another log",
    "a captured keeper makes a proposal under other policies",
    "a captured keeper makes a proposal under another roster",
    "a captured keeper makes a proposal in the past",
    "a captured keeper makes a proposal that lives for four days",
    "a captured keeper makes a proposal under a number that was used",
    "an approval comes after the proposal's end",
    "an act comes after the proposal's end",
    "a captured keeper ends a proposal before its time",
    "a captured keeper withdraws a proposal in another officer's name",
    "a load is written with another amount than was approved",
    "a load is written without its evidence",
    "the wall clock is moved forward before an act",
    "the wall clock is moved forward to end a delay",
    "the machine is started anew with its clock moved forward to end a delay",
    "what was withdrawn within its delay takes effect",
    "an officer's leaf is left out before a heartbeat",
];

/// The parts share a log of this test's own, with four officers of two departments.
struct Part {
    log: Log,
    tried: Vec<&'static str>,
}

impl Part {
    fn refused(
        &mut self,
        name: &'static str,
        refusal: &Refusal,
        attempt: impl FnOnce(&mut Log) -> Result<u64, Refusal>,
    ) {
        let before = self.log.control.clone();
        assert_eq!(attempt(&mut self.log).as_ref(), Err(refusal), "{name}");
        assert_eq!(self.log.control, before, "{name}: something has changed");
        println!("attack: {name}");
        self.tried.push(name);
    }

    fn scope() -> Scope {
        Scope::Terminal { name: name("terminal-1") }
    }

    fn freeze(&mut self) {
        let freeze =
            SetFreeze { schema: Schema, idem: idem(1), scope: Self::scope(), reason: "why".parse().unwrap() };
        self.log.alone("officer-1", Operation::FreezeSet, &freeze).unwrap();
    }

    fn lift(number: u8) -> LiftFreeze {
        LiftFreeze {
            schema: Schema,
            idem: idem(number),
            scope: Self::scope(),
            reason: "why".parse().unwrap(),
        }
    }

    fn proposed(&mut self) -> ProposalId {
        self.log.propose("officer-1", Operation::FreezeLift, &Self::lift(2)).unwrap()
    }

    /// An act with exactly these people's verdicts.
    fn act(&self, id: &ProposalId, votes: &[(&str, Verdict)]) -> (LeafKind, ActByQuorumLeaf) {
        let proposal = self.log.bytes(id);
        let approvals: Vec<_> = votes
            .iter()
            .map(|(officer, verdict)| {
                self.log.site.approval(self.log.site.person(officer), &proposal, *verdict)
            })
            .collect();
        self.log.act_of(Evidence {
            schema: Schema,
            proposal: Blob::try_from(proposal).unwrap(),
            approvals: List::try_from(approvals).unwrap(),
        })
    }

    fn acts(&mut self) {
        let yes = |officer: &'static str| (officer, Verdict::Approve);
        self.freeze();
        self.refused(ATTACKS[0], &uncounted(TooFew), |log| {
            log.alone("officer-1", Operation::FreezeLift, &Self::lift(2))
        });
        let id = self.proposed();
        let (kind, one) = self.act(&id, &[yes("officer-1")]);
        self.refused(ATTACKS[1], &uncounted(TooFew), |log| log.put(kind, &one));
        let (kind, twice) = self.act(&id, &[yes("officer-1"), yes("officer-1")]);
        self.refused(ATTACKS[2], &Refusal::SamePerson, |log| log.put(kind, &twice));
        let (kind, no) = self.act(&id, &[yes("officer-1"), ("officer-2", Verdict::Reject)]);
        self.refused(ATTACKS[3], &uncounted(OtherVerdict), |log| log.put(kind, &no));
        let both = [yes("officer-1"), yes("officer-2")];
        let (kind, good) = self.act(&id, &both);
        let other: ChangedLeaf = self.log.changed("officer-1", Operation::FreezeLift, &Self::lift(3));
        let edited = ActByQuorumLeaf { act: cbor::encode(&other).try_into().unwrap(), ..good.clone() };
        self.refused(ATTACKS[4], &uncounted(OtherProposal), |log| log.put(kind, &edited));
        let mut lowered = Proposal::decode(&self.log.bytes(&id)).unwrap();
        lowered.need = Need { persons: 1, ..Need::of(2) };
        let mut evidence = good.evidence.clone();
        evidence.proposal = cbor::encode(&lowered).try_into().unwrap();
        let lowered = ActByQuorumLeaf { evidence, ..good.clone() };
        self.refused(ATTACKS[5], &uncounted(OtherProposal), |log| log.put(kind, &lowered));
        self.log.put(kind, &good).unwrap();
        assert_eq!(self.log.control.freezes().iter().count(), 0, "two honest officers lift it");
        self.freeze();
        self.refused(ATTACKS[6], &conflict(Conflict::ProposalEnded), |log| log.put(kind, &good));
    }

    fn proposals(&mut self) {
        let used = self.proposed();
        self.log.end(&used, ProposalEnd::Failed { refusal: Refusal::Busy }).unwrap();
        let draft = self.log.draft("officer-1", Operation::FreezeLift, &Self::lift(2));
        let good = self.log.control.draft(draft, self.log.now_ms).unwrap();
        let other = Digest::new([9; 32]);
        let cases: [(Proposal, Refusal); 7] = [
            (Proposal { need: Need { persons: 1, ..Need::of(2) }, ..good.clone() }, uncounted(BelowFloor)),
            (Proposal { genesis: other, ..good.clone() }, uncounted(OtherLog)),
            (Proposal { policy: other, ..good.clone() }, uncounted(OtherPolicy)),
            (Proposal { roster: other, ..good.clone() }, uncounted(OtherRoster)),
            (Proposal { created_ms: good.created_ms - 1, ..good.clone() }, invalid(Invalid::Time)),
            (Proposal { expires_ms: good.created_ms + 4 * DAY_MS, ..good.clone() }, invalid(Invalid::Time)),
            (Proposal { id: used, ..good.clone() }, conflict(Conflict::ProposalEnded)),
        ];
        for (attack, (proposal, refusal)) in ATTACKS[7..14].iter().zip(cases) {
            self.refused(attack, &refusal, |log| log.put_proposal(&proposal).map(|_| 0));
        }
        self.log.put_proposal(&good).unwrap();
    }

    fn ends(&mut self) {
        let late = self.proposed();
        let met = self.proposed();
        self.log.approve(&["officer-1", "officer-2"], &met);
        self.refused(ATTACKS[16], &invalid(Invalid::Time), |log| log.end(&late, ProposalEnd::Expired));
        let cancel =
            CancelProposal { schema: Schema, idem: idem(1), id: late, reason: "why".parse().unwrap() };
        let statement =
            self.log.site.statement(self.log.site.person("officer-1"), Operation::ProposalCancel, &cancel);
        let end = ProposalEnd::Cancelled { by: name("officer-2"), statement };
        self.refused(ATTACKS[17], &invalid(Invalid::Signature), |log| log.end(&late, end));
        let log = &mut self.log;
        for _ in 0..73 {
            log.pass(HOUR_MS);
        }
        log.heartbeat().unwrap();
        self.refused(ATTACKS[14], &Refusal::Expired, |log| log.vote("officer-1", &late, Verdict::Approve));
        self.refused(ATTACKS[15], &Refusal::Expired, |log| log.act(&met));
        self.log.end(&late, ProposalEnd::Expired).unwrap();
    }

    fn loads(&mut self) {
        let id = self.log.propose("terminal-1", Operation::ValueUpdate, &load(15_000)).unwrap();
        let (kind, good) = self.act(&id, &[("officer-1", Verdict::Approve), ("officer-3", Verdict::Approve)]);
        let with = |change: fn(&mut ValueUpdate)| {
            let mut leaf: ValueUpdatedLeaf = cbor::decode(good.act.as_bytes(), 8192).unwrap();
            let mut update: ValueUpdate = cbor::decode(leaf.update.as_bytes(), 8192).unwrap();
            change(&mut update);
            leaf.update = cbor::encode(&update).try_into().unwrap();
            ActByQuorumLeaf { act: cbor::encode(&leaf).try_into().unwrap(), ..good.clone() }
        };
        let more = with(|update| {
            update.amount += 1;
            update.balance_after += 1;
        });
        self.refused(ATTACKS[18], &uncounted(OtherProposal), |log| log.put(kind, &more));
        let without = with(|update| update.evidence = None);
        self.refused(ATTACKS[19], &uncounted(OtherProposal), |log| log.put(kind, &without));
        self.log.put(kind, &good).unwrap();
    }

    /// The site's delay for thresholds is a day.
    fn clock(&mut self) {
        let everyone = ["officer-1", "officer-2", "officer-3"];
        let request = |number| SetQuorum {
            schema: Schema,
            idem: idem(number),
            operation: Operation::KeyCreate,
            need: Need::of(3),
        };
        let act = self.log.agree("officer-1", Operation::QuorumSet, &request(4), &everyone).unwrap();
        self.log.pass(HOUR_MS);
        self.log.heartbeat().unwrap();
        let id = self.proposed();
        self.log.approve(&["officer-1", "officer-2"], &id);
        let disputed = conflict(Conflict::ClockDisputed);
        self.log.now_ms += HOUR_MS;
        self.refused(ATTACKS[20], &disputed, |log| log.act(&id));
        self.log.now_ms += DAY_MS;
        self.refused(ATTACKS[21], &disputed, |log| log.took_effect(act));
        let up_ms = self.log.up_ms;
        (self.log.boot, self.log.up_ms) = (2, 0);
        self.refused(ATTACKS[22], &conflict(Conflict::Waiting), |log| log.took_effect(act));
        (self.log.boot, self.log.up_ms) = (1, up_ms);
        self.log.now_ms -= HOUR_MS + DAY_MS;
        let proposal = self.log.control.waiting().next().unwrap().1.proposal;
        self.log.cancel("officer-4", &proposal).unwrap();
        for _ in 0..25 {
            self.log.pass(HOUR_MS);
        }
        self.refused(ATTACKS[23], &conflict(Conflict::Precondition), |log| log.took_effect(act));
        self.log.act(&id).unwrap();
    }

    /// A replay from which one officer's freeze is left out does not pass the next heartbeat.
    fn left_out(&mut self) {
        self.freeze();
        self.log.heartbeat().unwrap();
        let all = self.log.leaves.clone();
        let (last, before) = all.split_last().unwrap();
        let (_, before) = before.split_last().unwrap();
        let mut log = Log::new(&self.log.site);
        for leaf in before {
            log.control.apply(leaf.at, leaf.kind, &leaf.payload).unwrap();
        }
        let told = log.control.apply(last.at, last.kind, &last.payload);
        assert_eq!(told, Err(conflict(Conflict::Precondition)));
        self.tried.push(ATTACKS[24]);
    }
}

#[test]
fn what_a_captured_keeper_would_write_is_refused_by_the_state_that_auditors_replay() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(4, |number| {
        let signer = fresh_key(folder.path(), &number.to_string());
        Key { public: signer.public_key(), sign: Arc::new(move |message| signer.sign(message).unwrap()) }
    });
    let mut part = Part { log: Log::new(&Arc::new(site)), tried: Vec::new() };
    part.log.heartbeat().unwrap();
    part.acts();
    part.proposals();
    part.ends();
    part.loads();
    part.clock();
    part.left_out();
    part.tried.sort_unstable();
    let mut listed = ATTACKS.to_vec();
    listed.sort_unstable();
    assert_eq!(part.tried, listed);
    assert_eq!(part.log.replayed(), part.log.control);
}
