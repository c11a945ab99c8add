//! Makes all that a development site of keysvc needs, under one folder: SoftHSM tokens (the service's may be on another
//! module), a PKI, configuration and the founding file.
//!
//! Apart from the service because it holds what a service never does: the site CA's key and everybody's PINs. Used by
//! the `softhsm-setup` command, by the demo and by the tests. Not for production: a real site's officers bring
//! their own cards, and its CA is its own.
//!
//! It starts no service and signs nothing in an officer's name.

mod cards;
mod claim;
mod config;
pub mod debian;
mod error;
mod home;
mod module;
mod newcomer;
pub mod pki;
mod private;
mod roster;
mod site;
pub mod softhsm;
pub mod token;

pub use error::SetupError;
pub use home::Home;
pub use module::ModuleKind;
pub use newcomer::{Enrolment, Newcomer};
pub use roster::Cast;
pub use site::{Site, SitePlan, TRUST_DOMAIN, lay_out, lay_out_with};
