//! The state of what takes people, made again from the log when the keeper starts.
//!
//! Nothing is taken from a row that the tree does not vouch for. Leaves up to the last heartbeat come from the lists in
//! the store, and that heartbeat holds them to what stood then, open proposals and their votes included; those after it
//! are looked through one by one, so that none is left out. What was restored is the last commit's state. What it costs
//! does not grow with the log: heartbeats are at most 65,536 leaves apart.

use super::{
    effects::{self, Effect},
    fault::LedgerFault,
    seal::Seals,
    sqlite::{Rows, read_fault},
};
use crate::config::parse_toml;
use keysvc_protocol::{
    bytes::{Digest, ProposalId},
    cbor,
    control::{At, Control},
    founding::Founding,
    leaf::{FoundingLeaf, LeafEntry, LeafKind},
    merkle::{Frontier, Inclusion, TreeHead, inclusion_proof, leaf_hash, verify_inclusion},
    receipt::LEAF_PAYLOAD_LEN_MAX,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The state that a founding makes; nothing when its file does not read or does not agree with itself.
pub(super) fn founded(leaf: &FoundingLeaf, genesis: Digest) -> Option<Control> {
    let text = std::str::from_utf8(leaf.founding.as_bytes()).ok()?;
    let founding: Founding = parse_toml(Path::new("leaf 0"), text).ok()?;
    founding.check().ok()?;
    Control::found(founding, leaf, genesis).ok()
}

/// The state as the log of this head leaves it.
///
/// # Errors
/// [`LedgerFault::Broken`] for a leaf that the tree does not vouch for or that cannot follow the ones before it;
/// [`LedgerFault::BrokenTable`] when list or proposals are not what the leaves say.
pub(super) fn restored(rows: Rows<'_>, seals: &Seals, head: TreeHead) -> Result<Control, LedgerFault> {
    let log = Log { rows, seals, head };
    let (_, payload) = log.leaf(0)?;
    let founding: FoundingLeaf = cbor::decode(&payload, LEAF_PAYLOAD_LEN_MAX).map_err(|_| broken(0))?;
    let genesis = leaf_hash(&log.entry(0)?.0);
    let control = founded(&founding, genesis).ok_or(broken(0))?;
    let listed: BTreeSet<_> = rows.listed_control(false)?.into_iter().collect();
    let open = Opened::of(rows)?;
    let from = log.after_the_last_heartbeat(&listed)?;
    let mut replay = Replay { control, listed: BTreeSet::new(), votes: BTreeMap::new() };
    let mut wanted: BTreeSet<_> = listed.range(..from).copied().collect();
    wanted.extend(open_before(rows, from)?);
    for leaf in wanted {
        let (entry, payload) = log.leaf(leaf)?;
        if entry.kind == LeafKind::Heartbeat && leaf.saturating_add(1) != from {
            // What was open then and has ended since is in no list; the last heartbeat stands for all before it.
            let beat = cbor::decode(&payload, LEAF_PAYLOAD_LEN_MAX).map_err(|_| broken(leaf))?;
            replay.control.witness(&beat);
            continue;
        }
        replay.take(&entry, &payload)?;
    }
    replay.listed.extend(listed.range(..from).copied());
    log.look_through(from, &mut replay)?;
    if replay.listed != listed {
        let other = replay.listed.symmetric_difference(&listed).next();
        return Err(other.map_or(LedgerFault::BrokenTable { table: "control" }, |leaf| broken(*leaf)));
    }
    open.must_be_those_of(&replay, rows)?;
    keys_must_be_those_of(&replay.control, rows)?;
    Ok(replay.control)
}

/// Holds the records of keys to what the leaves say of them; their public halves and check values are held to the token.
fn keys_must_be_those_of(control: &Control, rows: Rows<'_>) -> Result<(), LedgerFault> {
    let records = rows.keys()?;
    let records = records.iter().map(|key| ((&key.name, key.version), (key.kind, key.state, key.id)));
    let standings = control.keys().iter();
    let standings = standings.map(|(name, version, key)| ((name, version), (key.kind, key.state, key.id)));
    if records.collect::<BTreeMap<_, _>>() == standings.collect::<BTreeMap<_, _>>() {
        Ok(())
    } else {
        Err(LedgerFault::BrokenTable { table: "key_record" })
    }
}

const fn broken(leaf: u64) -> LedgerFault {
    LedgerFault::Broken { leaf }
}

/// The newest heartbeat among listed leaves, which are given newest first.
pub(super) fn last_heartbeat(
    rows: Rows<'_>,
    listed: impl Iterator<Item = u64>,
) -> Result<Option<u64>, LedgerFault> {
    for leaf in listed {
        let entry = rows.leaf(leaf)?.ok_or(broken(leaf))?.entry;
        let entry = LeafEntry::decode(&entry).map_err(|_| broken(leaf))?;
        if entry.index != leaf {
            return Err(broken(leaf));
        }
        if entry.kind == LeafKind::Heartbeat {
            return Ok(Some(leaf));
        }
    }
    Ok(None)
}

/// The leaves before `from` of the proposals that were open when it was written: made, and voted on.
fn open_before(rows: Rows<'_>, from: u64) -> Result<BTreeSet<u64>, LedgerFault> {
    let mut leaves = BTreeSet::new();
    for (id, made) in rows.open_before(from)? {
        leaves.insert(made);
        leaves.extend(rows.votes(&id)?.into_iter().map(|(leaf, _)| leaf).filter(|leaf| *leaf < from));
    }
    Ok(leaves)
}

/// The durable log.
struct Log<'a> {
    rows: Rows<'a>,
    seals: &'a Seals,
    head: TreeHead,
}

