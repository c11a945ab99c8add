//! What of jobs and cards may stand otherwise than was seen, because a payload is withheld: jobs made before it, jobs that are
//! not known, and the cards of both.
//!
//! A job that was made after the last such leaf was seen from its beginning, and is judged in full; until a leaf of it
//! cannot be judged because of a card of another one.

use super::read;
use crate::registry::Registry;
use keysvc_protocol::{
    card::{CardEvent, CardState, CardUid},
    cose::Signed,
    job::{self, Book as _, JobState, Judge},
    leaf::{CardKeysDerivedLeaf, CardsChangedLeaf, JobOpenedLeaf, JobPurgedLeaf, LeafKind, Statement},
    list::{List, WrongCount},
    name::Name,
    refusal::{Conflict, Invalid, Refusal, Thing, Uncounted},
    request::{DeriveCardKeys, GiveResults, MoveCards, Operation},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeSet;

/// Most jobs or cards in doubt that are kept for a later run.
const KEPT_MAX: usize = 1 << 18;

/// What a later run needs of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedDoubt {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    jobs: List<Name, KEPT_MAX>,
    cards: List<CardUid, KEPT_MAX>,
}

/// What is in doubt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Doubt {
    // The last leaf whose payload was needed and withheld.
    until: Option<u64>,
    // Jobs made after it of which a leaf was not judged.
    jobs: BTreeSet<Name>,
    // Cards of jobs that are in no doubt, in leaves that were not judged.
    cards: BTreeSet<CardUid>,
}

/// What a leaf is about.
enum About {
    Job(Name),
    Opening(Name, Name),
    Derivation(Name, DeriveCardKeys),
    Moves(MoveCards),
}

impl Doubt {
    /// What a later run needs.
    pub(super) fn save(&self) -> Result<SavedDoubt, WrongCount> {
        Ok(SavedDoubt {
            until: self.until,
            jobs: self.jobs.iter().cloned().collect::<Vec<_>>().try_into()?,
            cards: self.cards.iter().copied().collect::<Vec<_>>().try_into()?,
        })
    }

    /// As an earlier run left it.
    pub(super) fn restore(saved: SavedDoubt) -> Self {
        let (jobs, cards) = (saved.jobs.into_vec(), saved.cards.into_vec());
        Self { until: saved.until, jobs: jobs.into_iter().collect(), cards: cards.into_iter().collect() }
    }

    /// The payload of this leaf is not there.
    pub(super) fn begin(&mut self, index: u64) {
        self.until = Some(index);
        // They were made before it, as all are.
        self.jobs.clear();
        self.cards.clear();
    }

    /// Whether a job may stand otherwise than was seen.
    pub(super) fn of_job(&self, registry: &Registry, name: &Name) -> bool {
        let Some(until) = self.until else { return false };
        let known = registry.job_of(name);
        known.is_none_or(|(job, _)| job.created.leaf <= until) || self.jobs.contains(name)
    }

    /// Whether a card may stand otherwise than was seen; one that was never seen may have been met.
    fn of_card(&self, registry: &mut Registry, card: &CardUid, unknown: bool) -> bool {
        let Ok(known) = registry.card(card);
        let of_job = |job: &Name| self.of_job(registry, job);
        self.until.is_some() && (self.cards.contains(card) || known.map_or(unknown, |card| of_job(&card.job)))
    }

    /// Before a leaf is judged: a station where a job in doubt was is free for another one, for its purge may be withheld,
    /// or could not be followed.
    pub(super) fn clear_station(&self, registry: &mut Registry, (kind, payload): (LeafKind, &[u8])) {
        if self.until.is_none() || kind != LeafKind::JobOpened {
            return;
        }
        let Some(About::Opening(station, job)) = about(kind, payload) else { return };
        let Ok(other) = registry.job_at(&station);
        if other.is_some_and(|other| other != job && self.of_job(registry, &other)) {
            let Ok(()) = registry.put_job_at(&station, None);
        }
    }

    /// What is wrong with a leaf that was refused: nothing where that may come from what is withheld.
    pub(super) fn left_of(
        &self,
        registry: &mut Registry,
        judge: &Judge<'_>,
        (kind, payload): (LeafKind, &[u8]),
        why: Refusal,
    ) -> Option<Refusal> {
        if self.until.is_none() || !is_of_state(&why) {
            return Some(why);
        }
        match about(kind, payload) {
            Some(About::Job(job)) if !self.of_job(registry, &job) => Some(why),
            Some(About::Opening(station, job)) if !self.of_job(registry, &job) => {
                let Ok(other) = registry.job_at(&station);
                let by_other =
                    why == Refusal::PurgePending && other.is_some_and(|other| self.of_job(registry, &other));
                (!by_other).then_some(why)
            }
            Some(About::Derivation(station, request)) if !self.of_job(registry, &request.job) => {
                if is_of_cards(&why) {
                    self.derived(registry, judge, (&station, &request))
                } else {
                    Some(why)
                }
            }
            Some(About::Moves(request)) => self.moved(registry, &request, why),
            Some(About::Job(_) | About::Opening(..) | About::Derivation(..)) => None,
            None => Some(why),
        }
    }

