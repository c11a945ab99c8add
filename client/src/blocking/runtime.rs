//! The thread on which a blocking handle's connections live.
//!
//! A thread of its own, so that idle connections are looked after between calls, and that calls neither panic nor
//! wait for themselves inside another runtime.

use crate::error::ClientError;
use std::{
    fmt,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// The way onto the thread; it ends when the last one is dropped.
#[derive(Clone)]
pub(super) struct Runtime {
    handle: Handle,
    _running: Arc<Running>,
}

/// The thread while it runs. Dropping it ends the thread and waits for that: what it leaves behind closes sessions with
/// the token, and a module that is unloaded meanwhile, at the end of the process, takes the process down.
struct Running {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.end.take());
        let Some(thread) = self.thread.take() else { return };
        // A handle that is dropped on its own thread cannot wait for itself.
        if thread.thread().id() != thread::current().id() {
            // It has nothing to say: a call that panicked was told to its caller.
            let _ended = thread.join();
        }
    }
}

impl Runtime {
    /// Starts the thread.
    fn start() -> Result<Self, ClientError> {
        let fault = |error| ClientError::Request { what: format!("no thread to wait on: {error}") };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(fault)?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let thread = thread::Builder::new().name("keysvc-client".into());
        // The runtime is dropped there, which waits for the threads that it lent to the token's work.
        let thread = thread.spawn(move || drop(runtime.block_on(ended))).map_err(fault)?;
        Ok(Self { handle, _running: Arc::new(Running { end: Some(end), thread: Some(thread) }) })
    }

    /// Runs a call there and waits for its result.
    pub(super) fn run<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, ClientError>> + Send + 'static,
    ) -> Result<T, ClientError> {
        let (result, answer) = mpsc::sync_channel(1);
        self.handle.spawn(async move { drop(result.send(call.await)) });
        answer.recv().unwrap_or_else(|_| Err(ClientError::Request { what: "it was broken off".into() }))
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Runtime(..)")
    }
}

/// An async handle with the thread it lives on.
#[derive(Debug, Clone)]
pub(super) struct Blocking<P> {
    persona: P,
    runtime: Runtime,
}

impl<P: Clone + Send + Sync + 'static> Blocking<P> {
    /// Connects on a thread of its own.
    pub(super) fn connect(
        connecting: impl Future<Output = Result<P, ClientError>> + Send + 'static,
    ) -> Result<Self, ClientError> {
        let runtime = Runtime::start()?;
        Ok(Self { persona: runtime.run(connecting)?, runtime })
    }

    /// The async handle.
    pub(super) const fn persona(&self) -> &P {
        &self.persona
    }

    /// Another handle on the same thread.
    pub(super) fn with<Q>(&self, persona: Q) -> Blocking<Q> {
        Blocking { persona, runtime: self.runtime.clone() }
    }

    /// Makes a call of the async handle and waits for it.
    pub(super) fn call<T: Send + 'static, F>(&self, call: impl FnOnce(P) -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>> + Send + 'static,
    {
        self.runtime.run(call(self.persona.clone()))
    }
}
