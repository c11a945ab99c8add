//! `keysvc init`: from a founding file that every officer signed to the first leaf of the log.
//!
//! The one exception to record-before-perform: the keys are made before leaf 0 names them. So the token must be
//! empty, the keys are announced in a file (`orders`), and of an interrupted founding everything that was announced can
//! be destroyed (`orphans`) or, once leaf 0 is on disk, finished (`unfinished`).

mod orders;
mod orphans;
mod unfinished;
mod vectors;

pub use orphans::Orphans;

use super::{
    ledger::{Anchor, AnchorFault, Change, DataKeys, Options, Reader, Sequencer},
    manifest::{self, Order},
    own_token,
    serve::now_ms,
    storage::{Storage, names_of_month},
};
use crate::{
    config::{Config, ConfigError, FILE_LEN_MAX, parse_toml, read_capped},
    error::Fault,
};
use keysvc_policies::PolicySet;
use keysvc_protocol::{
    bytes::{Blob, Digest, ObjectIdentifier, from_hex},
    checkpoint::{Checkpoint, Origin, SignedCheckpoint},
    founding::{FoundedKind, Founding},
    hash::sha256,
    key::{KeyKind, KeyRecord, KeyState},
    leaf::{FoundingLeaf, FoundingSignature},
    list::List,
    merkle::TreeHead,
    name::Name,
    schema::Schema,
    trust::Trust,
};
use keysvc_token::{FoundObject, ObjectId, Token};
use orders::Orders;
use std::path::{Path, PathBuf};
use unfinished::Unfinished;

/// Most keys a founding file asks for: leaf 0 names 64, three of them the service's own.
const FOUNDED_KEYS_MAX: usize = 61;

/// What a founding made.
#[derive(Debug)]
pub struct Founded {
    /// Trust domain and genesis digest.
    pub trust: Trust,
    /// The keys.
    pub keys: Vec<KeyRecord>,
    /// The officers whose signatures were checked.
    pub officers: Vec<Name>,
    /// Whether it is for development only.
    pub development: bool,
    /// Whether an interrupted founding was finished: leaf 0 was there.
    pub finished: bool,
}

/// What to do with what an interrupted founding left.
pub enum Leftovers<'a> {
    /// Name it and refuse.
    Refuse,
    /// Destroy it, if this says so when it is shown everything; its error is why not.
    Discard(&'a dyn Fn(&Orphans) -> Result<(), Fault>),
}

impl std::fmt::Debug for Leftovers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Refuse) { "Refuse" } else { "Discard" })
    }
}

/// Founds the service that `file` configures.
///
/// # Errors
/// [`Fault`] naming file, key and mend; nothing is made, and nothing destroyed, before every check has passed.
pub async fn found(file: &Path, leftovers: &Leftovers<'_>) -> Result<Founded, Fault> {
    let config = Config::read(file)?;
    if config.trust.exists() {
        let mend =
            "the service is founded already; a second founding needs a new trust file, store and token";
        return Err(ConfigError::file(&config.trust, mend).into());
    }
    let bytes = read_capped(&config.founding, FILE_LEN_MAX)?;
    let founding = read_founding(&config.founding, &bytes)?;
    agrees(&config, &founding)?;
    let signatures = signatures(&config, &founding, &bytes)?;
    if founding.keys.len() > FOUNDED_KEYS_MAX {
        return Err(too_many_keys(&config).into());
    }
    trust_must_be_writable(&config)?;
    let officers = founding.officers.iter().map(|officer| officer.name.clone()).collect();
    let development = founding.development;
    let announced = Orders::read(&config)?;
    if announced.is_none() {
        must_be_fresh(&config)?;
    }
    let token = open_token(&config)?;
    if let Some(orders) = announced {
        let site = (&founding, bytes.as_slice());
        if let Some((trust, keys)) = take_up(&config, &token, site, (&orders, leftovers))? {
            return Ok(Founded { trust, keys, officers, development, finished: true });
        }
        must_be_fresh(&config)?;
    }
    must_be_empty(&token)?;
    let keys = make_keys(&config, &token, &founding)?;
    vectors::must_agree(&token, &founding, &keys)?;
    // Before leaf 0 acknowledges them: the token itself syncs nothing.
    storage(&config, &token).sync()?;
    let leaf = FoundingLeaf {
        schema: Schema,
        founding: Blob::try_from(bytes).map_err(|_| Fault::Invariant("a founding file is too long"))?,
        signatures: List::try_from(signatures).map_err(|_| Fault::Invariant("too many officers"))?,
        keys: List::try_from(keys.clone()).map_err(|_| too_many_keys(&config))?,
        policy: founding.policy,
    };
    let trust = begin_log(&config, &token, leaf, &founding).await?;
    own_token::remember(&config, &token)?;
    Ok(Founded { trust, keys, officers, development, finished: false })
}