    /// What is wrong with the release of keys whatever became of the cards in doubt: judged of the others alone.
    fn derived(
        &self,
        registry: &mut Registry,
        judge: &Judge<'_>,
        (station, request): (&Name, &DeriveCardKeys),
    ) -> Option<Refusal> {
        let unknown = request.generation != 1;
        let sure = request.cards.iter().filter(|card| !self.of_card(registry, card, unknown));
        let sure: Vec<_> = sure.copied().collect();
        if sure.is_empty() {
            return None;
        }
        let sure = DeriveCardKeys { cards: List::try_from(sure).ok()?, ..request.clone() };
        let Ok(judged) = job::derivation(registry, judge, station, &sure);
        judged.err()
    }

    /// What is wrong with a movement of cards whatever became of those in doubt.
    fn moved(&self, registry: &mut Registry, request: &MoveCards, why: Refusal) -> Option<Refusal> {
        let sure = request.cards.iter().filter(|card| !self.of_card(registry, card, true));
        let sure: Vec<_> = sure.copied().collect();
        if sure.len() == request.cards.len() {
            return Some(why);
        }
        sure.iter().find_map(|card| may_not_move(registry, card, request.to))
    }

    /// A leaf was not judged: what it is about stands otherwise than was seen from now on.
    pub(super) fn pass(&mut self, registry: &mut Registry, (kind, payload): (LeafKind, &[u8])) {
        let cards = match about(kind, payload) {
            Some(About::Job(job) | About::Opening(_, job)) => {
                self.doubt_job(registry, job);
                results(kind, payload)
            }
            Some(About::Derivation(_, request)) => {
                self.doubt_job(registry, request.job);
                request.cards.to_vec()
            }
            Some(About::Moves(request)) => request.cards.to_vec(),
            None => Vec::new(),
        };
        for card in cards {
            if !self.of_card(registry, &card, true) {
                self.cards.insert(card);
            }
        }
    }

    fn doubt_job(&mut self, registry: &Registry, job: Name) {
        if !self.of_job(registry, &job) {
            self.jobs.insert(job);
        }
    }
}

/// Whether a refusal depends on how jobs and cards stand. That a name was used before was seen.
const fn is_of_state(why: &Refusal) -> bool {
    match why {
        Refusal::StateConflict { reason } => !matches!(reason, Conflict::NameTaken),
        why => matches!(
            why,
            Refusal::NotFound { what: Thing::Job | Thing::Card | Thing::Item }
                | Refusal::ExchangeUnknown
                | Refusal::PurgePending
                | Refusal::ResultPending
                | Refusal::LimitExceeded { .. }
                | Refusal::Invalid { reason: Invalid::Manifest | Invalid::Items }
                | Refusal::Forbidden
                | Refusal::ApprovalInvalid { reason: Uncounted::NotInRole | Uncounted::TooFew }
        ),
    }
}

/// Whether a release of keys was refused for how a card stands, and not for how its job does.
const fn is_of_cards(why: &Refusal) -> bool {
    matches!(
        why,
        Refusal::StateConflict {
            reason: Conflict::CardState { .. } | Conflict::Generation { .. } | Conflict::OtherJob
        } | Refusal::ApprovalInvalid { reason: Uncounted::TooFew }
    )
}

/// Why a card that was seen cannot be put into a state; nothing where it can.
fn may_not_move(registry: &mut Registry, card: &CardUid, to: CardState) -> Option<Refusal> {
    let conflict = |reason| Some(Refusal::StateConflict { reason });
    let Ok(known) = registry.card(card);
    let known = known?;
    let job = registry.job_of(&known.job).map(|(job, _)| job.state);
    if let Some(state) = job.filter(|state| !matches!(state, JobState::Closed | JobState::Purged)) {
        return conflict(Conflict::JobState { state });
    }
    let event = match to {
        CardState::Active => CardEvent::Activate,
        CardState::Retired => CardEvent::Retire,
        _ => CardEvent::Discard,
    };
    if known.state == to || known.state.after(event).is_ok() {
        return None;
    }
    conflict(Conflict::CardState { state: known.state })
}

fn request<T: Serialize + DeserializeOwned>(statement: &Statement) -> Option<T> {
    read(Signed::parse(statement.0.as_bytes()).ok()?.recorded_payload())
}

fn about(kind: LeafKind, payload: &[u8]) -> Option<About> {
    match kind {
        LeafKind::CardKeysDerived => {
            let leaf: CardKeysDerivedLeaf = super::decode(payload).ok()?;
            Some(About::Derivation(leaf.station, request(&leaf.statement)?))
        }
        LeafKind::JobPurged => super::decode(payload).ok().map(|JobPurgedLeaf { job, .. }| About::Job(job)),
        kind => {
            let (_, operation, statement) = super::asked(kind, payload)?;
            if operation == Operation::CardTransition {
                return Some(About::Moves(request(&statement)?));
            }
            let job =
                super::job_of(operation, Signed::parse(statement.0.as_bytes()).ok()?.recorded_payload())?;
            let station = super::decode(payload).ok().map(|JobOpenedLeaf { station, .. }| station);
            Some(match station.filter(|_| kind == LeafKind::JobOpened) {
                Some(station) => About::Opening(station, job),
                None => About::Job(job),
            })
        }
    }
}

/// The cards in a leaf of results; none in others.
fn results(kind: LeafKind, payload: &[u8]) -> Vec<CardUid> {
    let leaf = (kind == LeafKind::CardsChanged).then(|| super::decode::<CardsChangedLeaf>(payload).ok());
    let given: Option<GiveResults> = leaf.flatten().and_then(|leaf| request(&leaf.statement));
    given.map_or_else(Vec::new, |given| given.results.iter().map(|result| result.card).collect())
}
