//! What people on the floor sign, beside the station that sends it: agreements to one act on one job.
//!
//! Apart from every connection: a person signs with a key in a file or on a card of their own, on a machine that need not
//! reach the service, and hands a file to the station. A person signs what [`SignedAgreement::sentence`] shows, which is
//! made from the very bytes. Whether an agreement counts is the service's to say; it is fresh for a quarter of an hour
//! ([`keysvc_protocol::job::AGREEMENT_LIFE_MS`]) and serves once.
//!
//! ```no_run
//! use keysvc_client::{ClientConfig, agreement, protocol::job::JobAct, signer};
//! use std::path::Path;
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = ClientConfig::read(Path::new("operator-1/client.toml"))?;
//! let act = JobAct::Open { station: "station-1".parse()? };
//! let said = agreement::said("job-2026-11".parse()?, act, "operator-1".parse()?)?;
//! println!("{}", agreement::sentence(&said));
//! // Once the person has read it:
//! let signer = signer::of_config(&config)?;
//! let signed = agreement::sign(&*signer, &config.read_trust()?.genesis, &said)?;
//! signed.write(Path::new("operator-1.agreement"))?;
//! # Ok(())
//! # }
//! ```

use crate::{
    clock::now_ms, config::ConfigError, error::ClientError, folder::fault, signer::StatementSigner,
    statement::fresh_idem,
};
use keysvc_protocol::{
    bytes::{Blob, Digest, Idem},
    cbor,
    cose::{Kind, Signed, Unsigned},
    hash::sha256,
    job::{AGREEMENT_LEN_MAX, JobAct, JobAgreement, PurgeReceipt},
    name::Name,
    public_key::PublicKey,
    schema::Schema,
    sentence,
};
use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// Longest encoded purge receipt, in bytes: a name of 64, a text of 200, three numbers.
const RECEIPT_LEN_MAX: usize = 512;

/// An agreement that somebody signed. What it says is a claim until whoever knows the person's key verified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAgreement {
    message: Blob<AGREEMENT_LEN_MAX>,
    claim: JobAgreement,
}

/// What a person is about to sign: now, with a number of its own.
///
/// # Errors
/// [`ClientError::Request`] when the system gives no random bytes.
pub fn said(job: Name, act: JobAct, person: Name) -> Result<JobAgreement, ClientError> {
    Ok(JobAgreement { schema: Schema, job, act, person, signed_ms: now_ms(), nonce: fresh_idem()? })
}

/// The sentence that a person reads before they sign.
#[must_use]
pub fn sentence(said: &JobAgreement) -> String {
    sentence::agreement(said)
}

/// Signs an agreement, bound to the genesis digest of the trust file. May block on a card.
///
/// # Errors
/// [`ClientError`] when the key or its card fails; [`ClientError::Request`] for an agreement that is too long.
pub fn sign(
    signer: &dyn StatementSigner,
    genesis: &Digest,
    said: &JobAgreement,
) -> Result<SignedAgreement, ClientError> {
    let key = signer.public_key().identifier();
    let unsigned = Unsigned::new(Kind::JobAgreement, genesis.as_bytes(), key, cbor::encode(said));
    let signature = signer.sign(&unsigned.to_be_signed())?;
    SignedAgreement::from_bytes(unsigned.with_signature(&signature))
}

impl SignedAgreement {
    /// Takes an agreement as it came. Its signature is not verified here.
    ///
    /// # Errors
    /// [`ClientError::Request`] for what is no agreement.
    pub fn from_bytes(message: Vec<u8>) -> Result<Self, ClientError> {
        let no = |why: String| ClientError::Request { what: format!("not an agreement: {why}") };
        let message = Blob::try_from(message).map_err(|error| no(error.to_string()))?;
        let signed = Signed::parse(message.as_bytes()).map_err(|error| no(error.to_string()))?;
        // A claim, for people to read and to tell files apart: nothing is decided by it, and the service verifies.
        let claim = cbor::decode(signed.recorded_payload(), AGREEMENT_LEN_MAX);
        let claim = claim.map_err(|error| no(error.to_string()))?;
        Ok(Self { message, claim })
    }

