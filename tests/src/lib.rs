//! What the end-to-end tests, the demo and the suite stand on.

pub mod about_softhsm;
pub mod acks;
pub mod agreed;
pub mod cards;
pub mod copies;
pub mod custody;
pub mod demo;
pub mod encoder;
pub mod ended;
pub mod ground;
pub mod jobs;
pub mod load;
pub mod people;
pub mod programs;
pub mod raw;
pub mod second_verifier;
pub mod service_token;
pub mod settings;
pub mod tills;
pub mod token_file;
pub mod vectors;
pub mod watched;
