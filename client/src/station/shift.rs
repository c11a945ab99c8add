//! A session of two operators at the station: opened by their agreements, and opened again by the very same request where
//! the service forgot its transport key.
//!
//! The transport key lies in the station's token for as long as the shift is held; what it wraps is
//! [`super::delivered`]'s.

use super::Station;
use crate::{
    agreement::{self, SignedAgreement},
    clock::now_ms,
    error::ClientError,
    reader::blocking,
};
use keysvc_protocol::{
    bytes::{Exchange, Idem},
    delivery::ExchangeOpening,
    hash::sha256,
    job::JobAct,
    name::Name,
    refusal::Refusal,
    reply::JobOpenReply,
    request::{Agreements, OpenJob, Operation, ResumeJob},
    schema::Schema,
};
use keysvc_token::{CheckValue, StationTransport, WrappingKey};
use std::{fmt, sync::Arc};
use tokio::sync::{Mutex, MutexGuard};

/// A session of a job at this station. Cheap to clone; clones share it. It is over when it expires, and when the job is
/// suspended; nothing is to be done when it is dropped.
#[derive(Clone)]
pub struct Shift(Arc<Session>);

struct Session {
    opening: Opening,
    exchange: Exchange,
    expires_ms: u64,
    transport: Mutex<Arc<StationTransport>>,
}

/// The request that opened it, word for word.
#[derive(Clone)]
struct Opening {
    operation: Operation,
    idem: Idem,
    job: Name,
    agreements: Agreements,
}

/// An opening that was checked, with its transport key in our token.
struct Opened {
    exchange: Exchange,
    expires_ms: u64,
    transport: Arc<StationTransport>,
}

impl Shift {
    /// The job.
    #[must_use]
    pub fn job(&self) -> &Name {
        &self.0.opening.job
    }

    /// The session's exchange.
    #[must_use]
    pub fn exchange(&self) -> Exchange {
        self.0.exchange
    }

    /// When the session is over: milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn expires_ms(&self) -> u64 {
        self.0.expires_ms
    }

    /// The transport key; another call may be opening the session again.
    async fn place(&self, station: &Station) -> Result<MutexGuard<'_, Arc<StationTransport>>, ClientError> {
        let deadline = station.reader.deadline()?;
        deadline.wait(self.0.transport.lock()).await.map_err(|_| ClientError::Timeout {
            after_ms: deadline.whole_ms(),
            reached: "another call was opening the session again".into(),
        })
    }

    pub(super) async fn transport(&self, station: &Station) -> Result<Arc<StationTransport>, ClientError> {
        Ok(self.place(station).await?.clone())
    }

    /// Another transport key in place of one that the service does not know, unless another call was first.
    pub(super) async fn reopen(
        &self,
        station: &Station,
        unknown: &Arc<StationTransport>,
    ) -> Result<Arc<StationTransport>, ClientError> {
        let mut current = self.place(station).await?;
        if !Arc::ptr_eq(&current, unknown) {
            return Ok(current.clone());
        }
        let opened = station.opened(&self.0.opening).await?;
        if opened.exchange != self.0.exchange {
            return Err(ClientError::untrusted("the same request opened another session"));
        }
        *current = opened.transport.clone();
        Ok(opened.transport)
    }
}

impl fmt::Debug for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shift({} of job {})", self.0.exchange, self.0.opening.job)
    }
}

impl Station {
    /// Begins a session of a job, with the agreements of two operators. Called again with the same two agreements, by
    /// another process too, it gives the same session.
    ///
    /// # Errors
    /// [`ClientError`] of the call; [`ClientError::Request`] for agreements to something else; [`ClientError::Delivery`]
    /// or [`ClientError::Untrusted`] when the opening is not the service's for this station and job;
    /// [`ClientError::Token`] when its transport key does not unwrap.
    pub async fn open_job(&self, job: &Name, agreements: [SignedAgreement; 2]) -> Result<Shift, ClientError> {
        let act = JobAct::Open { station: self.name().clone() };
        self.shift(Operation::JobOpen, job, &act, agreements).await
    }

    /// Lets a suspended job go on, with the agreements of two operators.
    ///
    /// # Errors
    /// As [`Station::open_job`].
    pub async fn resume_job(
        &self,
        job: &Name,
        agreements: [SignedAgreement; 2],
    ) -> Result<Shift, ClientError> {
        let act = JobAct::Resume { station: self.name().clone() };
        self.shift(Operation::JobResume, job, &act, agreements).await
    }

    /// Opens a job or lets it go on, whatever two operators agreed to.
    ///
    /// # Errors
    /// As [`Station::open_job`].
    pub async fn begin(&self, agreements: [SignedAgreement; 2]) -> Result<Shift, ClientError> {
        let [first, _] = &agreements;
        let job = first.claim().job.clone();
        match &first.claim().act {
            JobAct::Open { .. } => self.open_job(&job, agreements).await,
            JobAct::Resume { .. } => self.resume_job(&job, agreements).await,
            _ => {
                let what = format!("the agreement opens no job: \"{}\"", first.sentence());
                Err(ClientError::Request { what })
            }
        }
    }

