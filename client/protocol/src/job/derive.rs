//! Which cards get keys: only the job's, each once in a generation, as many as may be in hand, never more than there are.

use super::{
    Book, Job, JobEvent, JobState, Membership, Outcome, Tally,
    apply::{Judge, Step, Trust, book, settled},
    changes::found,
};
use crate::{
    card::{CardEvent, CardRecord, CardState, CardUid},
    leaf::{CardKeysDerivedLeaf, DerivedItem},
    name::Name,
    refusal::{Conflict, Invalid, Refusal, Thing, Uncounted},
    request::{DeriveCardKeys, Operation},
    schema::Schema,
};
use alloc::{collections::BTreeSet, vec::Vec};

/// A derivation that was judged, and not put yet.
#[derive(Debug)]
pub struct Derivation {
    /// How many of the request's cards get keys, from the first.
    pub cards: u32,
    job: Job,
    tally: Tally,
    made: Vec<(CardUid, CardRecord)>,
}

/// What releasing a card's keys makes of it.
enum Issue {
    /// It is in production already: its keys are released once more, and nothing changes.
    Again,
    /// It is new to the job, and takes the room of one card.
    New(CardRecord),
    /// It was made in this job before and is begun again, which takes back what became of it.
    Anew(CardRecord, Outcome),
}

impl Derivation {
    /// The job.
    #[must_use]
    pub const fn job(&self) -> &Job {
        &self.job
    }

    /// Puts it, as the leaf that was said.
    ///
    /// # Errors
    /// The book's own.
    pub fn put<B: Book>(&self, into: &mut B) -> Result<(), B::Fault> {
        for (card, record) in &self.made {
            into.put_card(card, record)?;
        }
        into.put_job(&self.job, &self.tally)
    }
}

/// Judges which of a request's cards get keys now, and puts nothing. For the keeper, which writes the leaf that says so
/// before it calls [`Derivation::put`].
///
/// # Errors
/// The book's own; inside it the [`Refusal`].
pub fn derivation<B: Book>(
    from: &mut B,
    judge: &Judge<'_>,
    station: &Name,
    request: &DeriveCardKeys,
) -> Result<Result<Derivation, Refusal>, B::Fault> {
    settled(judged(from, judge, station, request))
}

/// Whether a request that is repeated may still be answered: its job is open in the same session.
///
/// # Errors
/// The book's own; inside it the [`Refusal`].
pub fn still_open<B: Book>(
    from: &mut B,
    judge: &Judge<'_>,
    station: &Name,
    request: &DeriveCardKeys,
) -> Result<Result<(), Refusal>, B::Fault> {
    settled(in_hand(from, judge, station, request))
}

pub(super) fn take<B: Book>(
    into: &mut B,
    judge: &Judge<'_>,
    leaf: &CardKeysDerivedLeaf,
) -> Step<(), B::Fault> {
    let request: DeriveCardKeys = judge.request((&leaf.station, Operation::CardDerive), &leaf.statement)?;
    let derivation = judged(into, judge, &leaf.station, &request)?;
    let head = &derivation.job.head;
    let profile = judge.control.profiles().get(&head.profile, head.profile_version);
    let profile = &profile.ok_or(Refusal::NotFound { what: Thing::Profile })?.profile;
    let slots = u32::try_from(profile.slots.len()).unwrap_or(u32::MAX);
    if (&leaf.profile, leaf.profile_version) != (&head.profile, head.profile_version) {
        return Err(Refusal::NotFound { what: Thing::Profile }.into());
    }
    if leaf.cards != derivation.cards || leaf.count != leaf.cards.saturating_mul(slots) {
        return Err(Refusal::LimitExceeded { limit: u64::from(derivation.cards) }.into());
    }
    if judge.trust == Trust::Nobody {
        let cards = usize::try_from(leaf.cards).unwrap_or(usize::MAX);
        let cards = request.cards.get(..cards).unwrap_or_default();
        let root = DerivedItem::root(profile, cards).map_err(|reason| Refusal::ProfileForbids { reason })?;
        if root != leaf.root {
            return Err(Refusal::Invalid { reason: Invalid::Encoding }.into());
        }
    }
    book(derivation.put(into))
}

/// A repetition is answered for cards that are still in hand; those that were left out then have no keys of this job.
fn in_hand<B: Book>(
    from: &mut B,
    judge: &Judge<'_>,
    station: &Name,
    request: &DeriveCardKeys,
) -> Step<(), B::Fault> {
    let (job, _) = in_session(from, judge, station, request)?;
    for card in request.cards.iter() {
        let known = book(from.card(card))?;
        let known = known.filter(|card| card.job == job.name && card.generation >= request.generation);
        match known {
            Some(card) if card.state != CardState::InProduction || card.generation != request.generation => {
                return Err(
                    Refusal::StateConflict { reason: Conflict::CardState { state: card.state } }.into()
                );
            }
            _ => {}
        }
    }
    Ok(())
}

