//! A persona's token: made by a process of its own, with its own configuration of the module.
//!
//! Apart because it runs on both sides of that process: a program may set its environment for its children only, so
//! `lay_out` runs `softhsm-setup persona`, which calls [`make`] and prints the public keys. PINs pass through
//! files, never through arguments.

use crate::{
    ModuleKind, SetupError,
    module::Module,
    private::{new_file, new_folder, new_pin_file},
};
use keysvc_protocol::{
    founding::{P256Text, SubjectPublicKeyInfo},
    public_key::PublicKey,
};
use keysvc_token::{KeyKind, ObjectId, Pin, Token, TokenConfig, initialise_token, sync_folder};
use serde::{Deserialize, Serialize};
use std::{
    env,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// What a token is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenOrder {
    /// The PKCS#11 module.
    pub module: PathBuf,
    /// The token's label, at most 32 bytes.
    pub label: String,
    /// File with the user's PIN.
    pub pin_file: PathBuf,
    /// File with the security officer's PIN.
    pub so_pin_file: PathBuf,
    /// The keys to generate.
    pub keys: Vec<PersonaKey>,
}

/// A key that a persona holds in its token. Its label is the kind's name, its `CKA_ID` that name in ASCII with zero
/// bytes after it, 16 bytes in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonaKey {
    /// An officer's approval key.
    Approval,
    /// A machine's statement key.
    Statement,
    /// A station's wrapping key.
    Wrapping,
}

impl PersonaKey {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Approval, Self::Statement, Self::Wrapping];

    /// The kind's name, which is the key's label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Statement => "statement",
            Self::Wrapping => "wrapping",
        }
    }

    /// The kind in the key table.
    #[must_use]
    pub const fn kind(self) -> KeyKind {
        match self {
            Self::Approval => KeyKind::Approval,
            Self::Statement => KeyKind::Statement,
            Self::Wrapping => KeyKind::Wrapping,
        }
    }

    /// The key's `CKA_ID`.
    #[must_use]
    pub fn id(self) -> ObjectId {
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(self.name().bytes()) {
            *to = from;
        }
        ObjectId(id)
    }
}

/// The public halves of a token's keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PublicKeys {
    /// The approval key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<P256Text>,
    /// The statement key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<P256Text>,
    /// The wrapping key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapping: Option<SubjectPublicKeyInfo>,
}

impl PublicKeys {
    /// The keys as TOML, as the child prints them.
    ///
    /// # Errors
    /// [`SetupError::Text`] if they cannot be written.
    pub fn to_text(&self) -> Result<String, SetupError> {
        toml::to_string(self).map_err(|error| wrong(error.to_string()))
    }

    fn put(&mut self, key: PersonaKey, der: &[u8]) -> Result<(), SetupError> {
        let p256 = || PublicKey::from_spki(der).map(P256Text::new).map_err(|error| wrong(error.to_string()));
        match key {
            PersonaKey::Approval => self.approval = Some(p256()?),
            PersonaKey::Statement => self.statement = Some(p256()?),
            PersonaKey::Wrapping => {
                let key = SubjectPublicKeyInfo::new(der.to_vec());
                self.wrapping = Some(key.ok_or_else(|| wrong("a public key has at most 1024 bytes"))?);
            }
        }
        Ok(())
    }
}

fn wrong(reason: impl Into<String>) -> SetupError {
    SetupError::Text { what: "a token's answer", reason: reason.into() }
}

