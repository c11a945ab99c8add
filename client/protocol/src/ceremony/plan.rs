//! The plan of a ceremony: people, roles, steps and what each step must come to.

use crate::{
    bytes::Digest,
    founding::{CardFamily, PrincipalKind},
    hash::sha256,
    key::KeyKind,
    name::{Name, Reason},
};
use alloc::{string::String, vec::Vec};
use core::fmt;
use serde::{Deserialize, Serialize};

/// Longest plan, in bytes.
pub const PLAN_LEN_MAX: usize = 32 * 1024;
/// Most people in a plan.
pub const PEOPLE_MAX: usize = 16;
/// Most steps of a plan.
pub const STEPS_MAX: usize = 64;

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Plan {
    /// What is to be done, in one line.
    pub title: Reason,
    /// Why.
    pub purpose: Reason,
    /// Where and when, as people know it; free text for the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Reason>,
    /// The trust domain of the service that it is for.
    pub trust_domain: crate::trust::TrustDomain,
    /// The genesis digest of its log; left out where the ceremony founds it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "digest")]
    pub genesis: Option<Digest>,
    /// Who takes part.
    pub people: Vec<Person>,
    /// The steps, in their order.
    pub steps: Vec<Step>,
}

/// Somebody who takes part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Person {
    /// The name under which the person is enrolled.
    pub name: Name,
    /// What the person does in this ceremony.
    pub role: Role,
}

/// What somebody does in a ceremony.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Asks and approves.
    Officer,
    /// Holds a component of a key.
    Custodian,
    /// Looks on, and signs that it was so.
    Witness,
}

impl Role {
    /// Its name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Officer => "officer",
            Self::Custodian => "custodian",
            Self::Witness => "witness",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Step {
    /// What is done, as people read it.
    pub say: Reason,
    /// Who does it and puts their initials to it.
    pub by: Name,
    /// What the program does; left out where people do it alone.
    #[serde(default, rename = "do", skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,
}

/// What a step does with the service. Each becomes one request, signed by the step's person, or one look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "act")]
pub enum Activity {
    /// The service's state: genesis, policies, token.
    Status,
    /// Signs the founding file of this digest with the person's card.
    FoundingSign {
        /// The founding file, relative to the plan.
        file: String,
        /// SHA-256 of its bytes.
        #[serde(with = "required_digest")]
        sha256: Digest,
    },
    /// Founds the service from the signed file: `keysvc init`.
    Found {
        /// The configuration of the service to be founded, relative to the plan.
        config: String,
    },
    /// Asks for the next version of a key, made in the token.
    KeyCreate {
        /// Its name.
        name: Name,
        /// What it is for.
        #[serde(with = "key_kind")]
        kind: KeyKind,
    },
    /// Asks to put a key into use.
    KeyActivate {
        /// Its name.
        name: Name,
        /// Its version.
        version: u32,
    },
    /// Asks to retire a key.
    KeyRetire {
        /// Its name.
        name: Name,
        /// Its version.
        version: u32,
    },
    /// Asks to import a key from components.
    KeyImport {
        /// Its name.
        name: Name,
        /// Its check value, 10 hexadecimal digits.
        check_value: String,
        /// Its components.
        components: Vec<Component>,
    },
    /// The person enters their own component.
    ComponentGive {
        /// The number of the step that asked for the import.
        of_step: u16,
    },
    /// Asks to enrol somebody from their enrolment file.
    PrincipalEnrol {
        /// The enrolment file, relative to the plan.
        file: String,
        /// SHA-256 of its bytes.
        #[serde(with = "required_digest")]
        sha256: Digest,
        /// Whom it enrols.
        name: Name,
        /// As what.
        kind: PrincipalKind,
        /// SHA-256 of the `SubjectPublicKeyInfo` of the key that the newcomer signs with, where it is known before.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "digest")]
        statement_key: Option<Digest>,
    },
    /// Asks for other policies.
    PolicyPropose {
        /// The folder of the new set, relative to the plan.
        folder: String,
        /// The digest of the new set, as `fobctl policy check` prints it.
        #[serde(with = "required_digest")]
        policy: Digest,
        /// The amount in minor units above which a load takes two people, as it is proved; the prover's own where it is
        /// left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        large_above: Option<u64>,
        /// A folder of the site's own decision cases, relative to the plan.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cases: Option<String>,
    },
    /// Asks for the next version of a card profile.
    ProfilePut {
        /// The profile's file, relative to the plan.
        file: String,
        /// SHA-256 of its bytes.
        #[serde(with = "required_digest")]
        sha256: Digest,
        /// The family it must be of.
        family: CardFamily,
        /// Its name.
        name: Name,
        /// Its version.
        version: u32,
        /// SHA-256 of its encoding, as the proposal's sentence shows it, where it is known before.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "digest")]
        digest: Option<Digest>,
    },
    /// Approves what an earlier step asked for.
    Approve {
        /// The number of that step.
        of_step: u16,
    },
    /// Shows a key as it now stands.
    KeyShow {
        /// Its name.
        name: Name,
        /// Its version.
        version: u32,
        /// The check value it must have, where it is known before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        check_value: Option<String>,
        /// The state it must be in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<String>,
    },
}

/// One component of a key that is imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Component {
    /// Who holds it.
    pub custodian: Name,
    /// Its check value, 10 hexadecimal digits.
    pub check_value: String,
}

