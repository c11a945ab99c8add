//! The end of a ceremony: the transcript is made once, everyone reads it and signs its digest, and the log gets the digest.
//!
//! Each of it is durable before the next begins, so that it too can be interrupted: the transcript's bytes and its page are
//! written before the first signature, and each signature before the next is asked for. Bytes that lie in the folder are
//! signed only where they are what the progress says.

use crate::{
    ceremony::{
        agreement, durable,
        page::{self, Page},
        walk::Ceremony,
        words,
    },
    fault::Fault,
    moment::now_ms,
    output::{LOUD, Output, Report, tell},
    shown::{plain, rows, whole_digest},
};
use keysvc_client::{
    Outcome,
    protocol::{
        bytes::{Blob, Digest},
        cbor,
        ceremony::{AGREEMENT_LEN_MAX, CeremonyFile, Person, TRANSCRIPT_LEN_MAX, Transcript, idem_of_anchor},
        hash::sha256,
        list::List,
        request::RecordCeremony,
        schema::Schema,
    },
};
use serde::Serialize;
use std::{fmt::Write as _, io::Write, path::Path};

/// The transcript's bytes, before they are signed.
const TRANSCRIPT: &str = "transcript.cbor";
/// The folder of the signatures under it.
const AGREEMENTS: &str = "agreements";
/// The file that is kept.
pub(crate) const CEREMONY: &str = "ceremony.cbor";
/// The leaf that holds the transcript's digest, in digits.
const ANCHORED: &str = "anchor";
/// The page for people.
const PAGE: &str = "transcript.html";

/// A ceremony that is over.
#[derive(Debug, Serialize)]
pub(crate) struct CeremonyReport {
    /// What was done.
    pub(crate) title: String,
    /// Whether it was a rehearsal.
    pub(crate) rehearsal: bool,
    /// SHA-256 of the plan.
    pub(crate) plan: String,
    /// SHA-256 of the transcript.
    pub(crate) transcript: String,
    /// The leaf that holds it.
    pub(crate) anchor_leaf: u64,
    /// How many steps went as planned.
    pub(crate) done: usize,
    /// How many did not.
    pub(crate) deviated: usize,
    /// How many could not be done.
    pub(crate) failed: usize,
    /// How often it was interrupted.
    pub(crate) interruptions: u16,
    /// The file to keep.
    pub(crate) file: String,
    /// The page for people.
    pub(crate) page: String,
}

/// Refuses a folder whose ceremony is over.
///
/// # Errors
/// [`Fault::Usage`] naming the file.
pub(crate) fn refuse_ended(folder: &Path) -> Result<(), Fault> {
    let file = folder.join(CEREMONY);
    if !file.exists() {
        return Ok(());
    }
    Err(Fault::usage(
        format!("this ceremony is over: {} is there", file.display()),
        "hold another one in another folder, with --out",
    ))
}

/// The leaf beside a ceremony's file that its transcript is anchored in, where it is known.
pub(crate) fn anchor_beside(file: &Path) -> Option<u64> {
    let bytes = durable::read(&file.with_file_name(ANCHORED), 32).ok()??;
    str::from_utf8(&bytes).ok()?.trim().parse().ok()
}

