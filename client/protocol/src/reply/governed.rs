//! Replies about what a site is governed by: imported keys, card profiles and policies.

use crate::{
    bytes::{Blob, Digest},
    component::OFFER_MESSAGE_LEN_MAX,
    founding::{CardFamily, Function, GoldenVector, Profile},
    key::KeyRecord,
    list::List,
    name::Name,
    receipt::Receipt,
    schema::Schema,
};
use alloc::string::String;
use serde::{Deserialize, Serialize};

reply!(
    /// Reply to `component.key`.
    ComponentKeyReply {
        /// COSE_Sign1 of a [`crate::component::ComponentKeyOffer`] by the service statement key.
        offer: Blob<OFFER_MESSAGE_LEN_MAX>,
        /// The numbers of the components that the service holds now; a restart forgets them.
        held: List<u8, 3>,
    }
);
reply!(
    /// Reply to `component.give`.
    ComponentGivenReply {
        /// The numbers of the components that are still missing.
        missing: List<u8, 3>,
        /// The receipt of the leaf that says it was given, with leaf and inclusion proof.
        receipt: Receipt,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// The key as made and read back, once all are there.
        key: Option<KeyRecord>,
    }
);
reply!(
    /// Reply to `profile.put`.
    ProfilePutReply {
        /// The check values that the token computes: of the profile's golden vectors, and for each slot without one of
        /// the card 04000000000000.
        vectors: List<GoldenVector, 24>,
        /// The receipt, with leaf and inclusion proof.
        receipt: Receipt,
    }
);
reply!(
    /// Reply to `profile.get`.
    ProfileReply {
        /// The profile.
        profile: Profile,
        /// The leaf that put it into use; 0 for the founding's.
        leaf: u64,
        /// Whether it is the newest version.
        newest: bool,
    }
);
reply!(
    /// Reply to `profile.list`.
    ProfileListReply {
        /// The profiles, by name and version.
        profiles: List<ProfileView, 64>,
    }
);
reply!(
    /// Reply to `policy.get`.
    PolicyReply {
        /// Digest of the set in force, the shipped ceiling and schema included.
        policy: Digest,
        /// The leaf that put it into force; 0 for the founding's.
        leaf: u64,
        /// The site's files.
        files: List<PolicyText, 64>,
    }
);

/// A file of the policies in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyText {
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// One line of `profile.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileView {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: u32,
    /// The family of card it is for.
    pub family: CardFamily,
    /// What its cards may be used for.
    pub functions: List<Function, 4>,
    /// The leaf that put it into use; 0 for the founding's.
    pub leaf: u64,
}
