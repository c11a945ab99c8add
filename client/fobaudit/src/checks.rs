//! What the payload of each kind of leaf must say, one file for each kind. Each takes a payload that was proved to be its
//! leaf's, and remembers only what later leaves depend on: open intents, exchanges, the last update of each purse.

mod act;
mod enrolments;
mod jobs;
mod key;
mod people;
mod record;
mod statement;
mod station;
mod value;

pub(crate) use act::{Act, Acts, Agreement, Governed, Outcome, change_of, request_of, said};
pub(crate) use jobs::{JobSight, Jobs, Seen, Wanted};
pub(crate) use people::{People, Sight, Totals};
pub(crate) use value::check_update;

use jobs::SavedJobs;
use key::SavedKeys;
use people::SavedPeople;
use station::SavedStations;
use value::SavedPurses;

use crate::{
    finding::{Findings, PeopleProblem, Problem, StationProblem, ValueProblem},
    founding_check::Founded,
    walk::{Leaf, Visitor},
};
use keysvc_protocol::{
    cbor,
    checkpoint::Origin,
    job,
    leaf::{KeyOutcomeLeaf, LeafEntry, LeafKind},
    list::{List, WrongCount},
    receipt::LEAF_PAYLOAD_LEN_MAX,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// All kinds of leaves, in the order of their numbers.
pub(crate) const KINDS: [(LeafKind, &str); 29] = [
    (LeafKind::Founding, "founding"),
    (LeafKind::Start, "start"),
    (LeafKind::KeyIntent, "key intent"),
    (LeafKind::KeyOutcome, "key outcome"),
    (LeafKind::JobOpened, "job opened"),
    (LeafKind::CardKeysDerived, "card keys derived"),
    (LeafKind::ValueUpdated, "value updated"),
    (LeafKind::EntriesRead, "entries read"),
    (LeafKind::Refused, "refused"),
    (LeafKind::RefusalsCounted, "refusals counted"),
    (LeafKind::RollbackShown, "rollback shown"),
    (LeafKind::BundleMade, "trust bundle made"),
    (LeafKind::ProposalMade, "proposal made"),
    (LeafKind::ProposalVoted, "proposal voted on"),
    (LeafKind::ProposalClosed, "proposal closed"),
    (LeafKind::SiteChanged, "site changed by one"),
    (LeafKind::FreezeChanged, "freeze set"),
    (LeafKind::ActByQuorum, "act by quorum, kept for good"),
    (LeafKind::SealedActByQuorum, "act by quorum"),
    (LeafKind::Heartbeat, "heartbeat"),
    (LeafKind::TookEffect, "took effect"),
    (LeafKind::KeyDestroyed, "key destroyed"),
    (LeafKind::EvidenceRead, "evidence read"),
    (LeafKind::JobChanged, "job changed"),
    (LeafKind::JobItemsAdded, "job items added"),
    (LeafKind::IncidentReported, "incident reported"),
    (LeafKind::CardsChanged, "cards changed"),
    (LeafKind::JobPurged, "job purged"),
    (LeafKind::JobRecordMade, "job record made"),
];

/// How many leaves there were of one kind, and how far they could be checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Count {
    /// Leaves of the kind.
    pub(crate) leaves: u64,
    /// Of these, payloads whose content was checked.
    pub(crate) checked: u64,
    /// Of these, payloads that are withheld, or are not proved to be their leaf's: content not checked.
    pub(crate) not_checked: u64,
}

/// Most kinds of leaves that a saved state may count.
const KINDS_MAX: usize = 64;

/// What a later run needs of the checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedChecks {
    counts: List<Count, KINDS_MAX>,
    statements: u64,
    keys: SavedKeys,
    stations: SavedStations,
    jobs: SavedJobs,
    purses: SavedPurses,
    people: SavedPeople,
}

/// What leaves are judged by: the founding, and what changed since.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    /// The founding.
    pub(crate) founded: &'a Founded,
    /// Who and what the service knows at the leaf.
    pub(crate) people: &'a People,
}