/// Takes up a founding that was interrupted: finishes it where leaf 0 is there and all agrees, else clears it away, if
/// that is wished.
fn take_up(
    config: &Config,
    token: &Token,
    (founding, bytes): (&Founding, &[u8]),
    (orders, leftovers): (&Orders, &Leftovers<'_>),
) -> Result<Option<(Trust, Vec<KeyRecord>)>, Fault> {
    let mut why = "no leaf was written yet".to_owned();
    if let Some(unfinished) = Unfinished::find(config, orders)? {
        match unfinished.differs(token, founding, bytes)? {
            None => {
                let keys = unfinished.leaf.keys.to_vec();
                let trust = Trust { domain: founding.trust_domain.clone(), genesis: unfinished.head.root };
                acknowledge(config, token, &keys, (&trust, unfinished.head))?;
                return Ok(Some((trust, keys)));
            }
            Some(difference) => why = format!("leaf 0 was written and cannot be finished: {difference}"),
        }
    }
    let orphans = Orphans::find(config, token, orders)?;
    if orphans.are_some(config) {
        match leftovers {
            Leftovers::Refuse => return Err(Fault::Refusing(interrupted(&why, &orphans))),
            Leftovers::Discard(confirmed) => confirmed(&orphans)?,
        }
    }
    orphans.discard(config, token, &storage(config, token))?;
    Ok(None)
}

fn interrupted(why: &str, orphans: &Orphans) -> String {
    format!(
        "an earlier founding was interrupted ({why}); to destroy what it left and found again, run: \
         keysvc init --discard-orphans\n  {}",
        orphans.lines().join("\n  ")
    )
}

/// Reads and checks a founding file.
///
/// # Errors
/// [`ConfigError`] with the place and the mend.
pub fn read_founding(file: &Path, bytes: &[u8]) -> Result<Founding, ConfigError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ConfigError::file(file, "not UTF-8 text"))?;
    let founding: Founding = parse_toml(file, text)?;
    founding.check().map_err(|error| ConfigError::key(file, error.place, error.mend))?;
    Ok(founding)
}

/// The site's token, logged in.
///
/// # Errors
/// [`Fault`] when it cannot be opened.
pub fn open_token(config: &Config) -> Result<Token, Fault> {
    // Before the PIN is read: it is tried on no token but the service's.
    let found = own_token::find(config)?;
    Ok(found.log_in(&config.token.pin_source()?.read()?)?)
}

/// The storage keys' means, from the configuration.
#[must_use]
pub fn storage<'a>(config: &'a Config, token: &'a Token) -> Storage<'a> {
    Storage { token, token_folder: config.token.folder.as_deref(), store: &config.keeper.store }
}

fn agrees(config: &Config, founding: &Founding) -> Result<(), Fault> {
    let file = &config.founding;
    if founding.trust_domain != config.trust_domain {
        let mend = format!("keysvc.toml says {}; the two must be equal", config.trust_domain);
        return Err(ConfigError::key(file, "trust-domain", mend).into());
    }
    let ca = ca_digest(&config.front.ca)?;
    if founding.ca != ca {
        let mend = format!("the CA in {} has the digest {ca}", config.front.ca.display());
        return Err(ConfigError::key(file, "ca", mend).into());
    }
    let policy = Digest::new(PolicySet::load(&config.keeper.policies)?.digest());
    if founding.policy != policy {
        let mend = format!("the policies in {} have the digest {policy}", config.keeper.policies.display());
        return Err(ConfigError::key(file, "policy", mend).into());
    }
    Ok(())
}

