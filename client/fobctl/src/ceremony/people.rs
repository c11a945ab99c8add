//! The people of a ceremony, each with a context of their own: how they are found, and how their keys are opened.
//!
//! Reading takes a certificate and no card. A key is opened for one step by its person and closed with it.

use crate::{
    ceremony::{
        card::{CardProcess, Locked},
        plan_file::PlanFile,
    },
    context::Surroundings,
    fault::Fault,
};
use keysvc_client::{
    ClientConfig, Officer,
    protocol::{
        bytes::Digest,
        ceremony::{Activity, Person, Role},
        founding::Founding,
        hash::sha256,
        name::Name,
        public_key::PublicKey,
    },
    signer::StatementSigner as _,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

/// `NAME=CONTEXT`: a person of the plan, and the context or the `client.toml` they use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PersonContext {
    person: Name,
    context: String,
}

impl FromStr for PersonContext {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (person, context) = text.split_once('=').ok_or("give NAME=CONTEXT, or NAME=FILE")?;
        let person = person.parse().map_err(|error| format!("{error}"))?;
        if context.is_empty() {
            return Err("give a context's name or a client.toml after the =".to_owned());
        }
        Ok(Self { person, context: context.to_owned() })
    }
}

/// Somebody who takes part.
#[derive(Debug)]
pub(crate) struct Participant {
    /// As the plan names them.
    pub(crate) person: Person,
    /// Their `client.toml`.
    file: PathBuf,
    config: ClientConfig,
}

/// All who take part.
#[derive(Debug)]
pub(crate) struct People {
    all: Vec<Participant>,
    /// Their connections, made when first used: before its founding there is no service.
    connected: BTreeMap<Name, Officer>,
}

/// A person at the machine with the key open.
#[derive(Debug)]
pub(crate) struct Present {
    /// The person's connections, with the key.
    pub(crate) officer: Officer,
    /// The key.
    pub(crate) card: Arc<CardProcess>,
}

impl People {
    /// Finds everyone's context: the one named for them, or else the one of their own name.
    ///
    /// # Errors
    /// [`Fault`] naming the person whose context is not found or does not read.
    pub(crate) fn find(
        plan: &PlanFile,
        named: &[PersonContext],
        surroundings: &Surroundings,
    ) -> Result<Self, Fault> {
        if let Some(stranger) = named.iter().find(|one| plan.plan.person(&one.person).is_none()) {
            let what = format!("the plan names no {}", stranger.person);
            return Err(Fault::usage(what, "give --person for people of the plan"));
        }
        let place = |person: &Person| match named.iter().find(|one| one.person == person.name) {
            Some(one) if Path::new(&one.context).is_file() => Ok(PathBuf::from(&one.context)),
            Some(one) => {
                let context = one.context.parse().map_err(|_| {
                    let what = format!("{} is neither a file nor a context's name", one.context);
                    Fault::usage(what, "give --person NAME=CONTEXT, or NAME=FILE with a client.toml")
                })?;
                surroundings.choose(None, Some(&context)).map(|chosen| chosen.file)
            }
            None => surroundings.choose(None, Some(&person.name)).map(|chosen| chosen.file),
        };
        let files = plan.plan.people.iter().map(|person| Ok((person.clone(), place(person)?)));
        Self::at(files.collect::<Result<Vec<_>, Fault>>()?)
    }

    /// The same with the files in hand.
    ///
    /// # Errors
    /// [`Fault`] naming the file that does not read.
    pub(crate) fn at(files: Vec<(Person, PathBuf)>) -> Result<Self, Fault> {
        let participant = |(person, file): (Person, PathBuf)| {
            let config = ClientConfig::read(&file)
                .map_err(|error| Fault::client("read the configuration", error.into()))?;
            Ok(Participant { person, file, config })
        };
        let all = files.into_iter().map(participant).collect::<Result<Vec<_>, Fault>>()?;
        Ok(Self { all, connected: BTreeMap::new() })
    }

