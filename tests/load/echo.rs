//! The floor of TLS and HTTP: a server that speaks as the front does and has nothing behind it, and who asks it.
//!
//! Two processes, so that the server's CPU is counted apart from the client's, as the front's is.

mod client;
mod server;

pub use client::Echoed;
pub use server::Echo;