impl Activity {
    /// Its name in files.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::FoundingSign { .. } => "founding-sign",
            Self::Found { .. } => "found",
            Self::KeyCreate { .. } => "key-create",
            Self::KeyActivate { .. } => "key-activate",
            Self::KeyRetire { .. } => "key-retire",
            Self::KeyImport { .. } => "key-import",
            Self::ComponentGive { .. } => "component-give",
            Self::PrincipalEnrol { .. } => "principal-enrol",
            Self::PolicyPropose { .. } => "policy-propose",
            Self::ProfilePut { .. } => "profile-put",
            Self::Approve { .. } => "approve",
            Self::KeyShow { .. } => "key-show",
        }
    }

    /// Whether it asks for something that other people approve.
    #[must_use]
    pub const fn asks(&self) -> bool {
        matches!(
            self,
            Self::KeyCreate { .. }
                | Self::KeyActivate { .. }
                | Self::KeyRetire { .. }
                | Self::KeyImport { .. }
                | Self::PrincipalEnrol { .. }
                | Self::PolicyPropose { .. }
                | Self::ProfilePut { .. }
        )
    }
}

impl Plan {
    /// The digest of a plan's bytes: what its people sign, and what stands as a code on its paper.
    #[must_use]
    pub fn digest_of(bytes: &[u8]) -> Digest {
        sha256(&[bytes])
    }

    /// The person of this name.
    #[must_use]
    pub fn person(&self, name: &Name) -> Option<&Person> {
        self.people.iter().find(|person| person.name == *name)
    }

    /// The step of this number, from 1.
    #[must_use]
    pub fn step(&self, number: u16) -> Option<&Step> {
        self.steps.get(usize::from(number).checked_sub(1)?)
    }

    /// Whether it founds a service, which has no log before.
    #[must_use]
    pub fn founds(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.activity, Some(Activity::Found { .. })))
    }
}

mod digest {
    use super::{Digest, String};
    use alloc::string::ToString as _;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::ref_option, reason = "serde gives the field's own type")]
    pub(super) fn serialize<S: Serializer>(value: &Option<Digest>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(digest) => serializer.serialize_str(&digest.to_string()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Digest>, D::Error> {
        String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
    }
}

mod required_digest {
    use super::{Digest, String};
    use alloc::string::ToString as _;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(value: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&value.to_string())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The kinds of key that people make, by their names.
mod key_kind {
    use super::{KeyKind, String};
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives the field by reference")]
    pub(super) fn serialize<S: Serializer>(value: &KeyKind, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<KeyKind, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "card-master" => Ok(KeyKind::CardMaster),
            "value-signing" => Ok(KeyKind::ValueSigning),
            _ => Err(D::Error::custom("a key that people make is a card-master or value-signing")),
        }
    }
}
