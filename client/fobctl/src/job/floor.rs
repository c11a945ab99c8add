//! The people at a station: each reads a sentence and signs it, with their own card in a process of its own, or brings a
//! file that they signed on their own machine.
//!
//! No blind signing: the sentence is made from the very agreement that is signed. Whether somebody may sign what, and whether
//! it counts, the service says.

use crate::{
    ceremony::card::CardProcess,
    confirm,
    context::Surroundings,
    fault::Fault,
    output::tell,
    shown::{plain, wrapped},
};
use keysvc_client::{
    ClientConfig, OwnCertificate,
    agreement::{self, SignedAgreement},
    protocol::{
        job::{JobAct, JobAgreement},
        name::Name,
        trust::Trust,
    },
    signer::StatementSigner,
};
use std::path::{Path, PathBuf};

/// Longest line of a sentence, in characters.
const WIDTH: usize = 78;

/// Somebody who signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// At this machine, with a context of their own: its name, or its `client.toml`.
    Here(String),
    /// Somewhere else, before; the file they brought.
    Signed(PathBuf),
}

/// The place where people sign for one job.
#[derive(Debug)]
pub(crate) struct Floor {
    surroundings: Surroundings,
    trust: Trust,
    yes: bool,
}

impl Floor {
    /// The floor of the station that has this configuration. With `yes` nobody is asked to type it.
    ///
    /// # Errors
    /// [`Fault`] of the trust file.
    pub(crate) fn of(config: &ClientConfig, yes: bool) -> Result<Self, Fault> {
        let trust =
            config.read_trust().map_err(|error| Fault::client("read the trust file", error.into()))?;
        Ok(Self { surroundings: Surroundings::of_process(), trust, yes })
    }

    /// Everybody's agreement to an act, in the order of `who`.
    ///
    /// # Errors
    /// [`Fault`] naming whose context, card or file it is, and [`Fault::Declined`] where somebody did not agree.
    pub(crate) fn agreed<const N: usize>(
        &self,
        (job, act): (&Name, &JobAct),
        who: &[Who; N],
    ) -> Result<[SignedAgreement; N], Fault> {
        let mut agreed = Vec::with_capacity(N);
        for one in who {
            agreed.push(match one {
                Who::Here(context) => self.here((job, act), context)?,
                Who::Signed(path) => brought((job, act), path)?,
            });
        }
        agreed.try_into().map_err(|_| Fault::usage("somebody did not sign", "run the same command again"))
    }

    fn here(&self, (job, act): (&Name, &JobAct), context: &str) -> Result<SignedAgreement, Fault> {
        let file = self.file_of(context)?;
        let config = ClientConfig::read(&file)
            .map_err(|error| Fault::client("read the configuration", error.into()))?;
        let trust =
            config.read_trust().map_err(|error| Fault::client("read the trust file", error.into()))?;
        if trust != self.trust {
            let what = format!("{context} is of another service than this station");
            return Err(Fault::usage(what, "give the context of somebody of this service"));
        }
        let person = person(&config, &trust, None)?;
        let said = said(job, act, &person)?;
        show(&said);
        if !self.yes {
            confirm::ask_person(&person)?;
        }
        let card = CardProcess::open(&file, &person)?;
        sign(&card, &trust, &said)
    }

    fn file_of(&self, context: &str) -> Result<PathBuf, Fault> {
        if Path::new(context).is_file() {
            return Ok(PathBuf::from(context));
        }
        let name: Name = context.parse().map_err(|_| {
            let what = format!("{context} is neither a file nor a context's name");
            Fault::usage(what, "give a context (`fobctl context list`), or a client.toml")
        })?;
        self.surroundings.choose(None, Some(&name)).map(|chosen| chosen.file)
    }
}

/// An agreement out of a file, which must be to this act. Whether it counts, the service says.
fn brought((job, act): (&Name, &JobAct), path: &Path) -> Result<SignedAgreement, Fault> {
    let signed = read(path)?;
    if signed.claim().job != *job || signed.claim().act != *act {
        return Err(other(path, &signed, "bring one that was signed for this, or sign here"));
    }
    tell(&format_args!("{}:\n{}\n", path.display(), indented(&signed.sentence())));
    Ok(signed)
}

fn read(path: &Path) -> Result<SignedAgreement, Fault> {
    SignedAgreement::read(path).map_err(|error| Fault::client("read the agreement", error))
}

fn other(path: &Path, signed: &SignedAgreement, next: &str) -> Fault {
    Fault::usage(format!("{} is to something else: {}", path.display(), signed.sentence()), next)
}

/// What a person is about to sign, now.
///
/// # Errors
/// [`Fault`] when the system gives no random bytes.
pub(crate) fn said(job: &Name, act: &JobAct, person: &Name) -> Result<JobAgreement, Fault> {
    let said = agreement::said(job.clone(), act.clone(), person.clone());
    said.map_err(|error| Fault::client("write down what is agreed to", error))
}

/// Shows the sentence that is signed.
pub(crate) fn show(said: &JobAgreement) {
    tell(&format_args!("{} signs this:\n\n{}\n", said.person, indented(&agreement::sentence(said))));
}

