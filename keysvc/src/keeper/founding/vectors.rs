//! The golden vectors of a founding file, held against the keys that were made: before leaf 0 names them.
//!
//! They can only be of keys whose values are known before, which are those of development.

use crate::{error::Fault, keeper::keyring};
use keysvc_protocol::{
    founding::Founding,
    key::{KeyKind, KeyRecord},
};
use keysvc_token::Token;

/// Refuses where the token computes another value than a vector states.
///
/// # Errors
/// [`Fault::Refusing`] naming every such vector; [`Fault`] of the token.
pub(super) fn must_agree(token: &Token, founding: &Founding, keys: &[KeyRecord]) -> Result<(), Fault> {
    let seen = keyring::see(token, founding.profiles.iter(), |name, version| {
        let master = keys.iter().find(|key| key.name == *name && key.version == version);
        master.filter(|key| key.kind == KeyKind::CardMaster).map(|key| key.id)
    });
    let mend = "mend the vectors or the keys' values in the founding file and have it signed again; to destroy the keys \
                that were made, run: keysvc init --discard-orphans";
    seen?.must_agree(mend).map(drop)
}