impl Ceremony<'_> {
    /// Ends the ceremony and prints where it is kept.
    ///
    /// # Errors
    /// [`Fault`] of the files, a card or the call; started again, it goes on where it stopped.
    pub(crate) async fn finish<W: Write>(&mut self, output: &mut Output<W>) -> Result<(), Fault> {
        let folder = self.kept.folder().to_owned();
        let (bytes, transcript) = self.transcript(&folder).await?;
        let digest = sha256(&[&bytes]);
        let unsigned = CeremonyFile { schema: Schema, transcript: blob(bytes)?, agreements: List::default() };
        self.put_page(&folder, (&unsigned, &transcript), None)?;
        tell(&format_args!("\n{}", told(&transcript)));
        tell(&format_args!("the whole of it, not signed yet: {}", folder.join(PAGE).display()));
        let agreements = self.agreed(&folder, (&digest, &transcript.genesis)).await?;
        let agreements = List::try_from(agreements).map_err(|_| too_much("people"))?;
        let file = CeremonyFile { agreements, ..unsigned };
        self.put_page(&folder, (&file, &transcript), None)?;
        let leaf = self.anchored(&folder, &digest).await?;
        self.put_page(&folder, (&file, &transcript), Some(leaf))?;
        // Last, because whoever finds it may take the ceremony for over.
        durable::put(&folder.join(CEREMONY), &cbor::encode(&file))?;
        report(&folder, (&transcript, &digest, leaf), output)?;
        self.next(&folder.join(CEREMONY));
        Ok(())
    }

    /// The page of what was done, as far as it is signed and anchored.
    fn put_page(
        &self,
        folder: &Path,
        (file, transcript): (&CeremonyFile, &Transcript),
        leaf: Option<u64>,
    ) -> Result<(), Fault> {
        let page = Page::of_ceremony(self.file, file, transcript, page::Anchor::of_run(leaf));
        durable::put(&folder.join(PAGE), page::html(&page)?.as_bytes())
    }

    /// The transcript and its bytes: those that are there already and are of this ceremony, or else made now.
    async fn transcript(&mut self, folder: &Path) -> Result<(Vec<u8>, Transcript), Fault> {
        let path = folder.join(TRANSCRIPT);
        let officer = self.officer()?;
        let reading = self.people.connected(&officer.name).await?;
        let genesis = *reading.reader().founded().genesis();
        let made = self.kept.transcript(self.file, genesis, now_ms()).ok_or_else(|| too_much("plan"))?;
        if let Some(bytes) = durable::read(&path, TRANSCRIPT_LEN_MAX)? {
            let found = Transcript::read(&bytes).map_err(|error| unreadable(&path, &error.to_string()))?;
            return match differs(&found, &made) {
                None => Ok((bytes, found)),
                Some(what) => {
                    Err(unreadable(&path, &format!("{what} not what this ceremony's progress says")))
                }
            };
        }
        let bytes = cbor::encode(&made);
        durable::put(&path, &bytes)?;
        Ok((bytes, made))
    }

    fn officer(&self) -> Result<Person, Fault> {
        let officer = self.people.first_officer().cloned();
        officer.ok_or_else(|| Fault::usage("the plan names no officer", "name one under people"))
    }

    /// Everyone's signature under the transcript.
    async fn agreed(
        &mut self,
        folder: &Path,
        about: (&Digest, &Digest),
    ) -> Result<Vec<Blob<AGREEMENT_LEN_MAX>>, Fault> {
        let folder = folder.join(AGREEMENTS);
        durable::folder(&folder)?;
        let (transcript, _) = about;
        tell(&format_args!("\n{LOUD}The transcript{LOUD:#} has this SHA-256; read it to each other:"));
        for line in whole_digest(transcript) {
            tell(&format_args!("  {line}"));
        }
        let everyone: Vec<Person> = self.people.all().cloned().collect();
        let mut agreements = Vec::new();
        for person in &everyone {
            let path = agreement::path(&folder, &person.name);
            let known = self.people.enrolled(&person.name).await?;
            let kept = durable::read(&path, AGREEMENT_LEN_MAX)?
                .filter(|signed| agreement::is_of_transcript(about, person, &known, signed));
            let signed = if let Some(signed) = kept {
                signed
            } else {
                tell(&format_args!("{} ({}) signs it", person.name, person.role));
                self.answerer.confirm(transcript)?;
                let card = self.people.card(&person.name, &known)?;
                let signed = agreement::sign_transcript(about, person, &*card);
                let signed = signed.map_err(|error| Fault::client("sign the transcript", error))?;
                durable::put(&path, &signed)?;
                signed
            };
            agreements.push(blob(signed)?);
        }
        Ok(agreements)
    }

    /// Says what comes after it.
    fn next(&self, file: &Path) {
        if self.rehearsal.is_some() {
            let page = file.with_file_name(PAGE);
            tell(&format_args!("next: read {}; then everyone approves the plan itself", page.display()));
            return;
        }
        let trust = self.people.trust_file().map(|path| path.display().to_string()).unwrap_or_default();
        tell(&format_args!(
            "next: as an auditor `fobctl audit export LOG`, then `fobaudit ceremony {} --trust {trust} --export LOG`",
            file.display()
        ));
    }

    /// Has the log hold the transcript's digest; the same act, however often it is tried.
    async fn anchored(&mut self, folder: &Path, transcript: &Digest) -> Result<u64, Fault> {
        let path = folder.join(ANCHORED);
        if let Some(leaf) = anchor_beside(&path) {
            return Ok(leaf);
        }
        let people: Vec<_> = self.people.all().map(|person| person.name.clone()).collect();
        let request = RecordCeremony {
            schema: Schema,
            idem: idem_of_anchor(transcript),
            title: self.file.plan.title.clone(),
            plan: self.file.digest,
            transcript: *transcript,
            people: List::try_from(people).map_err(|_| too_much("people"))?,
        };
        let officer = self.officer()?;
        tell(&format_args!("{} has the log hold it", officer.name));
        let present = self.people.present(&officer.name).await?;
        let outcome = present.officer.act(&request).await;
        match outcome.map_err(|error| Fault::client("record the ceremony", error))? {
            Outcome::Done(changed) => {
                durable::put(&path, format!("{}\n", changed.leaf_index).as_bytes())?;
                Ok(changed.leaf_index)
            }
            Outcome::Pending(pending) => Err(crate::acted::waits(&pending, "officers")),
        }
    }
}

