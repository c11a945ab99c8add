//! Bytes between TLS and the HTTP library: the library sees whole heads that [`super::head`] found good, each
//! followed by exactly the body it announces, and nothing else.
//!
//! A request that is not good reaches the library as [`REFUSED`] in its place, and the service answers that one with
//! the fault found ([`Verdict`]): the refusal goes out in its turn, with a request id, like every other. What the
//! client sends after it is read and thrown away for a moment, so that closing does not destroy the refusal under way.
//!
//! It also keeps the time of each phase: the library's own limit for heads would count idleness as a slow head.

use super::{
    FrontLimits,
    head::{self, HeadFault, HeadLimits},
};
use crate::config::fixed::{LINGER, LINGER_LEN_MAX};
use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// Stands for a refused request; names no operation, and ends the connection.
const REFUSED: &[u8] = b"POST / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
/// Read at one time while a head is expected, in bytes: a usual request with its head is shorter.
const CHUNK_LEN: usize = 4 * 1024;

/// What was wrong with the last request of a connection, once it is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdict(Arc<OnceLock<HeadFault>>);

impl Verdict {
    /// The fault; from then on the library is shown [`REFUSED`] and nothing else.
    pub(super) fn fault(&self) -> Option<HeadFault> {
        self.0.get().copied()
    }
}

/// Where in the stream of requests the reader is.
enum Phase {
    /// Before the end of a head; this many of the held bytes were looked at.
    Head { scanned: usize },
    /// Within a good message; this many bytes of it are still to be handed on.
    Message { left: usize },
    /// After a bad one; what is left of [`REFUSED`].
    Refused { rest: &'static [u8] },
}

/// A stream of requests, framed strictly.
pub(super) struct Framed<S> {
    inner: S,
    limits: FrontLimits,
    verdict: Verdict,
    phase: Phase,
    /// Read from the client and not handed on.
    held: Vec<u8>,
    clock: PhaseClock,
    closing: Closing,
}

/// How far closing has come.
#[derive(Clone, Copy)]
enum Closing {
    NotYet,
    Begun,
    /// Our side is closed; this many bytes may still be thrown away.
    Draining {
        left: usize,
    },
}

impl<S: AsyncRead + AsyncWrite + Unpin> Framed<S> {
    /// Frames `inner`; tells what is wrong with a request through the second part.
    pub(super) fn new(inner: S, limits: FrontLimits) -> (Self, Verdict) {
        let verdict = Verdict::default();
        let framed = Self {
            inner,
            limits,
            verdict: verdict.clone(),
            phase: Phase::Head { scanned: 0 },
            held: Vec::new(),
            clock: PhaseClock::new(limits.idle()),
            closing: Closing::NotYet,
        };
        (framed, verdict)
    }

    /// Waits for the first byte of the first head, so that a connection that has asked nothing yet needs no HTTP library
    /// and none of its buffers. Is ready as well where there will be none: the library meets that again, and ends.
    pub(super) async fn first_byte(&mut self) {
        poll_fn(|cx| {
            // In here, so that waiting does not hold it.
            let mut chunk = [0; CHUNK_LEN];
            let mut part = ReadBuf::new(&mut chunk);
            if ready!(self.poll_inner(cx, &mut part)).is_ok() {
                self.held.extend_from_slice(part.filled());
            }
            Poll::Ready(())
        })
        .await;
    }

    const fn head_limits(&self) -> HeadLimits {
        HeadLimits {
            head_len: self.limits.headers_len_max,
            headers: self.limits.headers_max,
            body_len: self.limits.request_len_max,
        }
    }

    /// Looks at what is held while a head is expected, and moves on where it is whole or bad.
    fn look(&mut self, scanned: usize) {
        let limits = self.head_limits();
        let found = head::end(&self.held, scanned, limits.head_len).and_then(|end| match end {
            None => Ok(None),
            Some(end) => {
                let head = self.held.get(..end).unwrap_or_default();
                head::check(head, &limits).map(|body| Some(end.saturating_add(body)))
            }
        });
        match found {
            Ok(None) => {
                if scanned == 0 && !self.held.is_empty() {
                    self.clock.set(self.limits.header());
                }
                self.phase = Phase::Head { scanned: self.held.len() };
            }
            Ok(Some(left)) => {
                if self.held.len() < left {
                    self.clock.set(self.limits.body());
                }
                self.phase = Phase::Message { left };
            }
            Err(fault) => {
                // Only here, and the phase is left never again: the cell is empty.
                let _ = self.verdict.0.set(fault);
                self.held = Vec::new();
                self.phase = Phase::Refused { rest: REFUSED };
            }
        }
    }