    /// The signed bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.message.as_bytes()
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ClientError::Config`] for a file that cannot be read or holds no agreement.
    pub fn read(path: &Path) -> Result<Self, ClientError> {
        let unreadable = |error: std::io::Error| ConfigError::unreadable(path, &error);
        let file = File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        let limit = u64::try_from(AGREEMENT_LEN_MAX).unwrap_or(u64::MAX).saturating_add(1);
        file.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
        Self::from_bytes(bytes).map_err(|error| ConfigError::content(path, error.to_string()).into())
    }

    /// Writes a new file.
    ///
    /// # Errors
    /// [`ClientError::State`] when there is one already, or it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ClientError> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
        let written = file.and_then(|mut file| {
            file.write_all(self.as_bytes())?;
            file.sync_all()
        });
        written.map_err(|error| fault(path, &error))
    }

    /// What it says: a claim until it is verified.
    #[must_use]
    pub const fn claim(&self) -> &JobAgreement {
        &self.claim
    }

    /// What it says, in words, made from the bytes.
    #[must_use]
    pub fn sentence(&self) -> String {
        sentence::agreement(&self.claim)
    }

    /// Verifies the signature under the key of the person that it names.
    ///
    /// # Errors
    /// [`ClientError::Untrusted`] when it does not verify.
    pub fn verify(&self, genesis: &Digest, key: &PublicKey) -> Result<(), ClientError> {
        let signed = Signed::parse(self.as_bytes());
        let opened = signed.and_then(|signed| signed.open(Kind::JobAgreement, genesis.as_bytes(), key));
        let untrusted =
            |error| ClientError::untrusted(format!("the agreement of {}: {error}", self.claim.person));
        opened.map(drop).map_err(untrusted)
    }
}

/// Agreements as they go into a request, once each of them says this.
#[cfg(feature = "station")]
pub(crate) fn for_act<const N: usize>(
    signed: &[SignedAgreement; N],
    job: &Name,
    act: &JobAct,
) -> Result<keysvc_protocol::request::Agreements, ClientError> {
    for one in signed {
        if one.claim.job != *job || one.claim.act != *act {
            let what = format!("the agreement is to something else: \"{}\"", one.sentence());
            return Err(ClientError::Request { what });
        }
    }
    let messages: Vec<_> = signed.iter().map(|one| one.message.clone()).collect();
    messages
        .try_into()
        .map_err(|error: keysvc_protocol::list::WrongCount| ClientError::Request { what: error.to_string() })
}

/// The idempotency key of an act that these agreements are to: the same agreements are the same act.
#[cfg(feature = "station")]
pub(crate) fn idem_for(
    operation: keysvc_protocol::request::Operation,
    job: &Name,
    agreements: &[SignedAgreement],
) -> Idem {
    let job = cbor::encode(job);
    let mut parts = vec![job.as_slice()];
    parts.extend(agreements.iter().map(SignedAgreement::as_bytes));
    idem_of(operation.name(), &parts)
}

/// The idempotency key of a request that is to be one request however often it is made, also by a program that was started
/// again in between: it follows from what is asked. Each part but the last tells its own length.
pub(crate) fn idem_of(what: &str, parts: &[&[u8]]) -> Idem {
    let mut text = vec![what.as_bytes(), &[0]];
    text.extend(parts);
    let digest = sha256(&text);
    Idem::new(digest.as_bytes().first_chunk().copied().unwrap_or_default())
}

/// A purge receipt as it is handed to its witness.
#[must_use]
pub fn receipt_to_bytes(receipt: &PurgeReceipt) -> Vec<u8> {
    cbor::encode(receipt)
}

/// Reads a purge receipt that a station handed over.
///
/// # Errors
/// [`ClientError::Request`] for what is none.
pub fn receipt_from_bytes(bytes: &[u8]) -> Result<PurgeReceipt, ClientError> {
    let no = |error| ClientError::Request { what: format!("not a purge receipt: {error}") };
    cbor::decode(bytes, RECEIPT_LEN_MAX).map_err(no)
}

#[cfg(feature = "officer")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Key, TERMINAL};
    use keysvc_protocol::job::Counts;

    const GENESIS: Digest = Digest::new([9; 32]);

    fn opening() -> JobAgreement {
        let act = JobAct::Open { station: "station-1".parse().unwrap() };
        said("job-1".parse().unwrap(), act, "operator-1".parse().unwrap()).unwrap()
    }

    #[test]
    fn an_agreement_survives_its_file_and_shows_the_sentence_of_its_bytes() {
        let (folder, said) = (tempfile::tempdir().unwrap(), opening());
        let signed = sign(&Key::new(TERMINAL), &GENESIS, &said).unwrap();
        let path = folder.path().join("agreement");
        signed.write(&path).unwrap();
        let read = SignedAgreement::read(&path).unwrap();
        assert_eq!((read.claim(), &read), (&said, &signed));
        assert!(
            read.sentence().starts_with("I, operator-1, open job job-1 at station station-1."),
            "{}",
            read.sentence()
        );
        assert!(matches!(read.write(&path), Err(ClientError::State { .. })));
    }

    #[test]
    fn it_verifies_under_the_persons_key_for_this_service_alone() {
        let signed = sign(&Key::new(TERMINAL), &GENESIS, &opening()).unwrap();
        assert!(signed.verify(&GENESIS, &Key::new(TERMINAL).public()).is_ok());
        for (genesis, key) in [(GENESIS, 8), (Digest::new([8; 32]), TERMINAL)] {
            let error = signed.verify(&genesis, &Key::new(key).public()).unwrap_err();
            assert!(matches!(error, ClientError::Untrusted { .. }), "{error:?}");
        }
    }

    #[test]
    fn what_is_no_agreement_is_refused_before_it_is_sent() {
        let counts = JobAct::Count { counts: Counts::default() };
        let other = Key::new(TERMINAL).cose(Kind::JobAgreement, &[0; 32], cbor::encode(&counts));
        for bytes in [Vec::new(), vec![0xd2; 40], other, vec![0; AGREEMENT_LEN_MAX + 1]] {
            let error = SignedAgreement::from_bytes(bytes).unwrap_err();
            assert!(matches!(error, ClientError::Request { .. }), "{error:?}");
        }
    }

    #[cfg(feature = "station")]
    #[test]
    fn agreements_to_another_act_or_job_do_not_go_into_a_request() {
        let said = opening();
        let signed = sign(&Key::new(TERMINAL), &GENESIS, &said).unwrap();
        let both = [signed.clone(), signed];
        assert!(for_act(&both, &said.job, &said.act).is_ok());
        let other = JobAct::Open { station: "station-2".parse().unwrap() };
        for (job, act) in [(&said.job, &other), (&"job-2".parse().unwrap(), &said.act)] {
            let error = for_act(&both, job, act).unwrap_err().to_string();
            assert!(error.contains("to something else: \"I, operator-1, open job job-1"), "{error}");
        }
    }

    #[test]
    fn a_purge_receipt_survives_its_file() {
        let receipt = PurgeReceipt {
            station: "station-1".parse().unwrap(),
            erased_ms: 5,
            files: 1,
            method: "overwritten and removed".parse().unwrap(),
        };
        assert_eq!(receipt_from_bytes(&receipt_to_bytes(&receipt)).unwrap(), receipt);
        assert!(receipt_from_bytes(b"no").is_err());
    }
}