fn report<W: Write>(
    folder: &Path,
    (transcript, digest, anchor_leaf): (&Transcript, &Digest, u64),
    output: &mut Output<W>,
) -> Result<(), Fault> {
    use keysvc_client::protocol::ceremony::Outcome as End;
    let count = |outcome| transcript.steps.iter().filter(|step| step.outcome == outcome).count();
    let plan = keysvc_client::protocol::ceremony::Plan::digest_of(transcript.plan.as_bytes());
    let title = crate::ceremony::plan_file::parse(transcript.plan.as_bytes());
    output.print(&CeremonyReport {
        title: title.map(|plan| plan.title.to_string()).unwrap_or_default(),
        rehearsal: transcript.rehearsal,
        plan: plan.to_string(),
        transcript: digest.to_string(),
        anchor_leaf,
        done: count(End::Done),
        deviated: count(End::Deviated),
        failed: count(End::Failed),
        interruptions: transcript.interruptions,
        file: folder.join(CEREMONY).display().to_string(),
        page: folder.join(PAGE).display().to_string(),
    })
}

fn blob<const MAX: usize>(bytes: Vec<u8>) -> Result<Blob<MAX>, Fault> {
    Blob::try_from(bytes).map_err(|_| too_much("text"))
}

fn too_much(what: &str) -> Fault {
    Fault::usage(format!("there is more {what} than a transcript holds"), "hold it in two ceremonies")
}

fn unreadable(path: &Path, why: &str) -> Fault {
    Fault::usage(
        format!("{} is not the transcript of this ceremony: {why}", path.display()),
        "sign nothing; keep the folder as it is, and tell the officers",
    )
}

/// What of a transcript is not what the progress makes of the ceremony. Only its end and how often it was interrupted
/// since may be otherwise: they are told when it is written first.
fn differs(found: &Transcript, made: &Transcript) -> Option<&'static str> {
    let pairs = [
        ("its steps are", found.steps == made.steps),
        ("its plan's bytes are", found.plan == made.plan),
        ("its agreements to the plan are", found.agreements == made.agreements),
        ("its marks of a rehearsal are", found.rehearsal == made.rehearsal),
        ("its trust domain and genesis are", {
            found.trust_domain == made.trust_domain && found.genesis == made.genesis
        }),
        ("its beginning is", found.started_ms == made.started_ms),
        ("its interruptions are", found.interruptions <= made.interruptions),
    ];
    pairs.into_iter().find(|(_, same)| !same).map(|(what, _)| what)
}

/// How each step ended, with what was not as planned: what everyone reads before they sign.
fn told(transcript: &Transcript) -> String {
    let mut lines = vec!["What was done:".to_owned()];
    for step in transcript.steps.iter() {
        let (number, outcome) = (step.number, words::outcome(step.outcome));
        let deviation = step.deviation.as_ref().map(|text| format!(": {}", plain(text.as_str())));
        lines.push(format!("{number:>4}  {}: {outcome}{}", step.person, deviation.unwrap_or_default()));
    }
    lines.join("\n")
}