/// What the checks of payloads know and counted.
#[derive(Debug)]
pub(crate) struct Checks<'f> {
    founded: &'f Founded,
    origin: &'f Origin,
    counts: [Count; KINDS.len()],
    statements: u64,
    keys: key::Keys,
    stations: station::Stations,
    jobs: Jobs,
    purses: value::Purses,
    people: People,
}

impl<'f> Checks<'f> {
    /// The checks of the log that this founding began.
    pub(crate) fn new(founded: &'f Founded, origin: &'f Origin) -> Self {
        Self {
            founded,
            origin,
            counts: [Count::default(); KINDS.len()],
            statements: 0,
            keys: key::Keys::new(&founded.keys),
            stations: station::Stations::default(),
            jobs: Jobs::default(),
            purses: value::Purses::default(),
            people: People::found(founded),
        }
    }

    /// The same, keeping what a later run needs.
    pub(crate) fn keeping(self) -> Self {
        Self { people: self.people.keeping(), ..self }
    }

    /// The same, putting the acts that took people into words.
    pub(crate) fn telling(self) -> Self {
        Self { people: self.people.telling(), ..self }
    }

    /// The same, looking at a job as it stood.
    pub(crate) fn wanting(self, wanted: Option<Wanted>) -> Self {
        Self { jobs: self.jobs.wanting(wanted), ..self }
    }

    /// Jobs and cards, given away.
    pub(crate) fn take_jobs(&mut self) -> Jobs {
        std::mem::take(&mut self.jobs)
    }

    /// Who and what the service knows.
    pub(crate) const fn people(&self) -> &People {
        &self.people
    }

    /// The acts that took people, given away.
    pub(crate) fn take_acts(&mut self) -> Option<Acts> {
        self.people.take_acts()
    }

    /// What a later run needs.
    ///
    /// # Errors
    /// [`WrongCount`] where there is more than a state file may hold.
    pub(crate) fn save(&self) -> Result<SavedChecks, WrongCount> {
        Ok(SavedChecks {
            counts: self.counts.to_vec().try_into()?,
            statements: self.statements,
            keys: self.keys.save()?,
            stations: self.stations.save()?,
            jobs: self.jobs.save()?,
            purses: self.purses.save()?,
            people: self.people.save()?,
        })
    }

    /// The checks as an earlier run left them. Kinds of leaves that it did not know yet are counted from 0.
    pub(crate) fn restore(founded: &'f Founded, origin: &'f Origin, saved: SavedChecks) -> Self {
        let mut counts = [Count::default(); KINDS.len()];
        counts.iter_mut().zip(saved.counts.iter()).for_each(|(count, saved)| *count = *saved);
        Self {
            founded,
            origin,
            counts,
            statements: saved.statements,
            keys: key::Keys::restore(saved.keys),
            stations: station::Stations::restore(saved.stations),
            jobs: Jobs::restore(saved.jobs),
            purses: value::Purses::restore(saved.purses),
            people: People::restore(founded, saved.people),
        }
    }

