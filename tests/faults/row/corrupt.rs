//! Damage to store, log or anchor is found before any signature that depends on it.
//!
//! Each trial damages one place of a copy of a prepared store, of an export or of what a client keeps. A damaged store is
//! first held against its undamaged twin by `verify-store`: where log and every table are what they were, the damage hit
//! what nothing is read from. Else the service is started on it, and asked for updates of purses in an order of chance,
//! also as a terminal would that believes what a damaged purse says. Whatever is signed must be what the twin would have
//! signed.

mod purses;
mod site;

use crate::trial::{Ended, Found, Outcome, Trial};
use fastrand::Rng;
use keysvc_client::Terminal;
use keysvc_tests::{copies::Copies, damage::Damage, ground::Failed};
use purses::Seen;
use site::{Judged, Prepare};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Damages of a run of ten minutes.
const TRIALS: u64 = 100;
/// Purses asked for after each: a quarter of them, drawn anew each time.
const ASKED: usize = 25;
/// One in so many that hit nothing is served all the same, and its answers compared.
const SERVED_ANYWAY: u8 = 8;

/// What is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// The database, as an orderly stop leaves it.
    Database,
    /// The database with a write-ahead log beside it, as a kill leaves it.
    DatabaseBesideLog,
    /// That write-ahead log.
    Log,
    /// The anchor.
    Anchor,
    /// A file of an exported log.
    Export,
    /// The checkpoint that a client keeps.
    Seen,
}

impl Target {
    /// Out of twenty: most of them the store, which is what signatures depend on.
    fn draw(chances: &mut Rng) -> Self {
        match chances.u8(0..20) {
            0..=8 => Self::Database,
            9..=10 => Self::DatabaseBesideLog,
            11..=14 => Self::Log,
            15..=16 => Self::Anchor,
            17..=18 => Self::Export,
            _ => Self::Seen,
        }
    }
}

/// How a damage was found, or that there was nothing to find.
type How = &'static str;

const AT_THE_START: How = "found at the start, which was refused";
const AT_A_REQUEST: How = "found at a request, which was not served";
const BY_VERIFICATION: How = "found by verify-store alone, all answers the twin's";
const BY_FOBAUDIT: How = "found in the export by fobaudit";
const BY_THE_CLIENT: How = "found by the client";
const IMMATERIAL: How = "immaterial: log and tables are the twin's";
const ALL: [How; 6] = [AT_THE_START, AT_A_REQUEST, BY_VERIFICATION, BY_FOBAUDIT, BY_THE_CLIENT, IMMATERIAL];

/// What one trial came to: the damage in words, and how it was found or what went wrong.
type Trialled = Result<(String, Result<How, String>), Failed>;

/// Carries the row out.
pub fn run(trial: &Trial) -> Outcome {
    let prepared = Prepare::new()?;
    let (mut chances, mut found) = (trial.chances(), Found::new("damages"));
    let (mut counts, of) = (BTreeMap::<How, u64>::new(), trial.scaled(TRIALS));
    let mut updates = 0;
    for done in 0..of {
        trial.tell(done, of);
        let target = Target::draw(&mut chances);
        let (damage, how) = match target {
            Target::Export => export(&prepared, &mut chances)?,
            Target::Seen => seen(&prepared, &mut chances)?,
            _ => store(&prepared, target, &mut chances, &mut updates)?,
        };
        found.count(match how {
            Ok(how) => {
                *counts.entry(how).or_default() += 1;
                Ok(())
            }
            Err(why) => Err(format!("{target:?}, {damage}: {why}")),
        });
    }
    for how in ALL {
        found.figure(how, counts.get(how).copied().unwrap_or_default());
    }
    found.figure("purses continued over a damaged store, each as the twin's", updates);
    Ok(Ended::Ran(found))
}

