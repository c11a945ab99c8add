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
    /// The people who stand behind it. Not put where the context is [`ContextFacts::None`] or
    /// [`ContextFacts::JobRead`]: such an operation is allowed or denied to its caller alone.
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
/// `card.derive` is about a profile; `card.result` and every operation on one job, `job.create` to
/// `job.record` but for `job.list`, about a job; `value.update` about a programme; `log.checkpoint`,
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
    /// A personalization job; for `job.create` the one that is to be.
    Job {
        /// The job's name.
        name: &'a str,
        /// The customer the cards are for, by the bureau's own code.
        customer: &'a str,
        /// The name of the profile it is made under.
        profile: &'a str,
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

/// Who did what to a job before, and who signs this act on it beside its caller. The caller's own name
/// is the principal's, and is put with these. Everyone stands by the name they are enrolled under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobFacts<'a> {
    /// Who created it; empty while it is not created.
    pub created_by: &'a str,
    /// Who sealed it; empty while nobody has.
    pub sealed_by: &'a str,
    /// Everyone who ever operated it, in any order.
    pub operated_by: &'a [String],
    /// Everyone who ever reviewed a count or an incident of it, in any order.
    pub reviewed_by: &'a [String],
    /// The station operators whose agreements the request carries: two for `job.open` and `job.resume`,
    /// one for `job.count` and `job.incident`, and none else.
    pub operators: &'a [String],
    /// The reviewer of this count or incident; empty where none signs.
    pub reviewer: &'a str,
    /// The witness of this purge; empty where none signs.
    pub witness: &'a str,
}

/// The circumstances of one request.
///
/// Its officers are those on the roster, enabled or not: with only two of them the ceiling's larger
/// quorum is both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextFacts<'a> {
    /// For every operation that is not named below; no quorum facts are put.
    None,
    /// For `card.derive`.
    CardDerive {
        /// Cards in this request.
        cards: u32,
        /// Key slots per card.
        slots: u32,
        /// Of the cards in this request: 1, or more where a card was issued before.
        generation: u32,
        /// The service was founded as a development instance.
        development: bool,
    },
    /// For `job.create`, `job.items`, `job.seal`, `job.withdraw`, `job.open`, `job.resume`, `job.suspend`,
    /// `card.result`, `job.count`, `job.incident` and `job.close`.
    Job(JobFacts<'a>),
    /// For `job.get` and `job.record`; no quorum facts are put.
    JobRead {
        /// As in [`JobFacts`].
        created_by: &'a str,
        /// As in [`JobFacts`].
        sealed_by: &'a str,
        /// As in [`JobFacts`].
        operated_by: &'a [String],
    },
    /// For `card.transition`.
    CardTransition {
        /// The state the cards are to have: `active`, `retired` or `awaiting-destruction`.
        to: &'a str,
        /// Cards in this request.
        cards: u32,
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
        /// `card`, `job`, `terminal`, `station`, `programme`, `store`, `profile`, `key` or `all`.
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

impl ContextFacts<'_> {
    /// Whether the people behind the request are put to the policies beside these.
    pub(crate) fn takes_people(&self) -> bool {
        !matches!(self, Self::None | Self::JobRead { .. })
    }
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

/// What the policies say, and of a denial what the caller may be told.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The ceiling and the site both permit it.
    Allowed,
    /// The ceiling or the site does not permit it, or forbids it.
    Denied(Denied),
}

impl Verdict {
    /// The verdict without what the caller may be told.
    pub fn decision(self) -> Decision {
        match self {
            Self::Allowed => Decision::Allow,
            Self::Denied(_) => Decision::Deny,
        }
    }
}

/// Why the policies deny, as far as the caller may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Nothing more may be told: what is not permitted, and what is forbidden for another reason.
    Forbidden,
    /// One person would do what takes two: every forbid of the layer that denies it is annotated
    /// `@refusal("same_person")`. The same request with another person may pass.
    SamePerson,
}
