//! Value updates: what the terminal asked for, within the profile's limits, each the next of its purse.
//!
//! Remembers the last update of each purse, 60 bytes or so, and nothing else of a value leaf.

use super::{
    Site,
    statement::{self, Caller},
};
use crate::finding::{PeopleProblem, Problem, ValueProblem};
use keysvc_protocol::{
    bytes::PreviousUpdate,
    card::CardUid,
    founding::{CardSession, Function, PrincipalKind, Programme, ValueRules},
    freeze::Touched,
    leaf::{LeafEntry, LeafKind, ValueUpdatedLeaf},
    list::{List, WrongCount},
    request::{Operation, UpdateValue, ValueOperation},
    value::{FLAG_NO_CARD_SESSION, ValueUpdate},
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Most purses that are kept for a later run: one takes 50 bytes in the file, 16 million of them 800 MB.
const KEPT_MAX: usize = 1 << 24;

/// A purse as a later run needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedPurse {
    programme: u16,
    card: CardUid,
    purse: u8,
    seq: u64,
    balance: u64,
    link: PreviousUpdate,
    withheld: u64,
}

/// What a later run needs of the purses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedPurses {
    purses: List<SavedPurse, KEPT_MAX>,
    withheld: u64,
    unlinked: u64,
}

/// A purse of a card in a programme; the programme by its place in the founding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct PurseId {
    programme: u16,
    card: CardUid,
    purse: u8,
}

/// What the last update of a purse left behind.
#[derive(Debug, Clone, Copy)]
struct Purse {
    seq: u64,
    balance: u64,
    link: PreviousUpdate,
    // Updates withheld in the whole log until then.
    withheld: u64,
}

/// The purses so far.
#[derive(Debug, Default)]
pub(super) struct Purses {
    last: HashMap<PurseId, Purse>,
    withheld: u64,
    unlinked: u64,
}

impl Purses {
    /// What a later run needs, in one order.
    pub(super) fn save(&self) -> Result<SavedPurses, WrongCount> {
        let mut last: Vec<_> = self.last.iter().collect();
        last.sort_unstable_by_key(|(id, _)| **id);
        let purses = last.into_iter().map(|(id, purse)| SavedPurse {
            programme: id.programme,
            card: id.card,
            purse: id.purse,
            seq: purse.seq,
            balance: purse.balance,
            link: purse.link,
            withheld: purse.withheld,
        });
        let purses = purses.collect::<Vec<_>>().try_into()?;
        Ok(SavedPurses { purses, withheld: self.withheld, unlinked: self.unlinked })
    }

    /// The purses as an earlier run left them.
    pub(super) fn restore(saved: SavedPurses) -> Self {
        let last = saved.purses.into_vec().into_iter().map(|saved| {
            let id = PurseId { programme: saved.programme, card: saved.card, purse: saved.purse };
            let SavedPurse { seq, balance, link, withheld, .. } = saved;
            (id, Purse { seq, balance, link, withheld })
        });
        Self { last: last.collect(), withheld: saved.withheld, unlinked: saved.unlinked }
    }

    /// Number of purses.
    pub(super) fn len(&self) -> usize {
        self.last.len()
    }

    /// Steps that could not be checked because withheld updates may lie between.
    pub(super) const fn unlinked(&self) -> u64 {
        self.unlinked
    }

    pub(super) const fn update_not_seen(&mut self) {
        self.withheld = self.withheld.saturating_add(1);
    }

    pub(super) fn updated(
        &mut self,
        site: &Site<'_>,
        entry: &LeafEntry,
        leaf: &ValueUpdatedLeaf,
    ) -> Result<(), Problem> {
        let update = match ValueUpdate::from_payload(leaf.update.as_bytes()) {
            Ok(update) => update,
            Err(error) => {
                self.update_not_seen();
                return Err(ValueProblem::Update(error).into());
            }
        };
        let (place, _) = site
            .founded
            .programme(&update.programme)
            .ok_or_else(|| ValueProblem::NoProgramme(update.programme.clone()))?;
        // Before anything else can fail: one bad update must not make the purse's next ones look bad.
        let link = ValueUpdate::link(leaf.update.as_bytes());
        // A founding file of 64 KiB holds fewer programmes than there are places.
        let programme = u16::try_from(place).unwrap_or(u16::MAX);
        let purse = PurseId { programme, card: update.card, purse: update.purse };
        let standing = self.follow(purse, &update, link);
        check_alone(site, entry, leaf, &update)?;
        Ok(standing?)
    }

    /// Follows a purse by one update: sequence, balance and link.
    fn follow(
        &mut self,
        purse: PurseId,
        update: &ValueUpdate,
        link: PreviousUpdate,
    ) -> Result<(), ValueProblem> {
        let now = Purse { seq: update.seq, balance: update.balance_after, link, withheld: self.withheld };
        let before = self.last.insert(purse, now);
        let expected = before.map_or(1, |before| before.seq.saturating_add(1));
        if update.seq != expected {
            let hidden = self.withheld.saturating_sub(before.map_or(0, |before| before.withheld));
            if update.seq.checked_sub(expected).is_some_and(|gap| gap <= hidden) {
                self.unlinked = self.unlinked.saturating_add(1);
                return Ok(());
            }
            return Err(ValueProblem::Sequence { expected, found: update.seq });
        }
        // The first update's balance and link are held to zero by the update itself.
        let Some(before) = before else { return Ok(()) };
        if update.balance_before != before.balance {
            return Err(ValueProblem::Balance { expected: before.balance, found: update.balance_before });
        }
        if update.previous == before.link { Ok(()) } else { Err(ValueProblem::Link) }
    }
}

