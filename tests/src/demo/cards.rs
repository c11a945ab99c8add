//! Card keys in the demo: 500 under each of two masters, checked against an independent AES-CMAC.

use super::{narrator::Narrator, persona::fobctl};
use crate::ground::{Failed, Ground};
use aes::Aes128;
use cmac::{Cmac, Mac as _};
use std::{fmt::Write as _, path::Path};

/// Cards for each master.
pub const CARDS: usize = 500;

/// The published master key of NXP AN10922's AES-128 example.
const PUBLISHED_KEY: [u8; 16] =
    [0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
/// What follows the UID in that example's input: application 3042F5 and "NXP Abu".
const PUBLISHED_REST: [u8; 10] = [0x30, 0x42, 0xf5, 0x4e, 0x58, 0x50, 0x20, 0x41, 0x62, 0x75];
/// The card key that the note publishes for the UID 04782E21801D80.
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

/// 500 UIDs, the published one first.
fn uids() -> Vec<String> {
    let rest = (1..CARDS).map(|number| format!("04782e{number:08x}"));
    std::iter::once("04782e21801d80".to_owned()).chain(rest).collect()
}

/// One line of what `fobctl station derive --out` writes.
struct Line {
    uid: Vec<u8>,
    key: [u8; 16],
    check: String,
}

fn lines(file: &Path) -> Result<Vec<Line>, Failed> {
    let text = std::fs::read_to_string(file).map_err(|error| Failed(error.to_string()))?;
    let bytes = |text: &str| keysvc_protocol::bytes::from_hex(text);
    let read = |line: &str| {
        let mut fields = line.split(',');
        let uid = bytes(fields.next()?)?;
        let key = bytes(fields.nth(2)?)?.try_into().ok()?;
        Some(Line { uid, key, check: fields.next()?.to_owned() })
    };
    let all: Vec<Line> = text.lines().skip(1).filter_map(read).collect();
    if all.is_empty() { Err(Failed(format!("{} holds no keys", file.display()))) } else { Ok(all) }
}

/// Derives and checks.
///
/// # Errors
/// [`Failed`] when a key differs.
pub fn tell(narrator: &mut Narrator, ground: &Ground) -> Result<(), Failed> {
    narrator.chapter(
        "Personalization: card keys derived in the token, delivered wrapped and signed to station-1",
    );
    let folder = ground.site().home("station-1").folder().to_path_buf();
    let list = folder.join("cards.txt");
    std::fs::write(&list, uids().join("\n")).map_err(|error| Failed(error.to_string()))?;
    for profile in ["known", "generated"] {
        let out = folder.join(format!("{profile}.csv"));
        let mut command =
            fobctl(ground, "station-1", &["station", "derive", "--profile", profile, "--version", "1"]);
        command.args(["--slot", "0", "--cards-file"]).arg(&list).arg("--out").arg(&out);
        let (_, took) = narrator.run(&mut command)?;
        narrator.measured("card keys derived, delivered, unwrapped by the station's own token", CARDS, took);
        compare(narrator, profile, &lines(&out)?)?;
        // The station would have written them to cards; the demo leaves no card keys behind.
        std::fs::remove_file(&out).map_err(|error| Failed(error.to_string()))?;
    }
    Ok(())
}

fn compare(narrator: &Narrator, profile: &str, lines: &[Line]) -> Result<(), Failed> {
    if lines.len() != CARDS {
        return Err(Failed(format!("{} keys came for {CARDS} cards", lines.len())));
    }
    for line in lines {
        if hex(cmac(line.key, &[&[0; 16]])?.get(..5).unwrap_or_default()) != line.check {
            return Err(Failed(format!("the check value of {} differs", hex(&line.uid))));
        }
        if profile == "known" && cmac(PUBLISHED_KEY, &[&[1], &line.uid, &PUBLISHED_REST])? != line.key {
            return Err(Failed(format!("the key of {} is not AN10922's", hex(&line.uid))));
        }
    }
    if profile == "known" {
        let first = lines.first().map(|line| hex(&line.key)).unwrap_or_default();
        if first != PUBLISHED_CARD_KEY {
            return Err(Failed("the published card key did not come out".to_owned()));
        }
        narrator.say(&format!("TEST KEY demo-known: all {CARDS} equal RustCrypto's CMAC byte for byte;"));
        narrator.say(&format!("UID 04782e21801d80 gives AN10922's published key {first}"));
    } else {
        narrator.say(&format!(
            "demo-generated: all {CARDS} check values equal RustCrypto's; nobody knows the master"
        ));
    }
    Ok(())
}