    /// The counts, kind by kind.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, Count)> {
        KINDS.into_iter().zip(self.counts).map(|((_, name), count)| (name, count))
    }

    /// Statements whose signatures were verified.
    pub(crate) const fn statements(&self) -> u64 {
        self.statements
    }

    /// Purses that were followed from update to update.
    pub(crate) fn purses(&self) -> usize {
        self.purses.len()
    }

    /// Steps between two updates of a purse that withheld updates lie in, so that the chain is not checked there.
    pub(crate) const fn unlinked(&self) -> u64 {
        self.purses.unlinked()
    }

    /// Intents to make a key that no outcome followed, by leaf.
    pub(crate) fn open_intents(&self) -> Vec<(u64, String)> {
        self.keys.open_intents()
    }

    fn check(&mut self, leaf: &Leaf<'_>, payload: &[u8]) -> Result<(), Problem> {
        let founded = self.founded;
        let entry = leaf.entry;
        match entry.kind {
            // Leaf 0 was proved before the walk began.
            LeafKind::Founding if entry.index == 0 => Ok(()),
            LeafKind::Founding => Err(Problem::SecondFounding),
            LeafKind::Start => record::start(&self.people, payload),
            LeafKind::KeyIntent => {
                let followed = self.people.take(leaf);
                self.keys.intent(entry.index, &decode(payload)?)?;
                followed
            }
            LeafKind::KeyOutcome => {
                let outcome: KeyOutcomeLeaf = decode(payload)?;
                let came = self.people.came_as_ordered(&outcome.key);
                let followed = self.people.take(leaf);
                self.keys.outcome(outcome)?;
                followed?;
                Ok(came?)
            }
            LeafKind::JobOpened
            | LeafKind::CardKeysDerived
            | LeafKind::ValueUpdated
            | LeafKind::JobChanged
            | LeafKind::JobItemsAdded
            | LeafKind::IncidentReported
            | LeafKind::CardsChanged
            | LeafKind::JobPurged
            | LeafKind::JobRecordMade => self.check_done(entry.kind, entry, payload),
            LeafKind::ActByQuorum | LeafKind::SealedActByQuorum => {
                let followed = self.people.take(leaf);
                // What was done is checked as if it stood alone, whatever is wrong with the quorum.
                let done =
                    leaf.act.map_or(Ok(()), |act| self.check_done(act.kind, entry, act.act.as_bytes()));
                followed.and(done)
            }
            LeafKind::ProposalMade
            | LeafKind::ProposalVoted
            | LeafKind::ProposalClosed
            | LeafKind::SiteChanged
            | LeafKind::FreezeChanged
            | LeafKind::Heartbeat
            | LeafKind::TookEffect => self.people.take(leaf),
            LeafKind::KeyDestroyed => {
                let followed = self.people.take(leaf);
                let site = Site { founded, people: &self.people };
                let ended = self.jobs.key_destroyed(&site, &decode(payload)?);
                followed.and(ended.map_err(Problem::from))
            }
            LeafKind::EntriesRead => record::entries_read(&self.people, payload),
            LeafKind::EvidenceRead => record::evidence_read(&self.people, payload),
            LeafKind::Refused => record::refused(payload),
            LeafKind::RefusalsCounted => record::refusals_counted(payload),
            LeafKind::RollbackShown => record::rollback_shown(founded, self.origin, payload),
            LeafKind::BundleMade => record::bundle_made(founded, &self.people, payload),
        }
    }

    /// Checks what a station, terminal or operator had done, alone or by quorum.
    fn check_done(&mut self, kind: LeafKind, entry: &LeafEntry, payload: &[u8]) -> Result<(), Problem> {
        let site = Site { founded: self.founded, people: &self.people };
        match kind {
            LeafKind::ValueUpdated => self.purses.updated(&site, entry, &decode(payload)?)?,
            LeafKind::JobRecordMade => return self.jobs.record_made(&site, entry, decode(payload)?),
            kind if job::concerns(kind) => return self.check_job(kind, entry, payload),
            // What changes the site is judged with the quorum.
            _ => return Ok(()),
        }
        self.count_statement();
        Ok(())
    }

    /// Checks what was done to a job or to cards: by the job's rules first, then by what else there is.
    fn check_job(&mut self, kind: LeafKind, entry: &LeafEntry, payload: &[u8]) -> Result<(), Problem> {
        let site = Site { founded: self.founded, people: &self.people };
        if kind == LeafKind::CardKeysDerived {
            station::is_counted(&site, &decode(payload)?)?;
        }
        if !self.jobs.take(&site, entry, (kind, payload))? {
            return Ok(());
        }
        if kind == LeafKind::JobPurged {
            return Ok(jobs::purged(&site, &decode(payload)?)?);
        }
        self.statements = self.statements.saturating_add(1);
        match kind {
            LeafKind::JobOpened => self.stations.opened(&site, &decode(payload)?),
            LeafKind::CardKeysDerived => self.stations.derived(&site, &decode(payload)?),
            LeafKind::CardsChanged => station::moved(&site, &decode(payload)?),
            _ => Ok(()),
        }
    }

    fn count_statement(&mut self) {
        self.statements = self.statements.saturating_add(1);
    }

    fn not_seen(&mut self, leaf: &Leaf<'_>) {
        // Nothing to judge, so nothing can be wrong.
        let _: Result<(), Problem> = self.people.take(leaf);
        match leaf.entry.kind {
            LeafKind::KeyIntent => self.keys.intent_not_seen(leaf.entry.index),
            LeafKind::CardKeysDerived => self.stations.derivation_not_seen(),
            LeafKind::ValueUpdated => self.purses.update_not_seen(),
            _ => {}
        }
        self.jobs.not_seen(leaf.entry, leaf.is_hidden_act());
        if leaf.is_hidden_act() {
            self.stations.derivation_not_seen();
            self.purses.update_not_seen();
        }
    }

    /// Whether a problem may come from changes of roster, profiles or policies that are withheld.
    const fn may_be_unknown(&self, problem: &Problem) -> bool {
        let of_caller = matches!(
            problem,
            Problem::NotEnrolled { .. }
                | Problem::Stranger(_)
                | Problem::Statement { .. }
                | Problem::People(PeopleProblem::Disabled(_))
        );
        let of_rules = matches!(
            problem,
            Problem::OtherPolicy
                | Problem::BundleRules(_)
                | Problem::Station(StationProblem::NoProfile { .. })
                | Problem::Value(
                    ValueProblem::NoFunction
                        | ValueProblem::NotReloadable
                        | ValueProblem::NoPurse(_)
                        | ValueProblem::PastLimit { .. }
                        | ValueProblem::NoSessionFlag
                )
        );
        self.people.is_lost() && (of_caller || of_rules)
    }

    fn count(&mut self, kind: LeafKind, seen: bool) {
        let place = KINDS.iter().position(|(known, _)| *known == kind);
        let Some(count) = place.and_then(|place| self.counts.get_mut(place)) else { return };
        count.leaves = count.leaves.saturating_add(1);
        let part = if seen { &mut count.checked } else { &mut count.not_checked };
        *part = part.saturating_add(1);
    }
}

