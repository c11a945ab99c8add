//! Figures of both halves, for the health listener: how long requests took and how they ended, what was refused, what
//! commits cost, what the token failed at.
//!
//! Recording is a few atomic operations under a short lock and allocates nothing once a label was seen. No label names a
//! card, a principal or an amount: labels are operations, outcomes, kinds and classes, all from closed lists. The only
//! module that names the metrics library; the text is OpenMetrics 1.0.

mod commits;
mod front;
mod jobs;
mod keeper;
mod kind;
mod requests;

pub use commits::Commits;
pub use front::{Counted, FrontMetrics, Gauges};
pub use jobs::JobFigures;
pub use keeper::KeeperMetrics;
pub use kind::{UNKNOWN_OPERATION, kind_of};
pub use requests::{Outcome, Requests};

/// The content type of [`FrontMetrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of latencies, in seconds: from the 0.2 ms of a read to the 10 s of a crowded derivation.
pub(crate) const LATENCIES_S: [f64; 15] =
    [0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
