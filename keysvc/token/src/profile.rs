//! The key table (docs/keys.md) as data: what each kind of key is, what it may do and with which mechanisms.
//!
//! One table for three users, so that they cannot differ: keys are created from it, checked against it at every
//! start, and `softhsm-setup` prints and uses it. It calls no token.

use std::fmt;

mod flag;

pub use crate::mechanism::Mechanism;
use Flag::{
    AlwaysAuthenticate, AlwaysSensitive, Copyable, Decrypt, Derive, Destroyable, Encrypt, Extractable, Local,
    Modifiable, NeverExtractable, Private, Sensitive, Sign, SignRecover, Unwrap, Verify, VerifyRecover, Wrap,
};
pub use flag::Flag;

/// Names what a key is for. A key has one kind for life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// AES-128 master of a fob programme: derives card keys, nothing else.
    CardMaster,
    /// Signs value updates (EC P-256).
    ValueSigning,
    /// Signs deliveries to stations and trust bundles (EC P-256).
    ServiceStatement,
    /// Signs the log's checkpoints (EC P-256).
    Checkpoint,
    /// Wraps and unwraps data keys of one retention class and month (AES-256).
    Storage,
    /// Wraps card keys to one station (AES-256 session object).
    Transport,
    /// A derived card key (AES-128 session object).
    CardKey,
    /// An officer's key for approvals (EC P-256), on the officer's own token.
    Approval,
    /// A machine's key for its statements (EC P-256), on its own token.
    Statement,
    /// A station's key that unwraps transport keys (RSA-3072), on its own token.
    Wrapping,
    /// A one-time pair to which components of a key are sealed on their way in (EC P-256 session objects).
    Import,
}

impl KeyKind {
    /// Every kind, in the order of the table.
    pub const ALL: [Self; 11] = [
        Self::CardMaster,
        Self::ValueSigning,
        Self::ServiceStatement,
        Self::Checkpoint,
        Self::Storage,
        Self::Transport,
        Self::CardKey,
        Self::Approval,
        Self::Statement,
        Self::Wrapping,
        Self::Import,
    ];

