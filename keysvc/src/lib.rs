//! The service inside the boundary: a front that faces the network and a keeper that holds the token.
//!
//! The two share no memory: [`front`] speaks TLS and HTTP and knows neither database, token nor policy;
//! [`keeper`] decides, records and signs and has no network socket; [`link`] carries frames between them.
//! See docs/ARCHITECTURE.md for the way of a request.

pub mod check_config;
pub mod config;
pub mod doctor;
pub mod error;
pub mod front;
pub mod keeper;
pub mod link;
pub mod metrics;
pub mod output;
pub mod parent;
pub mod program;
pub mod sandbox;
pub mod service_manager;
pub mod supervisor;
pub mod telemetry;
