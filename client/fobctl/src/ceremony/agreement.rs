//! What people sign in a ceremony: the plan before it, the transcript after it.
//!
//! Each signs a digest with the statement key that the log knows them by. Whose key it is, the caller looks up; here a
//! signature is made, or found to be of these bytes.

use crate::{
    ceremony::{durable, plan_file::PlanFile, words},
    fault::Fault,
};
use keysvc_client::{
    ClientError,
    protocol::{
        bytes::Digest,
        cbor,
        ceremony::{AGREEMENT_LEN_MAX, Person, PlanAgreement, Transcript, TranscriptAgreement},
        cose::{Kind, Signed, Unsigned},
        name::Name,
        public_key::PublicKey,
        schema::Schema,
    },
    signer::StatementSigner,
};
use std::path::{Path, PathBuf};

/// The file of a person's agreement in a folder.
pub(crate) fn path(folder: &Path, person: &Name) -> PathBuf {
    folder.join(format!("{person}.cose"))
}

/// Signs the plan.
///
/// # Errors
/// [`ClientError`] of the card.
pub(crate) fn sign_plan(
    file: &PlanFile,
    person: &Person,
    signer: &dyn StatementSigner,
) -> Result<Vec<u8>, ClientError> {
    let scope = file.plan.trust_domain.as_str().as_bytes();
    sign((Kind::Plan, scope), Transcript::agreement(&file.bytes, &person.name, person.role), signer)
}

/// Signs a transcript.
///
/// # Errors
/// [`ClientError`] of the card.
pub(crate) fn sign_transcript(
    (transcript, genesis): (&Digest, &Digest),
    person: &Person,
    signer: &dyn StatementSigner,
) -> Result<Vec<u8>, ClientError> {
    let agreement = TranscriptAgreement {
        schema: Schema,
        transcript: *transcript,
        person: person.name.clone(),
        role: person.role,
    };
    sign((Kind::Transcript, genesis.as_bytes()), cbor::encode(&agreement), signer)
}

fn sign(
    (kind, scope): (Kind, &[u8]),
    payload: Vec<u8>,
    signer: &dyn StatementSigner,
) -> Result<Vec<u8>, ClientError> {
    let unsigned = Unsigned::new(kind, scope, signer.public_key().identifier(), payload);
    Ok(unsigned.with_signature(&signer.sign(&unsigned.to_be_signed())?))
}

/// A person's agreement to the plan, out of the folder beside it, signed by `key` over exactly these bytes.
///
/// # Errors
/// [`Fault::Usage`] saying who has not signed it, or signed another digest, and the next command.
pub(crate) fn of_plan(file: &PlanFile, person: &Person, key: &PublicKey) -> Result<Vec<u8>, Fault> {
    let name = &person.name;
    let next =
        format!("{name} reads and signs it: `fobctl ceremony approve {} --as {name}`", file.path.display());
    let path = path(&file.agreements(), name);
    let signed = durable::read(&path, AGREEMENT_LEN_MAX)?
        .ok_or_else(|| Fault::usage(format!("{name} has not signed the plan"), next.clone()))?;
    check_plan(file, person, key, &signed).map_err(|why| Fault::usage(why, next))?;
    Ok(signed)
}

/// Checks an agreement to the plan; the error says what is wrong with it.
fn check_plan(file: &PlanFile, person: &Person, key: &PublicKey, signed: &[u8]) -> Result<(), String> {
    let name = &person.name;
    let scope = file.plan.trust_domain.as_str().as_bytes();
    let payload = Signed::parse(signed)
        .and_then(|signed| signed.open(Kind::Plan, scope, key))
        .map_err(|error| format!("the agreement of {name} is not theirs: {error}"))?;
    let agreement: PlanAgreement = cbor::decode(payload, AGREEMENT_LEN_MAX)
        .map_err(|error| format!("what {name} signed is no agreement to a plan: {error}"))?;
    if agreement.plan != file.digest {
        return Err(format!(
            "{name} signed another plan: {}, and this one is {}",
            words::head(&agreement.plan),
            words::head(&file.digest)
        ));
    }
    if agreement.person != *name || agreement.role != person.role {
        return Err(format!("{name} signed the plan as {} ({})", agreement.person, agreement.role));
    }
    Ok(())
}

/// Whether an agreement is this person's to this transcript.
pub(crate) fn is_of_transcript(
    (transcript, genesis): (&Digest, &Digest),
    person: &Person,
    key: &PublicKey,
    signed: &[u8],
) -> bool {
    let payload =
        Signed::parse(signed).and_then(|signed| signed.open(Kind::Transcript, genesis.as_bytes(), key));
    let agreement = payload.ok().and_then(|payload| cbor::decode(payload, AGREEMENT_LEN_MAX).ok());
    agreement.is_some_and(|agreement: TranscriptAgreement| {
        agreement.transcript == *transcript
            && agreement.person == person.name
            && agreement.role == person.role
    })
}

