//! What a station was given: each session under an exchange of its own, each request for card keys once, keys that were in
//! use, and nothing that was stopped.
//!
//! Whether the job was open and the cards its own is [`super::jobs`]' affair.

use super::{Site, jobs::recorded};
use crate::finding::{PeopleProblem, Problem, StationProblem};
use keysvc_protocol::{
    bytes::{Exchange, Idem},
    card::CardUid,
    founding::{PrincipalKind, Profile},
    freeze::Touched,
    key::{KeyKind, KeyState},
    leaf::{CardKeysDerivedLeaf, CardsChangedLeaf, JobOpenedLeaf},
    list::{List, WrongCount},
    name::Name,
    request::{DeriveCardKeys, MoveCards, OpenJob, Operation, ResumeJob},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Most exchanges, and most derivations, that are kept for a later run: a derivation takes 30 bytes in the file, 16
/// million of them 480 MB.
const KEPT_MAX: usize = 1 << 24;
/// Most master keys with cards that are kept for a later run.
const KEYS_MAX: usize = 4096;

/// A derivation as a later run needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedDerivation {
    station: u16,
    idem: Idem,
}

/// The cards issued under a master key, as a later run needs them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedIssue {
    key: Name,
    version: u32,
    cards: List<CardUid, KEPT_MAX>,
}

/// What a later run needs of the stations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedStations {
    exchanges: List<Exchange, KEPT_MAX>,
    derivations: List<SavedDerivation, KEPT_MAX>,
    derivations_withheld: bool,
    issued: List<SavedIssue, KEYS_MAX>,
}

/// The exchanges so far, and the idempotency keys of derivations: 40 bytes for each, stations by their places.
#[derive(Debug, Default)]
pub(super) struct Stations {
    exchanges: HashSet<Exchange>,
    derivations: HashSet<(u16, Idem)>,
    // Whether a derivation is withheld: then a card may have been issued in it.
    derivations_withheld: bool,
    // Cards by the master key that they were issued under: 16 bytes each.
    issued: BTreeMap<(Name, u32), HashSet<CardUid>>,
}

impl Stations {
    /// What a later run needs, in one order.
    pub(super) fn save(&self) -> Result<SavedStations, WrongCount> {
        let mut exchanges: Vec<_> = self.exchanges.iter().copied().collect();
        exchanges.sort_unstable();
        let mut derivations: Vec<_> = self
            .derivations
            .iter()
            .map(|(station, idem)| SavedDerivation { station: *station, idem: *idem })
            .collect();
        derivations.sort_unstable_by_key(|saved| (saved.station, saved.idem));
        let issued = self.issued.iter().map(|((key, version), cards)| {
            let mut cards: Vec<_> = cards.iter().copied().collect();
            cards.sort_unstable();
            Ok(SavedIssue { key: key.clone(), version: *version, cards: cards.try_into()? })
        });
        Ok(SavedStations {
            issued: issued.collect::<Result<Vec<_>, WrongCount>>()?.try_into()?,
            derivations_withheld: self.derivations_withheld,
            exchanges: exchanges.try_into()?,
            derivations: derivations.try_into()?,
        })
    }

    /// The stations as an earlier run left them.
    pub(super) fn restore(saved: SavedStations) -> Self {
        let derivations = saved.derivations.into_vec().into_iter().map(|saved| (saved.station, saved.idem));
        let issued = saved.issued.into_vec().into_iter().map(|saved| {
            ((saved.key, saved.version), saved.cards.into_vec().into_iter().collect::<HashSet<_>>())
        });
        Self {
            issued: issued.collect(),
            derivations_withheld: saved.derivations_withheld,
            exchanges: saved.exchanges.into_vec().into_iter().collect(),
            derivations: derivations.collect(),
        }
    }

    pub(super) const fn derivation_not_seen(&mut self) {
        self.derivations_withheld = true;
    }

    /// A session that holds by the job's rules.
    pub(super) fn opened(&mut self, site: &Site<'_>, leaf: &JobOpenedLeaf) -> Result<(), Problem> {
        if !self.exchanges.insert(leaf.exchange) {
            return Err(StationProblem::OpenedTwice.into());
        }
        let job = match leaf.operation {
            Operation::JobResume => recorded(&leaf.statement).map(|ResumeJob { job, .. }| job),
            _ => recorded(&leaf.statement).map(|OpenJob { job, .. }| job),
        };
        let touched = Touched { station: Some(&leaf.station), job: job.as_ref(), ..Touched::default() };
        Ok(site.people.is_free(&touched)?)
    }

