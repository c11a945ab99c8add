//! What the end-to-end tests, the demo and the suite stand on.

pub mod demo;
pub mod ground;
pub mod programs;
