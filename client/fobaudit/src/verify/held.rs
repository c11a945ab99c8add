//! What a verified log holds about what takes people, and about jobs and cards; and how far it could be followed.

use crate::checks::{Acts, Checks, Jobs, Seen, Sight, Totals};
use keysvc_protocol::control::Control;

/// What a log holds about jobs and cards.
#[derive(Debug)]
pub(crate) struct JobsProved {
    /// Jobs and cards as they stand at the end.
    pub(crate) jobs: Jobs,
    /// The job that was to be looked at.
    pub(crate) seen: Option<Seen>,
}

impl JobsProved {
    /// What the checks hold at their end.
    pub(super) fn new(checks: &mut Checks<'_>) -> Self {
        let mut jobs = checks.take_jobs();
        Self { seen: jobs.seen(), jobs }
    }

    /// What could not be followed or seen, in words.
    pub(crate) fn not_followed(&self) -> Vec<String> {
        let sight = self.jobs.sight();
        let mut notes = Vec::new();
        let registry = self.jobs.registry();
        if sight.items_not_seen > 0 {
            notes.push(format!(
                "the lists of cards in {} leaves are not there: what was sealed stands for them",
                sight.items_not_seen
            ));
        }
        for job in registry.lists_withheld() {
            notes.push(format!("the list of cards of job {job} is withheld, and the job is not purged"));
        }
        for job in registry.lists_left() {
            notes.push(format!(
                "the list of cards of job {job} is still in this folder, which was begun before the job was purged: remove \
                 the folder when it has served"
            ));
        }
        match (sight.from, sight.unfollowed) {
            (Some(from), leaves) => notes.push(format!(
                "jobs and cards cannot be followed in full from leaf {from} on, where a payload is withheld: {leaves} leaves \
                 are not judged, and figures may be too small"
            )),
            (None, 0) => {}
            (None, leaves) => notes.push(format!("{leaves} reports of incidents are withheld")),
        }
        notes
    }
}

/// What a log holds about what takes people.
#[derive(Debug)]
pub(crate) struct Controls {
    /// The counts.
    pub(crate) totals: Totals,
    /// How far it could be followed.
    pub(crate) sight: Sight,
    /// The acts, where they were asked for.
    pub(crate) acts: Option<Acts>,
    /// The state at the end.
    pub(crate) control: Control,
}

impl Controls {
    /// What the checks hold at their end.
    pub(super) fn new(checks: &mut Checks<'_>) -> Self {
        let acts = checks.take_acts();
        let people = checks.people();
        Self { totals: people.totals(), sight: people.sight(), acts, control: people.control().clone() }
    }

    /// What could not be followed, in words; nothing where all of it was.
    pub(crate) fn not_followed(&self) -> Option<String> {
        let unfollowed = self.totals.unfollowed;
        match self.sight {
            Sight::Whole => None,
            Sight::Part(from) => Some(format!(
                "proposals, votes and freezes cannot be followed from leaf {from} on, where payloads are withheld: \
                 {unfollowed} leaves; acts are judged by the evidence in them"
            )),
            Sight::Lost(from) => Some(format!(
                "who and what the service knows cannot be followed from leaf {from} on, where a payload is withheld: \
                 {unfollowed} leaves are not judged"
            )),
        }
    }
}
