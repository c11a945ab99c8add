//! The orders of a founding: which keys it is about to make, in a file of the store before the first of them exists.
//!
//! The founding's own record-before-perform, for there is no log yet to hold an intent. It tells an interrupted
//! founding, whose keys nobody uses, from a service that lost its trust file or its disk, whose keys are worth all its
//! cards. Gone once the trust file is written.

use crate::{
    config::{Config, ConfigError, read_capped},
    error::Fault,
    keeper::manifest::Order,
};
use keysvc_protocol::bytes::{ObjectIdentifier, from_hex};
use keysvc_token::{FoundObject, Token};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Its name in the store's folder.
const FILE: &str = "founding.orders";
/// Its first line: what it is, and its version.
const HEAD: &str = "keysvc founding orders 1";
/// Longest file read, in bytes: 64 keys of an identifier (32), a name (64) and two separators take 6.2 KiB, the two
/// lines before them 200 bytes.
const LEN_MAX: u64 = 8 * 1024;

/// What a founding announced.
#[derive(Debug)]
pub(super) struct Orders {
    serial: String,
    keys: Vec<(ObjectIdentifier, String)>,
}

impl Orders {
    /// Where they are written.
    pub(super) fn path(config: &Config) -> PathBuf {
        config.keeper.store.join(FILE)
    }

    /// Reads what a founding announced and did not end; nothing where there is none.
    pub(super) fn read(config: &Config) -> Result<Option<Self>, ConfigError> {
        let path = Self::path(config);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = read_capped(&path, LEN_MAX)?;
        let text = String::from_utf8(bytes).unwrap_or_default();
        match Self::parse(&text) {
            Some(orders) => Ok(Some(orders)),
            // Cut short: it was not durable, so no key was made yet.
            None if !text.ends_with(END) => Ok(Some(Self { serial: String::new(), keys: Vec::new() })),
            None => {
                Err(ConfigError::file(&path, "not the orders of a founding; use a fresh token and store"))
            }
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix(END)?.lines();
        if lines.next()? != HEAD {
            return None;
        }
        let serial = lines.next()?.strip_prefix("token ")?.to_owned();
        let keys = lines.map(|line| {
            let (id, name) = line.split_once(' ')?;
            Some((ObjectIdentifier::new(from_hex(id)?.try_into().ok()?), name.to_owned()))
        });
        Some(Self { serial, keys: keys.collect::<Option<_>>()? })
    }

    /// Writes them, durable when this returns.
    pub(super) fn announce(config: &Config, token: &Token, orders: &[Order]) -> Result<(), Fault> {
        let mut text = format!("{HEAD}\ntoken {}\n", token.identity().serial);
        for order in orders {
            text.extend([order.id.to_string().as_str(), " ", order.name.as_str(), "\n"]);
        }
        text.push_str(END);
        let write = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(Self::path(config))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            sync_folder(&config.keeper.store)
        };
        write().map_err(|source| Fault::Io {
            what: "writing the founding's orders to the store's folder",
            source,
        })
    }

    /// Takes them away: the founding is whole, or nothing of it is left.
    pub(super) fn withdraw(config: &Config) -> Result<(), Fault> {
        let remove = || -> io::Result<()> {
            super::orphans::remove_file(&Self::path(config))?;
            sync_folder(&config.keeper.store)
        };
        remove().map_err(|source| Fault::Io { what: "removing the founding's orders", source })
    }

    /// Whether they are for this token; those cut short are for any, for no key was made under them.
    pub(super) fn are_for(&self, token: &Token) -> bool {
        self.keys.is_empty() || self.serial == token.identity().serial
    }

    /// Whether an object was ordered: by its identifier, or, where an interrupted creation left it without one, by a
    /// name of theirs or by none at all.
    pub(super) fn ordered(&self, object: &FoundObject) -> bool {
        match object.id {
            Some(id) => self.has(&ObjectIdentifier::new(id.0)),
            None => {
                !self.keys.is_empty()
                    && (object.label.is_empty() || self.keys.iter().any(|(_, name)| *name == object.label))
            }
        }
    }

    /// Whether this identifier was announced.
    pub(super) fn has(&self, id: &ObjectIdentifier) -> bool {
        self.keys.iter().any(|(known, _)| known == id)
    }
}

/// The last line: a file without it was cut short.
const END: &str = "end\n";

pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_back_and_those_cut_short_are_told() {
        let text = format!("{HEAD}\ntoken 81f3\n{} checkpoint\n{END}", "0a".repeat(16));
        let orders = Orders::parse(&text).unwrap();
        assert_eq!(orders.serial, "81f3");
        assert!(
            orders.has(&ObjectIdentifier::new([10; 16])) && !orders.has(&ObjectIdentifier::new([11; 16]))
        );
        for cut in 0..text.len() {
            assert!(Orders::parse(&text[..cut]).is_none(), "{cut}");
        }
        assert!(Orders::parse(&text.replace("0a0a", "zz0a")).is_none());
        assert!(Orders::parse(&text.replace("orders 1", "orders 2")).is_none());
    }
}