    /// The kind's name in texts, such as `card master`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CardMaster => "card master",
            Self::ValueSigning => "value signing",
            Self::ServiceStatement => "service statement",
            Self::Checkpoint => "checkpoint",
            Self::Storage => "storage",
            Self::Transport => "transport",
            Self::CardKey => "card key",
            Self::Approval => "approval",
            Self::Statement => "statement",
            Self::Wrapping => "wrapping",
            Self::Import => "import",
        }
    }

    /// The table's row for this kind.
    #[must_use]
    pub const fn profile(self) -> &'static Profile {
        match self {
            Self::CardMaster => &CARD_MASTER,
            Self::ValueSigning => &VALUE_SIGNING,
            Self::ServiceStatement => &SERVICE_STATEMENT,
            Self::Checkpoint => &CHECKPOINT,
            Self::Storage => &STORAGE,
            Self::Transport => &TRANSPORT,
            Self::CardKey => &CARD_KEY,
            Self::Approval => &APPROVAL,
            Self::Statement => &STATEMENT,
            Self::Wrapping => &WRAPPING,
            Self::Import => &IMPORT,
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One row of the key table.
#[derive(Debug)]
pub struct Profile {
    /// Which kind the row is about.
    pub kind: KeyKind,
    /// Algorithm and length.
    pub shape: Shape,
    /// Whether it lies on the token or lives in a session.
    pub life: Life,
    /// The only usage flags that are true; every other one is set false by name.
    pub uses: &'static [Flag],
    /// The only usage flags of the public half that are true (pairs only).
    pub public_uses: &'static [Flag],
    /// `CKA_ALLOWED_MECHANISMS`.
    pub mechanisms: &'static [Mechanism],
    /// Further allowed mechanisms, listed only where the token offers them.
    pub mechanisms_if_offered: &'static [Mechanism],
}

const CARD_MASTER: Profile = Profile {
    kind: KeyKind::CardMaster,
    shape: Shape::Aes128,
    life: Life::Token,
    uses: &[Derive],
    public_uses: &[],
    mechanisms: &[Mechanism::AesCbcEncryptData],
    mechanisms_if_offered: &[Mechanism::Sp800108CounterKdf],
};
const VALUE_SIGNING: Profile = signing(KeyKind::ValueSigning);
const SERVICE_STATEMENT: Profile = signing(KeyKind::ServiceStatement);
const CHECKPOINT: Profile = signing(KeyKind::Checkpoint);
const APPROVAL: Profile = signing(KeyKind::Approval);
const STATEMENT: Profile = signing(KeyKind::Statement);
const STORAGE: Profile = Profile {
    kind: KeyKind::Storage,
    shape: Shape::Aes256,
    life: Life::Token,
    uses: &[Wrap, Unwrap],
    public_uses: &[],
    mechanisms: &[Mechanism::AesKeyWrap],
    mechanisms_if_offered: &[],
};
const TRANSPORT: Profile = Profile {
    kind: KeyKind::Transport,
    shape: Shape::Aes256,
    life: Life::Session,
    uses: &[Wrap],
    public_uses: &[],
    mechanisms: &[Mechanism::AesKeyWrap],
    mechanisms_if_offered: &[],
};
const CARD_KEY: Profile = Profile {
    kind: KeyKind::CardKey,
    shape: Shape::Aes128,
    life: Life::Session,
    uses: &[Sign],
    public_uses: &[],
    mechanisms: &[Mechanism::AesCmac],
    mechanisms_if_offered: &[],
};
const WRAPPING: Profile = Profile {
    kind: KeyKind::Wrapping,
    shape: Shape::Rsa3072,
    life: Life::Token,
    uses: &[Unwrap],
    // The keeper wraps to the public key it has pinned; the public half on the station's token is only read.
    public_uses: &[],
    mechanisms: &[Mechanism::RsaPkcsOaep],
    mechanisms_if_offered: &[],
};
const IMPORT: Profile = Profile {
    kind: KeyKind::Import,
    shape: Shape::EcP256,
    life: Life::Session,
    uses: &[Derive],
    // Senders use the public half outside of the token; here it is only read.
    public_uses: &[],
    mechanisms: &[Mechanism::Ecdh1Derive],
    mechanisms_if_offered: &[],
};

/// The five signing kinds differ in what they sign, not in what the token is told.
const fn signing(kind: KeyKind) -> Profile {
    Profile {
        kind,
        shape: Shape::EcP256,
        life: Life::Token,
        uses: &[Sign],
        public_uses: &[Verify],
        mechanisms: &[Mechanism::Ecdsa],
        mechanisms_if_offered: &[],
    }
}

/// What protects a secret or private key that lies on a token.
const TOKEN_CUSTODY: &[Wanted] = &[
    Wanted(Flag::Token, true),
    Wanted(Private, true),
    Wanted(Sensitive, true),
    Wanted(Extractable, false),
    Wanted(Modifiable, false),
    Wanted(Copyable, false),
    // True, because MODIFIABLE=false could never set it again and a ceremony must be able to destroy the key.
    Wanted(Destroyable, true),
];
/// What protects a secret key that lives in a session: it must be extractable, or it could not be wrapped out.
const SESSION_CUSTODY: &[Wanted] =
    &[Wanted(Flag::Token, false), Wanted(Private, true), Wanted(Sensitive, true), Wanted(Extractable, true)];
/// What protects a private key that lives in a session: nothing of it ever leaves.
const SESSION_PRIVATE_CUSTODY: &[Wanted] = &[
    Wanted(Flag::Token, false),
    Wanted(Private, true),
    Wanted(Sensitive, true),
    Wanted(Extractable, false),
    Wanted(Modifiable, false),
    Wanted(Copyable, false),
];
/// What protects a public half that lives in a session.
const SESSION_PUBLIC_CUSTODY: &[Wanted] =
    &[Wanted(Flag::Token, false), Wanted(Private, false), Wanted(Modifiable, false), Wanted(Copyable, false)];
/// What protects a public half: anyone may read it, nobody may change it.
const PUBLIC_CUSTODY: &[Wanted] = &[
    Wanted(Flag::Token, true),
    Wanted(Private, false),
    Wanted(Modifiable, false),
    Wanted(Copyable, false),
    Wanted(Destroyable, true),
];

/// The usage flags that PKCS#11 gives to a secret key (section 4.10).
const SECRET_USES: &[Flag] = &[Encrypt, Decrypt, Sign, Verify, Wrap, Unwrap, Derive];
/// The usage flags that PKCS#11 gives to a private key (section 4.9), and the one that asks for the PIN each time.
const PRIVATE_USES: &[Flag] = &[Decrypt, Sign, SignRecover, Unwrap, Derive, AlwaysAuthenticate];
/// The usage flags that PKCS#11 gives to a public key (section 4.8).
const PUBLIC_USES: &[Flag] = &[Encrypt, Verify, VerifyRecover, Wrap, Derive];

impl Profile {
    /// Every boolean attribute that a template sets for this half, with its wanted value, in a fixed order.
    #[must_use]
    pub fn flags(&self, half: Half) -> Vec<Wanted> {
        let custody = match (half, self.life) {
            (Half::Public, Life::Token) => PUBLIC_CUSTODY,
            (Half::Public, Life::Session) => SESSION_PUBLIC_CUSTODY,
            (Half::Secret, Life::Token) => TOKEN_CUSTODY,
            (Half::Secret, Life::Session) if self.shape.is_pair() => SESSION_PRIVATE_CUSTODY,
            (Half::Secret, Life::Session) => SESSION_CUSTODY,
        };
        let (possible, uses) = match half {
            Half::Public => (PUBLIC_USES, self.public_uses),
            Half::Secret => (self.possible_uses(), self.uses),
        };
        custody
            .iter()
            .copied()
            .chain(possible.iter().map(|flag| Wanted(*flag, uses.contains(flag))))
            .collect()
    }

    /// The boolean attributes that the token itself sets at birth, with the value that tells the origin.
    #[must_use]
    pub fn birth_marks(&self, half: Half, origin: Origin) -> Vec<Wanted> {
        let generated = origin == Origin::Generated;
        match half {
            Half::Public => vec![Wanted(Local, generated)],
            Half::Secret => {
                [AlwaysSensitive, NeverExtractable, Local].map(|mark| Wanted(mark, generated)).into()
            }
        }
    }

    /// `CKA_ALLOWED_MECHANISMS` on a token that offers `offered`.
    #[must_use]
    pub fn allowed_mechanisms(&self, offered: &[Mechanism]) -> Vec<Mechanism> {
        let more = self.mechanisms_if_offered.iter().filter(|mechanism| offered.contains(mechanism));
        self.mechanisms.iter().chain(more).copied().collect()
    }

    /// The halves of which such a key consists.
    #[must_use]
    pub const fn halves(&self) -> &'static [Half] {
        if self.shape.is_pair() { &[Half::Secret, Half::Public] } else { &[Half::Secret] }
    }

    const fn possible_uses(&self) -> &'static [Flag] {
        if self.shape.is_pair() { PRIVATE_USES } else { SECRET_USES }
    }
}

