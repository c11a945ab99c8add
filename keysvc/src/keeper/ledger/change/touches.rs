//! What an act touches, owned: a change travels to the ledger's thread.
//!
//! What stops what is the protocol's ([`keysvc_protocol::freeze`]).

use keysvc_protocol::{card::CardUid, freeze::Touched, name::Name};

/// All that could be frozen about an act, apart from its cards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touches {
    /// The programme, where value is touched.
    pub programme: Option<Name>,
    /// The terminal that asks.
    pub terminal: Option<Name>,
    /// The station that asks.
    pub station: Option<Name>,
    /// The organisation of the terminal or office that asks.
    pub store: Option<Name>,
    /// The card profile.
    pub profile: Option<Name>,
    /// The keys that would act.
    pub keys: Vec<Name>,
    /// The job.
    pub job: Option<Name>,
}

impl Touches {
    /// The same with its cards, as freezes are asked.
    #[must_use]
    pub fn touched<'a>(&'a self, cards: &'a [CardUid]) -> Touched<'a> {
        Touched {
            cards,
            programme: self.programme.as_ref(),
            terminal: self.terminal.as_ref(),
            station: self.station.as_ref(),
            store: self.store.as_ref(),
            profile: self.profile.as_ref(),
            keys: &self.keys,
            job: self.job.as_ref(),
        }
    }
}