    /// Everyone, in the plan's order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Person> {
        self.all.iter().map(|one| &one.person)
    }

    /// The first officer: who anchors the transcript.
    pub(crate) fn first_officer(&self) -> Option<&Person> {
        self.all().find(|person| person.role == Role::Officer)
    }

    fn participant(&self, name: &Name) -> Result<&Participant, Fault> {
        let known = self.all.iter().find(|one| one.person.name == *name);
        known.ok_or_else(|| Fault::usage(format!("the plan names no {name}"), "correct the plan"))
    }

    /// The person's connections, without a key.
    ///
    /// # Errors
    /// [`Fault`] of the connection.
    pub(crate) async fn connected(&mut self, name: &Name) -> Result<Officer, Fault> {
        if let Some(officer) = self.connected.get(name) {
            return Ok(officer.clone());
        }
        let config = self.participant(name)?.config.clone();
        let officer = Officer::connect(&config).await.map_err(|error| Fault::client("connect", error))?;
        self.connected.insert(name.clone(), officer.clone());
        Ok(officer)
    }

    /// The person's card alone, opened by them. Must be the key that `known` tells for them.
    ///
    /// # Errors
    /// [`Fault`] when it does not open, or is another's.
    pub(crate) fn card(&self, name: &Name, known: &PublicKey) -> Result<Arc<CardProcess>, Fault> {
        let card = CardProcess::open(&self.participant(name)?.file, name)?;
        if card.public_key() == *known {
            Ok(Arc::new(card))
        } else {
            let what =
                format!("the key that was opened for {name} is not the one that {name} is enrolled with");
            Err(Fault::usage(what, format!("give {name}'s own context with --person {name}=CONTEXT")))
        }
    }

    /// The person at the machine: connections and key.
    ///
    /// # Errors
    /// [`Fault`] of connection and card.
    pub(crate) async fn present(&mut self, name: &Name) -> Result<Present, Fault> {
        let reading = self.connected(name).await?;
        let known = self.enrolled(name).await?;
        let card = self.card(name, &known)?;
        let officer =
            reading.with_signer(card.clone()).map_err(|error| Fault::client("use the key", error))?;
        Ok(Present { officer, card })
    }

    /// The person's connections as one who can read their own results and sign nothing.
    ///
    /// # Errors
    /// [`Fault`] of the connection.
    pub(crate) async fn absent(&mut self, name: &Name) -> Result<Officer, Fault> {
        let known = self.enrolled(name).await?;
        let reading = self.connected(name).await?;
        reading.with_signer(Arc::new(Locked(known))).map_err(|error| Fault::client("use the key", error))
    }

    /// The key that somebody is enrolled with: the newest, as the service tells its officers, or else the founding's.
    ///
    /// # Errors
    /// [`Fault`] where nobody is enrolled under the name with a key that signs.
    pub(crate) async fn enrolled(&mut self, name: &Name) -> Result<PublicKey, Fault> {
        let asker = self.first_officer().map_or_else(|| name.clone(), |person| person.name.clone());
        let officer = self.connected(&asker).await?;
        let all = officer.principals().await.map_err(|error| Fault::client("read who is enrolled", error))?;
        let one = all.principals.into_iter().find(|one| one.enrolment.id == *name);
        let key = one.and_then(|one| one.enrolment.statement_key);
        let key = key.and_then(|key| PublicKey::from_spki(key.as_bytes()).ok());
        key.or_else(|| officer.reader().founded().statement_key_of(name)).ok_or_else(|| {
            let what = format!("nobody is enrolled as {name} with a key that signs");
            Fault::usage(what, "name people of the roster with a statement key in the plan")
        })
    }

    /// Somebody's trust file, for the auditor's command.
    pub(crate) fn trust_file(&self) -> Option<&Path> {
        self.all.first().map(|one| one.config.trust.as_path())
    }

    /// The genesis digest in somebody's trust file; nothing before there is one.
    pub(crate) fn trusted(&self) -> Option<Digest> {
        self.all.iter().find_map(|one| one.config.read_trust().ok()).map(|trust| trust.genesis)
    }
}

