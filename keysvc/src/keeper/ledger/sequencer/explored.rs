//! The queue once more, over primitives that a scheduler drives: what is tested here is what serves, line by line, and only
//! `sync` is another file.
//!
//! A schedule is one order in which everything that happens at one time may happen. Four of five are drawn at random, one by
//! probabilistic concurrency testing, which finds what few changes of turn can break. Memory is taken as sequentially
//! consistent: what weaker orderings could do is not tried.
//!
//! `KEYSVC_SCHEDULES` sets how many schedules each test of `commits` tries, and `proposals` a tenth of it.

// By path, because these are the very files of the folder above.
#[path = "approach.rs"]
mod approach;
#[path = "commit.rs"]
mod commit;
mod commits;
mod memory;
mod proposals;
#[path = "queue.rs"]
mod queue;
#[path = "queued.rs"]
mod queued;
mod sync;

/// Schedules of a test, where the environment names no other number: 10,000 at random and a quarter as many more, which take
/// a debug build some 10 s.
const SCHEDULES: usize = 12_500;

/// So many schedules of `body` as the suite has time for, or as the environment says.
fn explore(share: usize, body: impl Fn() + Send + Sync + 'static) {
    let asked = std::env::var("KEYSVC_SCHEDULES").ok().and_then(|text| text.parse().ok());
    sync::explored(asked.unwrap_or(SCHEDULES) / share, body);
}
