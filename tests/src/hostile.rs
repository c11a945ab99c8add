//! What a hostile network sends: certificates that are not right, encodings that are not the one, requests that are none, and
//! sockets that only take room.
//!
//! The suite proves each case once; the driver of faults (`tests/faults`) repeats them by chance. Apart from [`crate::raw`]
//! because that speaks as a known persona does; these do not.

pub mod certificates;
pub mod corpus;
pub mod der;
pub mod handshake;
pub mod measured;
pub mod memory;
pub mod mint;
pub mod requests;
pub mod sockets;