    async fn shift(
        &self,
        operation: Operation,
        job: &Name,
        act: &JobAct,
        mut agreements: [SignedAgreement; 2],
    ) -> Result<Shift, ClientError> {
        // Whoever is named first: the same two are one request.
        agreements.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
        let idem = agreement::idem_for(operation, job, &agreements);
        let agreements = agreement::for_act(&agreements, job, act)?;
        let opening = Opening { operation, idem, job: job.clone(), agreements };
        let Opened { exchange, expires_ms, transport } = self.begun()?.opened(&opening).await?;
        Ok(Shift(Arc::new(Session { opening, exchange, expires_ms, transport: Mutex::new(transport) })))
    }

    /// A keeper that died between recording an opening and answering it has forgotten the transport key. Asked once more
    /// it makes another for the same session.
    async fn opened(&self, opening: &Opening) -> Result<Opened, ClientError> {
        match self.opened_once(opening).await {
            Err(error) if error.refusal() == Some(&Refusal::ExchangeUnknown) => {
                self.opened_once(opening).await
            }
            result => result,
        }
    }

    async fn opened_once(&self, opening: &Opening) -> Result<Opened, ClientError> {
        let Opening { operation, idem, job, agreements } = opening.clone();
        let reply: JobOpenReply = if operation == Operation::JobOpen {
            self.send(operation, idem, &OpenJob { schema: Schema, idem, job, agreements }).await?
        } else {
            self.send(operation, idem, &ResumeJob { schema: Schema, idem, job, agreements }).await?
        };
        let founded = self.reader.founded();
        let said =
            ExchangeOpening::verify(reply.opening.as_bytes(), founded.genesis(), founded.statement_key())?;
        check_opening(&said, (&self.kit.name, &opening.job), self.kit.wrapping.spki())?;
        let wrapping = self.kit.wrapping.clone();
        blocking(move || unwrapped(&wrapping, &said)).await
    }
}

/// Checks that an opening is for this station, this job and its wrapping key, and is not over.
fn check_opening(
    opening: &ExchangeOpening,
    (station, job): (&Name, &Name),
    wrapping_spki: &[u8],
) -> Result<(), ClientError> {
    if opening.station != *station {
        return Err(ClientError::untrusted("the session is another station's"));
    }
    if opening.job != *job {
        return Err(ClientError::untrusted("the session is another job's"));
    }
    if opening.wrapping_key != sha256(&[wrapping_spki]) {
        return Err(ClientError::untrusted("the session is for another wrapping key"));
    }
    if opening.expires_at_ms <= now_ms() {
        return Err(ClientError::untrusted("the session is over already; compare the clocks"));
    }
    Ok(())
}

fn unwrapped(wrapping: &WrappingKey, opening: &ExchangeOpening) -> Result<Opened, ClientError> {
    let transport = wrapping.unwrap_transport(opening.wrapped.as_bytes())?;
    if transport.check_value()? != CheckValue::Kw(*opening.check.as_bytes()) {
        return Err(ClientError::untrusted("the transport key has another check value"));
    }
    let (exchange, expires_ms) = (opening.exchange, opening.expires_at_ms);
    Ok(Opened { exchange, expires_ms, transport: Arc::new(transport) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_protocol::bytes::{Blob, ShortCheck};

    #[test]
    fn an_opening_for_another_station_job_or_wrapping_key_or_over_already_is_refused() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let opening = ExchangeOpening {
            schema: Schema,
            station: name("station-1"),
            exchange: Exchange::new([2; 16]),
            job: name("job-1"),
            wrapping_key: sha256(&[b"spki"]),
            wrapped: Blob::try_from(vec![0; 384]).unwrap(),
            check: ShortCheck::new([0; 5]),
            expires_at_ms: u64::MAX,
        };
        let check = |opening: ExchangeOpening| {
            let checked = check_opening(&opening, (&name("station-1"), &name("job-1")), b"spki");
            checked.map_err(|error| error.to_string().split(": ").nth(1).unwrap().to_owned())
        };
        let refused = |what: &str| Err(what.to_owned());
        assert_eq!(check(opening.clone()), Ok(()));
        let other = ExchangeOpening { station: name("station-2"), ..opening.clone() };
        assert_eq!(check(other), refused("the session is another station's"));
        let other = ExchangeOpening { job: name("job-2"), ..opening.clone() };
        assert_eq!(check(other), refused("the session is another job's"));
        let other = ExchangeOpening { wrapping_key: sha256(&[b"other"]), ..opening.clone() };
        assert_eq!(check(other), refused("the session is for another wrapping key"));
        let over = ExchangeOpening { expires_at_ms: 1, ..opening };
        assert_eq!(check(over), refused("the session is over already; compare the clocks"));
    }
}
