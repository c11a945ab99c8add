//! One leaf: its row against the tree and its own entry, and what its payload does to the projections.

use super::{
    super::{fault::LedgerFault, restore},
    Walk,
    findings::Part,
};
use keysvc_protocol::{
    bytes::{Digest, Salt},
    cbor,
    leaf::{
        BundleMadeLeaf, EntriesReadLeaf, EvidenceReadLeaf, FoundingLeaf, HeartbeatLeaf, JobPurgedLeaf,
        JobRecordMadeLeaf, KeyDestroyedLeaf, KeyIntentLeaf, KeyOutcomeLeaf, LeafEntry, LeafKind,
        ProposalVotedLeaf, RefusalsCountedLeaf, RefusedLeaf, RetentionClass, RollbackLeaf, StartLeaf,
        TookEffectLeaf,
    },
    merkle::leaf_hash,
    receipt::LEAF_PAYLOAD_LEN_MAX,
};
use serde::{Serialize, de::DeserializeOwned};

/// A leaf as it lies in its row.
pub(super) struct LeafRow {
    pub(super) index: u64,
    entry: Vec<u8>,
    hashes: Vec<u8>,
    salt: Vec<u8>,
    sealed: Option<i64>,
    payload: Vec<u8>,
}

impl LeafRow {
    pub(super) fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            index: row.get::<_, i64>(0)?.cast_unsigned(),
            entry: row.get(1)?,
            hashes: row.get(2)?,
            salt: row.get(3)?,
            sealed: row.get(4)?,
            payload: row.get(5)?,
        })
    }

    /// The number of the data key its payload is sealed under; one that cannot be is the highest.
    fn sealed_under(&self) -> Option<u32> {
        self.sealed.map(|id| u32::try_from(id).unwrap_or(u32::MAX))
    }
}

impl Walk<'_, '_> {
    /// Takes the next leaf; false when it is not the next, and nothing after it means anything.
    pub(super) fn leaf(&mut self, row: LeafRow) -> Result<bool, LedgerFault> {
        let index = self.frontier.size();
        if row.index != index {
            let found = format!("no row; the next is leaf {}, and nothing after is compared", row.index);
            self.findings.differ(Part::Leaf, &index.to_string(), "a leaf", &found);
            return Ok(false);
        }
        self.findings.compared(Part::Leaf, 1);
        self.node(&row);
        let Some(entry) = self.entry(&row) else { return Ok(true) };
        if let Some(id) = row.sealed_under()
            && self.means.seals.class_of(id).is_none()
            && self.rows.is_erased(entry.kind, id)?
        {
            // Entry and nodes are compared above; what its payload did is nobody's to say any more.
            let count = self.erased.entry(id).or_default();
            *count = count.saturating_add(1);
            self.requests.erased(index, &mut self.findings)?;
            return Ok(true);
        }
        let Some(payload) = self.payload(&entry, row) else { return Ok(true) };
        if self.project(&entry, &payload)?.is_none() {
            self.wrong(index, &format!("a payload of the kind {}", name(entry.kind)), "another payload");
        }
        Ok(true)
    }

    pub(super) fn wrong(&mut self, leaf: u64, log: &str, store: &str) {
        self.findings.differ(Part::Leaf, &leaf.to_string(), log, store);
    }

    /// The nodes that this leaf completes.
    fn node(&mut self, row: &LeafRow) {
        let completed = self.frontier.append(leaf_hash(&row.entry));
        let nodes = u64::try_from(completed.hashes().len()).unwrap_or(u64::MAX);
        self.findings.compared(Part::Node, nodes);
        if row.hashes != completed.to_bytes() {
            let stored: Vec<_> = row.hashes.chunks(Digest::LEN).collect();
            for (level, node) in completed.hashes().iter().enumerate() {
                let found = stored.get(level).copied().unwrap_or_default();
                if found != node.as_bytes() {
                    let key = format!("level {level} over leaf {}", row.index);
                    self.findings.differ(Part::Node, &key, &node.to_string(), &hex(found));
                }
            }
            if stored.len() > completed.hashes().len() {
                let key = format!("leaf {}", row.index);
                self.findings.differ(
                    Part::Node,
                    &key,
                    &format!("{nodes} nodes"),
                    &format!("{}", stored.len()),
                );
            }
        }
        let size = self.frontier.size();
        if size == 1 {
            self.genesis = Some(self.frontier.root());
        }
        if self.means.root_at == Some(size) {
            self.root = Some(self.frontier.root());
        }
    }

