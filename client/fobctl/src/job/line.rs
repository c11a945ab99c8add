//! What an encoder's program and this one say to each other: JSON, a message a line, on the program's stdin and stdout.
//!
//! ```text
//! fobctl  -> {"next":true}                                         a card is wanted
//! program -> {"card":"04782e21801d80"}                             one is in the machine
//!         or {"end":true}                                          there are no more
//! fobctl  -> {"card":"..","keys":[{"slot":0,"version":1,"key":"32 hex digits"}],"data":"hex"}
//! program -> {"result":"good","readback":["10 hex digits"]}
//!         or {"result":"sample","readback":["10 hex digits"]}
//!         or {"result":"reject","cause":"why"}
//! fobctl  -> {"card":"..","tray":"good"}                           or sample, reject, blank: where it goes
//! fobctl  -> {"stop":"why"}                                        the end, then its stdin closes
//! program -> {"jam":"why"}                                         instead of any answer: the machine stands still
//! ```
//!
//! With one card in hand at a time a program may present a card, read lines until its keys come, and answer: what is said
//! in between it may leave unread. With more in hand it is asked for the next while others wait for their keys. A card that
//! was in hand when the program before ended gets its keys again without being presented; where the machine cannot reach it,
//! it is a reject. A check value is the first 5 bytes of AES-CMAC over a zero block under a key as the card holds it, slots
//! ascending, each read out of the card. No message tells how many cards a job has.

use crate::shown::hex_digits;
use keysvc_client::{
    personalization::Tray,
    protocol::{bytes::ShortCheck, card::CardUid, job::Outcome, name::Reason},
    station::DeliveredCard,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Longest message of a program, in bytes: a result with 8 check values, a cause of 200 bytes, escaped.
pub(crate) const LINE_LEN_MAX: u64 = 4 * 1024;
/// Room for a message with keys, in bytes: 8 keys of 80 bytes, 256 bytes of data in hexadecimal, names.
const KEYS_LEN_MAX: usize = 2 * 1024;

/// What a program says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A card is in the machine.
    Card(CardUid),
    /// What became of the card that got its keys; it may be named.
    Result {
        /// The card.
        card: Option<CardUid>,
        /// What became of it.
        outcome: Outcome,
        /// What was read back.
        readback: Vec<ShortCheck>,
    },
    /// The machine stands still.
    Jam(String),
    /// No more cards.
    End,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    card: Option<String>,
    result: Option<String>,
    #[serde(default)]
    readback: Vec<String>,
    cause: Option<String>,
    jam: Option<String>,
    #[serde(default)]
    end: bool,
}

/// Reads a message.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn read(line: &str) -> Result<Heard, String> {
    let said: Said = serde_json::from_str(line).map_err(|error| format!("no message: {error}"))?;
    let card = said.card.map(|card| card.parse().map_err(|error| format!("card: {error}"))).transpose()?;
    let readback = said.readback.iter().map(|value| value.parse()).collect::<Result<Vec<ShortCheck>, _>>();
    let readback = readback.map_err(|_| "readback: 10 hexadecimal digits for each slot".to_owned())?;
    if said.result.is_none() && (!readback.is_empty() || said.cause.is_some()) {
        return Err("readback and cause go with a result".to_owned());
    }
    match (card, said.result.as_deref(), said.jam, said.end) {
        (Some(card), None, None, false) => Ok(Heard::Card(card)),
        (None, None, Some(cause), false) => Ok(Heard::Jam(cause)),
        (None, None, None, true) => Ok(Heard::End),
        (card, Some(result), None, false) => {
            let outcome = match (result, said.cause) {
                ("good", None) => Outcome::Good,
                ("sample", None) => Outcome::Sample,
                ("reject", Some(cause)) => {
                    let cause: Reason = cause.parse().map_err(|error| format!("cause: {error}"))?;
                    Outcome::Reject { cause }
                }
                ("reject", None) => return Err("a reject has a cause".to_owned()),
                _ => return Err("result: good, sample, or reject with a cause".to_owned()),
            };
            Ok(Heard::Result { card, outcome, readback })
        }
        _ => Err("one of card, result, jam, end".to_owned()),
    }
}