/// Checks an update by itself, without those of its purse before it.
///
/// # Errors
/// [`Problem`] naming the first check that failed.
pub(crate) fn check_update(
    site: &Site<'_>,
    entry: &LeafEntry,
    leaf: &ValueUpdatedLeaf,
) -> Result<(), Problem> {
    let update = ValueUpdate::from_payload(leaf.update.as_bytes()).map_err(ValueProblem::Update)?;
    check_alone(site, entry, leaf, &update)
}

fn check_alone(
    site: &Site<'_>,
    entry: &LeafEntry,
    leaf: &ValueUpdatedLeaf,
    update: &ValueUpdate,
) -> Result<(), Problem> {
    let (_, programme) = site
        .founded
        .programme(&update.programme)
        .ok_or_else(|| ValueProblem::NoProgramme(update.programme.clone()))?;
    check_statement(site, programme, update, leaf)?;
    check_rules(site, programme, update)?;
    check_times(entry, update)?;
    // That the evidence of an act is its own is checked with the act.
    if entry.kind == LeafKind::ValueUpdated && update.evidence.is_some() {
        return Err(PeopleProblem::EvidenceNotShown.into());
    }
    let touched = Touched {
        cards: &[update.card],
        programme: Some(&programme.name),
        terminal: Some(&update.terminal),
        store: Some(&programme.organisation),
        profile: Some(&programme.profile),
        keys: std::slice::from_ref(&programme.value_key),
        station: None,
        job: None,
    };
    site.people.is_free(&touched)?;
    Ok(site.people.may_sign(&programme.value_key)?)
}

fn check_statement(
    site: &Site<'_>,
    programme: &Programme,
    update: &ValueUpdate,
    leaf: &ValueUpdatedLeaf,
) -> Result<(), Problem> {
    let caller =
        Caller { name: &update.terminal, kind: PrincipalKind::Terminal, operation: Operation::ValueUpdate };
    let (asked, terminal): (UpdateValue, _) = statement::open(site, caller, &leaf.statement)?;
    if let Some(difference) = difference(&asked, update) {
        return Err(ValueProblem::NotAsAsked(difference).into());
    }
    if terminal.organisation != programme.organisation {
        return Err(ValueProblem::OtherOrganisation {
            terminal: update.terminal.clone(),
            of: terminal.organisation.clone(),
            programme_of: programme.organisation.clone(),
        }
        .into());
    }
    Ok(())
}

/// The first field in which an update is not what was asked for.
fn difference(asked: &UpdateValue, update: &ValueUpdate) -> Option<&'static str> {
    let fields = [
        ("programme", asked.programme == update.programme),
        ("card", asked.card == update.card),
        ("purse", asked.purse == update.purse),
        ("operation", asked.operation == update.operation),
        ("sequence number", asked.expected_seq == update.seq),
        ("amount", asked.amount == update.amount),
        ("currency", asked.currency == update.currency),
        ("balance before", asked.balance_before == update.balance_before),
        ("transaction number", asked.txn == update.txn),
    ];
    fields.into_iter().find(|(_, same)| !same).map(|(name, _)| name)
}

/// Checks an update by the rules in force at its leaf: those of the profile's newest version.
fn check_rules(site: &Site<'_>, programme: &Programme, update: &ValueUpdate) -> Result<(), ValueProblem> {
    if update.currency != programme.currency {
        return Err(ValueProblem::Currency { expected: programme.currency, found: update.currency });
    }
    let profile = site.people.profiles().of_programme(programme);
    if profile.is_some_and(|profile| !profile.enables(Function::StoredValue)) {
        return Err(ValueProblem::NoFunction);
    }
    let rules = profile.and_then(|profile| profile.value.as_ref());
    let rules =
        rules.filter(|rules| rules.has_purse(update.purse)).ok_or(ValueProblem::NoPurse(update.purse))?;
    check_limits(rules, update)?;
    let said = update.flags & FLAG_NO_CARD_SESSION != 0;
    if rules.card_session == CardSession::PassiveTag && !said {
        return Err(ValueProblem::NoSessionFlag);
    }
    Ok(())
}

fn check_limits(rules: &ValueRules, update: &ValueUpdate) -> Result<(), ValueProblem> {
    let within = |what, found, limit| {
        if found <= limit { Ok(()) } else { Err(ValueProblem::PastLimit { what, found, limit }) }
    };
    match update.operation {
        ValueOperation::Load => {
            // Nothing can be taken from a purse before it was loaded, so every load but the first update is a second one.
            if update.seq > 1 && !rules.reloadable {
                return Err(ValueProblem::NotReloadable);
            }
            within("the load", update.amount, rules.load_max)?;
            within("the balance after", update.balance_after, rules.ceiling)
        }
        ValueOperation::Debit => within("the debit", update.amount, rules.debit_max),
    }
}

fn check_times(entry: &LeafEntry, update: &ValueUpdate) -> Result<(), ValueProblem> {
    if update.issued_at_ms != entry.time_ms {
        return Err(ValueProblem::OtherTime);
    }
    if update.expires_at_ms < update.issued_at_ms { Err(ValueProblem::BornExpired) } else { Ok(()) }
}
