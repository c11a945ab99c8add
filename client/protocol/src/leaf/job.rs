//! The payloads of jobs and of the cards they make.
//!
//! Apart from the other leaves because together they are what counts are made from. What these leaves change is in
//! [`crate::job`].

use super::Statement;
use crate::{
    bytes::{Digest, Exchange},
    card::CardUid,
    cbor,
    founding::Profile,
    hash::sha256,
    merkle::{Frontier, leaf_hash},
    name::Name,
    refusal::Forbids,
    request::Operation,
    schema::Schema,
};
use serde::{Deserialize, Serialize};

payload!(
    /// A session of a job at a station: two operators opened it, or let it go on.
    JobOpenedLeaf {
        /// The station.
        station: Name,
        /// `job.open` or `job.resume`.
        operation: Operation,
        /// The session, and the exchange whose transport key wraps its card keys.
        exchange: Exchange,
        /// When it ends, milliseconds since 1970-01-01 UTC.
        expires_at_ms: u64,
        /// The signed request.
        statement: Statement,
    }
);
payload!(
    /// A job was made, sealed, withdrawn, suspended, counted or closed.
    JobChangedLeaf {
        /// Who asked.
        principal: Name,
        /// What was asked.
        operation: Operation,
        /// The signed request.
        statement: Statement,
    }
);
payload!(
    /// Cards and their data were added to a job. Erased at the job's purge.
    JobItemsLeaf {
        /// The data operator.
        principal: Name,
        /// The signed request.
        statement: Statement,
    }
);
payload!(
    /// Something went wrong while cards were made.
    IncidentReportedLeaf {
        /// The station.
        station: Name,
        /// The signed request, with the agreements of operator and reviewer.
        statement: Statement,
    }
);
payload!(
    /// Cards are in other states.
    CardsChangedLeaf {
        /// Who asked.
        principal: Name,
        /// `card.result` or `card.transition`.
        operation: Operation,
        /// The signed request.
        statement: Statement,
    }
);
payload!(
    /// A job's data are erased: its storage key is destroyed in the token, where it had one.
    JobPurgedLeaf {
        /// The job.
        job: Name,
        /// Whether there was a storage key.
        had_key: bool,
    }
);
payload!(
    /// A job's audit record is to be signed by the service statement key.
    JobRecordMadeLeaf {
        /// Who asked.
        reader: Name,
        /// The job.
        job: Name,
        /// SHA-256 of the bytes that are signed.
        record: Digest,
    }
);
payload!(
    /// One key to be derived: a leaf of the root in [`super::CardKeysDerivedLeaf`].
    DerivedItem {
        /// The card.
        card: CardUid,
        /// The slot of the profile.
        slot: u8,
        /// The master key's name.
        key: Name,
        /// The master key's version.
        key_version: u32,
        /// SHA-256 of the diversification input.
        input: Digest,
    }
);

impl DerivedItem {
    /// The RFC 6962 root over the items of `cards` in every slot of `profile`, card by card: the keeper records it, the
    /// auditor computes it again.
    ///
    /// # Errors
    /// [`Forbids`] for the first card that has no diversification input.
    pub fn root(profile: &Profile, cards: &[CardUid]) -> Result<Digest, Forbids> {
        let mut tree = Frontier::new();
        for card in cards {
            for slot in profile.slots_ascending() {
                let input = profile.diversification_input(slot, card)?;
                let item = Self {
                    schema: Schema,
                    card: *card,
                    slot: slot.slot,
                    key: slot.key.clone(),
                    key_version: u32::from(slot.key_version),
                    input: sha256(&[&input]),
                };
                tree.append(leaf_hash(&cbor::encode(&item)));
            }
        }
        Ok(tree.root())
    }
}