/// SHA-256 of a PEM certificate's DER.
///
/// # Errors
/// [`ConfigError`] when the file holds none.
pub fn ca_digest(file: &Path) -> Result<Digest, ConfigError> {
    let pem = read_capped(file, FILE_LEN_MAX)?;
    let parsed = x509_parser::pem::Pem::iter_from_buffer(&pem).next().and_then(Result::ok);
    let certificate = parsed.ok_or_else(|| ConfigError::file(file, "holds no PEM certificate"))?;
    Ok(sha256(&[&certificate.contents]))
}

fn signatures(config: &Config, founding: &Founding, bytes: &[u8]) -> Result<Vec<FoundingSignature>, Fault> {
    let mut all = Vec::with_capacity(founding.officers.len());
    for officer in &founding.officers {
        let file = config.signatures.join(format!("{}.cose", officer.name));
        let missing = || {
            let mend =
                format!("the officer's signature is missing; {} runs: fobctl founding sign", officer.name);
            ConfigError::file(&file, mend)
        };
        if !file.exists() {
            return Err(missing().into());
        }
        let signed = read_capped(&file, 1024)?;
        founding.verify_agreement(bytes, officer, &signed).map_err(|error| {
            ConfigError::file(&file, format!("the signature does not count: {error}; sign again"))
        })?;
        let signed = Blob::try_from(signed).map_err(|_| missing())?;
        all.push(FoundingSignature { schema: Schema, officer: officer.name.clone(), signed });
    }
    Ok(all)
}

/// Store, anchor and trust file are made by the founding: what is there already is another's, or an interrupted
/// founding's.
fn must_be_fresh(config: &Config) -> Result<(), ConfigError> {
    if std::fs::metadata(&config.keeper.anchor).is_ok_and(|anchor| anchor.len() > 0) {
        let mend = "an anchor is there, of another site or an interrupted founding; use a fresh token, an empty store \
                    folder and no anchor file";
        return Err(ConfigError::file(&config.keeper.anchor, mend));
    }
    if Reader::open(&config.keeper.store).is_ok_and(|reader| reader.head().size > 0) {
        let mend = "the store holds a log, of another site or an interrupted founding; use a fresh token, an empty \
                    store folder and no anchor file";
        return Err(ConfigError::file(&config.keeper.store, mend));
    }
    let data_keys = DataKeys::read(&config.keeper.store).and_then(|keys| keys.all());
    if data_keys.is_ok_and(|keys| !keys.is_empty()) {
        let mend = "the store holds data keys of another token; use an empty store folder";
        return Err(ConfigError::file(&config.keeper.store, mend));
    }
    Ok(())
}

fn trust_must_be_writable(config: &Config) -> Result<(), ConfigError> {
    let probe = beside(&config.trust);
    let written = std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe));
    written.map_err(|error| {
        ConfigError::file(&config.trust, format!("cannot be made ({error}); make its folder writable"))
    })
}

/// The name under which a file is written before it gets its own.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn must_be_empty(token: &Token) -> Result<(), Fault> {
    let objects = token.inventory()?;
    if objects.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = objects.iter().map(object_line).collect();
    Err(Fault::Refusing(format!(
        "the token is not empty ({} objects) and no founding here announced them, so they are another's; use a fresh \
         token, an empty store folder and no anchor file:\n  {}",
        names.len(),
        names.join("\n  ")
    )))
}

/// An object as people know it: class, label, identifier.
fn object_line(object: &FoundObject) -> String {
    let id = object.id.map_or_else(|| "no identifier".to_owned(), |id| id.to_string());
    format!("{} {:?} ({id})", object.class, object.label)
}

