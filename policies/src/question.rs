//! What is asked of the policies and what they answer, in plain types.
//! Apart from Cedar on purpose: these are all that the gate ever sees of this crate.

/// One request to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// Who asks, as the registry says.
    pub principal: PrincipalFacts<'a>,
    /// The operation's name on the wire: `value.update`.
    pub action: &'a str,
    /// What the operation is about.
    pub resource: ResourceFacts<'a>,
    /// The circumstances of this one request.
    pub context: ContextFacts,
}

/// An enrolled principal. Every field comes from the registry, none from the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrincipalFacts<'a> {
    /// The name it is enrolled under; a policy may write `principal == Principal::"terminal-7"`.
    pub id: &'a str,
    /// `station`, `terminal`, `officer`, `operator`, `office`, `auditor` or `platform`; any other
    /// kind is denied everything.
    pub kind: &'a str,
    /// The organisation it acts for.
    pub organisation: &'a str,
    /// The department within the organisation; may be empty.
    pub department: &'a str,
    /// What it is enrolled for beyond its kind.
    pub capabilities: &'a [String],
}

/// What an operation is about.
///
/// `status`, `key.list`, `key.get`, `station.open`, `bundle.get` and `value.batch` are about the
/// service; `card.derive` about a profile; `value.update` about a programme; `log.checkpoint`,
/// `log.entries` and `log.proof` about the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceFacts<'a> {
    /// The service as a whole.
    Service,
    /// The Merkle log.
    Log,
    /// A card profile.
    Profile {
        /// The profile's name.
        name: &'a str,
    },
    /// A value programme.
    Programme {
        /// The programme's name.
        name: &'a str,
        /// The organisation whose value it is.
        organisation: &'a str,
        /// ISO 4217 numeric code.
        currency: u16,
    },
}

/// The circumstances of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextFacts {
    /// For every operation but `card.derive` and `value.update`.
    None,
    /// For `card.derive`.
    CardDerive {
        /// Cards in this request.
        cards: u32,
        /// Key slots per card.
        slots: u32,
        /// The service was founded as a development instance.
        development: bool,
    },
    /// For `value.update`.
    ValueUpdate {
        /// `load` or `debit`.
        operation: &'static str,
        /// Minor units of the programme's currency, at most `i64::MAX`.
        amount: u64,
        /// No authenticated card stands behind the update.
        no_card_session: bool,
        /// The card's profile is one of passive tags.
        passive_tag: bool,
        /// The service was founded as a development instance.
        development: bool,
    },
}

/// What the policies say.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The ceiling and the site both permit it.
    Allow,
    /// The ceiling or the site does not permit it, or forbids it.
    Deny,
}