fn indented(sentence: &str) -> String {
    format!("  {}", wrapped(&plain(sentence), WIDTH).replace('\n', "\n  "))
}

/// Signs it for the service of this trust file.
///
/// # Errors
/// [`Fault`] of the key or card.
pub(crate) fn sign(
    signer: &dyn StatementSigner,
    trust: &Trust,
    said: &JobAgreement,
) -> Result<SignedAgreement, Fault> {
    agreement::sign(signer, &trust.genesis, said).map_err(|error| Fault::client("sign the agreement", error))
}

/// Whose configuration it is: as given, or as its certificate says.
///
/// # Errors
/// [`Fault`] where nothing says it.
pub(crate) fn person(config: &ClientConfig, trust: &Trust, given: Option<&Name>) -> Result<Name, Fault> {
    if let Some(name) = given {
        return Ok(name.clone());
    }
    let own = OwnCertificate::read(config, &trust.domain)
        .map_err(|error| Fault::client("read the certificate", error.into()))?;
    own.name.map(|own| own.name).ok_or_else(|| {
        let what =
            format!("the certificate in {} names nobody of {}", config.certificate.display(), trust.domain);
        Fault::usage(what, "give the configuration of somebody who is enrolled")
    })
}

/// Those who sign, where contexts and files are given: first by their roles, and files where nobody stands here.
///
/// # Errors
/// [`Fault::Usage`] where there are not exactly as many as roles.
pub(crate) fn people<const N: usize>(
    here: [Option<&String>; N],
    brought: &[PathBuf],
    next: &str,
) -> Result<[Who; N], Fault> {
    let mut files = brought.iter();
    let who: Option<Vec<Who>> = here
        .into_iter()
        .map(|context| match context {
            Some(context) => Some(Who::Here(context.clone())),
            None => files.next().cloned().map(Who::Signed),
        })
        .collect();
    let whole = who.filter(|_| files.next().is_none()).and_then(|who| who.try_into().ok());
    whole.ok_or_else(|| {
        let people = if N == 1 { "one person signs".to_owned() } else { format!("{N} people sign") };
        Fault::usage(format!("{people} this"), next)
    })
}

/// The act that the files are to, where somebody brought one, and else the one that is given here.
///
/// # Errors
/// [`Fault`] for a file that is none, and where the two differ.
pub(crate) fn act_of(files: &[PathBuf], given: Option<JobAct>, next: &str) -> Result<JobAct, Fault> {
    let Some(first) = files.first() else {
        return given.ok_or_else(|| Fault::usage("it is not said what is signed", next));
    };
    let signed = read(first)?;
    let act = signed.claim().act.clone();
    match given {
        Some(given) if given != act => {
            Err(other(first, &signed, "leave out what stands in the file, or have it signed again"))
        }
        _ => Ok(act),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceremony::agreement::tests::{ANN, signer};
    use keysvc_client::protocol::{bytes::Digest, job::Counts};

    fn counted() -> JobAct {
        JobAct::Count { counts: Counts { good: 5, ..Counts::default() } }
    }

    fn file(folder: &Path, act: &JobAct) -> PathBuf {
        let trust = Trust { domain: "demo.test".parse().unwrap(), genesis: Digest::new([7; 32]) };
        let said = said(&"nfc-1".parse().unwrap(), act, &"operator-1".parse().unwrap()).unwrap();
        let path = folder.join("operator-1.agreement");
        sign(&signer(ANN), &trust, &said).unwrap().write(&path).unwrap();
        path
    }

    #[test]
    fn those_who_stand_here_take_their_places_and_files_the_others() {
        let (ann, file) = ("operator-1".to_owned(), PathBuf::from("reviewer"));
        let both = people([Some(&ann), None], std::slice::from_ref(&file), "n").unwrap();
        assert_eq!(both, [Who::Here(ann.clone()), Who::Signed(file.clone())]);
        assert!(people([Some(&ann), None], &[], "n").is_err());
        let fault = people([Some(&ann)], &[file], "n").unwrap_err();
        assert_eq!(fault.to_string(), "one person signs this");
    }

    #[test]
    fn the_act_is_the_files_and_one_that_differs_is_told_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), &counted());
        let files = [path];
        assert_eq!(act_of(&files, None, "n").unwrap(), counted());
        assert_eq!(act_of(&files, Some(counted()), "n").unwrap(), counted());
        let other = JobAct::Count { counts: Counts::default() };
        let fault = act_of(&files, Some(other), "n").unwrap_err().to_string();
        assert!(fault.contains("I, operator-1, say of job nfc-1 that I counted good 5"), "{fault}");
        assert_eq!(act_of(&[], None, "give it").unwrap_err().next(), "give it");
        let (job, another) = ("nfc-1".parse().unwrap(), "nfc-2".parse().unwrap());
        assert!(brought((&job, &counted()), &files[0]).is_ok());
        assert_eq!(brought((&another, &counted()), &files[0]).unwrap_err().exit_code(), 2);
    }
}
