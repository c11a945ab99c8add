//! The keeper: decode, gate, ledger, keyring. It holds the token and the store, and no network socket.
//!
//! The modules depend downwards only: [`endpoint`], [`serve`], [`operation`] and [`query`], [`keyring`],
//! [`ledger`], [`gate`], [`action`], [`limits`]. [`start`] puts them together; [`founding`] makes the first log.

pub mod action;
pub mod batch;
pub mod bundle;
pub mod endpoint;
pub mod founding;
pub mod gate;
pub mod imports;
pub mod keyring;
pub mod ledger;
pub mod limits;
pub mod manifest;
pub mod notary;
pub mod operation;
pub mod own_token;
pub mod query;
pub mod serve;
pub mod site;
pub mod start;
pub mod storage;
pub mod verify_store;