/// Who signed an agreement, as its payload says: for showing on paper, where nothing is decided by it.
pub(crate) fn signer_of(signed: &[u8]) -> Option<Name> {
    let payload = Signed::parse(signed).ok()?.recorded_payload();
    let plan = cbor::decode(payload, AGREEMENT_LEN_MAX).map(|agreement: PlanAgreement| agreement.person);
    plan.ok().or_else(|| {
        let transcript = cbor::decode(payload, AGREEMENT_LEN_MAX);
        transcript.map(|agreement: TranscriptAgreement| agreement.person).ok()
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ceremony::plan_file::tests::{PLAN, plan};
    use keysvc_client::signer::FileSigner;
    use std::{fs, os::unix::fs::PermissionsExt as _};

    /// Two P-256 keys in PKCS#8, made for these tests.
    pub(crate) const ANN: &str = "\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgT1Vjehe2ltAJ6sJd
Ct73R0O3vWym6RpBYk6GT6Qw+ZehRANCAARrdbpxIBr53M7ojpmfxG3Ca1ttq4Uq
Ybj69+NJDsSGjgAyfpggFS9TSZd1aBhkkpiaGqLWCpe8ZWb4Zz8EAcNA";
    pub(crate) const BOB: &str = "\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgqSRFI7c2JEWO95Jc
HRoZdOhcOeX16Pr8xrgb+s60UBqhRANCAATyLQuTBBX31xNffSiVixLj1sBBWTJk
XAHjD2die7PqcCvvCc+MChEdDvwkow8PT8bS7Hrb2bXHw2mc030yvwQv";

    pub(crate) fn signer(base64: &str) -> FileSigner {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let label = "PRIVATE KEY-----";
        fs::write(&path, format!("-----BEGIN {label}\n{base64}\n-----END {label}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        FileSigner::read(&path).unwrap()
    }

    #[test]
    fn an_agreement_counts_for_these_bytes_this_person_and_this_key_alone() {
        let (plan, ann, bob) = (plan(), signer(ANN), signer(BOB));
        let [alice, other, _] = plan.plan.people.as_slice() else { panic!("three people") };
        let signed = sign_plan(&plan, alice, &ann).unwrap();
        assert!(signed.len() <= AGREEMENT_LEN_MAX);
        assert_eq!(check_plan(&plan, alice, &ann.public_key(), &signed), Ok(()));
        let why =
            |person, key: &FileSigner| check_plan(&plan, person, &key.public_key(), &signed).unwrap_err();
        assert!(why(alice, &bob).contains("not theirs"));
        assert!(why(other, &ann).contains("as alice (officer)"));
        assert_eq!(signer_of(&signed), Some(alice.name.clone()));
    }

    #[test]
    fn who_signed_another_plan_is_named_with_both_digests() {
        let (plan, ann) = (plan(), signer(ANN));
        let alice = &plan.plan.people[0];
        let changed = PLAN.replace("version = 2", "version = 3").into_bytes();
        let changed = PlanFile::of_bytes(Path::new("plan.toml"), changed).unwrap();
        let signed = sign_plan(&changed, alice, &ann).unwrap();
        let why = check_plan(&plan, alice, &ann.public_key(), &signed).unwrap_err();
        assert!(why.starts_with("alice signed another plan: "), "{why}");
        assert!(
            why.contains(&words::head(&changed.digest)) && why.contains(&words::head(&plan.digest)),
            "{why}"
        );
    }

    #[test]
    fn who_has_not_signed_is_named_with_the_next_command() {
        let scratch = tempfile::tempdir().unwrap();
        let plan = PlanFile { path: scratch.path().join("plan.toml"), ..plan() };
        let alice = &plan.plan.people[0];
        let fault = of_plan(&plan, alice, &signer(ANN).public_key()).unwrap_err();
        assert_eq!(fault.to_string(), "alice has not signed the plan");
        assert!(
            fault.next().contains("ceremony approve") && fault.next().ends_with("--as alice`"),
            "{}",
            fault.next()
        );
    }

    #[test]
    fn a_transcripts_agreement_is_bound_to_log_transcript_person_and_role() {
        let (plan, ann) = (plan(), signer(ANN));
        let (transcript, genesis) = (Digest::new([1; 32]), Digest::new([2; 32]));
        let alice = &plan.plan.people[0];
        let signed = sign_transcript((&transcript, &genesis), alice, &ann).unwrap();
        let is = |transcript, genesis, person| {
            is_of_transcript((transcript, genesis), person, &ann.public_key(), &signed)
        };
        assert!(is(&transcript, &genesis, alice));
        assert!(!is(&genesis, &genesis, alice));
        assert!(!is(&transcript, &transcript, alice));
        assert!(!is(&transcript, &genesis, &plan.plan.people[1]));
    }
}
