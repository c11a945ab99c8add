//! The demo: the whole story of the product on this machine, with figures measured while it runs.

mod audit;
mod cards;
mod ceremony;
mod import;
mod jobs;
mod narrator;
mod people;
mod persona;
mod policies;
mod profile;
mod records;
mod refusals;
mod story;
mod till;

pub use story::run;
