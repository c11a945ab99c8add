//! What the commands of personalization jobs share: forms, lists of cards, people who sign at the station, views.
//!
//! The client library speaks with the service; here is what people write and read around it.

pub(crate) mod act_args;
pub(crate) mod floor;
pub(crate) mod form;
pub(crate) mod items;
pub(crate) mod line;
pub(crate) mod page;
pub(crate) mod place;
pub(crate) mod view;
pub(crate) mod writer;

use keysvc_client::protocol::job::Counts;

/// Counts in words, without a total: nobody at a station is told one.
pub(crate) fn counts_in_words(counts: &Counts) -> String {
    let Counts { good, rejected, sample, returned, handed_over } = counts;
    format!(
        "good {good}, rejected {rejected}, samples {sample}, returned {returned}, handed over {handed_over}"
    )
}
