//! What every fuzz target does: runs its oracle. The oracles are the suite's own, read by their path, so that what a
//! target finds is a failing test as soon as its input lies among the seeds. docs/fuzzing.md has the commands.

#[path = "../../tests/src/oracles.rs"]
pub mod oracles;

use libfuzzer_sys::Corpus;

/// Runs the oracle of a target on one input; one that is too long for it is not tried, and not kept.
///
/// # Panics
/// Where the parser is wrong: that is the finding. And for a name that no target has.
pub fn run(name: &str, bytes: &[u8]) -> Corpus {
    let target = oracles::named(name).expect("a target of this name");
    if bytes.len() > target.len_max {
        return Corpus::Reject;
    }
    let _ = (target.accepts)(bytes);
    Corpus::Keep
}