impl Visitor for Checks<'_> {
    fn visit(&mut self, leaf: &Leaf<'_>, findings: &mut Findings) {
        let kind = leaf.entry.kind;
        self.jobs.look(leaf.entry.index);
        let Some(payload) = leaf.payload else {
            self.count(kind, false);
            return self.not_seen(leaf);
        };
        match self.check(leaf, payload) {
            Ok(()) => self.count(kind, true),
            Err(problem) if self.may_be_unknown(&problem) => self.count(kind, false),
            Err(problem) => {
                self.count(kind, true);
                findings.leaf(leaf.entry.index, problem);
            }
        }
    }
}

/// Decodes a payload as its kind's.
pub(crate) fn decode<T: Serialize + DeserializeOwned>(payload: &[u8]) -> Result<T, Problem> {
    Ok(cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX)?)
}

#[cfg(test)]
mod tests {
    use crate::{
        finding::{Finding, KeyProblem, Problem, StationProblem, ValueProblem},
        sample::{FIRST, SPARE_KEY, Sample, TERMINAL_KEY, TestKey, later_key, start},
    };
    use keysvc_protocol::{
        bytes::{Blob, PreviousUpdate},
        checkpoint::SignedCheckpoint,
        cose::{CoseError, Kind},
        founding::PrincipalKind,
        key::{KeyKind, KeyRecord, KeyState},
        leaf::{EntriesReadLeaf, KeyIntentLeaf, KeyOutcomeLeaf, LeafKind, RollbackLeaf},
        request::{Operation, ValueOperation},
        schema::Schema,
        value::{ValueError, ValueUpdate},
    };

    fn found(sample: &Sample) -> Vec<Finding> {
        sample.verify().findings.kept().to_vec()
    }

    fn at(index: u64, problem: impl Into<Problem>) -> Vec<Finding> {
        vec![Finding { leaf: Some(index), problem: problem.into() }]
    }

