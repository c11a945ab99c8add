//! The table of lies: each with who finds it out and as what, and the one loop that tells them all.
//!
//! Whatever a lie does besides, the loop reads the log after it: no act may be there that the test did not announce.

use keysvc_protocol::{
    leaf::LeafKind,
    reply::EntriesReply,
    request::{ENTRIES_MAX, Operation, ReadEntries},
    schema::Schema,
};
use keysvc_tests::raw::{Caller, Leaf};
use softhsm_setup::Site;
use std::{collections::BTreeSet, fmt};

/// Who finds a lie out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// The keeper, by a refusal.
    Keeper,
    /// The keeper's end of the link, by ending the connection or by giving it nothing.
    Link,
    /// The terminal's client.
    Terminal,
    /// The officer's client.
    Officer,
    /// The auditor's client.
    Auditor,
    /// The station's client.
    Station,
    /// Nobody: it is among what a captured front can do.
    Nobody,
}

/// One lie.
pub struct Lie<S> {
    /// What is told, as a sentence about the front.
    pub name: &'static str,
    /// Who finds it out.
    pub by: By,
    /// As what.
    pub as_what: &'static str,
    /// Tells it, and gives what was said to it.
    pub tell: fn(&mut S) -> String,
}

/// A lie of a table.
pub const fn lie<S>(name: &'static str, by: By, as_what: &'static str, tell: fn(&mut S) -> String) -> Lie<S> {
    Lie { name, by, as_what, tell }
}

/// What every stage has.
pub trait Stage {
    /// The log as it is read after each lie.
    fn watch(&mut self) -> &mut Watch;
}

/// Tells every lie of a table. All that did not come out as listed are named at the end.
pub fn tell_all<S: Stage>(stage: &mut S, lies: &[Lie<S>]) {
    let mut wrong = Vec::new();
    stage.watch().fresh();
    for Lie { name, by, as_what, tell } in lies {
        let told = tell(stage);
        println!("{by:?}\t{name}\t{told}");
        if told != *as_what {
            wrong.push(format!("a captured front {name}: {told:?}, not {as_what:?}"));
        }
        let watch = stage.watch();
        let announced = std::mem::take(&mut watch.announced);
        let acts: Vec<_> = watch.fresh().into_iter().map(|(entry, _)| entry.kind).filter(is_act).collect();
        if acts.len() != announced {
            wrong.push(format!("a captured front {name}: {acts:?} in the log, {announced} announced"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let names: BTreeSet<_> = lies.iter().map(|lie| lie.name).collect();
    assert_eq!(names.len(), lies.len(), "a name is used twice");
}

/// The log as the auditor reads it over the true front.
#[derive(Debug)]
pub struct Watch {
    auditor: Caller,
    seen: u64,
    announced: usize,
}

impl Watch {
    pub fn of(site: &Site) -> Self {
        Self { auditor: Caller::new(site, "auditor-1"), seen: 0, announced: 0 }
    }

    /// So many acts of this lie are honest ones.
    pub fn announce(&mut self, acts: usize) {
        self.announced += acts;
    }

    /// So many of those did not come to be.
    pub fn take_back(&mut self, acts: usize) {
        self.announced -= acts;
    }

    /// The leaves since the last reading.
    pub fn fresh(&mut self) -> Vec<Leaf> {
        // A read is recorded itself, and its receipt covers all that was recorded before it.
        let first = ReadEntries { schema: Schema, from: 0, to: 1 };
        let read: EntriesReply = self.auditor.ask(Operation::LogEntries, &first).unwrap();
        let size = read.receipt.checkpoint.checkpoint().head.size;
        let mut leaves = Vec::new();
        while self.seen < size {
            let to = size.min(self.seen + ENTRIES_MAX as u64);
            let request = ReadEntries { schema: Schema, from: self.seen, to };
            let reply: EntriesReply = self.auditor.ask(Operation::LogEntries, &request).unwrap();
            for leaf in reply.entries.into_vec() {
                leaves.push((leaf.check().unwrap(), leaf.payload.unwrap().into_bytes()));
                self.seen += 1;
            }
        }
        leaves
    }
}

/// What moves something; the rest comes by itself, by reading, or by being refused.
fn is_act(kind: &LeafKind) -> bool {
    !matches!(
        kind,
        LeafKind::Refused
            | LeafKind::RefusalsCounted
            | LeafKind::EntriesRead
            | LeafKind::Heartbeat
            | LeafKind::BundleMade
            | LeafKind::Start
    )
}

/// Each different thing that was said, once, in order.
pub fn each_once<T: fmt::Display>(said: impl IntoIterator<Item = T>) -> String {
    let said: BTreeSet<String> = said.into_iter().map(|one| one.to_string()).collect();
    said.into_iter().collect::<Vec<_>>().join("; ")
}
