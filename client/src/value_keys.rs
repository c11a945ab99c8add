//! Value signing keys that were made after the founding: learnt from the trust bundle, once for each.
//!
//! Leaf 0 names the first version of each value key. Later ones stand in the bundle, which is signed by the service
//! statement key and recorded in the log. A key that is not in use any more signs nothing new, so one that was learnt stays
//! known.

use crate::{
    error::ClientError,
    leaf_shown::Shown,
    reader::{Outgoing, Reader},
};
use keysvc_protocol::{
    bundle::TrustBundle,
    bytes::KeyIdentifier,
    cbor,
    cose::Signed,
    leaf::{BundleMadeLeaf, LeafKind},
    name::Name,
    public_key::PublicKey,
    reply::BundleReply,
    request::{Operation, ReadBundle},
    schema::Schema,
    value::ValueError,
};
use std::sync::{Mutex, PoisonError};

/// The keys that were learnt, each with the name it is a version of.
#[derive(Debug, Default)]
pub(crate) struct ValueKeys(Mutex<Vec<(Name, PublicKey)>>);

impl ValueKeys {
    fn get(&self, name: &Name, kid: KeyIdentifier) -> Option<PublicKey> {
        // What it guards is whole at every moment, so a panic elsewhere does not spoil it.
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.iter().find(|(known, key)| known == name && key.identifier() == kid).map(|(_, key)| *key)
    }

    fn replace(&self, bundle: &TrustBundle) {
        let keys = bundle.value_keys.iter();
        let keys = keys.filter_map(|key| Some((key.name.clone(), key.public_key().ok()?)));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = keys.collect();
    }
}

impl Reader {
    /// The key that signed a record of this programme, which must be one of the programme's. The service is asked for its
    /// bundle where neither the founding nor an earlier bundle knows the key.
    pub(crate) async fn value_key(&self, programme: &Name, record: &[u8]) -> Result<PublicKey, ClientError> {
        let kid = Signed::parse(record).map_err(ValueError::from)?.key_identifier();
        let founded = self.founded();
        if let Some(key) = founded.value_key(programme, kid) {
            return Ok(key);
        }
        let unknown = || ClientError::untrusted("the record is not signed by the programme's key");
        let programmes = &founded.founding().programmes;
        let programme = programmes.iter().find(|one| one.name == *programme).ok_or_else(unknown)?;
        if let Some(key) = self.value_keys().get(&programme.value_key, kid) {
            return Ok(key);
        }
        let bundle = self.bundle_in_force().await?;
        self.value_keys().replace(&bundle);
        self.value_keys().get(&programme.value_key, kid).ok_or_else(unknown)
    }

    async fn bundle_in_force(&self) -> Result<TrustBundle, ClientError> {
        let request = ReadBundle { schema: Schema, have: None };
        let reply: BundleReply = self.ask(Outgoing::read(Operation::BundleGet, &request)).await?;
        let message = reply.bundle.ok_or_else(|| ClientError::malformed("no trust bundle"))?;
        let founded = self.founded();
        let bundle = TrustBundle::verify(message.as_bytes(), founded.genesis(), founded.statement_key())?;
        let leaf: BundleMadeLeaf = Shown::of(&reply.receipt)?.payload(LeafKind::BundleMade)?;
        if leaf.bundle.as_bytes() != cbor::encode(&bundle) {
            return Err(ClientError::untrusted("the trust bundle's leaf: it records another bundle"));
        }
        Ok(bundle)
    }
}

#[cfg(feature = "terminal")]
#[cfg(test)]
mod tests;
