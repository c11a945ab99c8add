//! Jobs and cards: what the book of the protocol says of them, inside the transaction.
//!
//! Judged before the leaf, written after it; who may ask at all was the gate's affair, and the caller's signature with
//! it. Those of the people in a request are verified by [`keysvc_protocol::job`].

use super::{
    super::book::{Items, JobBook, Puts},
    Decided, Write,
    asked::{Again, Asked, Keys},
};
use crate::keeper::ledger::{
    change::{Outcome, Recording},
    fault::LedgerFault,
    seal::Tags,
};
use keysvc_protocol::{
    card::{CardState, CardUid},
    cbor,
    control::{At, Profiles},
    cose::Signed,
    founding::Profile,
    freeze::Scope,
    job::{self, Derivation, JobHead, JobState, Judge, Trust},
    leaf::{CardKeysDerivedLeaf, ChangedLeaf, DerivedItem, JobPurgedLeaf, LeafKind, Statement},
    name::Name,
    refusal::{Conflict, Refusal, Thing},
    request::{DeriveCardKeys, Operation, SetFreeze},
    schema::Schema,
};
use std::{borrow::Cow, collections::BTreeSet};

/// Most jobs that are not purged. Each that lists its cards has a storage key in the token and a data key in the process,
/// which every start unwraps: 256 objects where a token has room for thousands, 256 calls of some 2 ms on a device in the
/// network, half a second, and 256 keys of 32 bytes. A site has some jobs a station.
const JOBS_MAX: u64 = 256;

/// A derivation that was judged: its leaf, and what follows it.
pub(super) struct Derived {
    pub(super) leaf: CardKeysDerivedLeaf,
    pub(super) puts: Puts,
    pub(super) cards: Vec<CardUid>,
    pub(super) masters: Vec<(Name, u32)>,
}

