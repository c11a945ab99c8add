//! What the end-to-end tests, the demo and the suite stand on.

pub mod acks;
pub mod copies;
pub mod demo;
pub mod ended;
pub mod ground;
pub mod programs;
pub mod raw;
pub mod tills;
pub mod token_file;