    /// The entry: index, time, and whether its class is one that is sealed.
    fn entry(&mut self, row: &LeafRow) -> Option<LeafEntry> {
        let Ok(entry) = LeafEntry::decode(&row.entry) else {
            self.wrong(row.index, "an entry", "bytes that are none");
            return None;
        };
        let count = self.kinds.entry(name(entry.kind)).or_default();
        *count = count.saturating_add(1);
        if entry.index != row.index {
            self.wrong(row.index, &format!("index {}", row.index), &format!("index {}", entry.index));
        }
        if entry.time_ms < self.time_ms {
            let (before, found) = (format!("{} ms or later", self.time_ms), format!("{} ms", entry.time_ms));
            self.wrong(row.index, &before, &found);
        }
        self.time_ms = self.time_ms.max(entry.time_ms);
        if (entry.kind == LeafKind::Founding) != (row.index == 0) {
            self.wrong(row.index, "a founding at leaf 0 and nowhere else", name(entry.kind));
        }
        let class = entry.kind.class();
        let sealed = class != RetentionClass::Permanent;
        if sealed != row.sealed.is_some() {
            let words = |sealed| if sealed { "a sealed payload" } else { "a payload in clear" };
            self.wrong(row.index, words(sealed), words(!sealed));
        }
        // Under another class's key it would be erased with that, or outlive its own.
        let under = row.sealed_under().and_then(|id| self.means.seals.class_of(id));
        if let Some(under) = under.filter(|under| sealed && *under != class) {
            let words =
                |class| format!("a payload sealed under a data key of the class {}", class_name(class));
            self.wrong(row.index, &words(class), &words(under));
        }
        Some(entry)
    }

    /// The payload in clear, if it is the one whose digest is in the tree.
    fn payload(&mut self, entry: &LeafEntry, row: LeafRow) -> Option<Vec<u8>> {
        let index = row.index;
        let payload = match row.sealed_under() {
            None => row.payload,
            Some(id) => {
                let count = self.sealed.entry(id).or_default();
                *count = count.saturating_add(1);
                match self.means.seals.open(index, id, &row.payload) {
                    Ok(payload) => payload,
                    Err(fault) => {
                        let found = format!("a payload that does not open: {fault}");
                        self.wrong(index, &format!("payload {}", entry.payload_digest), &found);
                        return None;
                    }
                }
            }
        };
        let salt = <[u8; Salt::LEN]>::try_from(row.salt.as_slice()).ok().map(Salt::new);
        let digest = salt.map(|salt| LeafEntry::digest_of(&salt, &payload));
        if digest == Some(entry.payload_digest) {
            return Some(payload);
        }
        let found = digest.map_or_else(|| "a salt of another length".to_owned(), |d| format!("payload {d}"));
        self.wrong(index, &format!("payload {}", entry.payload_digest), &found);
        None
    }

