//! Card profiles as files: read with the place and the mend of what is wrong, and written so that they can be edited and
//! put again.
//!
//! The form is that of a founding file's `[[profiles]]`, without that head: one profile a file. Nothing here asks the
//! service for anything.

use crate::{fault::Fault, file};
use keysvc_client::protocol::{
    cbor,
    founding::{CardSession, GoldenVector, InputPart, Profile, Scheme, Slot, ValueRules},
    hash::sha256,
};
use std::{fmt::Write as _, path::Path};

/// Longest file, in bytes: 8 slots and 16 vectors of 100 each, and comments ten times as long.
const FILE_LEN_MAX: usize = 32 * 1024;

/// Reads a profile and checks that it agrees with itself.
///
/// # Errors
/// [`Fault::Usage`] naming the place and the mend.
pub(crate) fn read(path: &Path) -> Result<Profile, Fault> {
    of_bytes(path, &file::read(path, FILE_LEN_MAX)?)
}

/// The same of bytes in hand.
///
/// # Errors
/// [`Fault::Usage`] naming the place and the mend.
pub(crate) fn of_bytes(path: &Path, bytes: &[u8]) -> Result<Profile, Fault> {
    parse(bytes).map_err(|why| {
        let what = format!("{} is not a card profile: {why}", path.display());
        Fault::usage(what, "correct the file; `fobctl profile get NAME` shows one that is in use")
    })
}

fn parse(bytes: &[u8]) -> Result<Profile, String> {
    let text = str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let profile: Profile = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
    profile.check_form().map_err(|error| error.to_string())?;
    Ok(profile)
}

/// The digest by which the sentence of a `profile.put` names the whole profile.
pub(crate) fn digest(profile: &Profile) -> String {
    sha256(&[&cbor::encode(profile)]).to_string()
}

/// The profile as such a file.
pub(crate) fn text(profile: &Profile) -> String {
    let Profile {
        name,
        version,
        family,
        scheme,
        input,
        system_identifier,
        slots,
        functions,
        pipeline,
        unit_cost,
        vectors,
        value,
    } = profile;
    let scheme = match scheme {
        Scheme::An10922Aes128 => "an10922-aes128",
    };
    let mut text = format!(
        "name = \"{name}\"\nversion = {version}\nfamily = \"{family}\"\nfunctions = [{}]\nscheme = \"{scheme}\"\n\
         input = [{}]\nsystem-identifier = \"{system_identifier}\"\npipeline = {pipeline}\nunit-cost = {unit_cost}\n",
        list(functions.iter().map(|function| function.name())),
        list(input.iter().copied().map(input_part))
    );
    // Tables last, because TOML gives what follows a table to it.
    let parts = slots.iter().map(slot).chain(vectors.iter().map(vector)).chain(value.iter().map(rules));
    for part in parts {
        // Writing to a string has no failure.
        let _ = write!(text, "\n{part}");
    }
    text
}

const fn input_part(part: InputPart) -> &'static str {
    match part {
        InputPart::Uid => "uid",
        InputPart::Application => "application",
        InputPart::KeyNumber => "key-number",
        InputPart::KeyVersion => "key-version",
        InputPart::SystemIdentifier => "system-identifier",
    }
}

fn slot(slot: &Slot) -> String {
    let Slot { slot, key, key_version, key_number, application } = slot;
    format!(
        "[[slots]]\nslot = {slot}\nkey = \"{key}\"\nkey-version = {key_version}\nkey-number = {key_number}\n\
         application = \"{application}\"\n"
    )
}

fn vector(vector: &GoldenVector) -> String {
    let GoldenVector { slot, card, check_value } = vector;
    format!("[[vectors]]\nslot = {slot}\ncard = \"{card}\"\ncheck-value = \"{check_value}\"\n")
}

fn rules(rules: &ValueRules) -> String {
    let ValueRules { purses, currency, reloadable, one_time, ceiling, load_max, debit_max, card_session } =
        rules;
    let card_session = match card_session {
        CardSession::PassiveTag => "passive-tag",
        CardSession::Expected => "expected",
    };
    let purses: Vec<_> = purses.iter().map(ToString::to_string).collect();
    format!(
        "[value]\npurses = [{}]\ncurrency = {currency}\nreloadable = {reloadable}\none-time = {one_time}\n\
         ceiling = {ceiling}\nload-max = {load_max}\ndebit-max = {debit_max}\ncard-session = \"{card_session}\"\n",
        purses.join(", ")
    )
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let items: Vec<_> = items.map(|item| format!("\"{item}\"")).collect();
    items.join(", ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::sample;

    pub(crate) fn profile() -> Profile {
        let vector =
            GoldenVector { slot: 0, card: "04782e21801d80".into(), check_value: "0102030405".into() };
        Profile {
            vectors: vec![vector],
            pipeline: 40,
            unit_cost: 95,
            ..sample::founding().profiles.remove(0)
        }
    }

    #[test]
    fn a_profile_that_is_written_reads_back_as_the_same_one() {
        let valued = profile();
        assert_eq!(parse(text(&valued).as_bytes()).unwrap(), valued);
        let member = Profile {
            value: None,
            functions: vec![keysvc_client::protocol::founding::Function::Membership],
            vectors: Vec::new(),
            ..valued
        };
        assert_eq!(parse(text(&member).as_bytes()).unwrap(), member);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let good = text(&profile());
        let wrong = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            parse(good.replace(from, to).as_bytes()).unwrap_err()
        };
        assert!(
            wrong("family = \"desfire-ev2\"", "family = \"mifare-classic\"").contains("identify and no more")
        );
        assert!(wrong("version = 1\nfamily", "version = 0\nfamily").contains("count versions from 1"));
        let typo = wrong("reloadable = true", "reloadible = true");
        assert!(typo.contains("reloadible") && typo.contains("line"), "{typo}");
        assert_eq!(parse(&[0xff]).unwrap_err(), "it is not text");
    }
}
