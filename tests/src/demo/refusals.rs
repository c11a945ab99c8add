//! What the demo has refused, each with its reason.

use super::{jobs, narrator::Narrator, persona::fobctl, records};
use crate::ground::{Failed, Ground};
use keysvc_protocol::{
    bytes::{Exchange, Idem, KeyIdentifier},
    cbor,
    cose::{Kind, Signed, Unsigned},
    delivery::Delivery,
    list::List,
    public_key::PublicKey,
    schema::Schema,
    trust::Trust,
};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed(error.to_string())
}

/// Tries what must fail.
///
/// # Errors
/// [`Failed`] when something is not refused.
pub fn tell(narrator: &mut Narrator, ground: &Ground) -> Result<(), Failed> {
    narrator.chapter("Refusals");
    altered(narrator, ground)?;
    replayed(narrator, ground)?;
    forged(narrator, ground)?;
    narrator.say("\nA certificate of the same CA whose key nobody enrolled:");
    narrator.refused(&mut fobctl(ground, "stranger", &["status"]), 3)?;
    own_job(narrator, ground)?;
    unsigned_delivery(narrator, ground)
}

/// One person alone does what takes two.
fn own_job(narrator: &Narrator, ground: &Ground) -> Result<(), Failed> {
    narrator.say(
        "\nWhoever put a job together seals it as well; fobctl says so, and the service would refuse it too:",
    );
    let (said, _) = narrator.run(&mut jobs::created(ground, "spring-3", "known", 24)?)?;
    narrator.refused(&mut jobs::sealing(ground, "data-1", "spring-3", &said)?, 3)
}

fn altered(narrator: &Narrator, ground: &Ground) -> Result<(), Failed> {
    narrator.say("One byte of the signed load is altered:");
    let mut record = std::fs::read(records::file(ground, "load.cose")).map_err(failed)?;
    let middle = record.len() / 2;
    if let Some(byte) = record.get_mut(middle) {
        *byte ^= 1;
    }
    std::fs::write(records::file(ground, "altered.cose"), record).map_err(failed)?;
    narrator.refused(&mut records::check(ground, "altered.cose", "export"), 6)
}

fn replayed(narrator: &Narrator, ground: &Ground) -> Result<(), Failed> {
    narrator.say("\nThe load is played again to a card that is at sequence number 2:");
    let mut command = records::check(ground, "load.cose", "export");
    narrator.refused(command.args(["--last-seq", "2"]), 6)?;
    narrator.say("\nand asked for again at the service:");
    let mut command = records::value(ground, "load", "20.00", "1", "0.00");
    narrator.refused(command.arg("--out").arg(records::file(ground, "again.cose")), 7)
}

fn stranger_key() -> Result<(EcdsaKeyPair, PublicKey), Failed> {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(failed)?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random)
        .map_err(failed)?;
    let head = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
        0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    let public = PublicKey::from_spki(&[&head, pair.public_key().as_ref()].concat()).map_err(failed)?;
    Ok((pair, public))
}

/// The same update, signed with a key of the forger's under the real key's identifier.
fn forged(narrator: &Narrator, ground: &Ground) -> Result<(), Failed> {
    narrator.say("\nThe load's content under a forger's own signature, naming the real key:");
    let record = std::fs::read(records::file(ground, "load.cose")).map_err(failed)?;
    let kid = Signed::parse(&record).map_err(failed)?.key_identifier();
    let (pair, _) = stranger_key()?;
    let payload = payload_of(&record).ok_or_else(|| Failed("the record has no payload".to_owned()))?;
    let trust = trust(ground)?;
    let unsigned = Unsigned::new(Kind::ValueUpdate, trust.genesis.as_bytes(), kid, payload);
    let signature = pair.sign(&SystemRandom::new(), &unsigned.to_be_signed()).map_err(failed)?;
    let signature = signature.as_ref().try_into().map_err(failed)?;
    std::fs::write(records::file(ground, "forged.cose"), unsigned.with_signature(&signature))
        .map_err(failed)?;
    narrator.refused(&mut records::check(ground, "forged.cose", "export"), 6)
}

/// The payload between the protected header with its empty map and the signature; the demo plays the forger here,
/// who verifies nothing.
fn payload_of(record: &[u8]) -> Option<Vec<u8>> {
    let position = record.windows(2).position(|pair| pair == [0xa0, 0x58])?;
    let len = usize::from(*record.get(position.checked_add(2)?)?);
    let start = position.checked_add(3)?;
    record.get(start..start.checked_add(len)?).map(<[u8]>::to_vec)
}

fn trust(ground: &Ground) -> Result<Trust, Failed> {
    Trust::parse(&std::fs::read_to_string(ground.site().trust()).map_err(failed)?).map_err(failed)
}

fn unsigned_delivery(narrator: &Narrator, ground: &Ground) -> Result<(), Failed> {
    narrator.say("\nA delivery of card keys that is not signed, and one signed by a stranger, as the station sees them:");
    let delivery = Delivery {
        schema: Schema,
        station: "station-1".parse().map_err(failed)?,
        exchange: Exchange::new([0; 16]),
        idem: Idem::new([0; 16]),
        job: "job-1".parse().map_err(failed)?,
        generation: 1,
        profile: "known".parse().map_err(failed)?,
        profile_version: 1,
        keys: List::default(),
        items: List::default(),
    };
    let (trust, payload) = (trust(ground)?, cbor::encode(&delivery));
    let (pair, public) = stranger_key()?;
    let unsigned =
        Unsigned::new(Kind::Delivery, trust.genesis.as_bytes(), KeyIdentifier::new([0; 8]), payload.clone());
    let signature = pair.sign(&SystemRandom::new(), &unsigned.to_be_signed()).map_err(failed)?;
    let by_stranger = unsigned.with_signature(&signature.as_ref().try_into().map_err(failed)?);
    for (what, message) in [("not signed", payload), ("by a stranger", by_stranger)] {
        match Delivery::verify(&message, &trust.genesis, &public) {
            Ok(_) => return Err(Failed(format!("a delivery {what} was taken"))),
            Err(error) => narrator.say(&format!("{what}: refused: {error}")),
        }
    }
    Ok(())
}