    /// What the payload does to the projections; nothing when it is not of its kind.
    fn project(&mut self, entry: &LeafEntry, payload: &[u8]) -> Result<Option<()>, LedgerFault> {
        let index = entry.index;
        // Before the state moves on: a request is signed by the key that was enrolled when it was made.
        let of_its_kind = match entry.kind {
            LeafKind::Founding => decode::<FoundingLeaf>(payload).map(|leaf| self.founded(&leaf, index)),
            LeafKind::KeyIntent => decode::<KeyIntentLeaf>(payload).map(|_| {
                self.records.open_intent(index, payload);
            }),
            LeafKind::KeyOutcome => decode::<KeyOutcomeLeaf>(payload).map(|leaf| {
                if !self.records.close_intent(leaf.intent) {
                    let found = format!("an outcome of leaf {}", leaf.intent);
                    self.wrong(index, "an outcome of an open intent", &found);
                }
                self.records.put_key(&leaf.key, index);
            }),
            LeafKind::RollbackShown => decode::<RollbackLeaf>(payload).map(|_| self.records.halt(index)),
            LeafKind::JobOpened
            | LeafKind::CardKeysDerived
            | LeafKind::JobChanged
            | LeafKind::JobItemsAdded
            | LeafKind::IncidentReported
            | LeafKind::CardsChanged
            | LeafKind::ValueUpdated
            | LeafKind::SiteChanged
            | LeafKind::FreezeChanged => self.act(entry, entry.kind, payload, false)?,
            LeafKind::JobPurged => {
                let leaf = decode::<JobPurgedLeaf>(payload);
                if leaf.is_some() {
                    self.book(entry, entry.kind, payload, false)?;
                }
                leaf.map(drop)
            }
            LeafKind::JobRecordMade => decode::<JobRecordMadeLeaf>(payload).map(drop),
            LeafKind::ActByQuorum | LeafKind::SealedActByQuorum => self.act_by_quorum(entry, payload)?,
            LeafKind::ProposalMade => self.proposal_made(entry, payload)?,
            LeafKind::ProposalClosed => self.proposal_closed(entry, payload)?,
            LeafKind::ProposalVoted => decode::<ProposalVotedLeaf>(payload).map(drop),
            LeafKind::Start => decode::<StartLeaf>(payload).map(drop),
            LeafKind::EntriesRead => decode::<EntriesReadLeaf>(payload).map(drop),
            LeafKind::EvidenceRead => decode::<EvidenceReadLeaf>(payload).map(drop),
            LeafKind::Refused => decode::<RefusedLeaf>(payload).map(drop),
            LeafKind::RefusalsCounted => decode::<RefusalsCountedLeaf>(payload).map(drop),
            LeafKind::BundleMade => {
                decode::<BundleMadeLeaf>(payload).map(|_| self.records.make_bundle(index))
            }
            LeafKind::Heartbeat => decode::<HeartbeatLeaf>(payload).map(drop),
            LeafKind::TookEffect => decode::<TookEffectLeaf>(payload).map(drop),
            LeafKind::KeyDestroyed => decode::<KeyDestroyedLeaf>(payload).map(drop),
        };
        if of_its_kind.is_some() {
            self.people(entry, payload)?;
        }
        Ok(of_its_kind)
    }

    fn founded(&mut self, leaf: &FoundingLeaf, index: u64) {
        for key in leaf.keys.iter() {
            self.records.put_key(key, index);
        }
        self.control = restore::founded(leaf, self.means.genesis);
        if self.control.is_none() {
            self.wrong(
                index,
                "a founding that agrees with itself",
                "another; what takes people is not followed",
            );
        }
    }
}

pub(super) fn decode<T: Serialize + DeserializeOwned>(payload: &[u8]) -> Option<T> {
    cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX).ok()
}

/// The class as documents name it.
const fn class_name(class: RetentionClass) -> &'static str {
    match class {
        RetentionClass::Permanent => "permanent",
        RetentionClass::Operational => "operational",
        RetentionClass::Incident => "incident",
        RetentionClass::Job => "job",
    }
}

/// The kind as documents name it.
const fn name(kind: LeafKind) -> &'static str {
    match kind {
        LeafKind::Founding => "founding",
        LeafKind::Start => "start",
        LeafKind::KeyIntent => "key intent",
        LeafKind::KeyOutcome => "key outcome",
        LeafKind::JobOpened => "job opened",
        LeafKind::CardKeysDerived => "card keys derived",
        LeafKind::ValueUpdated => "value updated",
        LeafKind::EntriesRead => "entries read",
        LeafKind::Refused => "refused",
        LeafKind::RefusalsCounted => "refusals counted",
        LeafKind::RollbackShown => "rollback shown",
        LeafKind::BundleMade => "bundle made",
        LeafKind::ProposalMade => "proposal made",
        LeafKind::ProposalVoted => "proposal voted",
        LeafKind::ProposalClosed => "proposal closed",
        LeafKind::SiteChanged => "site changed",
        LeafKind::FreezeChanged => "freeze changed",
        LeafKind::ActByQuorum => "act by quorum",
        LeafKind::SealedActByQuorum => "sealed act by quorum",
        LeafKind::Heartbeat => "heartbeat",
        LeafKind::TookEffect => "took effect",
        LeafKind::KeyDestroyed => "key destroyed",
        LeafKind::EvidenceRead => "evidence read",
        LeafKind::JobChanged => "job changed",
        LeafKind::JobItemsAdded => "job items added",
        LeafKind::IncidentReported => "incident reported",
        LeafKind::CardsChanged => "cards changed",
        LeafKind::JobPurged => "job purged",
        LeafKind::JobRecordMade => "job record made",
    }
}

/// Bytes for people; "nothing" where there are none.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    if bytes.is_empty() {
        return "nothing".to_owned();
    }
    bytes.iter().fold(String::new(), |mut all, byte| {
        // Writing to a string cannot fail.
        let _ = write!(all, "{byte:02x}");
        all
    })
}