fn orders(token: &Token, founding: &Founding) -> Result<Vec<Order>, Fault> {
    // The other classes' come with their first month's start.
    let [storage, _] = names_of_month(now_ms())?;
    let own = [
        ("checkpoint", KeyKind::Checkpoint, None),
        ("statement", KeyKind::ServiceStatement, None),
        (storage.as_str(), KeyKind::Storage, None),
    ];
    let founded = founding.keys.iter().map(|key| {
        let kind = match key.kind {
            FoundedKind::CardMaster => KeyKind::CardMaster,
            FoundedKind::ValueSigning => KeyKind::ValueSigning,
        };
        (key.name.as_str(), kind, key.value.as_deref())
    });
    own.into_iter()
        .chain(founded)
        .map(|(name, kind, value)| {
            let mut id = [0; 16];
            token.random(&mut id)?;
            let known = value.and_then(from_hex).and_then(|bytes| bytes.try_into().ok());
            let name = name.parse().map_err(|_| Fault::Invariant("a key has no name"))?;
            let id = ObjectIdentifier::new(id);
            Ok(Order { name, version: 1, kind, id, born: KeyState::Active, known })
        })
        .collect()
}

fn make_keys(config: &Config, token: &Token, founding: &Founding) -> Result<Vec<KeyRecord>, Fault> {
    let orders = orders(token, founding)?;
    Orders::announce(config, token, &orders)?;
    orders.iter().map(|order| manifest::make(token, order, now_ms())).collect()
}

fn too_many_keys(config: &Config) -> ConfigError {
    ConfigError::key(&config.founding, "keys", "a founding makes at most 61 keys")
}

/// Writes leaf 0, then acknowledges it.
async fn begin_log(
    config: &Config,
    token: &Token,
    leaf: FoundingLeaf,
    founding: &Founding,
) -> Result<Trust, Fault> {
    let keys = leaf.keys.to_vec();
    let storage_key = leaf.keys.iter().find(|key| key.kind == KeyKind::Storage);
    let storage_key = storage_key.ok_or(Fault::Invariant("no storage key was made"))?;
    let (sequencer, _reader) = Sequencer::start(&config.keeper.store, Options::from(&config.keeper.limits))?;
    sequencer.install_seal(storage(config, token).seal_of(storage_key)?);
    let settled = sequencer.submit(Change::Founding { leaf }).await?;
    let head = settled.commit.head();
    let trust = Trust { domain: founding.trust_domain.clone(), genesis: head.root };
    acknowledge(config, token, &keys, (&trust, head))?;
    Ok(trust)
}

/// Signs the first checkpoint, and writes anchor and trust file; the trust file last, because its presence says that
/// the founding is whole.
fn acknowledge(
    config: &Config,
    token: &Token,
    keys: &[KeyRecord],
    (trust, head): (&Trust, TreeHead),
) -> Result<(), Fault> {
    let checkpoint_key = keys
        .iter()
        .find(|key| key.kind == KeyKind::Checkpoint)
        .map(|key| ObjectId(*key.id.as_bytes()))
        .ok_or(Fault::Invariant("no checkpoint key was made"))?;
    let checkpoint = Checkpoint { origin: Origin::of(&trust.domain, 1), head };
    let key = token.signing_key(keysvc_token::KeyKind::Checkpoint, checkpoint_key)?;
    let signature = key.sign(checkpoint.digest_to_sign().as_bytes())?;
    let anchor = match Anchor::open(&config.keeper.anchor) {
        // Its first write was cut short, by the interruption that is being mended.
        Err(AnchorFault::Damaged { path }) => {
            let removed = orphans::remove_file(&path);
            removed.map_err(|source| Fault::Io { what: "removing a damaged anchor", source })?;
            Anchor::open(&path)?
        }
        opened => opened?,
    };
    anchor.advance(&SignedCheckpoint::assemble(&checkpoint, &signature, key.spki()))?;
    anchor.sync()?;
    write_trust(&config.trust, trust)?;
    Orders::withdraw(config)
}

fn write_trust(file: &Path, trust: &Trust) -> Result<(), Fault> {
    use std::io::Write as _;
    let write = || -> std::io::Result<()> {
        let new = beside(file);
        let mut out = std::fs::File::create(&new)?;
        out.write_all(trust.to_text().as_bytes())?;
        out.sync_all()?;
        std::fs::rename(&new, file)?;
        std::fs::File::open(file.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()
    };
    write().map_err(|source| Fault::Io { what: "writing the trust file", source })
}