    /// Hands on held bytes of a message.
    fn hand_on(&mut self, left: usize, buffer: &mut ReadBuf<'_>) {
        let len = self.held.len().min(left).min(buffer.remaining());
        buffer.put_slice(self.held.get(..len).unwrap_or_default());
        self.held.drain(..len);
        self.handed_on(left, len);
    }

    /// Notes that `len` bytes of a message were handed on. Nothing of the next one is looked at in the same read, so
    /// that the library has dispatched this request before a fault of the next is known.
    fn handed_on(&mut self, left: usize, len: usize) {
        let left = left.saturating_sub(len);
        if left > 0 {
            self.phase = Phase::Message { left };
            return;
        }
        if self.held.is_empty() {
            // Nobody knows for how long nothing comes.
            self.held = Vec::new();
        }
        self.clock.set(self.limits.between());
        self.phase = Phase::Head { scanned: 0 };
    }

    /// Reads what the client sends next, at most to the end of the buffer.
    fn poll_inner(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.inner).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(buffer.filled().len().saturating_sub(before))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.clock.poll(cx),
        }
    }

    /// Throws away what the client still sends, up to a limit.
    fn poll_drain(&mut self, cx: &mut Context<'_>, mut left: usize) -> Poll<io::Result<()>> {
        let mut chunk = [0; CHUNK_LEN];
        while left > 0 {
            let read = match self.poll_inner(cx, &mut ReadBuf::new(&mut chunk)) {
                Poll::Ready(read) => read,
                Poll::Pending => {
                    self.closing = Closing::Draining { left };
                    return Poll::Pending;
                }
            };
            // The end of the client's bytes, a cut connection or the end of patience: all as good as another.
            let Ok(read @ 1..) = read else { break };
            left = left.saturating_sub(read);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Framed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            match this.phase {
                Phase::Message { left } if !this.held.is_empty() => {
                    this.hand_on(left, buffer);
                    return Poll::Ready(Ok(()));
                }
                Phase::Message { left } => {
                    let mut part = ReadBuf::new(buffer.initialize_unfilled_to(left.min(buffer.remaining())));
                    let len = ready!(this.poll_inner(cx, &mut part))?;
                    buffer.advance(len);
                    this.handed_on(left, len);
                    return Poll::Ready(Ok(()));
                }
                Phase::Refused { rest: [] } => return this.clock.poll(cx),
                Phase::Refused { rest } => {
                    let (now, later) = rest.split_at(rest.len().min(buffer.remaining()));
                    buffer.put_slice(now);
                    this.phase = Phase::Refused { rest: later };
                    return Poll::Ready(Ok(()));
                }
                Phase::Head { scanned } if scanned < this.held.len() => this.look(scanned),
                Phase::Head { .. } => {
                    let mut chunk = [0; CHUNK_LEN];
                    let mut part = ReadBuf::new(&mut chunk);
                    if ready!(this.poll_inner(cx, &mut part))? == 0 {
                        // The end; a head that was begun is lost with it.
                        return Poll::Ready(Ok(()));
                    }
                    this.held.extend_from_slice(part.filled());
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if matches!(this.closing, Closing::NotYet) {
            this.clock.set(LINGER);
            this.closing = Closing::Begun;
        }
        if matches!(this.closing, Closing::Begun) {
            match Pin::new(&mut this.inner).poll_shutdown(cx) {
                Poll::Ready(closed) => closed?,
                Poll::Pending => return this.clock.poll(cx),
            }
            let left = if this.verdict.fault().is_some() { LINGER_LEN_MAX } else { 0 };
            this.closing = Closing::Draining { left };
        }
        match this.closing {
            Closing::Draining { left } => this.poll_drain(cx, left),
            Closing::NotYet | Closing::Begun => Poll::Ready(Ok(())),
        }
    }
}

/// The end of the phase a connection is in. Moving it costs no timer as long as it moves away from now.
struct PhaseClock {
    ends: Instant,
    timer: Pin<Box<Sleep>>,
}

impl PhaseClock {
    fn new(phase: Duration) -> Self {
        let ends = after(phase);
        Self { ends, timer: Box::pin(sleep_until(ends)) }
    }

    fn set(&mut self, phase: Duration) {
        self.ends = after(phase);
    }

    /// Pending until the phase has ended, then a timeout.
    fn poll<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if self.timer.deadline() > self.ends {
            self.timer.as_mut().reset(self.ends);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= self.ends {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.timer.as_mut().reset(self.ends);
        }
        Poll::Pending
    }
}

/// The moment after this much time; a time beyond all clocks is a century.
fn after(phase: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_hours(100 * 365 * 24);
    let now = Instant::now();
    now.checked_add(phase.min(CENTURY)).unwrap_or(now)
}