    /// What is found in a good log whose last leaf is a value update altered so.
    fn found_in_update(alter: impl FnOnce(&mut ValueUpdate)) -> Vec<Finding> {
        let mut sample = Sample::good();
        sample.update(alter);
        found(&sample)
    }

    #[test]
    fn a_sequence_that_jumps_is_found_once() {
        let mut sample = Sample::good();
        sample.update(|update| update.seq = 4);
        sample.update(|_| {});
        assert_eq!(found(&sample), at(6, ValueProblem::Sequence { expected: 3, found: 4 }));
    }

    #[test]
    fn a_sequence_number_that_comes_twice_is_found() {
        let expected = at(6, ValueProblem::Sequence { expected: 3, found: 2 });
        assert_eq!(found_in_update(|update| update.seq = 2), expected);
    }

    #[test]
    fn a_purse_that_begins_in_the_middle_is_found() {
        let mut sample = Sample::good();
        sample.update(|update| update.card = "04000000000009".parse().unwrap());
        assert_eq!(found(&sample), at(6, ValueProblem::Sequence { expected: 1, found: 3 }));
    }

    #[test]
    fn a_balance_that_does_not_continue_the_purse_is_found() {
        let alter = |update: &mut ValueUpdate| {
            update.balance_before = 4500;
            update.balance_after = 6500;
        };
        assert_eq!(found_in_update(alter), at(6, ValueProblem::Balance { expected: 4000, found: 4500 }));
    }

    #[test]
    fn a_link_to_another_update_is_found() {
        let alter = |update: &mut ValueUpdate| update.previous = PreviousUpdate::new([1; 16]);
        assert_eq!(found_in_update(alter), at(6, ValueProblem::Link));
    }

    #[test]
    fn an_update_that_differs_from_the_statement_is_found() {
        let mut sample = Sample::good();
        let mut leaf = sample.update_leaf(TERMINAL_KEY, |_| {});
        let asked_more = sample.update_leaf(TERMINAL_KEY, |update| {
            update.amount = 2500;
            update.balance_after = 6500;
        });
        leaf.statement = asked_more.statement;
        sample.push(LeafKind::ValueUpdated, &leaf);
        assert_eq!(found(&sample), at(6, ValueProblem::NotAsAsked("amount")));
    }

    #[test]
    fn a_statement_by_another_terminals_key_is_found() {
        let mut sample = Sample::good();
        let leaf = sample.update_leaf(SPARE_KEY, |_| {});
        sample.push(LeafKind::ValueUpdated, &leaf);
        let expected = Problem::Statement {
            operation: Operation::ValueUpdate,
            name: "terminal-1".parse().unwrap(),
            why: CoseError::WrongKey,
        };
        assert_eq!(found(&sample), at(6, expected));
    }

    #[test]
    fn a_terminal_of_another_organisation_is_found() {
        let mut sample = Sample::good();
        let leaf = sample.update_leaf(SPARE_KEY, |update| update.terminal = "terminal-2".parse().unwrap());
        sample.push(LeafKind::ValueUpdated, &leaf);
        let expected = ValueProblem::OtherOrganisation {
            terminal: "terminal-2".parse().unwrap(),
            of: "museum".parse().unwrap(),
            programme_of: "cafe".parse().unwrap(),
        };
        assert_eq!(found(&sample), at(6, expected));
    }

    #[test]
    fn a_terminal_that_is_a_station_is_found() {
        let expected =
            Problem::NotEnrolled { name: "station-1".parse().unwrap(), kind: PrincipalKind::Terminal };
        let alter = |update: &mut ValueUpdate| update.terminal = "station-1".parse().unwrap();
        assert_eq!(found_in_update(alter), at(6, expected));
    }

