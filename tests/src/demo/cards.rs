//! The card keys of the demo, as its cards hold them, checked against an independent AES-CMAC.

use super::narrator::Narrator;
use crate::{encoder, ground::Failed};
use aes::Aes128;
use cmac::{Cmac, Mac as _};
use keysvc_protocol::bytes::from_hex;
use std::{fmt::Write as _, path::Path};

/// The card of the published example.
const PUBLISHED_CARD: &str = "04782e21801d80";
/// The published master key of NXP AN10922's AES-128 example.
const PUBLISHED_KEY: [u8; 16] =
    [0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
/// What follows the UID in that example's input: application 3042F5 and "NXP Abu".
const PUBLISHED_REST: [u8; 10] = [0x30, 0x42, 0xf5, 0x4e, 0x58, 0x50, 0x20, 0x41, 0x62, 0x75];
/// The card key that the note publishes for that card.
const PUBLISHED_CARD_KEY: &str = "a8dd63a3b89d54b37ca802473fda9175";

/// AES-CMAC by another library than the token's.
pub(super) fn cmac(key: [u8; 16], parts: &[&[u8]]) -> Result<[u8; 16], Failed> {
    let mut mac = Cmac::<Aes128>::new_from_slice(&key).map_err(|error| Failed(error.to_string()))?;
    parts.iter().for_each(|part| mac.update(part));
    Ok(mac.finalize().into_bytes().into())
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// So many UIDs, the published one first.
pub(super) fn uids(count: usize) -> impl Iterator<Item = String> {
    std::iter::once(PUBLISHED_CARD.to_owned()).chain(fresh(0x30, count.saturating_sub(1)))
}

/// So many UIDs in a row, none of them the published one.
pub(super) fn fresh(kind: u8, count: usize) -> impl Iterator<Item = String> {
    (1..=count).map(move |number| format!("04{kind:02x}2e{number:08x}"))
}

/// Computes the key of every good card again, by the published master, and compares.
///
/// # Errors
/// [`Failed`] when a card holds another key.
pub(super) fn compare(narrator: &Narrator, folder: &Path) -> Result<(), Failed> {
    let failed = |error: std::io::Error| Failed(error.to_string());
    let cards = encoder::cards(folder, "good").map_err(failed)?;
    for card in &cards {
        let uid = from_hex(card).ok_or_else(|| Failed(format!("{card} is no UID")))?;
        let held = encoder::first_key(folder, "good", card).map_err(failed)?.unwrap_or_default();
        let key = hex(&cmac(PUBLISHED_KEY, &[&[1], &uid, &PUBLISHED_REST])?);
        if held != key || (card == PUBLISHED_CARD && key != PUBLISHED_CARD_KEY) {
            return Err(Failed(format!("the key of {card} is not AN10922's")));
        }
    }
    if !cards.iter().any(|card| card == PUBLISHED_CARD) {
        return Err(Failed("the published card was not made".to_owned()));
    }
    narrator.say(&format!(
        "TEST KEY demo-known: the keys that the {} good cards hold equal RustCrypto's CMAC byte for byte;",
        cards.len()
    ));
    narrator.say(&format!("UID {PUBLISHED_CARD} holds AN10922's published key {PUBLISHED_CARD_KEY}"));
    Ok(())
}