    /// A release of card keys that holds by the job's rules.
    pub(super) fn derived(&mut self, site: &Site<'_>, leaf: &CardKeysDerivedLeaf) -> Result<(), Problem> {
        let Some(request) = recorded::<DeriveCardKeys>(&leaf.statement) else { return Ok(()) };
        let station = site.people.principal(&leaf.station, PrincipalKind::Station);
        if !station.is_none_or(|station| self.derivations.insert((station.place, request.idem))) {
            return Err(StationProblem::StatementTwice.into());
        }
        self.check_keys(site, leaf, &request)
    }

    /// Whether nothing it touches was stopped, and each master key was in a state that derives for these cards.
    fn check_keys(
        &mut self,
        site: &Site<'_>,
        leaf: &CardKeysDerivedLeaf,
        request: &DeriveCardKeys,
    ) -> Result<(), Problem> {
        let Some(profile) = profile_of(site, leaf) else { return Ok(()) };
        let cards = usize::try_from(leaf.cards).unwrap_or(usize::MAX);
        let cards = request.cards.get(..cards).unwrap_or_default();
        let masters: BTreeSet<_> =
            profile.slots.iter().map(|slot| (&slot.key, u32::from(slot.key_version))).collect();
        let keys: Vec<Name> = masters.iter().map(|(key, _)| (*key).clone()).collect();
        let touched = Touched {
            cards,
            station: Some(&leaf.station),
            profile: Some(&profile.name),
            keys: &keys,
            job: Some(&request.job),
            ..Touched::default()
        };
        site.people.is_free(&touched)?;
        for (key, version) in masters {
            self.derives(site, (key, version), cards)?;
        }
        Ok(())
    }

    fn derives(
        &mut self,
        site: &Site<'_>,
        (key, version): (&Name, u32),
        cards: &[CardUid],
    ) -> Result<(), Problem> {
        if site.people.is_lost() {
            return Ok(());
        }
        let standing = site.people.key(key, version).filter(|standing| standing.kind == KeyKind::CardMaster);
        let standing = standing.ok_or_else(|| StationProblem::NoMaster { key: key.clone() })?;
        let issued = self.issued.entry((key.clone(), version)).or_default();
        match standing.state {
            KeyState::Active => issued.extend(cards),
            KeyState::Deactivated => {
                let before = cards.iter().all(|card| issued.contains(card));
                if !before && !self.derivations_withheld {
                    return Err(PeopleProblem::NotIssued { key: key.clone(), version }.into());
                }
            }
            state => return Err(PeopleProblem::KeyState { key: key.clone(), version, state }.into()),
        }
        Ok(())
    }
}

/// Whether a leaf counts as many keys as its cards have slots: before anything else, because it says so of itself.
pub(super) fn is_counted(site: &Site<'_>, leaf: &CardKeysDerivedLeaf) -> Result<(), StationProblem> {
    let Some(profile) = profile_of(site, leaf) else {
        // Where profiles are withheld, nothing is known of this one.
        return if site.people.is_lost() {
            Ok(())
        } else {
            Err(StationProblem::NoProfile { profile: leaf.profile.clone(), version: leaf.profile_version })
        };
    };
    let asked = u64::from(leaf.cards).saturating_mul(u64::try_from(profile.slots.len()).unwrap_or(u64::MAX));
    if u64::from(leaf.count) == asked {
        Ok(())
    } else {
        Err(StationProblem::Count { count: leaf.count, asked })
    }
}

fn profile_of<'a>(site: &Site<'a>, leaf: &CardKeysDerivedLeaf) -> Option<&'a Profile> {
    site.people.profiles().get(&leaf.profile, leaf.profile_version).map(|in_use| &in_use.profile)
}

/// Cards that were moved by a terminal or office, which nobody had stopped. What a station says of its cards is never
/// stopped: what happened must be told.
pub(super) fn moved(site: &Site<'_>, leaf: &CardsChangedLeaf) -> Result<(), Problem> {
    if leaf.operation != Operation::CardTransition {
        return Ok(());
    }
    let Some(MoveCards { cards, .. }) = recorded(&leaf.statement) else { return Ok(()) };
    let member = site.people.control().roster().member(&leaf.principal);
    let terminal = member.is_some_and(|member| member.enrolment.kind == PrincipalKind::Terminal);
    let touched = Touched {
        cards: &cards,
        terminal: terminal.then_some(&leaf.principal),
        store: member.map(|member| &member.enrolment.group),
        ..Touched::default()
    };
    Ok(site.people.is_free(&touched)?)
}
