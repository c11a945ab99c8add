//! The thread on which a blocking handle's connections live.
//!
//! A thread of its own, so that idle connections are looked after between calls, and that calls neither panic nor
//! wait for themselves inside another runtime.

use crate::error::ClientError;
use std::{fmt, sync::Arc, sync::mpsc, thread};
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// The way onto the thread; it ends when the last one is dropped.
#[derive(Clone)]
pub(super) struct Runtime {
    handle: Handle,
    _running: Arc<oneshot::Sender<()>>,
}

impl Runtime {
    /// Starts the thread.
    fn start() -> Result<Self, ClientError> {
        let fault = |error| ClientError::Request { what: format!("no thread to wait on: {error}") };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(fault)?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel();
        let thread = thread::Builder::new().name("keysvc-client".into());
        // Its end is awaited by nobody: nothing is under way when the last handle is dropped.
        thread.spawn(move || drop(runtime.block_on(ended))).map_err(fault)?;
        Ok(Self { handle, _running: Arc::new(running) })
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
