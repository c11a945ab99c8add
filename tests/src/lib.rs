//! What the end-to-end tests, the demo and the suite stand on.

pub mod acks;
pub mod copies;
pub mod demo;
pub mod ended;
pub mod ground;
pub mod load;
pub mod programs;
pub mod raw;
pub mod settings;
pub mod tills;
pub mod token_file;
pub mod watched;
