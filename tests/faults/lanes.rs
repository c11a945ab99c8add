//! Runs rows side by side, and those that measure somebody's waiting alone.

use crate::{
    row::Row,
    trial::{Ended, Trial},
};
use keysvc_tests::{
    ground::Failed,
    programs::{Profile, Programs},
};
use std::{
    collections::VecDeque,
    io::{IsTerminal as _, Write as _},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

/// How often whoever watches is told how far the rows are.
const LOOK: Duration = Duration::from_millis(500);

/// A whole run.
#[derive(Debug)]
pub struct Run {
    /// The rows, in the order of the list.
    pub rows: Vec<Done>,
    /// What all chances were drawn from.
    pub seed: u64,
    /// How long it took.
    pub took: Duration,
}

/// One row that was run.
#[derive(Debug)]
pub struct Done {
    /// Which.
    pub row: &'static Row,
    /// What came of it; the text of a panic or of what went wrong otherwise.
    pub ended: Result<Ended, String>,
    /// How long it took.
    pub took: Duration,
}

impl Done {
    /// Whether everything held. A row that could not run has not held where the run is `strict`.
    pub fn held(&self, strict: bool) -> bool {
        match &self.ended {
            Ok(Ended::Ran(found)) => found.broken.is_empty() && found.trials > 0,
            Ok(Ended::Lacking(_)) => !strict,
            Err(_) => false,
        }
    }
}

impl Run {
    /// Whether every row held.
    pub fn held(&self, strict: bool) -> bool {
        self.rows.iter().all(|done| done.held(strict))
    }
}

/// Runs the rows, at most `lanes` at one time.
///
/// # Errors
/// [`Failed`] when the programs cannot be built. What goes wrong in a row is the row's.
pub fn run(rows: &[&'static Row], lanes: u8, times: u64, seed: u64) -> Result<Run, Failed> {
    // Once, and before anything is timed.
    Programs::build(Profile::Dev).map_err(|error| Failed(error.to_string()))?;
    let began = Instant::now();
    let (alone, beside): (Vec<_>, Vec<_>) = rows.iter().copied().partition(|row| row.alone);
    let mut done = side_by_side(beside, lanes, times, seed);
    done.extend(side_by_side(alone, 1, times, seed));
    done.sort_by_key(|one| rows.iter().position(|row| std::ptr::eq(*row, one.row)));
    Ok(Run { rows: done, seed, took: began.elapsed() })
}

fn side_by_side(rows: Vec<&'static Row>, lanes: u8, times: u64, seed: u64) -> Vec<Done> {
    let count = rows.len();
    let queue = Arc::new(Mutex::new(VecDeque::from(rows)));
    let (begun, events) = mpsc::channel();
    for _ in 0..lanes {
        let (queue, begun) = (Arc::clone(&queue), begun.clone());
        thread::spawn(move || {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some(row) = next else { return };
                let trial = Arc::new(Trial::new(times, seed));
                let _ = begun.send(Event::Began(row, Arc::clone(&trial)));
                let _ = begun.send(Event::Ended(one(row, trial)));
            }
        });
    }
    drop(begun);
    watch(&events, count)
}

enum Event {
    Began(&'static Row, Arc<Trial>),
    Ended(Done),
}

/// One row in a thread of its own, so that a panic is the row's and not the run's.
fn one(row: &'static Row, trial: Arc<Trial>) -> Done {
    let began = Instant::now();
    let working = thread::Builder::new().name(row.name.to_owned()).spawn(move || (row.run)(&trial));
    let ended = match working.map(thread::JoinHandle::join) {
        Ok(Ok(outcome)) => outcome.map_err(|failed| failed.to_string()),
        Ok(Err(panic)) => Err(said(panic.as_ref())),
        Err(error) => Err(format!("no thread: {error}")),
    };
    Done { row, ended, took: began.elapsed() }
}

/// What a panic said.
fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()))
        .unwrap_or_else(|| "a panic without a text".to_owned())
}

/// Waits for all rows; tells a person on one line that is gone at the end, and a file with a line for each row.
fn watch(events: &mpsc::Receiver<Event>, count: usize) -> Vec<Done> {
    let mut done = Vec::with_capacity(count);
    let mut running: Vec<(&'static Row, Arc<Trial>)> = Vec::new();
    let watched = std::io::stderr().is_terminal();
    while done.len() < count {
        match events.recv_timeout(LOOK) {
            Ok(Event::Began(row, trial)) => running.push((row, trial)),
            Ok(Event::Ended(one)) => {
                running.retain(|(row, _)| !std::ptr::eq(*row, one.row));
                let verdict = if one.held(true) { "held" } else { "NOT HELD" };
                say(watched, &format!("{:<13}{verdict} after {} s\n", one.row.name, one.took.as_secs()));
                done.push(one);
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
        if watched {
            let far: Vec<String> = running
                .iter()
                .map(|(row, trial)| match trial.told() {
                    (_, 0) => row.name.to_owned(),
                    (at, of) => format!("{} {at}/{of}", row.name),
                })
                .collect();
            say(true, &format!("{} of {count} done; {}", done.len(), far.join(", ")));
        }
    }
    say(watched, "");
    done
}

fn say(watched: bool, text: &str) {
    let clear = if watched { "\r\x1b[K" } else { "" };
    let _ = write!(anstream::stderr(), "{clear}{text}");
}
