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
    pub context: ContextFacts<'a>,
    /// The people who stand behind it. Not put where the context is [`ContextFacts::None`]: such an
    /// operation is allowed or denied to its caller alone.
    pub quorum: QuorumFacts<'a>,
}

/// How many people agreed to a request, and from where: counted by the quorum's own rules, from
/// approvals that were verified, before the policies are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuorumFacts<'a> {
    /// Distinct people; 0 for a request sent directly.
    pub persons: u8,
    /// Their departments, in any order. One named twice counts once.
    pub departments: &'a [String],
}

impl QuorumFacts<'_> {
    /// Nobody but the caller: a request sent directly.
    pub const NONE: Self = Self { persons: 0, departments: &[] };
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
/// `card.derive` is about a profile; `value.update` about a programme; `log.checkpoint`,
/// `log.entries` and `log.proof` about the log; every other operation about the service.
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
///
/// Its officers are those on the roster, enabled or not: with only two of them the ceiling's larger
/// quorum is both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextFacts<'a> {
    /// For every operation that is not named below; no quorum facts are put.
    None,
    /// For `station.open`: the quorum facts alone.
    Quorum,
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
    /// For `principal.enrol`, `principal.rotate`, `principal.disable` and `principal.enable`.
    Principal {
        /// The subject's kind, as in [`PrincipalFacts::kind`].
        subject_kind: &'a str,
        /// The organisation the subject acts for.
        subject_organisation: &'a str,
        /// The caller is the subject.
        own: bool,
        /// Officers on the roster.
        officers: u32,
    },
    /// For `key.create`, `key.activate`, `key.suspend`, `key.retire`, `key.compromise`, `key.destroy` and
    /// `key.import`.
    Key {
        /// The key's kind: `card-master`.
        kind: &'a str,
        /// Officers on the roster.
        officers: u32,
    },
    /// For `freeze.set` and `freeze.lift`.
    Freeze {
        /// `card`, `terminal`, `station`, `programme`, `store`, `profile`, `key` or `all`.
        scope: &'a str,
        /// Whose it is: the terminal's, the station's or the programme's organisation, or the store
        /// itself. For a card, the organisation of the programme named with it. Empty where nobody's.
        organisation: &'a str,
        /// Officers on the roster.
        officers: u32,
    },
    /// For `profile.put`.
    Profile {
        /// The family of chips: `desfire-ev3`.
        family: &'a str,
        /// The card is to hold value.
        stored_value: bool,
        /// Officers on the roster.
        officers: u32,
    },
    /// For `quorum.set`, `clock.confirm` and `policy.propose`.
    Site {
        /// Officers on the roster.
        officers: u32,
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