    #[test]
    fn amounts_and_balances_past_the_profiles_limits_are_found() {
        let load = |amount: u64| {
            move |update: &mut ValueUpdate| {
                update.amount = amount;
                update.balance_after = update.balance_before + amount;
            }
        };
        let past = |what, found, limit| at(6, ValueProblem::PastLimit { what, found, limit });
        assert_eq!(found_in_update(load(10_001)), past("the load", 10_001, 10_000));
        let mut sample = Sample::good();
        sample.update(load(10_000));
        sample.update(load(1001));
        let expected = ValueProblem::PastLimit { what: "the balance after", found: 15_001, limit: 15_000 };
        assert_eq!(found(&sample), at(7, expected));
        let mut sample = Sample::good();
        sample.update(load(10_000));
        sample.update(|update| {
            update.operation = ValueOperation::Debit;
            update.amount = 5001;
            update.balance_after = 8999;
        });
        assert_eq!(
            found(&sample),
            at(7, ValueProblem::PastLimit { what: "the debit", found: 5001, limit: 5000 })
        );
    }

    #[test]
    fn another_currency_purse_time_or_flag_than_the_founding_allows_is_found() {
        let currency = ValueProblem::Currency { expected: 978, found: 840 };
        assert_eq!(found_in_update(|update| update.currency = 840), at(6, currency));
        assert_eq!(found_in_update(|update| update.flags = 0), at(6, ValueProblem::NoSessionFlag));
        assert_eq!(found_in_update(|update| update.issued_at_ms += 1), at(6, ValueProblem::OtherTime));
        assert_eq!(found_in_update(|update| update.expires_at_ms = 1), at(6, ValueProblem::BornExpired));
        let first = |update: &mut ValueUpdate| {
            *update = ValueUpdate {
                purse: 2,
                seq: 1,
                previous: PreviousUpdate::new([0; 16]),
                balance_before: 0,
                balance_after: 2000,
                ..update.clone()
            };
        };
        assert_eq!(found_in_update(first), at(6, ValueProblem::NoPurse(2)));
        let programme = ValueProblem::NoProgramme("tea".parse().unwrap());
        assert_eq!(found_in_update(|update| update.programme = "tea".parse().unwrap()), at(6, programme));
    }

    #[test]
    fn an_update_that_does_not_add_up_is_found() {
        let expected = at(6, ValueProblem::Update(ValueError::Arithmetic));
        assert_eq!(found_in_update(|update| update.balance_after += 1), expected);
    }

    #[test]
    fn a_count_that_is_not_cards_times_slots_is_found() {
        let mut sample = Sample::working();
        let mut leaf = sample.derived(1, 2);
        leaf.count = 3;
        sample.push(LeafKind::CardKeysDerived, &leaf);
        assert_eq!(found(&sample), at(8, StationProblem::Count { count: 3, asked: 4 }));
    }

    #[test]
    fn card_keys_need_a_statement_of_their_own() {
        let mut sample = Sample::working();
        let replayed = sample.derived(1, 1);
        sample.push(LeafKind::CardKeysDerived, &replayed);
        assert_eq!(found(&sample), at(8, StationProblem::StatementTwice));
    }

    #[test]
    fn an_exchange_that_was_opened_before_is_found() {
        let mut sample = Sample::working();
        sample.open_job(FIRST, 1);
        assert_eq!(found(&sample), at(8, StationProblem::OpenedTwice));
    }

    #[test]
    fn a_start_under_other_policies_is_found() {
        let mut sample = Sample::good();
        sample.push(LeafKind::Start, &start(92));
        assert_eq!(found(&sample), at(6, Problem::OtherPolicy));
    }

    #[test]
    fn a_payload_of_another_kind_is_found() {
        let mut sample = Sample::good();
        sample.push(LeafKind::Refused, &start(91));
        assert_eq!(found(&sample), at(6, keysvc_protocol::cbor::DecodeError::Malformed));
    }

    #[test]
    fn a_second_founding_is_found() {
        let mut sample = Sample::good();
        sample.push(LeafKind::Founding, &crate::sample::founding_leaf());
        assert_eq!(found(&sample), at(6, Problem::SecondFounding));
    }