/// Damages the store or the anchor.
fn store(prepared: &Prepare, target: Target, chances: &mut Rng, updates: &mut u64) -> Trialled {
    let (twin, file) = match target {
        Target::Database => (&prepared.stopped, prepared.store("")),
        Target::DatabaseBesideLog => (&prepared.killed, prepared.store("")),
        Target::Log => (&prepared.killed, prepared.store("-wal")),
        _ => (&prepared.killed, prepared.anchor()),
    };
    twin.put_back();
    let whole = fs::read(&file).map_err(failed)?;
    let damage = Damage::draw(chances, whole.len());
    let spoilt = damage.of(&whole);
    fs::write(&file, &spoilt).map_err(failed)?;
    let judged = prepared.judged(twin);
    if matches!(judged, Judged::Whole) && chances.u8(0..SERVED_ANYWAY) > 0 {
        return Ok((damage.to_string(), Ok(IMMATERIAL)));
    }
    // Verifying may have written: `SQLite` takes a log in when it opens one.
    twin.put_back();
    fs::write(&file, &spoilt).map_err(failed)?;
    let Some(mut serving) = prepared.serving()? else {
        let how = match judged {
            Judged::Whole => Err("verify-store finds nothing, and the start is refused".to_owned()),
            Judged::Differs => Ok(AT_THE_START),
        };
        return Ok((damage.to_string(), how));
    };
    let mut how = Ok(match judged {
        Judged::Whole => IMMATERIAL,
        Judged::Differs => BY_VERIFICATION,
    });
    for purse in twin.some(chances, ASKED) {
        match purse.look(&mut serving.terminal) {
            Seen::Right => *updates += 1,
            Seen::NotServed(why) => {
                how = match judged {
                    Judged::Whole => Err(format!("verify-store finds nothing, and a request was {why}")),
                    Judged::Differs => Ok(AT_A_REQUEST),
                };
                break;
            }
            Seen::Wrong(why) => {
                how = Err(why);
                break;
            }
        }
    }
    serving.end();
    Ok((damage.to_string(), how))
}

/// Damages one file of a copy of the export.
fn export(prepared: &Prepare, chances: &mut Rng) -> Trialled {
    let copies = Copies::of(std::slice::from_ref(&prepared.export));
    let file = chances.choice(files(&prepared.export)?).ok_or_else(|| failed("the export is empty"))?;
    let whole = fs::read(&file).map_err(failed)?;
    let damage = Damage::draw(chances, whole.len());
    let spoilt = damage.of(&whole);
    fs::write(&file, &spoilt).map_err(failed)?;
    let how = if !prepared.export_passes(&prepared.export) {
        Ok(BY_FOBAUDIT)
    } else if spoilt == whole {
        Ok(IMMATERIAL)
    } else {
        Err("fobaudit finds nothing".to_owned())
    };
    copies.put_back();
    Ok((format!("{}, {damage}", file.display()), how))
}

/// Damages what a client keeps of what it saw.
fn seen(prepared: &Prepare, chances: &mut Rng) -> Trialled {
    let damage = Damage::draw(chances, prepared.seen.len());
    let spoilt = damage.of(&prepared.seen);
    let Some(serving) = prepared.serving_whole()? else {
        return Err(failed("the undamaged store is not served"));
    };
    fs::write(prepared.client.state.join("checkpoint"), &spoilt).map_err(failed)?;
    let connected = prepared.ground.block_on(async { Terminal::connect(&prepared.client).await.map(drop) });
    serving.end();
    fs::write(prepared.client.state.join("checkpoint"), &prepared.seen).map_err(failed)?;
    let how = match connected {
        Err(_) => Ok(BY_THE_CLIENT),
        Ok(()) if prepared.is_seen(&spoilt) => Ok(IMMATERIAL),
        Ok(()) => Err("the client goes on with another checkpoint than it kept".to_owned()),
    };
    Ok((damage.to_string(), how))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else if fs::metadata(&path).map_err(failed)?.len() > 0 {
            files.push(path);
        }
    }
    // The system's order is its own, and the same chances are to make the same damages.
    files.sort();
    Ok(files)
}

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed(error.to_string())
}
