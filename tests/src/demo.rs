//! The demo: the whole story of the product on this machine, with figures measured while it runs.

mod cards;
mod narrator;
mod records;
mod refusals;
mod story;

pub use story::run;
