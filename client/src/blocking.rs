//! The same personas for programs without async: each call waits for its answer.
//!
//! Each handle runs its connections on one thread of its own, from `connect` until the last clone is dropped, which waits
//! for that thread's end. A handle is cheap to clone, and several threads may call at once, on clones or on one handle. Checks, errors, retries and
//! deadlines are those of the async types, which these wrap.
//!
//! A call works wherever a thread may wait, also inside another async runtime (`tokio::task::spawn_blocking`), and
//! never panics there; but inside an async *task* it holds up the task's thread until the answer is there, so that
//! code uses the async types instead.
//!
//! ```no_run
//! use keysvc_client::{ClientConfig, blocking::Terminal};
//! use std::{path::Path, time::Duration};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = ClientConfig::read(Path::new("target/dev/terminal-1/client.toml"))?;
//! let terminal = Terminal::connect(&config)?.with_deadline(Duration::from_secs(3));
//! let checkpoint = terminal.reader().checkpoint()?;
//! # let _ = checkpoint;
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "auditor")]
mod auditor;
#[cfg(feature = "officer")]
mod custodian;
#[cfg(feature = "hub")]
mod hub;
#[cfg(feature = "hub")]
mod office;
#[cfg(feature = "officer")]
mod officer;
#[cfg(feature = "officer")]
mod operator;
mod reader;
mod runtime;
#[cfg(feature = "station")]
mod station;
#[cfg(feature = "terminal")]
mod terminal;

#[cfg(feature = "auditor")]
pub use auditor::Auditor;
#[cfg(feature = "officer")]
pub use custodian::Custodian;
#[cfg(feature = "hub")]
pub use hub::Hub;
#[cfg(feature = "hub")]
pub use office::Office;
#[cfg(feature = "officer")]
pub use officer::Officer;
#[cfg(feature = "officer")]
pub use operator::Operator;
pub use reader::Reader;
#[cfg(feature = "station")]
pub use station::Station;
#[cfg(feature = "terminal")]
pub use terminal::Terminal;

#[cfg(all(test, feature = "terminal"))]
mod tests;
