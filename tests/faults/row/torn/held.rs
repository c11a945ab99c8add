//! Keys that were acknowledged, held against the token by a process of their own: it sees what the service's token has, and
//! asks no keeper.

use keysvc::{
    config::Config,
    keeper::{founding::open_token, manifest::token_kind},
};
use keysvc_protocol::{
    bytes::from_hex,
    cbor,
    key::{CheckValue, KeyKind, KeyRecord},
    public_key::PublicKey,
};
use keysvc_tests::ground::{Failed, Ground, text};
use keysvc_token::{ObjectId, Origin, Token};
use std::{fs, path::Path};

/// Longer than a key's record.
const RECORD_LEN_MAX: usize = 64 * 1024;

/// Has a child of this program compare the keys. The service stands still.
pub(super) fn held(ground: &Ground, keys: &[KeyRecord]) -> Result<(), String> {
    let file = ground.site().folder().join("acknowledged-keys");
    let lines =
        keys.iter().map(|key| cbor::encode(key).iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    fs::write(&file, lines.collect::<Vec<_>>().join("\n")).map_err(|error| error.to_string())?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut child = ground.site().service().command(&program);
    child.arg("token").arg(ground.site().service_config()).arg(&file);
    let output = child.output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(text(&output)) }
}

/// What that child does.
///
/// # Errors
/// The first key that is not in the token as it was acknowledged.
pub fn compare(config: &Path, keys: &Path) -> Result<(), Failed> {
    let config = Config::read(config).map_err(|error| Failed(error.to_string()))?;
    let token = open_token(&config).map_err(|fault| Failed(fault.to_string()))?;
    let text = fs::read_to_string(keys).map_err(|error| Failed(error.to_string()))?;
    for line in text.lines() {
        let bytes = from_hex(line).ok_or_else(|| Failed("no record of a key".to_owned()))?;
        let record: KeyRecord =
            cbor::decode(&bytes, RECORD_LEN_MAX).map_err(|error| Failed(error.to_string()))?;
        is_held(&token, &record).map_err(|why| Failed(format!("{} ({}): {why}", record.name, record.id)))?;
    }
    Ok(())
}

fn is_held(token: &Token, record: &KeyRecord) -> Result<(), String> {
    let (kind, id) = (token_kind(record.kind), ObjectId(*record.id.as_bytes()));
    let drift = token.drift(kind, id, Origin::Generated).map_err(|error| error.to_string())?;
    if !drift.is_empty() {
        return Err(format!("{drift:?}"));
    }
    let check = token.check_value(kind, id).map_err(|error| error.to_string())?;
    let same = match &record.check {
        CheckValue::Cmac { value } | CheckValue::Kw { value } => value.as_bytes().as_slice() == check.bytes(),
        CheckValue::Spki { value } => value.as_bytes().as_slice() == check.bytes(),
    };
    if !same {
        return Err(format!("the token computes another check value than {}", record.check));
    }
    // And it works: a half that is not the other's would sign all the same.
    if record.kind == KeyKind::ValueSigning {
        let message = record.id.as_bytes();
        let digest = keysvc_protocol::hash::sha256(&[message]);
        let key = token.signing_key(kind, id).map_err(|error| error.to_string())?;
        let signature = key.sign(digest.as_bytes()).map_err(|error| error.to_string())?;
        let public = PublicKey::from_spki(key.spki()).map_err(|error| error.to_string())?;
        if public.verify(&[message], &signature).is_err() {
            return Err("its public half does not verify what it signs".to_owned());
        }
    }
    Ok(())
}
