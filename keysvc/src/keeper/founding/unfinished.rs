//! A founding that was interrupted after leaf 0 was on disk and before its trust file was: it is finished, not made
//! again, where everything it names is still so.

use super::{orders::Orders, orphans::all_announced};
use crate::{
    config::{Config, ConfigError},
    error::Fault,
    keeper::{ledger::Reader, manifest},
};
use keysvc_protocol::{founding::Founding, leaf::FoundingLeaf, merkle::TreeHead};
use keysvc_token::Token;

/// Leaf 0 without a trust file.
pub(super) struct Unfinished {
    pub(super) leaf: FoundingLeaf,
    pub(super) head: TreeHead,
}

impl Unfinished {
    /// Finds it under its orders; nothing while the log is empty.
    ///
    /// # Errors
    /// [`Fault::Config`] when the log holds more than a founding, or another's.
    pub(super) fn find(config: &Config, orders: &Orders) -> Result<Option<Self>, Fault> {
        let Ok(reader) = Reader::open(&config.keeper.store) else { return Ok(None) };
        let Some((leaf, _)) = reader.founding()? else { return Ok(None) };
        let head = reader.head();
        if head.size > 1 || !all_announced(orders, &leaf.keys) {
            let genesis = reader.root_at(1)?;
            let mend = format!(
                "the store holds a log of {} leaves, so the service was founded and started; put its trust file back: \
                 trust domain {}, genesis {genesis}",
                head.size, config.trust_domain
            );
            return Err(ConfigError::file(&config.keeper.store, mend).into());
        }
        Ok(Some(Self { leaf, head }))
    }

    /// Why it cannot be finished with what is there now; nothing when it can.
    ///
    /// # Errors
    /// [`Fault`] of the token.
    pub(super) fn differs(
        &self,
        token: &Token,
        founding: &Founding,
        bytes: &[u8],
    ) -> Result<Option<String>, Fault> {
        if self.leaf.founding.as_bytes() != bytes {
            return Ok(Some("the founding file is not the one in leaf 0".to_owned()));
        }
        let agreed = founding.officers.iter().all(|officer| {
            let signed = self.leaf.signatures.iter().find(|signature| signature.officer == officer.name);
            signed.is_some_and(|one| founding.verify_agreement(bytes, officer, one.signed.as_bytes()).is_ok())
        });
        if !agreed {
            return Ok(Some("the signatures in leaf 0 are not over this founding file".to_owned()));
        }
        let found = manifest::differences((token, &token.inventory()?), &self.leaf.keys, &[])?;
        Ok(if found.is_empty() { None } else { Some(found.join("; ")) })
    }
}
