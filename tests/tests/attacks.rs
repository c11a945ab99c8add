//! What one officer alone, a machine, a stranger or a captured half would try against what takes people: each named, each
//! refused by its exact refusal, found in the log, and without effect; then an honest quorum does the same.
//!
//! One part for each subject, one service for each part. The name of an attack is a sentence; what is listed is what was
//! tried, in that order.

#[path = "attacks/alone.rs"]
mod alone;
#[path = "attacks/book.rs"]
mod book;
#[path = "attacks/callers.rs"]
mod callers;
#[path = "attacks/captured.rs"]
mod captured;
#[path = "attacks/custodians.rs"]
mod custodians;
#[path = "attacks/delays.rs"]
mod delays;
#[path = "attacks/forms.rs"]
mod forms;
#[path = "attacks/front.rs"]
mod front;
#[path = "attacks/governed.rs"]
mod governed;
#[path = "attacks/jobs.rs"]
mod jobs;
#[path = "attacks/keys.rs"]
mod keys;
#[path = "attacks/races.rs"]
mod races;
#[path = "attacks/stored.rs"]
mod stored;
#[path = "attacks/value.rs"]
mod value;
#[path = "attacks/votes.rs"]
mod votes;

use keysvc_protocol::{
    freeze::Scope,
    refusal::{Conflict, Invalid, Refusal, Thing, Uncounted},
};
use keysvc_tests::{cards, forge, ground::Ground, raw::Caller};
use std::collections::BTreeSet;

const fn uncounted(reason: Uncounted) -> Refusal {
    Refusal::ApprovalInvalid { reason }
}

const fn invalid(reason: Invalid) -> Refusal {
    Refusal::Invalid { reason }
}

const fn conflict(reason: Conflict) -> Refusal {
    Refusal::StateConflict { reason }
}

const fn missing(what: Thing) -> Refusal {
    Refusal::NotFound { what }
}

/// The site's three officers, each with the own card and connection.
struct Officers {
    one: Caller,
    two: Caller,
    three: Caller,
}

impl Officers {
    fn of(ground: &Ground) -> Self {
        let officer = |name| cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), name);
        Self { one: officer("officer-1"), two: officer("officer-2"), three: officer("officer-3") }
    }

    fn reconnect(&mut self, ground: &Ground) {
        let all =
            [(&mut self.one, "officer-1"), (&mut self.two, "officer-2"), (&mut self.three, "officer-3")];
        all.into_iter().for_each(|(officer, name)| ground.reconnect(officer, name));
    }
}

fn terminal(name: &str) -> Scope {
    Scope::Terminal { name: name.parse().unwrap() }
}

#[test]
fn at_least_forty_attacks_are_tried_against_the_daemon_and_each_has_a_name_of_its_own() {
    let against_the_daemon = [
        votes::ATTACKS,
        forms::ATTACKS,
        callers::ATTACKS,
        front::ATTACKS,
        alone::ATTACKS,
        keys::ATTACKS,
        races::ATTACKS,
        value::ATTACKS,
        delays::ATTACKS,
        stored::ATTACKS,
        custodians::ATTACKS,
        governed::ATTACKS,
        jobs::PEOPLE,
        jobs::MACHINES,
    ]
    .concat();
    assert!(against_the_daemon.len() >= 40, "{} attacks", against_the_daemon.len());
    let all = [against_the_daemon.as_slice(), captured::ATTACKS].concat();
    let names: BTreeSet<_> = all.iter().collect();
    assert_eq!(names.len(), all.len(), "a name is used twice");
    println!("{} attacks, {} of them against the daemon", all.len(), against_the_daemon.len());
}