/// The keys of the people of a plan that founds a service: there is no roster yet, so they come out of the founding file.
///
/// # Errors
/// [`Fault`] when the plan signs no founding file, or not the one that lies there, or it does not name somebody.
pub(crate) fn founding_keys(plan: &PlanFile) -> Result<BTreeMap<Name, PublicKey>, Fault> {
    let named = plan.plan.steps.iter().find_map(|step| match &step.activity {
        Some(Activity::FoundingSign { file, sha256 }) => Some((file, sha256)),
        _ => None,
    });
    let (file, digest) = named.ok_or_else(|| {
        Fault::usage(
            "the plan founds a service and nobody signs its founding file",
            "add founding-sign steps",
        )
    })?;
    let founding = read_founding(&plan.beside(file), digest)?.1;
    let officers = founding.officers.iter().map(|one| (one.name.clone(), one.approval_key.p256()));
    let others = founding.principals.iter();
    let others = others.filter_map(|one| Some((one.id.clone(), one.statement_key?.p256())));
    let keys: BTreeMap<_, _> = officers.chain(others).collect();
    match plan.plan.people.iter().find(|person| !keys.contains_key(&person.name)) {
        None => Ok(keys),
        Some(person) => {
            let what = format!("the founding file gives {} no key that signs", person.name);
            Err(Fault::usage(what, "name people of the founding file with a statement key in the plan"))
        }
    }
}

/// Reads a founding file that must have this digest.
///
/// # Errors
/// [`Fault`] when it cannot be read, is another, or contradicts itself.
pub(crate) fn read_founding(path: &Path, expected: &Digest) -> Result<(Vec<u8>, Founding), Fault> {
    let bytes = named_file(path, expected)?;
    let text = str::from_utf8(&bytes).map_err(|_| "it is not text".to_owned());
    let founding = text.and_then(|text| toml::from_str::<Founding>(text).map_err(|error| error.to_string()));
    let founding = founding.and_then(|file| file.check().map(|()| file).map_err(|error| error.to_string()));
    let founding = founding.map_err(|why| {
        let what = format!("{} is not a founding file: {}", path.display(), why.trim_end());
        Fault::usage(what, "correct the file and the plan")
    })?;
    Ok((bytes, founding))
}

/// Reads a file that the plan names with its digest.
///
/// # Errors
/// [`Fault`] when it cannot be read, or is not the one that the plan names.
pub(crate) fn named_file(path: &Path, expected: &Digest) -> Result<Vec<u8>, Fault> {
    let bytes = crate::file::read(path, keysvc_client::protocol::receipt::LEAF_PAYLOAD_LEN_MAX)?;
    let found = sha256(&[&bytes]);
    if found == *expected {
        return Ok(bytes);
    }
    let words = crate::ceremony::words::head;
    let what = format!(
        "{} is not the file of the plan: its digest begins {}, and the plan says {}",
        path.display(),
        words(&found),
        words(expected)
    );
    Err(Fault::usage(what, "put the reviewed file there, or have a new plan reviewed and signed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_given_with_a_context() {
        let one: PersonContext = "alice=officer-1".parse().unwrap();
        assert_eq!((one.person.as_str(), one.context.as_str()), ("alice", "officer-1"));
        for bad in ["alice", "alice=", "=officer-1", "No Name=a"] {
            assert!(bad.parse::<PersonContext>().is_err(), "{bad}");
        }
    }

    #[test]
    fn another_file_than_the_plans_is_refused_with_both_digests() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("f");
        std::fs::write(&path, b"one").unwrap();
        assert_eq!(named_file(&path, &sha256(&[b"one"])).unwrap(), b"one");
        let fault = named_file(&path, &Digest::new([0xab; 32])).unwrap_err();
        assert!(fault.to_string().contains("the plan says abab abab abab abab"), "{fault}");
    }

    #[test]
    fn a_key_that_is_not_open_signs_nothing() {
        let known = crate::ceremony::agreement::tests::signer(crate::ceremony::agreement::tests::ANN);
        let locked = Locked(known.public_key());
        assert_eq!(locked.public_key(), known.public_key());
        assert!(locked.sign(b"message").is_err());
    }
}