/// The message with a card's keys, in memory that is wiped.
pub(crate) fn keys(card: &DeliveredCard) -> Zeroizing<String> {
    // Digit by digit into room that does not grow: no copy of a key is left anywhere.
    let mut line = Zeroizing::new(String::with_capacity(KEYS_LEN_MAX));
    let card_head = format!("{{\"card\":\"{}\",\"keys\":[", card.card);
    line.push_str(&card_head);
    for (place, key) in card.keys.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        let key_head = format!("{comma}{{\"slot\":{},\"version\":{},\"key\":\"", key.slot, key.key_version);
        line.push_str(&key_head);
        for byte in key.value.expose() {
            line.extend(hex_digits(*byte));
        }
        line.push_str("\"}");
    }
    line.push_str("],\"data\":\"");
    for byte in card.data.iter().flat_map(|data| data.0.as_bytes()) {
        line.extend(hex_digits(*byte));
    }
    line.push_str("\"}\n");
    line
}

#[derive(Serialize)]
struct PutOut {
    card: String,
    tray: &'static str,
}

#[derive(Serialize)]
struct Stop<'a> {
    stop: &'a str,
}

/// The message where a card goes.
pub(crate) fn tray(card: &CardUid, tray: Tray) -> String {
    let tray = match tray {
        Tray::Good => "good",
        Tray::Reject => "reject",
        Tray::Sample => "sample",
        Tray::Blank => "blank",
    };
    message(&PutOut { card: card.to_string(), tray })
}

/// The message that no more cards are wanted.
pub(crate) fn stop(why: &str) -> String {
    message(&Stop { stop: why })
}

fn message(message: &impl Serialize) -> String {
    // Texts and nothing else: that always goes into JSON.
    let text = serde_json::to_string(message).unwrap_or_default();
    format!("{text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_client::protocol::job::ItemData;

    #[test]
    fn every_message_of_a_program_is_read() {
        let card: CardUid = "04782e21801d80".parse().unwrap();
        assert_eq!(read(r#"{"card":"04782e21801d80"}"#), Ok(Heard::Card(card)));
        assert_eq!(read(r#"{"end":true}"#), Ok(Heard::End));
        assert_eq!(read(r#"{"jam":"stuck"}"#), Ok(Heard::Jam("stuck".into())));
        let readback = vec![ShortCheck::new([1, 2, 3, 4, 5])];
        assert_eq!(
            read(r#"{"result":"good","readback":["0102030405"]}"#),
            Ok(Heard::Result { card: None, outcome: Outcome::Good, readback })
        );
        let outcome = Outcome::Reject { cause: "bent".parse().unwrap() };
        assert_eq!(
            read(r#"{"card":"04782e21801d80","result":"reject","cause":"bent"}"#),
            Ok(Heard::Result { card: Some(card), outcome, readback: Vec::new() })
        );
    }

    #[test]
    fn what_is_no_message_is_told_with_the_mend() {
        for (line, why) in [
            ("no", "no message"),
            ("{}", "one of card, result, jam, end"),
            (r#"{"card":"0478"}"#, "card: a card identifier has"),
            (r#"{"card":"04782e21801d80","end":true}"#, "one of card"),
            (r#"{"result":"good","readback":["01"]}"#, "10 hexadecimal digits"),
            (r#"{"result":"reject"}"#, "a reject has a cause"),
            (r#"{"result":"bad"}"#, "good, sample, or reject"),
            (r#"{"card":"04782e21801d80","readback":["0102030405"]}"#, "go with a result"),
            (r#"{"cards":"x"}"#, "unknown field"),
        ] {
            let said = read(line).unwrap_err();
            assert!(said.contains(why), "{line}: {said}");
        }
    }

    #[test]
    fn what_a_program_is_told_is_json_of_one_line() {
        let card: CardUid = "04782e21801d80".parse().unwrap();
        let data = Some(ItemData(vec![0, 0xff].try_into().unwrap()));
        let line = keys(&DeliveredCard { card, keys: Vec::new(), data });
        assert_eq!(line.as_str(), "{\"card\":\"04782e21801d80\",\"keys\":[],\"data\":\"00ff\"}\n");
        assert_eq!(tray(&card, Tray::Blank), "{\"card\":\"04782e21801d80\",\"tray\":\"blank\"}\n");
        assert_eq!(stop("over"), "{\"stop\":\"over\"}\n");
    }
}