impl Report for CeremonyReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-ceremony-run/1"
    }

    fn text(&self) -> String {
        let mut steps = format!("{} as planned", self.done);
        if self.deviated > 0 {
            // Writing to a string has no failure.
            let _ = write!(steps, ", {} with a deviation", self.deviated);
        }
        if self.failed > 0 {
            let _ = write!(steps, ", {} failed", self.failed);
        }
        let digest = whole_digest(&self.transcript);
        let lines = rows([
            ("ceremony", self.title.clone()),
            ("steps", steps),
            ("interrupted", words::times(self.interruptions)),
            ("transcript", digest.first().cloned().unwrap_or_default()),
            ("", digest.get(1).cloned().unwrap_or_default()),
            ("anchored", format!("leaf {}", self.anchor_leaf)),
            ("file", self.file.clone()),
            ("page", self.page.clone()),
        ]);
        if self.rehearsal {
            format!("{LOUD}REHEARSAL: nothing of it is real{LOUD:#}\n\n{lines}")
        } else {
            lines
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(deviated: usize, rehearsal: bool) -> CeremonyReport {
        CeremonyReport {
            title: "Another value key".into(),
            rehearsal,
            plan: "ab".repeat(32),
            transcript: "0123456789abcdef".repeat(4),
            anchor_leaf: 41,
            done: 7,
            deviated,
            failed: 0,
            interruptions: 1,
            file: "d/ceremony.cbor".into(),
            page: "d/transcript.html".into(),
        }
    }

    #[test]
    fn the_end_tells_steps_digest_and_anchor_and_marks_a_rehearsal() {
        let text = sample(0, false).text();
        assert!(text.contains("7 as planned") && !text.contains("deviation"), "{text}");
        assert!(text.contains("0123 4567 89ab cdef 0123 4567 89ab cdef"), "{text}");
        assert!(text.contains("leaf 41") && !text.contains("REHEARSAL"), "{text}");
        assert!(sample(2, false).text().contains("2 with a deviation"));
        assert!(sample(0, true).text().contains("REHEARSAL"));
    }

    /// A transcript of the sample plan's first two steps, the second of which deviated.
    fn transcript() -> Transcript {
        use keysvc_client::protocol::ceremony::{Outcome as End, StepRecord, Text};
        let file = crate::ceremony::plan_file::tests::plan();
        let mut previous = file.digest;
        let steps = (1_u16..3).zip(&file.plan.steps).map(|(number, step)| {
            let deviated = number == 2;
            let record = StepRecord {
                schema: Schema,
                number,
                previous,
                person: step.by.clone(),
                started_ms: 5,
                ended_ms: 6,
                outcome: if deviated { End::Deviated } else { End::Done },
                initials: Text::lossy("AB"),
                facts: List::default(),
                deviation: deviated.then(|| "the lamp went out".parse().unwrap()),
                proposal: None,
                leaf: None,
            };
            previous = sha256(&[&cbor::encode(&record)]);
            record
        });
        Transcript {
            schema: Schema,
            trust_domain: file.plan.trust_domain.clone(),
            genesis: Digest::new([1; 32]),
            rehearsal: false,
            steps: steps.collect::<Vec<_>>().try_into().unwrap(),
            plan: blob(file.bytes).unwrap(),
            agreements: List::default(),
            program: Text::lossy("fobctl 0.1.0"),
            started_ms: 5,
            ended_ms: 9,
            interruptions: 0,
        }
    }

    #[test]
    fn a_transcript_that_lies_in_the_folder_is_signed_only_where_it_is_what_the_progress_says() {
        let found = transcript();
        assert_eq!(differs(&found, &found), None);
        // Taken up again after it was written.
        let later = Transcript { ended_ms: 50, interruptions: 1, ..found.clone() };
        assert_eq!(differs(&found, &later), None);
        let mut steps = found.steps.to_vec();
        steps[1].deviation = Some("nothing of note".parse().unwrap());
        let other = Transcript { steps: steps.try_into().unwrap(), ..found.clone() };
        assert_eq!(differs(&other, &found), Some("its steps are"));
        let other = Transcript { plan: blob(b"another".to_vec()).unwrap(), ..found.clone() };
        assert_eq!(differs(&other, &found), Some("its plan's bytes are"));
        let signed = vec![blob(vec![1]).unwrap()];
        let other = Transcript { agreements: signed.try_into().unwrap(), ..found.clone() };
        assert_eq!(differs(&other, &found), Some("its agreements to the plan are"));
        let other = Transcript { rehearsal: true, ..found.clone() };
        assert_eq!(differs(&other, &found), Some("its marks of a rehearsal are"));
        let other = Transcript { genesis: Digest::new([2; 32]), ..found.clone() };
        assert_eq!(differs(&other, &found), Some("its trust domain and genesis are"));
        let other = Transcript { started_ms: 4, ..found.clone() };
        assert_eq!(differs(&other, &found), Some("its beginning is"));
        let other = Transcript { interruptions: 3, ..found.clone() };
        assert_eq!(differs(&other, &found), Some("its interruptions are"));
    }

    #[test]
    fn everyone_reads_each_steps_outcome_and_deviation_before_they_sign() {
        let text = told(&transcript());
        assert!(text.contains("   1  carol: done\n   2  alice: deviated: the lamp went out"), "{text}");
    }

    #[test]
    fn a_folder_whose_ceremony_is_over_is_refused_and_its_anchor_read() {
        let scratch = tempfile::tempdir().unwrap();
        assert!(refuse_ended(scratch.path()).is_ok());
        let file = scratch.path().join(CEREMONY);
        std::fs::write(&file, b"").unwrap();
        assert!(refuse_ended(scratch.path()).unwrap_err().to_string().contains("is over"));
        assert_eq!(anchor_beside(&file), None);
        std::fs::write(scratch.path().join(ANCHORED), b"41\n").unwrap();
        assert_eq!(anchor_beside(&file), Some(41));
    }
}