/// A boolean attribute and the value it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted(
    /// The attribute.
    pub Flag,
    /// Its value.
    pub bool,
);

/// Says which object of a key is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Half {
    /// The secret key, or the private half of a pair.
    Secret,
    /// The public half of a pair.
    Public,
}

/// Says how a key came onto the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// Generated inside the token.
    Generated,
    /// Brought in with a value: a published one, in development only, or one that custodians' components make. The
    /// token cannot tell these two apart; the log does.
    Imported,
}

impl Origin {
    /// The origin that a key's record tells, by what was read back of it at its birth: the names and values of
    /// [`crate::CreatedKey::attributes`]. Without a word on it, the key counts as generated.
    #[must_use]
    pub fn recorded<'a>(attributes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let brought_in = (Local.name(), "false");
        if attributes.into_iter().any(|pair| pair == brought_in) { Self::Imported } else { Self::Generated }
    }
}

/// Says where a key lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Life {
    /// On the token, until it is destroyed.
    Token,
    /// In a session; gone with it.
    Session,
}

/// A key's algorithm and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// AES with 16 bytes.
    Aes128,
    /// AES with 32 bytes.
    Aes256,
    /// Elliptic curve P-256 (secp256r1).
    EcP256,
    /// RSA with 3072 bits and the exponent 65537.
    Rsa3072,
}

impl Shape {
    /// Tells whether such a key has a public half.
    #[must_use]
    pub const fn is_pair(self) -> bool {
        matches!(self, Self::EcP256 | Self::Rsa3072)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_the_row_that_names_it() {
        for kind in KeyKind::ALL {
            assert_eq!(kind.profile().kind, kind);
        }
    }

    #[test]
    fn each_kind_but_storage_has_one_use() {
        for kind in KeyKind::ALL {
            let uses = kind.profile().uses.len();
            assert_eq!(uses, if kind == KeyKind::Storage { 2 } else { 1 }, "{kind}");
        }
    }

    #[test]
    fn each_usage_flag_is_set_by_name_and_only_the_uses_are_true() {
        for kind in KeyKind::ALL {
            let profile = kind.profile();
            let flags = profile.flags(Half::Secret);
            for possible in profile.possible_uses() {
                let wanted = profile.uses.contains(possible);
                assert!(flags.contains(&Wanted(*possible, wanted)), "{kind} {}", possible.name());
            }
            assert!(profile.uses.iter().all(|flag| profile.possible_uses().contains(flag)), "{kind}");
            assert!(profile.public_uses.iter().all(|flag| PUBLIC_USES.contains(flag)), "{kind}");
        }
    }

    #[test]
    fn no_key_on_a_token_is_extractable_readable_modifiable_or_copyable() {
        for kind in KeyKind::ALL.into_iter().filter(|kind| kind.profile().life == Life::Token) {
            let flags = kind.profile().flags(Half::Secret);
            for custody in [
                Wanted(Sensitive, true),
                Wanted(Private, true),
                Wanted(Extractable, false),
                Wanted(Modifiable, false),
                Wanted(Copyable, false),
            ] {
                assert!(flags.contains(&custody), "{kind} {custody:?}");
            }
        }
    }

    #[test]
    fn every_key_on_a_token_can_be_destroyed_with_both_its_halves() {
        for kind in KeyKind::ALL.into_iter().filter(|kind| kind.profile().life == Life::Token) {
            for half in kind.profile().halves() {
                assert!(kind.profile().flags(*half).contains(&Wanted(Destroyable, true)), "{kind} {half:?}");
            }
        }
    }

    #[test]
    fn a_mechanism_is_added_only_where_the_token_offers_it() {
        let profile = KeyKind::CardMaster.profile();
        assert_eq!(profile.allowed_mechanisms(&[]), [Mechanism::AesCbcEncryptData]);
        assert_eq!(
            profile.allowed_mechanisms(&[Mechanism::Sp800108CounterKdf]),
            [Mechanism::AesCbcEncryptData, Mechanism::Sp800108CounterKdf]
        );
    }
}
