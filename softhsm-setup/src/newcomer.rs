//! A persona that joins a site after its founding: the folder, the keys and the certificate that the others have, and
//! the request by which the officers enrol it.
//!
//! Apart from [`crate::site`] because a founded site cannot be changed by a file: whoever comes later is enrolled by
//! quorum. Nobody is enrolled here, and the service is not told.

use crate::{
    ModuleKind, SetupError,
    claim::Claim,
    config,
    module::Module,
    private::new_file,
    roster::{Equipped, Persona},
    site::{STATE, Site, Tools},
    softhsm,
};
use keysvc_protocol::{
    bytes::Digest,
    founding::{P256Text, PrincipalKind, SubjectPublicKeyInfo},
    name::Name,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What a site keeps beside its personas' folders before anything is there: the trust file is written at the founding.
const RESERVED: [&str; 1] = ["trust"];

/// Capabilities of one principal, as an enrolment holds them.
const CAPABILITIES_MAX: usize = 16;

/// What stands above an enrolment request's first line.
const HEADING: &str = "\
# An enrolment request: who asks to take part, and the public keys to be pinned. Nothing in it is secret. It has no
# effect until the officers have enrolled what it says: fobctl principal enrol
#
# tls-key is the SHA-256 of the TLS key's SubjectPublicKeyInfo, in hexadecimal. The other keys are base64 of their DER;
# an officer's statement key is the approval key.

";

/// Who is to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newcomer {
    /// Its name, and that of its folder.
    pub name: Name,
    /// What it is.
    pub kind: PrincipalKind,
    /// An officer's department, anyone else's organisation.
    pub group: Name,
    /// What it may do beyond its kind, as the site's policies name it; an officer has none.
    pub capabilities: Vec<Name>,
}

/// An enrolment request: what `enrolment.toml` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Enrolment {
    /// The name.
    pub id: Name,
    /// What it is.
    pub kind: PrincipalKind,
    /// The organisation; of everyone but an officer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<Name>,
    /// The department; of an officer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<Name>,
    /// What it may do beyond its kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<Name>,
    /// SHA-256 of the TLS key's `SubjectPublicKeyInfo`, hexadecimal.
    #[serde(with = "hexadecimal")]
    pub tls_key: Digest,
    /// The statement key, base64 of its DER: an officer's approval key. None for those who sign nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_key: Option<P256Text>,
    /// A station's RSA wrapping key, base64 of its DER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapping_key: Option<SubjectPublicKeyInfo>,
}

impl Enrolment {
    fn new(newcomer: &Newcomer, equipped: Equipped<'_>) -> Self {
        let Equipped { tls_key, public, .. } = equipped;
        let group = |of_officer: bool| {
            ((newcomer.kind == PrincipalKind::Officer) == of_officer).then(|| newcomer.group.clone())
        };
        Self {
            id: newcomer.name.clone(),
            kind: newcomer.kind,
            organisation: group(false),
            department: group(true),
            capabilities: newcomer.capabilities.clone(),
            tls_key,
            statement_key: public.approval.or(public.statement),
            wrapping_key: public.wrapping,
        }
    }

    /// The text of `enrolment.toml`.
    ///
    /// # Errors
    /// [`SetupError::Text`] if it cannot be written.
    pub fn to_text(&self) -> Result<String, SetupError> {
        let text = toml::to_string(self)
            .map_err(|error| SetupError::Text { what: "enrolment.toml", reason: error.to_string() })?;
        Ok(format!("{HEADING}{text}"))
    }
}

impl Site {
    /// Makes the folder of someone who joins after the founding, with everything the founding's personas of that kind
    /// have (officers and stations a token of their own, terminals, operators and offices a statement key in a file),
    /// and writes the request for its enrolment there. `program` is the `softhsm-setup` program.
    ///
    /// # Errors
    /// [`SetupError::NameTaken`] if the name is in use, [`SetupError::Capabilities`] for an officer with some or for
    /// one twice, or [`SetupError`] if anything cannot be made; then nothing of it stays.
    pub fn add_persona(&self, program: &Path, newcomer: &Newcomer) -> Result<Enrolment, SetupError> {
        can_have(newcomer)?;
        let name = newcomer.name.as_str();
        let home = self.home(name);
        let taken = || SetupError::NameTaken { name: name.to_owned() };
        // An empty folder is the site's too, such as the one for the officers' signatures.
        if RESERVED.contains(&name) || fs::symlink_metadata(home.folder()).is_ok() {
            return Err(taken());
        }
        let config = self.service_config();
        let text = fs::read_to_string(&config).map_err(SetupError::file("read", config))?;
        let module = personas_module(config::module(&text)?)?;
        let claim = Claim::take(home.folder(), STATE).map_err(|error| match error {
            SetupError::Occupied { .. } => taken(),
            error => error,
        })?;
        let persona = Persona::new(name, newcomer.kind, newcomer.group.as_str());
        let equipped = self.equip(&persona, Tools { module: &module, program })?.finish()?;
        let enrolment = Enrolment::new(newcomer, equipped);
        // Last, because whoever finds it may take the persona for whole.
        new_file(&home.enrolment(), enrolment.to_text()?)?;
        claim.keep();
        Ok(enrolment)
    }
}

/// The module of everyone's token but the service's: `SoftHSM`, where it is used already or wherever it is now.
fn personas_module(service: PathBuf) -> Result<Module, SetupError> {
    let other = ModuleKind::of(&service).is_some_and(|kind| kind != ModuleKind::SoftHsm);
    let softhsm = if other { softhsm::find() } else { Some(service) };
    let path = softhsm.ok_or_else(|| softhsm::missing("looked in the usual places only"))?;
    Ok(Module::softhsm(&path))
}

/// Refuses capabilities that no quorum could enrol, before there is anything to remove.
fn can_have(newcomer: &Newcomer) -> Result<(), SetupError> {
    let wrong = |reason: String| Err(SetupError::Capabilities { name: newcomer.name.to_string(), reason });
    if newcomer.kind == PrincipalKind::Officer && !newcomer.capabilities.is_empty() {
        return wrong("an officer has none, leave --capability out".to_owned());
    }
    if newcomer.capabilities.len() > CAPABILITIES_MAX {
        return wrong(format!("give {CAPABILITIES_MAX} at most"));
    }
    let mut seen = BTreeSet::new();
    match newcomer.capabilities.iter().find(|one| !seen.insert(one.as_str())) {
        Some(twice) => wrong(format!("{twice} stands there twice, give it once")),
        None => Ok(()),
    }
}

/// A digest through its `Display` and `FromStr`, as in the founding file.
mod hexadecimal {
    use keysvc_protocol::bytes::Digest;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&digest.to_string())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
