//! A software encoder for `fobctl job run --writer`, of the tests (`encoder FOLDER`), the documents and the demo: cards are
//! files in folders, and hold the keys they are given.
//!
//! A card is a file in `FOLDER/feeder`, named by its UID, taken in the order of their names. What is in it says how it
//! behaves: nothing for a blank, `broken` for one that takes no keys, `sample`, or `jam` for one on which the machine stops
//! once. It goes to `hand` and then to the tray that it is told: `good`, `reject`, `sample` or `blank`. Its keys lie in its
//! file, a line of slot, version and value each, and are read back from there. It keeps nothing in memory, so that it may be
//! ended and started anywhere.

use aes::Aes128;
use cmac::{Cmac, Mac as _};
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    fs,
    io::{self, BufRead as _, Write as _},
    path::Path,
};

/// Where cards lie.
const PLACES: [&str; 6] = ["feeder", "hand", "good", "reject", "sample", "blank"];

/// Answers on stdout what it is told on stdin.
///
/// # Panics
/// When it is told what no `fobctl` tells, or a folder cannot be used.
pub fn serve(folder: &Path) {
    places(folder).unwrap();
    for line in io::stdin().lock().lines() {
        let said: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if let Some(answer) = answer(folder, &said) {
            let mut out = io::stdout().lock();
            writeln!(out, "{answer}").unwrap();
            out.flush().unwrap();
        }
    }
}

fn places(folder: &Path) -> io::Result<()> {
    PLACES.into_iter().try_for_each(|place| fs::create_dir_all(folder.join(place)))
}

/// Puts cards into a machine's feeder: each by its UID, with what it says.
///
/// # Errors
/// Those of the file system.
pub fn fill<'a>(folder: &Path, cards: impl IntoIterator<Item = (String, &'a str)>) -> io::Result<()> {
    places(folder)?;
    cards.into_iter().try_for_each(|(uid, says)| fs::write(folder.join("feeder").join(uid), says))
}

/// The cards in a tray, by their names.
///
/// # Errors
/// Those of the file system.
pub fn cards(folder: &Path, tray: &str) -> io::Result<Vec<String>> {
    let names =
        fs::read_dir(folder.join(tray))?.map(|file| Ok(file?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<_>>>()?;
    names.sort_unstable();
    Ok(names)
}

/// The first key that a card in a tray holds, in hexadecimal.
///
/// # Errors
/// Those of the file system.
pub fn first_key(folder: &Path, tray: &str, uid: &str) -> io::Result<Option<String>> {
    let holds = fs::read_to_string(folder.join(tray).join(uid))?;
    Ok(keys_in(&holds).next().map(str::to_owned))
}

fn keys_in(holds: &str) -> impl Iterator<Item = &str> {
    holds.lines().filter_map(|line| line.strip_prefix("key ")?.split(' ').nth(2))
}

fn answer(folder: &Path, said: &Value) -> Option<Value> {
    if said.get("next").is_some() {
        return Some(next(folder));
    }
    let card = said.get("card")?.as_str().unwrap();
    match (said.get("keys"), said.get("tray")) {
        (Some(keys), _) => Some(written(&folder.join("hand").join(card), said, keys.as_array().unwrap())),
        (None, Some(tray)) => {
            let hand = folder.join("hand").join(card);
            if hand.exists() {
                fs::rename(hand, folder.join(tray.as_str().unwrap()).join(card)).unwrap();
            }
            None
        }
        (None, None) => None,
    }
}

/// The first card of the feeder, taken in hand.
fn next(folder: &Path) -> Value {
    let feeder = fs::read_dir(folder.join("feeder")).unwrap();
    let Some(card) = feeder.map(|entry| entry.unwrap().file_name()).min() else {
        return json!({"end": true});
    };
    let lies = folder.join("feeder").join(&card);
    if fs::read_to_string(&lies).unwrap().trim() == "jam" {
        // Cleared by whoever starts the next run.
        fs::write(&lies, "").unwrap();
        return json!({"jam": "a card is stuck in the feeder"});
    }
    fs::rename(lies, folder.join("hand").join(&card)).unwrap();
    json!({"card": card.to_str().unwrap()})
}

fn written(card: &Path, said: &Value, keys: &[Value]) -> Value {
    let Ok(was) = fs::read_to_string(card) else {
        return json!({"result": "reject", "cause": "the machine cannot reach the card"});
    };
    if was.starts_with("broken") {
        return json!({"result": "reject", "cause": "the chip does not answer"});
    }
    let result = if was.starts_with("sample") { "sample" } else { "good" };
    let mut holds = if result == "sample" { "sample\n".to_owned() } else { String::new() };
    for key in keys {
        let value = key["key"].as_str().unwrap();
        writeln!(holds, "key {} {} {value}", key["slot"], key["version"]).unwrap();
    }
    if let Some(data) = said.get("data").and_then(Value::as_str) {
        writeln!(holds, "data {data}").unwrap();
    }
    fs::write(card, holds).unwrap();
    json!({"result": result, "readback": read_back(card)})
}

/// The check values of the keys as the card holds them.
fn read_back(card: &Path) -> Vec<String> {
    let holds = fs::read_to_string(card).unwrap();
    let check = |key: &str| {
        let mut mac = Cmac::<Aes128>::new_from_slice(&bytes(key)).unwrap();
        mac.update(&[0; 16]);
        mac.finalize().into_bytes().iter().take(5).map(|byte| format!("{byte:02x}")).collect()
    };
    keys_in(&holds).map(check).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
