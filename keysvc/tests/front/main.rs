//! The front end to end: real TLS clients on one side, a keeper's side of the link on the other.

mod certificates;
mod connections;
mod framing;
mod health;
mod keeper_gone;
mod kit;
mod private_socket;