    #[test]
    fn a_read_by_a_stranger_is_found() {
        let mut sample = Sample::good();
        let read = |reader: &str| EntriesReadLeaf {
            schema: Schema,
            reader: reader.parse().unwrap(),
            from: 0,
            to: 6,
        };
        sample.push(LeafKind::EntriesRead, &read("auditor-1"));
        sample.push(LeafKind::EntriesRead, &read("mallory"));
        assert_eq!(found(&sample), at(7, Problem::Stranger("mallory".parse().unwrap())));
    }

    fn intent(seed: u8) -> KeyIntentLeaf {
        let key = later_key("later", seed);
        KeyIntentLeaf { schema: Schema, id: key.id, kind: key.kind, name: key.name, version: key.version }
    }

    /// A log in which people ordered the key, at leaf 9.
    fn ordered() -> Sample {
        let mut sample = Sample::good();
        let order = sample.order("later", KeyKind::ValueSigning);
        sample.agreed(Operation::KeyCreate, &order);
        sample
    }

    #[test]
    fn an_outcome_follows_its_open_intent_and_makes_what_was_intended() {
        let outcome = |intent, seed| {
            let key = KeyRecord { state: KeyState::PreActivation, ..later_key("later", seed) };
            KeyOutcomeLeaf { schema: Schema, intent, key }
        };
        let mut sample = ordered();
        sample.push(LeafKind::KeyIntent, &intent(70));
        sample.push(LeafKind::KeyOutcome, &outcome(10, 70));
        assert_eq!(found(&sample), []);
        sample.push(LeafKind::KeyOutcome, &outcome(10, 70));
        assert_eq!(found(&sample), at(12, KeyProblem::NoIntent { intent: 10 }));
        let mut sample = ordered();
        sample.push(LeafKind::KeyIntent, &intent(70));
        sample.push(LeafKind::KeyOutcome, &outcome(10, 71));
        assert_eq!(found(&sample), at(11, KeyProblem::NotAsIntended { intent: 10 }));
    }

    #[test]
    fn an_intent_without_outcome_is_reported_and_is_no_finding() {
        let mut sample = ordered();
        sample.push(LeafKind::KeyIntent, &intent(70));
        let verification = sample.verify();
        assert_eq!(verification.findings.total(), 0);
        let open = verification.proved.unwrap().open_intents;
        assert_eq!(open, [(10, "value-signing later version 1".to_owned())]);
    }

    #[test]
    fn an_intent_with_the_id_of_another_key_is_found() {
        let mut sample = Sample::good();
        let twice = intent(5);
        sample.push(LeafKind::KeyIntent, &twice);
        assert_eq!(found(&sample), at(6, KeyProblem::IdTwice(twice.id)));
    }

    #[test]
    fn a_rollback_shown_is_a_finding() {
        let mut sample = Sample::good();
        let shown = SignedCheckpoint::parse(&sample.note()).unwrap();
        let principal: keysvc_protocol::name::Name = "terminal-1".parse().unwrap();
        let leaf = RollbackLeaf { schema: Schema, principal: principal.clone(), shown };
        sample.push(LeafKind::RollbackShown, &leaf);
        assert_eq!(found(&sample), at(6, Problem::RollbackShown { shown_by: principal, size: 6 }));
    }

    #[test]
    fn a_statement_by_the_services_own_hand_is_found() {
        let mut sample = Sample::good();
        let mut leaf = sample.update_leaf(TERMINAL_KEY, |_| {});
        // Signed with a key of the service's, under the terminal's key identifier.
        let kind = Kind::Request(Operation::ValueUpdate);
        let mut forged = TestKey::new(5).sign(kind, sample.genesis().as_bytes(), vec![1, 2, 3]);
        let claimed = TestKey::new(TERMINAL_KEY).public().identifier();
        forged[9..17].copy_from_slice(claimed.as_bytes());
        leaf.statement.0 = Blob::try_from(forged).unwrap();
        sample.push(LeafKind::ValueUpdated, &leaf);
        let expected = Problem::Statement {
            operation: Operation::ValueUpdate,
            name: "terminal-1".parse().unwrap(),
            why: CoseError::BadSignature,
        };
        assert_eq!(found(&sample), at(6, expected));
    }
}