/// The replay so far.
struct Replay {
    control: Control,
    listed: BTreeSet<u64>,
    votes: BTreeMap<ProposalId, Vec<(u64, String)>>,
}

impl Replay {
    fn take(&mut self, entry: &LeafEntry, payload: &[u8]) -> Result<(), LedgerFault> {
        let at = At { index: entry.index, time_ms: entry.time_ms };
        if !Control::concerns(entry.kind) {
            return Err(broken(entry.index));
        }
        let effects = effects::take(&mut self.control, at, entry.kind, payload);
        let refused = |_| match entry.kind {
            LeafKind::Heartbeat => LedgerFault::OtherControl { heartbeat: entry.index },
            _ => broken(entry.index),
        };
        for effect in effects.map_err(refused)? {
            match effect {
                Effect::Listed { leaf, .. } => {
                    self.listed.insert(leaf);
                }
                Effect::Voted { id, leaf, officer } => {
                    self.votes.entry(id).or_default().push((leaf, officer.to_string()));
                }
                Effect::Made { .. } | Effect::Stands { .. } | Effect::Key { .. } => {}
            }
        }
        Ok(())
    }
}

impl Log<'_> {
    /// The first leaf that is looked at one by one.
    fn after_the_last_heartbeat(&self, listed: &BTreeSet<u64>) -> Result<u64, LedgerFault> {
        for leaf in listed.iter().rev() {
            if self.entry(*leaf)?.1.kind == LeafKind::Heartbeat {
                return Ok(leaf.saturating_add(1));
            }
        }
        Ok(1)
    }

    /// Takes every leaf from `from` on that concerns the state; what was looked at must hash to the head.
    fn look_through(&self, from: u64, replay: &mut Replay) -> Result<(), LedgerFault> {
        let mut frontier = Frontier::from_nodes(from, &self.rows)?;
        let sql = "SELECT entry FROM leaf WHERE idx >= ?1 AND idx < ?2 ORDER BY idx";
        let mut statement = self.rows.0.prepare(sql).map_err(read_fault)?;
        let range = [from, self.head.size].map(u64::cast_signed);
        let mut rows = statement.query(range).map_err(read_fault)?;
        while let Some(row) = rows.next().map_err(read_fault)? {
            let bytes: Vec<u8> = row.get(0).map_err(read_fault)?;
            let index = frontier.size();
            let entry = LeafEntry::decode(&bytes).map_err(|_| broken(index))?;
            frontier.append(leaf_hash(&bytes));
            if entry.index != index {
                return Err(broken(index));
            }
            if Control::concerns(entry.kind) {
                let payload = self.payload(&entry)?;
                replay.take(&entry, &payload)?;
            }
        }
        if frontier.head() == self.head { Ok(()) } else { Err(broken(from)) }
    }

    fn entry(&self, index: u64) -> Result<(Vec<u8>, LeafEntry), LedgerFault> {
        let bytes = self.rows.leaf(index)?.ok_or(broken(index))?.entry;
        let entry = LeafEntry::decode(&bytes).map_err(|_| broken(index))?;
        if entry.index == index { Ok((bytes, entry)) } else { Err(broken(index)) }
    }

    /// The payload in clear, as the entry's digest has it.
    fn payload(&self, entry: &LeafEntry) -> Result<Vec<u8>, LedgerFault> {
        let leaf = self.rows.recording(entry.index, self.seals)?;
        entry.check_payload(&leaf.salt, &leaf.payload).map_err(|_| broken(entry.index))?;
        Ok(leaf.payload)
    }

    /// A leaf that the tree vouches for.
    fn leaf(&self, index: u64) -> Result<(LeafEntry, Vec<u8>), LedgerFault> {
        let (bytes, entry) = self.entry(index)?;
        let claim = Inclusion { index, size: self.head.size, leaf_hash: leaf_hash(&bytes) };
        let proof = inclusion_proof(&self.rows, index, self.head.size)?;
        verify_inclusion(&claim, &proof, &self.head.root).map_err(|_| broken(index))?;
        let payload = self.payload(&entry)?;
        Ok((entry, payload))
    }
}

/// The proposals that the store calls open, with the leaves in which they were made.
struct Opened(BTreeMap<ProposalId, u64>);

impl Opened {
    fn of(rows: Rows<'_>) -> Result<Self, LedgerFault> {
        let all = rows.proposals(None, false, usize::MAX)?.into_iter();
        let open = all.filter(|row| row.state == keysvc_protocol::proposal::ProposalState::Open);
        Ok(Self(open.map(|row| (row.id, row.made)).collect()))
    }

    /// Compares with those the leaves say, and with the votes on them.
    fn must_be_those_of(&self, replay: &Replay, rows: Rows<'_>) -> Result<(), LedgerFault> {
        let open = replay.control.proposals().open();
        let said: BTreeMap<_, _> = open.map(|open| (open.proposal.id, open.leaf)).collect();
        if said != self.0 {
            return Err(LedgerFault::BrokenTable { table: "proposal" });
        }
        for id in said.keys() {
            if rows.votes(id)? != replay.votes.get(id).cloned().unwrap_or_default() {
                return Err(LedgerFault::BrokenTable { table: "vote" });
            }
        }
        Ok(())
    }
}
