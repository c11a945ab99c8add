//! The keeper: decode, gate, ledger, keyring. It holds the token and the store, and no network socket.

pub mod ledger;