/// Makes the token in this process, which must have been started with the module's variable, such as `SOFTHSM2_CONF`.
///
/// # Errors
/// [`SetupError`] if it was not, or if the token cannot be made.
pub fn make(order: &TokenOrder) -> Result<PublicKeys, SetupError> {
    let variable = ModuleKind::of(&order.module).unwrap_or(ModuleKind::SoftHsm).variable();
    // Without it a module takes the machine's own folder, and this would make tokens there.
    if env::var_os(variable).is_none_or(|path| path.is_empty()) {
        return Err(SetupError::NoTokenFolder { variable });
    }
    let (pin, so_pin) = (Pin::from_file(&order.pin_file)?, Pin::from_file(&order.so_pin_file)?);
    initialise_token(&order.module, &order.label, &so_pin, &pin)?;
    let mut public = PublicKeys::default();
    if order.keys.is_empty() {
        return Ok(public);
    }
    let config = TokenConfig { module: order.module.clone(), label: order.label.clone() };
    let token = Token::open(&config, &pin)?;
    for key in &order.keys {
        let created = token.generate(key.kind(), key.id(), key.name())?;
        let der = created.public.ok_or_else(|| wrong("a pair came without its public half"))?;
        public.put(*key, &der)?;
    }
    Ok(public)
}

/// A token that is being made by a child process.
#[derive(Debug)]
pub(crate) struct Making {
    name: String,
    tokens: PathBuf,
    child: Child,
}

/// Writes the module's configuration, token folder and PIN files into the persona's `folder` and starts making the token.
pub(crate) fn start(
    program: &Path,
    module: &Module,
    label: &str,
    folder: &Path,
    keys: &[PersonaKey],
) -> Result<Making, SetupError> {
    let [configuration, tokens, pin, so_pin] =
        [module.kind.configuration_file(), "tokens", "pin", "so-pin"].map(|name| folder.join(name));
    new_folder(&tokens)?;
    new_file(&configuration, module.kind.configuration(&tokens))?;
    new_pin_file(&pin)?;
    new_pin_file(&so_pin)?;
    let mut command = Command::new(program);
    command.arg("persona").arg("--module").arg(&module.path).args(["--label", label]);
    command.arg("--pin-file").arg(&pin).arg("--so-pin-file").arg(&so_pin);
    for key in keys {
        command.args(["--key", key.name()]);
    }
    let child = command
        .env(module.kind.variable(), &configuration)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(SetupError::file("run", program))?;
    Ok(Making { name: label.to_owned(), tokens, child })
}

impl Making {
    /// Waits until the token is made and on the disk.
    pub(crate) fn finish(self) -> Result<PublicKeys, SetupError> {
        let Self { name, tokens, child } = self;
        let failed = |words: String| SetupError::Persona { name, words };
        let output = match child.wait_with_output() {
            Ok(output) => output,
            Err(error) => return Err(failed(error.to_string())),
        };
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(failed(if words.is_empty() { output.status.to_string() } else { words }));
        }
        let text = match String::from_utf8(output.stdout) {
            Ok(text) => text,
            Err(error) => return Err(failed(error.to_string())),
        };
        let public = toml::from_str(&text).map_err(|error| failed(error.to_string()))?;
        // A module such as SoftHSM leaves its files to the system; a key named in the founding file must outlast a power cut.
        sync_folder(&tokens)?;
        Ok(public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_identified_by_its_name_with_zeros_after_it() {
        assert_eq!(PersonaKey::Approval.id(), ObjectId(*b"approval\0\0\0\0\0\0\0\0"));
        assert_eq!(PersonaKey::Statement.id(), ObjectId(*b"statement\0\0\0\0\0\0\0"));
        assert_eq!(PersonaKey::Wrapping.id(), ObjectId(*b"wrapping\0\0\0\0\0\0\0\0"));
    }

    #[test]
    fn an_answer_without_keys_is_empty() {
        assert_eq!(PublicKeys::default().to_text().unwrap(), "");
        assert_eq!(toml::from_str::<PublicKeys>("").unwrap(), PublicKeys::default());
    }

    #[test]
    fn an_answer_with_something_else_in_it_is_refused() {
        assert!(toml::from_str::<PublicKeys>("pin = \"1\"\n").is_err());
        assert!(toml::from_str::<PublicKeys>("approval = \"AAAA\"\n").is_err());
    }
}