/// The job of a request, which must be open at its station, in the session the request names.
fn in_session<B: Book>(
    from: &mut B,
    judge: &Judge<'_>,
    station: &Name,
    request: &DeriveCardKeys,
) -> Step<(Job, Tally), B::Fault> {
    let (mut job, tally) = found(from, &request.job)?;
    job.is_at(station)?;
    job.step(JobEvent::Work)?;
    let session = job.session().filter(|session| session.exchange == request.exchange);
    let session = session.ok_or(Refusal::ExchangeUnknown)?;
    // Two operators stand behind it: one who may not act any more does not.
    let enabled = |operator: &Name| judge.control.roster().enabled(operator).is_ok();
    if judge.at.time_ms > session.expires_ms || !session.operators.iter().all(enabled) {
        return Err(Refusal::StateConflict { reason: Conflict::SessionOver }.into());
    }
    Ok((job, tally))
}

fn judged<B: Book>(
    from: &mut B,
    judge: &Judge<'_>,
    station: &Name,
    request: &DeriveCardKeys,
) -> Step<Derivation, B::Fault> {
    let (job, tally) = in_session(from, judge, station, request)?;
    let profile = judge.control.profiles().get(&job.head.profile, job.head.profile_version);
    let profile = &profile.ok_or(Refusal::NotFound { what: Thing::Profile })?.profile;
    let mut seen = BTreeSet::new();
    if request.cards.is_empty() || !request.cards.iter().all(|card| seen.insert(card)) {
        return Err(Refusal::Invalid { reason: Invalid::Items }.into());
    }
    let mut cards = Vec::with_capacity(request.cards.len());
    for card in request.cards.iter() {
        let known = book(from.card(card))?;
        if job.head.listed && book(from.listed(&job.name, card))? == Membership::NotListed {
            return Err(Refusal::NotFound { what: Thing::Item }.into());
        }
        let issue = issue(judge, (&job, station), known.as_ref(), request.generation)?;
        if let Some(card) = known.filter(|card| card.job != job.name) {
            is_counted(from, &card.job)?;
        }
        cards.push((*card, issue));
    }
    // Before it is cut to what is left: whether it is too much at a time must not tell how many there are.
    let asked = cards.iter().filter(|(_, issue)| !matches!(issue, Issue::Again)).count();
    let in_hand = usize::try_from(tally.pending()).unwrap_or(usize::MAX).saturating_add(asked);
    if in_hand > usize::from(profile.pipeline) && asked > 0 {
        return Err(Refusal::ResultPending.into());
    }
    room(job, tally, cards)
}

/// Cuts a request to the cards that are left for the job: the first of them get keys, and the rest learn nothing.
fn room<F>(job: Job, mut tally: Tally, cards: Vec<(CardUid, Issue)>) -> Step<Derivation, F> {
    let limit = job.head.cards();
    let (mut count, mut made) = (0_u32, Vec::with_capacity(cards.len()));
    for (card, issue) in cards {
        match issue {
            Issue::Again => {}
            Issue::Anew(record, outcome) => {
                // One card stays one card: counted as in hand again, not as another one.
                tally = tally.without(&outcome);
                made.push((card, record));
            }
            Issue::New(record) => {
                if tally.made >= limit {
                    break;
                }
                tally.made = tally.made.saturating_add(1);
                made.push((card, record));
            }
        }
        count = count.saturating_add(1);
    }
    if count == 0 {
        return Err(Refusal::StateConflict { reason: Conflict::JobComplete }.into());
    }
    Ok(Derivation { cards: count, job, tally, made })
}

/// A card is its job's until that is closed: the job could not be counted without it.
fn is_counted<B: Book>(from: &mut B, other: &Name) -> Step<(), B::Fault> {
    let (job, _) = found(from, other)?;
    if matches!(job.state, JobState::Closed | JobState::Purged) {
        Ok(())
    } else {
        Err(Refusal::StateConflict { reason: Conflict::OtherJob }.into())
    }
}

/// What becomes of a card whose keys are asked for.
fn issue(
    judge: &Judge<'_>,
    (job, station): (&Job, &Name),
    known: Option<&CardRecord>,
    generation: u32,
) -> Result<Issue, Refusal> {
    let conflict = |reason| Refusal::StateConflict { reason };
    let state = known.map_or(CardState::Blank, |card| card.state);
    let newest = known.map_or(0, |card| card.generation);
    let of_job = known.is_some_and(|card| card.job == job.name);
    if of_job && generation == newest {
        return match state {
            CardState::InProduction => Ok(Issue::Again),
            state => Err(conflict(Conflict::CardState { state })),
        };
    }
    if generation == 0 || newest.checked_add(1) != Some(generation) {
        return Err(conflict(Conflict::Generation { newest }));
    }
    // What is in this station's hands is finished before it begins again.
    if of_job && state == CardState::InProduction {
        return Err(Refusal::ResultPending);
    }
    let event = if known.is_none() { CardEvent::Produce } else { CardEvent::Reproduce };
    let state = state.after(event).map_err(|step| conflict(Conflict::CardState { state: step.state }))?;
    if generation > 1 && !judge.by_quorum {
        return Err(Refusal::ApprovalInvalid { reason: Uncounted::TooFew });
    }
    let record = CardRecord {
        schema: Schema,
        state,
        generation,
        job: job.name.clone(),
        location: station.clone(),
        leaf: judge.at.index,
        outcome: None,
        holder: None,
    };
    let before = known.filter(|_| of_job).and_then(|card| card.outcome.clone());
    Ok(before.map_or_else(|| Issue::New(record.clone()), |outcome| Issue::Anew(record.clone(), outcome)))
}