impl Write<'_> {
    fn book<'b>(&'b self, tags: &'b Tags) -> JobBook<'b> {
        JobBook::new(self.rows, tags, Items::Sealed(&self.state.seals))
    }

    fn judge(&self, by_quorum: bool) -> Result<Judge<'_>, LedgerFault> {
        let at = At { index: self.state.frontier.size(), time_ms: self.time_ms };
        Ok(Judge { control: self.control()?, at, trust: Trust::Caller, by_quorum })
    }

    /// Has the book take the next leaf; nothing is written yet.
    pub(super) fn taken(
        &mut self,
        kind: LeafKind,
        payload: &[u8],
        by_quorum: bool,
    ) -> Result<Result<Puts, Refusal>, LedgerFault> {
        let tags = self.tags()?;
        let mut book = self.book(&tags);
        let taken = job::apply(&mut book, &self.judge(by_quorum)?, kind, payload)?;
        Ok(taken.map(|()| book.into_puts()))
    }

    /// Which of a request's cards get keys, and the leaf that says so; nothing is written yet.
    pub(super) fn derived(
        &mut self,
        station: &Name,
        request: &DeriveCardKeys,
        statement: &Statement,
        by_quorum: bool,
    ) -> Result<Result<Derived, Refusal>, LedgerFault> {
        let tags = self.tags()?;
        let mut book = self.book(&tags);
        let judge = self.judge(by_quorum)?;
        let derivation = match job::derivation(&mut book, &judge, station, request)? {
            Ok(derivation) => derivation,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let profiles = judge.control.profiles();
        Ok(match said(profiles, (station, request, statement), &derivation) {
            Ok((leaf, cards, masters)) => {
                derivation.put(&mut book)?;
                Ok(Derived { leaf, puts: book.into_puts(), cards, masters })
            }
            Err(refusal) => Err(refusal),
        })
    }

    /// Adds what a change about a job touches beyond its request: the job's profile and master keys.
    pub(super) fn with_job(&mut self, asked: &mut Asked<'_>) -> Result<(), LedgerFault> {
        let Some(uses) = asked.uses.as_mut() else { return Ok(()) };
        let Some((name, derives)) = uses.job else { return Ok(()) };
        // One that is not there is refused where it is judged.
        let tags = self.tags()?;
        let Some((job, _)) = self.rows.job(&tags, name)? else { return Ok(()) };
        let masters = profile_of(self.control()?.profiles(), &job.head).map(masters).unwrap_or_default();
        let mut touches = uses.touches.clone().into_owned();
        touches.profile = Some(job.head.profile);
        touches.keys.extend(masters.iter().map(|(name, _)| name.clone()));
        uses.touches = Cow::Owned(touches);
        if derives {
            uses.keys = Keys::Derive(masters);
        }
        Ok(())
    }

    /// Whether a request that is on record may still be answered: sessions end, and with them what was asked in them.
    pub(super) fn again(
        &mut self,
        again: &Again<'_>,
        leaf: &Recording,
    ) -> Result<Result<(), Refusal>, LedgerFault> {
        match again {
            Again::Derive { station, request } => {
                let tags = self.tags()?;
                job::still_open(&mut self.book(&tags), &self.judge(false)?, station, request)
            }
            Again::Open { job } => Ok(match self.rows.job(&*self.tags()?, job)? {
                None => Err(Refusal::NotFound { what: Thing::Job }),
                Some((job, _)) if job.state != JobState::Open => {
                    Err(Refusal::StateConflict { reason: Conflict::JobState { state: job.state } })
                }
                Some((job, _)) => {
                    let session = job.session().filter(|session| session.leaf == leaf.index);
                    let stands = session.is_some_and(|session| self.time_ms <= session.expires_ms);
                    let over = Refusal::StateConflict { reason: Conflict::SessionOver };
                    if stands { Ok(()) } else { Err(over) }
                }
            }),
        }
    }

    /// Whether one of these cards was made by a job that is frozen: what is wrong with a job may be wrong with its cards.
    pub(super) fn is_of_frozen_job(&mut self, cards: &[CardUid]) -> Result<bool, LedgerFault> {
        let freezes = self.control()?.freezes().iter();
        let frozen: BTreeSet<_> = freezes
            .filter_map(|(scope, _)| match scope {
                Scope::Job { name } => Some(name.clone()),
                _ => None,
            })
            .collect();
        if frozen.is_empty() {
            return Ok(false);
        }
        let tags = self.tags()?;
        for card in cards {
            if self.rows.card(&tags, &tags.of_card(card))?.is_some_and(|card| frozen.contains(&card.job)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether value may be loaded on a card or taken from it: on one that the registry knows only while it is in use.
    pub(super) fn bears_value(&mut self, card: &CardUid) -> Result<Result<(), Refusal>, LedgerFault> {
        let tags = self.tags()?;
        let known = self.rows.card(&tags, &tags.of_card(card))?;
        Ok(bears_value(known.map(|card| card.state)))
    }

    /// Whether what a freeze names is there, where the log knows it: a job. The rest is [`keysvc_protocol::control`]'s.
    pub(super) fn scope_is_there(&mut self, leaf: &ChangedLeaf) -> Result<Result<(), Refusal>, LedgerFault> {
        if leaf.operation != Operation::FreezeSet {
            return Ok(Ok(()));
        }
        let request = Signed::parse(leaf.statement.0.as_bytes()).ok();
        let request =
            request.map(|signed| cbor::decode::<SetFreeze>(signed.recorded_payload(), cbor::REQUEST_LEN_MAX));
        // One that does not read is refused where it is judged.
        let Some(Ok(SetFreeze { scope: Scope::Job { name }, .. })) = request else { return Ok(Ok(())) };
        let tags = self.tags()?;
        let found = self.rows.job(&tags, &name)?.map(drop);
        Ok(found.ok_or(Refusal::NotFound { what: Thing::Job }))
    }

    /// Whether one more job may be made.
    pub(super) fn has_room_for_job(&self) -> Result<Result<(), Refusal>, LedgerFault> {
        let full = Refusal::StateConflict { reason: Conflict::Full };
        Ok(if self.rows.jobs_current()? < JOBS_MAX { Ok(()) } else { Err(full) })
    }

    /// Deletes some items of a job that is closed and whose data key is gone; of any other job that would lose what
    /// the log says it has.
    pub(super) fn forget_items(&mut self, job: &Name, max: u32) -> Result<Outcome, LedgerFault> {
        let tags = self.tags()?;
        let Some((found, _)) = self.rows.job(&tags, job)? else {
            return Ok(Outcome::Refused(Refusal::NotFound { what: Thing::Job }));
        };
        if found.state != JobState::Closed || self.state.seals.has_job(job) {
            let reason = Conflict::JobState { state: found.state };
            return Ok(Outcome::Refused(Refusal::StateConflict { reason }));
        }
        self.rows.forget_some_items(job, max)?;
        Ok(Outcome::Counted)
    }

    /// Ends a job whose data key is gone: its items go, with the service's own word.
    pub(super) fn purge(&mut self, leaf: &JobPurgedLeaf) -> Result<Decided, LedgerFault> {
        let payload = cbor::encode(leaf);
        let puts = match self.taken(LeafKind::JobPurged, &payload, false)? {
            Ok(puts) => puts,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let prepared = self.prepare(LeafKind::JobPurged, payload)?;
        let leaf = self.put(prepared)?;
        puts.write(self.rows, &*self.tags()?)?;
        Ok(Ok(leaf))
    }
}

/// Whether a card in this state bears value; one that the registry has not met is as it always was.
pub(in super::super::super) const fn bears_value(state: Option<CardState>) -> Result<(), Refusal> {
    match state {
        Some(state) if !state.bears_value() => {
            Err(Refusal::StateConflict { reason: Conflict::CardState { state } })
        }
        _ => Ok(()),
    }
}

fn profile_of<'p>(profiles: &'p Profiles, head: &JobHead) -> Option<&'p Profile> {
    Some(&profiles.get(&head.profile, head.profile_version)?.profile)
}

/// The master keys and versions of a profile's slots, each once.
fn masters(profile: &Profile) -> Vec<(Name, u32)> {
    let slots = profile.slots.iter();
    let masters: BTreeSet<_> = slots.map(|slot| (slot.key.clone(), u32::from(slot.key_version))).collect();
    masters.into_iter().collect()
}

type Said = (CardKeysDerivedLeaf, Vec<CardUid>, Vec<(Name, u32)>);

/// The leaf of a derivation, its cards and the master keys they hang on.
fn said(
    profiles: &Profiles,
    (station, request, statement): (&Name, &DeriveCardKeys, &Statement),
    derivation: &Derivation,
) -> Result<Said, Refusal> {
    let head = &derivation.job().head;
    let profile = profile_of(profiles, head).ok_or(Refusal::NotFound { what: Thing::Profile })?;
    let taken = usize::try_from(derivation.cards).unwrap_or(usize::MAX);
    let cards: Vec<_> = request.cards.iter().take(taken).copied().collect();
    let root = DerivedItem::root(profile, &cards).map_err(|reason| Refusal::ProfileForbids { reason })?;
    let slots = u32::try_from(profile.slots.len()).unwrap_or(u32::MAX);
    let leaf = CardKeysDerivedLeaf {
        schema: Schema,
        station: station.clone(),
        profile: head.profile.clone(),
        profile_version: head.profile_version,
        cards: derivation.cards,
        count: derivation.cards.saturating_mul(slots),
        root,
        statement: statement.clone(),
    };
    Ok((leaf, cards, masters(profile)))
}
