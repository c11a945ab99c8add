//! What becomes of cards: at the station, and afterwards.

use super::{
    Book, CardResult, JobEvent, JobState, Outcome,
    apply::{ENCODING, Judge, Step, book},
    changes::found,
};
use crate::{
    card::{CardEvent, CardRecord, CardState},
    control::Member,
    founding::PrincipalKind,
    leaf::CardsChangedLeaf,
    name::Name,
    refusal::{Conflict, Invalid, Refusal, Thing},
    request::{GiveResults, MoveCards, Operation},
};
use alloc::{collections::BTreeSet, vec::Vec};

pub(super) fn take<B: Book>(into: &mut B, judge: &Judge<'_>, leaf: &CardsChangedLeaf) -> Step<(), B::Fault> {
    match leaf.operation {
        Operation::CardResult => results(into, judge, leaf),
        Operation::CardTransition => transition(into, judge, leaf),
        _ => Err(ENCODING.into()),
    }
}

fn results<B: Book>(into: &mut B, judge: &Judge<'_>, leaf: &CardsChangedLeaf) -> Step<(), B::Fault> {
    let request: GiveResults = judge.request((&leaf.principal, Operation::CardResult), &leaf.statement)?;
    let (mut job, mut tally) = found(into, &request.job)?;
    job.is_at(&leaf.principal)?;
    job.step(JobEvent::Work)?;
    let profile = judge.control.profiles().get(&job.head.profile, job.head.profile_version);
    let slots = profile.ok_or(Refusal::NotFound { what: Thing::Profile })?.profile.slots.len();
    let mut seen = BTreeSet::new();
    if request.results.is_empty() || !request.results.iter().all(|result| seen.insert(result.card)) {
        return Err(Refusal::Invalid { reason: Invalid::Items }.into());
    }
    let mut moved = Vec::with_capacity(request.results.len());
    for result in request.results.iter() {
        was_read_back(result, slots)?;
        let record = book(into.card(&result.card))?.ok_or(Refusal::NotFound { what: Thing::Card })?;
        if record.job != job.name {
            return Err(Refusal::StateConflict { reason: Conflict::OtherJob }.into());
        }
        // A station that lost the answer says it again.
        if record.outcome.as_ref() == Some(&result.outcome) {
            continue;
        }
        let event = match result.outcome {
            Outcome::Good => CardEvent::Pass,
            Outcome::Reject { .. } => CardEvent::Reject,
            Outcome::Sample => CardEvent::Sample,
        };
        let state = next(record.state, event)?;
        let outcome = Some(result.outcome.clone());
        tally = tally.with(&result.outcome);
        moved.push((result.card, CardRecord { state, outcome, leaf: judge.at.index, ..record }));
    }
    for (card, record) in &moved {
        book(into.put_card(card, record))?;
    }
    book(into.put_job(&job, &tally))
}

fn next(state: CardState, event: CardEvent) -> Result<CardState, Refusal> {
    let conflict = |state| Refusal::StateConflict { reason: Conflict::CardState { state } };
    state.after(event).map_err(|step| conflict(step.state))
}

/// A check value for each slot, but of a reject, of which nothing needs to be read.
fn was_read_back(result: &CardResult, slots: usize) -> Result<(), Refusal> {
    let read = result.readback.len();
    let rejected = matches!(result.outcome, Outcome::Reject { .. });
    if read == slots || (rejected && read == 0) {
        Ok(())
    } else {
        Err(Refusal::Invalid { reason: Invalid::ReadBack })
    }
}

fn transition<B: Book>(into: &mut B, judge: &Judge<'_>, leaf: &CardsChangedLeaf) -> Step<(), B::Fault> {
    let request: MoveCards = judge.request((&leaf.principal, Operation::CardTransition), &leaf.statement)?;
    let member = judge.control.roster().enabled(&leaf.principal)?;
    let event = may_move(member, request.to)?;
    let mut seen = BTreeSet::new();
    let several = request.cards.len() > 1;
    if request.cards.is_empty()
        || !request.cards.iter().all(|card| seen.insert(card))
        || (request.holder.is_some() && (several || request.to != CardState::Active))
    {
        return Err(Refusal::Invalid { reason: Invalid::Items }.into());
    }
    if request.location.as_ref().is_some_and(|location| !may_lie(judge, member, location)) {
        return Err(Refusal::Forbidden.into());
    }
    let mut moved = Vec::with_capacity(request.cards.len());
    for card in request.cards.iter() {
        let record = book(into.card(card))?.ok_or(Refusal::NotFound { what: Thing::Card })?;
        let (job, _) = found(into, &record.job)?;
        if !matches!(job.state, JobState::Closed | JobState::Purged) {
            // It is counted where it was made, first.
            return Err(Refusal::StateConflict { reason: Conflict::JobState { state: job.state } }.into());
        }
        if !is_theirs(judge, member, &record) {
            return Err(Refusal::Forbidden.into());
        }
        // Said again; but a card that has a holder does not get another one by the way.
        if record.state == request.to && request.holder.is_none() {
            continue;
        }
        moved.push((*card, standing(judge, &request, (event, member), record)?));
    }
    for (card, record) in &moved {
        book(into.put_card(card, record))?;
    }
    Ok(())
}

fn standing(
    judge: &Judge<'_>,
    request: &MoveCards,
    (event, member): (CardEvent, &Member),
    record: CardRecord,
) -> Result<CardRecord, Refusal> {
    let state = next(record.state, event)?;
    let location = request.location.clone().unwrap_or_else(|| member.enrolment.group.clone());
    let holder = match request.holder {
        Some(_) => Some(judge.at.index),
        None => record.holder,
    };
    Ok(CardRecord { state, location, holder, leaf: judge.at.index, ..record })
}

/// Terminals sell; offices also take back.
fn may_move(member: &Member, to: CardState) -> Result<CardEvent, Refusal> {
    match (member.enrolment.kind, to) {
        (PrincipalKind::Terminal | PrincipalKind::Office, CardState::Active) => Ok(CardEvent::Activate),
        (PrincipalKind::Office, CardState::Retired) => Ok(CardEvent::Retire),
        (PrincipalKind::Office, CardState::AwaitingDestruction) => Ok(CardEvent::Discard),
        (PrincipalKind::Terminal | PrincipalKind::Office, _) => {
            Err(Refusal::Invalid { reason: Invalid::Items })
        }
        _ => Err(Refusal::Forbidden),
    }
}

/// Whether a place is an organisation's: the organisation itself, or a name for one within it, such as `roastery.shelf-2`.
fn is_of(member: &Member, place: &Name) -> bool {
    let rest = place.as_str().strip_prefix(member.enrolment.group.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A place of the caller's own, which is no station and no other organisation.
fn may_lie(judge: &Judge<'_>, member: &Member, location: &Name) -> bool {
    let own = *location == member.enrolment.group;
    let roster = judge.control.roster();
    let taken =
        || roster.members().any(|(name, other)| name == location || other.enrolment.group == *location);
    own || (is_of(member, location) && !taken())
}

/// A card belongs to the organisation that has it; one that is still at its station to whoever takes it over.
fn is_theirs(judge: &Judge<'_>, member: &Member, record: &CardRecord) -> bool {
    let station = judge.control.roster().member(&record.location);
    let at_station = station.is_some_and(|member| member.enrolment.kind == PrincipalKind::Station);
    at_station || is_of(member, &record.location)
}
