//! What the recorded requests of an exported log would have met under other policies.
//!
//! The log is followed from its founding, so that each request is put to the policies with the site as it stood: who was
//! enrolled, which keys and profiles there were, who approved, who had done what on a job. Memory does not grow with the log
//! but by its jobs: beyond that state there are the differences, of which so many are listed.

mod facts;
mod follow;
mod jobs;
mod judge;
mod log;
mod read;

use super::{
    candidate,
    findings::{REASON, lines},
    told::told,
};
use crate::{fault::Fault, progress};
use follow::Followed;
use jobs::Jobs;
use judge::Again;
use keysvc_client::protocol::{
    bytes::{Digest, ProposalId},
    hash::sha256,
    proposal::OPEN_MAX,
    request::PolicyReplay,
    trust::Trust,
};
use keysvc_policies::PolicySet;
use log::{ExportedLog, Leaf};
use read::Found;
use serde::Serialize;
use std::{collections::BTreeSet, fmt::Write as _, path::Path};

/// Most differences that are listed: 10,000 lines of 400 bytes are 4 MB. The rest is counted.
const LISTED_MAX: usize = 10_000;
/// Most proposals that are remembered before those that ended are forgotten: twice as many as may be open.
const COUNTED_MAX: usize = 2 * OPEN_MAX;
/// What stands for the part of a line that was cut.
const CUT: &str = "...";
/// Leaves that are replayed before anybody wonders: a second's work.
const LEAVES_PER_GLANCE: usize = 10_000;

/// Which leaves of the log are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Window {
    /// The last so many.
    Last(u64),
    /// From one leaf to before another.
    Between(u64, u64),
}

/// A request that would be decided otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    /// Its leaf.
    pub(crate) leaf: u64,
    /// The request in words.
    pub(crate) request: String,
    /// What was decided.
    pub(crate) before: String,
    /// What would be.
    pub(crate) after: String,
}

/// A log, replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replayed {
    policies: Digest,
    genesis: Digest,
    /// The first leaf looked at.
    pub(crate) from_leaf: u64,
    /// The leaf after the last one.
    pub(crate) to_leaf: u64,
    /// Requests that were decided again.
    pub(crate) requests: u64,
    /// Those that would be decided otherwise.
    pub(crate) differing: u64,
    /// The first of them.
    pub(crate) listed: Vec<Difference>,
    /// Refusals of which the log keeps too little.
    pub(crate) refused: u64,
    /// Requests whose payload is withheld, or whose proposal was.
    pub(crate) withheld: u64,
}

/// Replays an export under `policies`.
///
/// # Errors
/// [`Fault`] for files that cannot be read, [`Fault::Unproved`] for an export that is not the trust file's log.
pub(crate) fn replay(
    export: &Path,
    trust: &Trust,
    policies: &PolicySet,
    window: Window,
) -> Result<Replayed, Fault> {
    let log = ExportedLog::open(export, trust)?;
    let (from, to) = match window {
        Window::Last(last) => (log.size().saturating_sub(last), log.size()),
        Window::Between(from, to) if from <= to && to <= log.size() => (from, to),
        Window::Between(_, to) => {
            let what = format!("the export has {} leaves, and {to} are to be looked at", log.size());
            return Err(Fault::usage(
                what,
                "bring it up to date with `fobctl audit export`, in the same folder",
            ));
        }
    };
    let mut replaying = Replaying {
        policies,
        followed: Followed::found(&log)?,
        jobs: Jobs::default(),
        replayed: Replayed {
            policies: candidate::digest(policies),
            genesis: *log.genesis(),
            from_leaf: from,
            to_leaf: to,
            requests: 0,
            differing: 0,
            listed: Vec::new(),
            refused: 0,
            withheld: 0,
        },
        told: BTreeSet::new(),
        counted: BTreeSet::new(),
    };
    let bar = progress::bar(usize::try_from(log.size()).unwrap_or(usize::MAX), LEAVES_PER_GLANCE, "leaves");
    log.walk(|leaf| {
        bar.set_position(leaf.index);
        // What comes after the window is walked as well, because the checkpoint's root is over all leaves.
        if leaf.index >= to {
            return Ok(());
        }
        let taken = if leaf.index >= from { replaying.judge(leaf) } else { Ok(()) };
        let taken = taken.and_then(|()| replaying.take(leaf));
        taken.map_err(|why| log.unproved(&format_args!("leaf {}: {why}", leaf.index)))
    })?;
    Ok(replaying.replayed)
}

struct Replaying<'a> {
    policies: &'a PolicySet,
    followed: Followed,
    jobs: Jobs,
    replayed: Replayed,
    // Open proposals in the window, and those of them that differ: a request and the act it becomes are one. No more
    // than may be open at a time.
    counted: BTreeSet<ProposalId>,
    told: BTreeSet<ProposalId>,
}

