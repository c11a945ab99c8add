//! `fobctl job run`: works through cards at the station with the encoder's own program, for as long as the session lasts.
//!
//! The client library's line does the work, over a journal in the station's folder: the command can be run again after
//! whatever broke it off. Here the encoder's program is spoken to, and the operators are shown how it goes. No total is
//! shown, because none is known: people count by hand.

mod watch;

use crate::{
    fault::Fault,
    job::{place::Place, view::next, writer::EncoderProgram},
    moment,
    output::{Output, tell},
};
use keysvc_client::{
    ClientConfig, ClientError, Reader, blocking,
    personalization::{Ended, Line, RunError},
    protocol::{
        job::JobState,
        name::Name,
        refusal::{Conflict, Refusal},
        reply::JobView,
    },
    station::Shift,
};
use std::{ffi::OsString, io::Write, time::Duration};
use watch::Watch;

const EXAMPLES: &str = "\
The encoder's program is started once and speaks JSON, a message a line, on its
stdin and stdout; its stderr is shown.
  fobctl   {\"next\":true}                           a card is wanted
  program  {\"card\":\"04782e21801d80\"}               or {\"end\":true}: there are no more
  fobctl   {\"card\":\"..\",\"keys\":[{\"slot\":0,\"version\":1,\"key\":\"HEX\"}],\"data\":\"HEX\"}
  program  {\"result\":\"good\",\"readback\":[\"HEX\"]}    check values as the card holds its keys
       or  {\"result\":\"sample\",\"readback\":[\"HEX\"]}
       or  {\"result\":\"reject\",\"cause\":\"why\"}
  fobctl   {\"card\":\"..\",\"tray\":\"good\"}             or sample, reject, blank: where it goes
  fobctl   {\"stop\":\"why\"}                          the end
  program  {\"jam\":\"why\"}                           instead of any answer: the machine stands still

A check value is the first 5 bytes of AES-CMAC over a zero block. A card that was
in hand when a run broke off gets the same keys again, without being presented.

Examples:
  fobctl --context station-1 job run nfc-2026-11 --writer ./encoder --port /dev/ttyUSB0";

/// `fobctl job run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    override_usage = "fobctl job run [OPTIONS] <JOB> --writer <PROGRAM> [ARGS]..."
)]
pub(crate) struct RunArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: Name,
    /// How many cards the machine has in hand at a time, up to the profile's pipeline: 1 where each is finished before
    /// the next is presented.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    in_hand: u16,
    /// Take no more cards after so many; those in hand are finished.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cards: Option<u32>,
    /// How long a service that does not answer is waited for, in seconds.
    #[arg(long, value_name = "S", default_value_t = 600)]
    patience: u64,
    /// The encoder's program and its arguments. Last, because all that follows is the program's.
    #[arg(long, value_name = "PROGRAM", num_args = 1.., required = true, allow_hyphen_values = true)]
    writer: Vec<OsString>,
}

/// Makes cards.
///
/// # Errors
/// [`Fault`] of the station, the service and the machine; [`Fault::Undone`] where people are wanted first.
pub(super) fn run<W: Write>(
    config: &ClientConfig,
    args: &RunArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let service_ahead_ms = ready(config, &args.job)?;
    let station = blocking::Station::connect(config);
    let station = station.map_err(|error| Fault::client("connect as a station", error))?;
    let place = Place::of(config, &args.job)?;
    let shift = session(&station, &place)?;
    let pipeline = station.pipeline(&args.job);
    let pipeline = pipeline.map_err(|error| Fault::client("read the card profile", error))?;
    let mut journal = place.journal()?;
    let mut encoder = EncoderProgram::start(&args.writer)?;
    let patience = Duration::from_secs(args.patience);
    let line = Line { station: &station, shift: &shift, pipeline: pipeline.min(args.in_hand), patience };
    let mut watch = Watch::new(shift.expires_ms(), service_ahead_ms, args.cards);
    let ended = line.run(&mut encoder, &mut journal, &mut |event| watch.hear(&event));
    let report = watch.report(&args.job, station.name(), ended.as_ref().ok());
    // Also where it broke off: the program is to read all that was said to it, where cards go among it.
    encoder.stop(ended.as_ref().map_or("the run broke off", |ended| watch::words(*ended)));
    output.print(&report)?;
    finish(&args.job, ended)
}

/// Refuses a job that is not open, before a machine is started; gives by how much the service's clock is ahead of ours,
/// in milliseconds.
fn ready(config: &ClientConfig, job: &Name) -> Result<i64, Fault> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::Runtime)?;
    let (view, service_ms) = runtime.block_on(async {
        let reader = Reader::connect(config).await.map_err(|error| Fault::client("connect", error))?;
        let view = reader.job(job).await.map_err(|error| Fault::client("read the job", error))?;
        Ok::<_, Fault>((view, reader.service_clock_ms()))
    })?;
    let (here, there) = (moment::now_ms(), service_ms.unwrap_or_else(moment::now_ms));
    check(&view, there)?;
    let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    Ok(signed(there).saturating_sub(signed(here)))
}

fn check(view: &JobView, service_ms: u64) -> Result<(), Fault> {
    let name = view.name.as_str();
    match view.state {
        JobState::Open if view.session_expires_ms.is_none_or(|ends_ms| ends_ms > service_ms) => Ok(()),
        JobState::Open => Err(over(&view.name)),
        state @ (JobState::Sealed | JobState::Suspended) => {
            let what = format!("job {name} is {state}: two operators are wanted");
            Err(Fault::Undone { what, code: 5, next: next(name, state) })
        }
        state => {
            let refusal = Refusal::StateConflict { reason: Conflict::JobState { state } };
            Err(Fault::Undone { what: format!("job {name}: {refusal}"), code: 7, next: next(name, state) })
        }
    }
}

fn over(job: &Name) -> Fault {
    Fault::Undone {
        what: format!("the session of job {job} is over"),
        code: 5,
        next: format!(
            "two operators begin the next one: `fobctl job open {job} --operator CONTEXT --operator CONTEXT`; then run \
             this again"
        ),
    }
}

/// The session that was begun here, asked for again: also after the service was restarted.
fn session(station: &blocking::Station, place: &Place) -> Result<Shift, Fault> {
    let fault = |error| Fault::client("ask for the session", error);
    if let Some(agreements) = place.half_begun()? {
        match station.begin(agreements) {
            Ok(shift) => {
                place.begun()?;
                return Ok(shift);
            }
            Err(ClientError::Refused(reply)) if !reply.retryable => place.not_begun()?,
            Err(error) => return Err(fault(error)),
        }
    }
    station.begin(place.session()?).map_err(fault)
}

fn finish(job: &Name, ended: Result<Ended, RunError>) -> Result<(), Fault> {
    let ended = ended.map_err(|error| broken_off(job, error))?;
    match ended {
        Ended::NoMoreCards | Ended::JobComplete => {
            let more = if ended == Ended::NoMoreCards { "; or run this again with more cards" } else { "" };
            tell(&format_args!(
                "next: count by hand, operator and reviewer apart: `fobctl job count {job}`{more}"
            ));
            Ok(())
        }
        Ended::Stopped => {
            tell(&"next: run the same command again when it is to go on");
            Ok(())
        }
        Ended::SessionOver => Err(over(job)),
        Ended::JobStopped { state } => Err(Fault::Undone {
            what: format!("job {job} is {state}; what is in hand stays in hand"),
            code: 5,
            next: next(job.as_str(), state),
        }),
    }
}

fn broken_off(job: &Name, error: RunError) -> Fault {
    match error {
        RunError::Machine(why) => Fault::Undone {
            what: why.to_string(),
            code: 4,
            next: format!(
                "say what happened: `fobctl job incident {job} --cause TEXT --place TEXT --in-hand N --operator CONTEXT \
                 --reviewer CONTEXT`; clear the machine and run this again, or stop the job: `fobctl --context OPERATOR \
                 job suspend {job}`"
            ),
        },
        RunError::Service(error) => Fault::client("make cards", error).advised(|error| match error {
            ClientError::Unreachable { .. } | ClientError::Timeout { .. } => Some(
                "run the same command again when the service answers: it goes on where it was".to_owned(),
            ),
            _ => None,
        }),
        RunError::Journal(error) => Fault::client("keep the journal", error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::view::tests::view;
    use keysvc_client::personalization::MachineFault;

    fn refused(view: &JobView, service_ms: u64) -> (u8, String) {
        let fault = check(view, service_ms).unwrap_err();
        (fault.exit_code(), fault.next().to_owned())
    }

    #[test]
    fn only_an_open_job_whose_session_lasts_is_worked_at() {
        let open = view();
        let ends_ms = open.session_expires_ms.unwrap();
        assert!(check(&open, ends_ms - 1).is_ok());
        assert!(refused(&open, ends_ms).1.contains("fobctl job open nfc-1"));
        let stands = |state| refused(&JobView { state, ..view() }, 0);
        assert_eq!(stands(JobState::Suspended).0, 5);
        assert!(stands(JobState::Suspended).1.contains("job resume nfc-1"));
        assert_eq!(stands(JobState::Draft).0, 7);
        assert_eq!(stands(JobState::Counted).0, 7);
    }

    #[test]
    fn each_end_has_its_exit_code_and_a_jam_its_next_commands() {
        let job: Name = "nfc-1".parse().unwrap();
        assert!(finish(&job, Ok(Ended::NoMoreCards)).is_ok() && finish(&job, Ok(Ended::JobComplete)).is_ok());
        assert_eq!(finish(&job, Ok(Ended::SessionOver)).unwrap_err().exit_code(), 5);
        let stopped = finish(&job, Ok(Ended::JobStopped { state: JobState::Suspended })).unwrap_err();
        assert_eq!(stopped.exit_code(), 5);
        let jam = finish(&job, Err(RunError::Machine(MachineFault("jam: stuck".into())))).unwrap_err();
        assert_eq!((jam.exit_code(), jam.to_string()), (4, "the encoder: jam: stuck".into()));
        assert!(jam.next().contains("job incident nfc-1") && jam.next().contains("job suspend nfc-1"));
    }
}
