//! Enrolment files: who is to be enrolled, with which keys, in the founding file's spelling.
//!
//! Everything in one is public. It says what is asked for; it enrols nobody.

use crate::{fault::Fault, file};
use keysvc_client::protocol::{
    bytes::{Blob, Digest},
    founding::{P256Text, PrincipalKind, SubjectPublicKeyInfo},
    list::List,
    name::Name,
    request::Enrolment,
    schema::Schema,
};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::path::Path;

/// Longest file, in bytes: three keys of 1 KiB in base64, names and comments.
const FILE_LEN_MAX: usize = 16 * 1024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct EnrolmentFile {
    id: Name,
    kind: PrincipalKind,
    organisation: Option<Name>,
    department: Option<Name>,
    #[serde(default)]
    capabilities: Vec<Name>,
    #[serde(deserialize_with = "hexadecimal")]
    tls_key: Digest,
    statement_key: Option<P256Text>,
    wrapping_key: Option<SubjectPublicKeyInfo>,
}

fn hexadecimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(|_| D::Error::custom("a SHA-256 in 64 hexadecimal digits stands here"))
}

/// Reads an enrolment file.
///
/// # Errors
/// [`Fault::Usage`] naming what is wrong with it.
pub(crate) fn read(path: &Path) -> Result<Enrolment, Fault> {
    of_bytes(path, &file::read(path, FILE_LEN_MAX)?)
}

/// The same of bytes in hand.
///
/// # Errors
/// [`Fault::Usage`] naming what is wrong with them.
pub(crate) fn of_bytes(path: &Path, bytes: &[u8]) -> Result<Enrolment, Fault> {
    parse(bytes).map_err(|why| {
        Fault::usage(format!("{} is not an enrolment file: {why}", path.display()), "correct the file")
    })
}

fn parse(bytes: &[u8]) -> Result<Enrolment, String> {
    let text = str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let file: EnrolmentFile =
        toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
    let group = match (file.kind, file.organisation, file.department) {
        (PrincipalKind::Officer, None, Some(department)) => department,
        (PrincipalKind::Officer, ..) => return Err("an officer has a department, and no organisation".into()),
        (_, Some(organisation), None) => organisation,
        (kind, ..) => return Err(format!("a {kind} has an organisation, and no department")),
    };
    let statement_key = file.statement_key.map(|key| Blob::try_from(key.p256().spki().to_vec()));
    let wrapping_key = file.wrapping_key.map(|key| Blob::try_from(key.as_der().to_vec()));
    Ok(Enrolment {
        schema: Schema,
        id: file.id,
        kind: file.kind,
        group,
        capabilities: List::try_from(file.capabilities).map_err(|error| format!("capabilities: {error}"))?,
        tls_key: file.tls_key,
        statement_key: statement_key.transpose().map_err(|error| format!("statement-key: {error}"))?,
        wrapping_key: wrapping_key.transpose().map_err(|error| format!("wrapping-key: {error}"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELbzXomrrW9wOEU89SBmU68iZOgjnEebpjf6HA8HEVL0SDLImN5b0IRbubfF3c+balegso76Wy+/MyJmdfXZdjw==";

    fn text(kind: &str, group: &str) -> String {
        format!(
            "# a comment\nid = \"ann\"\nkind = \"{kind}\"\n{group}\ntls-key = \"{}\"\nstatement-key = \"{KEY}\"\n",
            "01".repeat(32)
        )
    }

    #[test]
    fn an_officers_file_is_read_with_its_department_as_the_group() {
        let enrolment = parse(text("officer", "department = \"audit\"").as_bytes()).unwrap();
        assert_eq!((enrolment.id.as_str(), enrolment.group.as_str()), ("ann", "audit"));
        assert_eq!(enrolment.tls_key, Digest::new([1; 32]));
        assert_eq!(enrolment.statement_key.unwrap().as_bytes().len(), 91);
        assert!(enrolment.wrapping_key.is_none());
    }

    #[test]
    fn an_officer_without_a_department_and_a_terminal_with_one_are_refused() {
        let why = |kind, group| parse(text(kind, group).as_bytes()).unwrap_err();
        assert!(why("officer", "organisation = \"a\"").contains("an officer has a department"));
        assert!(why("terminal", "department = \"a\"").contains("a terminal has an organisation"));
        assert!(why("terminal", "organisation = \"a\"\nsecret = 1").contains("unknown field"));
        assert!(why("pilot", "organisation = \"a\"").contains("unknown variant"));
        assert!(parse(&[0xff]).is_err());
    }
}