impl Replaying<'_> {
    /// Follows a leaf: jobs before the site, because who signed is told by the site before it.
    fn take(&mut self, leaf: &Leaf) -> Result<(), String> {
        self.jobs.take(self.followed.control(), leaf)?;
        self.followed.take(leaf)
    }

    fn judge(&mut self, leaf: &Leaf) -> Result<(), String> {
        let control = self.followed.control();
        match read::read(control, &self.jobs, leaf)? {
            Found::Nothing => {}
            Found::Refused(count) => self.replayed.refused = self.replayed.refused.saturating_add(count),
            Found::Withheld | Found::Unknown => {
                self.replayed.withheld = self.replayed.withheld.saturating_add(1);
            }
            Found::Ended(proposal) => self.forget(&proposal),
            Found::Request(record) => {
                let again = judge::again(self.policies, control, &record);
                self.count(leaf.index, record.proposal, again);
            }
        }
        Ok(())
    }

    fn count(&mut self, leaf: u64, proposal: Option<ProposalId>, again: Again) {
        if self.counted.len() >= COUNTED_MAX {
            // Those that were rejected or withdrawn are left behind.
            let open = self.followed.control().proposals();
            self.counted.retain(|id| open.get(id).is_some());
            self.told.retain(|id| open.get(id).is_some());
        }
        // The act of a proposal in the window is the request that was counted then.
        let is_act = proposal.is_some_and(|id| !self.counted.insert(id));
        if again != Again::NotAQuestion && !is_act {
            self.replayed.requests = self.replayed.requests.saturating_add(1);
        }
        if let Again::Otherwise { words, before, after } = again {
            let told = proposal.is_some_and(|id| !self.told.insert(id));
            if !told {
                self.replayed.differing = self.replayed.differing.saturating_add(1);
                if self.replayed.listed.len() < LISTED_MAX {
                    self.replayed.listed.push(Difference { leaf, request: words, before, after });
                }
            }
        }
        if let Some(id) = proposal.filter(|_| is_act) {
            self.forget(&id);
        }
    }

    fn forget(&mut self, proposal: &ProposalId) {
        self.counted.remove(proposal);
        self.told.remove(proposal);
    }
}

impl Difference {
    /// For people, with an empty line before it.
    pub(crate) fn paragraph(&self) -> String {
        told(&format!("\nleaf {}: {} -> {}", self.leaf, self.before, self.after), [self.request.as_str()])
    }

    /// `leaf 7: allowed -> denied: terminal ..`, at most so many bytes.
    fn in_brief(&self, bytes_max: usize) -> String {
        let mut line = format!("leaf {}: {} -> {}: {}", self.leaf, self.before, self.after, self.request);
        if line.len() > bytes_max && line.is_ascii() {
            line.truncate(bytes_max.saturating_sub(CUT.len()));
            line.push_str(CUT);
        }
        line
    }
}

impl Replayed {
    /// `3 of 200 recorded requests would be decided otherwise`.
    pub(crate) fn summary(&self) -> String {
        match (self.differing, self.requests) {
            (0, requests) => format!("none of {requests} recorded requests would be decided otherwise"),
            (differing, requests) => {
                format!("{differing} of {requests} recorded requests would be decided otherwise")
            }
        }
    }

    /// What could not be decided again, each with the reason.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        if self.refused > 0 {
            left.push(format!(
                "{} refusals are not decided again: of them the log keeps who asked which operation, and the answer",
                self.refused
            ));
        }
        if self.withheld > 0 {
            left.push(format!(
                "{} requests are not decided again: the export withholds them, or the past of their job",
                self.withheld
            ));
        }
        left
    }

    /// The whole report, which ends with a line feed.
    pub(crate) fn report(&self) -> String {
        let mut text = format!(
            "Recorded requests under other policies\n\npolicies  {}\nlog       {}\nleaves    {} to {}\n\n{}\n",
            self.policies,
            self.genesis,
            self.from_leaf,
            self.to_leaf,
            self.summary()
        );
        for line in self.left() {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{line}");
        }
        text.extend(self.listed.iter().map(Difference::paragraph));
        let listed = u64::try_from(self.listed.len()).unwrap_or(u64::MAX);
        if self.differing > listed {
            let _ = writeln!(text, "\nand {} more", self.differing.saturating_sub(listed));
        }
        text
    }

    /// The report's SHA-256.
    pub(crate) fn digest(&self) -> Digest {
        sha256(&[self.report().as_bytes()])
    }

    /// As a proposal carries it.
    pub(crate) fn wire(&self) -> PolicyReplay {
        PolicyReplay {
            requests: u32::try_from(self.requests).unwrap_or(u32::MAX),
            differing: u32::try_from(self.differing).unwrap_or(u32::MAX),
            from_leaf: self.from_leaf,
            to_leaf: self.to_leaf,
            report: self.digest(),
            lines: lines(self.listed.iter().map(|one| one.in_brief(REASON))),
        }
    }
}
