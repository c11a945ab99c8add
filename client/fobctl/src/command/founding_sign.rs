//! `fobctl founding sign`: shows what a founding file says, asks, and signs it with the officer's card.
//!
//! No blind signing: the bytes are read once; the sentences, the digest and the signature are all of these bytes.

use crate::{
    confirm,
    fault::Fault,
    file::{self, Readers},
    founding_text::sentences,
    output::{LOUD, Output, Report, tell},
    pin::PinSource,
    shown::{file_digest, plain, rows},
};
use keysvc_client::{
    ClientConfig, ClientError,
    officer::sign_founding,
    protocol::{founding::Founding, hash::sha256, name::Name, receipt::LEAF_PAYLOAD_LEN_MAX},
};
use serde::Serialize;
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// `fobctl founding sign`.
#[derive(Debug, clap::Args)]
pub(crate) struct SignArgs {
    /// The founding file, TOML.
    file: PathBuf,
    /// The officer who signs, as the file names them.
    #[arg(long, value_name = "NAME")]
    officer: Name,
    /// Where the signature goes; the file must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    pin: PinSource,
    /// Sign without asking. What the file says is shown all the same.
    #[arg(long)]
    yes: bool,
}

#[derive(Serialize)]
struct SignReport {
    file: String,
    sha256: String,
    read_out: String,
    officer: String,
    trust_domain: String,
    development: bool,
    signature: String,
}

pub(super) fn run<W: Write>(
    config: &ClientConfig,
    args: &SignArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let token = config.token.as_ref().ok_or_else(|| {
        let next = "add [token] with module and label of the officer's card to the configuration";
        Fault::usage("the configuration names no token", next)
    })?;
    let bytes = file::read(&args.file, LEAF_PAYLOAD_LEN_MAX)?;
    let founding = read_founding(&bytes, &args.file)?;
    check_officer(&founding, &args.officer)?;
    file::refuse_existing(&args.out)?;
    let digest = sha256(&[&bytes]);
    show(&founding, &file_digest(&digest));
    if !args.yes {
        confirm::ask()?;
    }
    let pin = args.pin.read(token.pin_file.as_deref(), args.officer.as_str())?;
    let signature = sign_founding(token, Some(pin), &bytes, &args.officer)
        .map_err(|error| not_signed(&args.officer, error))?;
    file::write(&args.out, &signature, Readers::Others)?;
    output.print(&SignReport {
        file: args.file.display().to_string(),
        sha256: digest.to_string(),
        read_out: file_digest(&digest),
        officer: args.officer.to_string(),
        trust_domain: founding.trust_domain.to_string(),
        development: founding.development,
        signature: args.out.display().to_string(),
    })?;
    tell(&"next: when every officer has signed, `keysvc init` with the file and all signatures");
    Ok(())
}

fn not_signed(officer: &Name, error: ClientError) -> Fault {
    Fault::client("sign the founding file", error).advised(|error| {
        matches!(error, ClientError::Config(_))
            .then(|| format!("use {officer}'s own card: [token] in the configuration names another"))
    })
}

fn read_founding(bytes: &[u8], path: &Path) -> Result<Founding, Fault> {
    let wrong = |why: String| {
        Fault::usage(
            format!("{} is not a founding file: {why}", path.display()),
            "correct the file, then sign it",
        )
    };
    let text = str::from_utf8(bytes).map_err(|_| wrong("it is not text".into()))?;
    let founding: Founding =
        toml::from_str(text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
    founding.check().map_err(|error| wrong(error.to_string()))?;
    Ok(founding)
}

/// Refuses an officer that the file does not name.
///
/// # Errors
/// [`Fault::Usage`] with the officers it names.
pub(crate) fn check_officer(founding: &Founding, officer: &Name) -> Result<(), Fault> {
    if founding.officers.iter().any(|one| one.name == *officer) {
        return Ok(());
    }
    let names: Vec<_> = founding.officers.iter().map(|one| one.name.as_str()).collect();
    let next = format!("give one of its officers with --officer: {}", names.join(", "));
    Err(Fault::usage(format!("the file names no officer {officer}"), next))
}

/// Says on stderr what a founding file says, and its digest.
pub(crate) fn show(founding: &Founding, digest: &str) {
    for line in sentences(founding).lines() {
        let line = plain(line);
        if line.starts_with("DEVELOPMENT") || line.contains("TEST KEY") {
            tell(&format_args!("{LOUD}{line}{LOUD:#}"));
        } else {
            tell(&line);
        }
    }
    tell(&format_args!(
        "\nThe file has a SHA-256 that begins as follows; read it to each other:\n  {digest}\n"
    ));
}

impl Report for SignReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-founding-sign/1"
    }

    fn text(&self) -> String {
        rows([
            ("signed", self.file.clone()),
            ("digest", self.read_out.clone()),
            ("officer", self.officer.clone()),
            ("signature", self.signature.clone()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use serde_json::{json, to_value};

    fn what(result: Result<Founding, Fault>) -> String {
        match result {
            Err(Fault::Usage { what, .. }) => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_that_agrees_with_itself_is_read() {
        assert_eq!(read_founding(sample::FOUNDING.as_bytes(), Path::new("f")).unwrap(), sample::founding());
    }

    #[test]
    fn a_known_key_outside_development_is_refused_with_its_place() {
        let text = sample::FOUNDING.replace("development = true", "development = false");
        let what = what(read_founding(text.as_bytes(), Path::new("f")));
        assert!(what.starts_with("f is not a founding file: keys.demo-known.value: "), "{what}");
    }

    #[test]
    fn an_unknown_key_in_the_file_is_refused_before_anyone_signs() {
        let text = format!("surprise = 1\n{}", sample::FOUNDING);
        assert!(what(read_founding(text.as_bytes(), Path::new("f"))).contains("surprise"));
        assert!(what(read_founding(&[0xff], Path::new("f"))).contains("it is not text"));
    }

    #[test]
    fn a_stranger_is_refused_and_the_officers_are_named() {
        let founding = sample::founding();
        assert!(check_officer(&founding, &"alice".parse().unwrap()).is_ok());
        let fault = check_officer(&founding, &"mallory".parse().unwrap()).unwrap_err();
        assert_eq!(fault.next(), "give one of its officers with --officer: alice, bob");
    }

    #[test]
    fn the_json_names_the_file_its_digest_and_the_signature() {
        let report = SignReport {
            file: "founding.toml".into(),
            sha256: "ab".repeat(32),
            read_out: file_digest(&"ab".repeat(32)),
            officer: "alice".into(),
            trust_domain: "demo.test".into(),
            development: true,
            signature: "alice.sig".into(),
        };
        let expected = json!({
            "file": "founding.toml",
            "sha256": "ab".repeat(32),
            "read_out": "abab abab abab abab abab abab abab abab",
            "officer": "alice",
            "trust_domain": "demo.test",
            "development": true,
            "signature": "alice.sig",
        });
        assert_eq!(to_value(&report).unwrap(), expected);
        assert!(report.text().contains("abab abab"));
    }
}
