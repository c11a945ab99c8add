//! The page: a plan as a script for paper, and after the ceremony the same page filled with what was done.
//!
//! Static HTML for A4 without scripts; every value is escaped by the template. It proves nothing: the signed files do.

use crate::{
    ceremony::{agreement, plan_file::PlanFile, words},
    fault::Fault,
    shown::{utc, whole_digest},
};
use askama::Template;
use keysvc_client::protocol::{
    bytes::{Blob, Digest},
    ceremony::{CeremonyFile, Outcome, Step, StepRecord, Transcript},
    hash::sha256,
};
use qrcode::{EcLevel, QrCode, render::svg};

/// Modules of white around the code, and pixels of one module: 33 modules and 8 of margin at 4 are 164 pixels.
const MODULE_PIXELS: u32 = 4;
/// Empty lines for exceptions at the end of the paper.
const LINES_FOR_EXCEPTIONS: usize = 8;

/// A ceremony's page.
#[derive(Debug, Template)]
#[template(path = "ceremony.html")]
pub(crate) struct Page {
    title: String,
    purpose: String,
    place: String,
    trust_domain: String,
    genesis: String,
    digest: Vec<String>,
    code: String,
    people: Vec<PersonRow>,
    steps: Vec<StepRow>,
    exceptions: Vec<usize>,
    /// What was done, where it was.
    held: Option<Held>,
    rehearsal: bool,
}

#[derive(Debug)]
struct PersonRow {
    name: String,
    role: &'static str,
    /// Whether the agreement to the plan is there.
    agreed: bool,
    /// Whether the agreement to the transcript is there.
    signed: bool,
}

#[derive(Debug)]
struct StepRow {
    number: u16,
    who: String,
    say: String,
    activity: String,
    expected: Vec<String>,
    done: Option<DoneRow>,
}

#[derive(Debug)]
struct DoneRow {
    outcome: &'static str,
    initials: String,
    date: String,
    from: String,
    to: String,
    deviation: String,
    facts: Vec<(String, String)>,
    as_planned: bool,
}

/// Where a transcript stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// At this leaf.
    Leaf(u64),
    /// Not yet: the ceremony is not over.
    NotYet,
    /// Nobody here knows the leaf.
    Unknown,
}

impl Anchor {
    /// What a ceremony under way knows of it.
    pub(crate) fn of_run(leaf: Option<u64>) -> Self {
        leaf.map_or(Self::NotYet, Self::Leaf)
    }

    /// What is known of a file's that was kept.
    pub(crate) fn of_file(leaf: Option<u64>) -> Self {
        leaf.map_or(Self::Unknown, Self::Leaf)
    }

    fn words(self) -> String {
        match self {
            Self::Leaf(leaf) => format!("leaf {leaf}"),
            Self::NotYet => "not yet".to_owned(),
            Self::Unknown => "in the log; fobaudit ceremony finds the leaf".to_owned(),
        }
    }
}

#[derive(Debug)]
struct Held {
    started: String,
    ended: String,
    program: String,
    interruptions: String,
    transcript: Vec<String>,
    anchor: String,
    deviations: usize,
    /// Whether somebody of the plan has not signed it.
    unsigned: bool,
}

/// The page as HTML.
///
/// # Errors
/// [`Fault::Usage`] when the template fails, which it does not.
pub(crate) fn html(page: &Page) -> Result<String, Fault> {
    page.render()
        .map_err(|error| Fault::usage(format!("the page cannot be made ({error})"), "tell the makers"))
}

impl Page {
    /// The script of a plan, to be filled by hand.
    pub(crate) fn of_plan(file: &PlanFile) -> Self {
        let plan = &file.plan;
        let people = plan.people.iter().map(|person| PersonRow {
            name: person.name.to_string(),
            role: words::role(person.role),
            agreed: false,
            signed: false,
        });
        let steps = (1_u16..).zip(&plan.steps).map(|(number, step)| row(number, step, None));
        Self {
            title: plan.title.to_string(),
            purpose: plan.purpose.to_string(),
            place: plan.place.as_ref().map(ToString::to_string).unwrap_or_default(),
            trust_domain: plan.trust_domain.to_string(),
            genesis: plan.genesis.as_ref().map(ToString::to_string).unwrap_or_default(),
            digest: whole_digest(&file.digest),
            code: code(&file.digest),
            people: people.collect(),
            steps: steps.collect(),
            exceptions: (0..LINES_FOR_EXCEPTIONS).collect(),
            held: None,
            rehearsal: false,
        }
    }

    /// The script of a ceremony that was held, filled with what was done.
    pub(crate) fn of_ceremony(
        file: &PlanFile,
        kept: &CeremonyFile,
        transcript: &Transcript,
        anchor: Anchor,
    ) -> Self {
        let names = |agreements: Vec<&[u8]>| -> Vec<_> {
            agreements.into_iter().filter_map(agreement::signer_of).collect()
        };
        let agreed = names(transcript.agreements.iter().map(Blob::as_bytes).collect());
        let signed = names(kept.agreements.iter().map(Blob::as_bytes).collect());
        let people = file.plan.people.iter().map(|person| PersonRow {
            name: person.name.to_string(),
            role: words::role(person.role),
            agreed: agreed.contains(&person.name),
            signed: signed.contains(&person.name),
        });
        let record = |number| transcript.steps.iter().find(|record| record.number == number);
        let steps = (1_u16..).zip(&file.plan.steps);
        let digest = sha256(&[kept.transcript.as_bytes()]);
        Self {
            people: people.collect(),
            genesis: transcript.genesis.to_string(),
            steps: steps.map(|(number, step)| row(number, step, record(number))).collect(),
            exceptions: Vec::new(),
            held: Some(Held {
                started: utc(transcript.started_ms),
                ended: utc(transcript.ended_ms),
                program: transcript.program.to_string(),
                interruptions: words::times(transcript.interruptions),
                transcript: whole_digest(&digest),
                anchor: anchor.words(),
                unsigned: !file.plan.people.iter().all(|person| signed.contains(&person.name)),
                deviations: transcript.steps.iter().filter(|one| one.outcome != Outcome::Done).count(),
            }),
            rehearsal: transcript.rehearsal,
            ..Self::of_plan(file)
        }
    }
}

fn row(number: u16, step: &Step, record: Option<&StepRecord>) -> StepRow {
    StepRow {
        number,
        who: step.by.to_string(),
        say: step.say.to_string(),
        activity: step.activity.as_ref().map(|_| words::activity(step)).unwrap_or_default(),
        expected: words::expected(step),
        done: record.map(done),
    }
}

fn done(record: &StepRecord) -> DoneRow {
    let (from, to) = (utc(record.started_ms), utc(record.ended_ms));
    let time = |text: &str| {
        // RFC 3339: the time of day without its thousandths.
        text.split_once('T').map_or(text, |(_, time)| time).chars().take(8).collect::<String>()
    };
    DoneRow {
        outcome: words::outcome(record.outcome),
        initials: record.initials.to_string(),
        date: from.split_once('T').map_or_else(String::new, |(date, _)| date.to_owned()),
        from: time(&from),
        to: time(&to),
        deviation: record.deviation.as_ref().map(ToString::to_string).unwrap_or_default(),
        facts: record.facts.iter().map(|one| (one.name.to_string(), one.value.to_string())).collect(),
        as_planned: record.outcome == Outcome::Done,
    }
}

/// A digest's digits as a QR code, SVG. Upper case, because that is the denser of the code's alphabets.
fn code(digest: &Digest) -> String {
    let digits = digest.to_string().to_ascii_uppercase();
    let code = QrCode::with_error_correction_level(digits.as_bytes(), EcLevel::M);
    code.map(|code| {
        let svg = code
            .render::<svg::Color<'_>>()
            .module_dimensions(MODULE_PIXELS, MODULE_PIXELS)
            .dark_color(svg::Color("#000"))
            .light_color(svg::Color("#fff"))
            .build();
        // The declaration is of a document of its own; here it stands in a page.
        svg.find("<svg").and_then(|start| svg.get(start..)).unwrap_or_default().to_owned()
    })
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceremony::plan_file::tests::{PLAN, plan};
    use keysvc_client::protocol::{
        ceremony::{Fact, Text},
        list::List,
        schema::Schema,
    };
    use std::path::Path;

    fn script() -> String {
        html(&Page::of_plan(&plan())).unwrap()
    }

    /// A transcript of the sample plan whose fourth step deviated.
    fn held(rehearsal: bool) -> String {
        held_so(rehearsal, Anchor::Leaf(77))
    }

    fn held_so(rehearsal: bool, anchor: Anchor) -> String {
        let file = plan();
        let fact = Fact { name: Text::lossy("check-value"), value: Text::lossy("0a0b0c0d0e") };
        let steps = (1_u16..).zip(&file.plan.steps).map(|(number, step)| StepRecord {
            schema: Schema,
            number,
            previous: Digest::new([0; 32]),
            person: step.by.clone(),
            started_ms: 1_795_000_000_000 + u64::from(number) * 60_000,
            ended_ms: 1_795_000_030_000 + u64::from(number) * 60_000,
            outcome: if number == 4 { Outcome::Deviated } else { Outcome::Done },
            initials: "AB".parse().unwrap(),
            facts: vec![fact.clone()].try_into().unwrap(),
            deviation: (number == 4).then(|| "the clock on the wall was <wrong>".parse().unwrap()),
            proposal: None,
            leaf: Some(40 + u64::from(number)),
        });
        let transcript = Transcript {
            schema: Schema,
            trust_domain: file.plan.trust_domain.clone(),
            genesis: Digest::new([1; 32]),
            rehearsal,
            plan: Blob::try_from(file.bytes.clone()).unwrap(),
            agreements: List::default(),
            program: Text::lossy("fobctl 0.1.0"),
            started_ms: 1_795_000_000_000,
            ended_ms: 1_795_000_900_000,
            interruptions: 1,
            steps: steps.collect::<Vec<_>>().try_into().unwrap(),
        };
        let bytes = keysvc_client::protocol::cbor::encode(&transcript);
        let kept = CeremonyFile {
            schema: Schema,
            transcript: Blob::try_from(bytes).unwrap(),
            agreements: List::default(),
        };
        html(&Page::of_ceremony(&file, &kept, &transcript, anchor)).unwrap()
    }

    #[test]
    fn the_script_has_the_digest_in_groups_and_as_a_code_and_room_for_hands() {
        let (page, digest) = (script(), whole_digest(&plan().digest));
        assert!(digest.iter().all(|line| page.contains(line)), "{page}");
        assert!(page.contains("<svg") && !page.contains("<?xml"), "{page}");
        for words in ["alice", "witness: looks on", "Exceptions", "Initials", "state pre-activation"] {
            assert!(page.contains(words), "{words}");
        }
    }

    #[test]
    fn neither_page_runs_or_fetches_anything() {
        for page in [script(), held(true)] {
            let page = page.to_ascii_lowercase();
            for bad in ["<script", "javascript:", " onload", "<link", "<iframe", "<img", "url(", "@import"] {
                assert!(!page.contains(bad), "{bad}");
            }
        }
    }

    #[test]
    fn words_of_a_plan_cannot_become_markup() {
        let text = PLAN.replace("the yearly change", "<script>alert(1)</script>");
        let file = PlanFile::of_bytes(Path::new("p"), text.into_bytes()).unwrap();
        let page = html(&Page::of_plan(&file)).unwrap();
        assert!(!page.contains("<script") && page.contains("alert(1)"), "{page}");
    }

    #[test]
    fn a_held_ceremony_shows_times_initials_facts_deviations_and_the_anchor() {
        let page = held(false);
        for words in ["11:07:40", "AB", "check-value", "0a0b0c0d0e", "leaf 77", "fobctl 0.1.0"] {
            assert!(page.contains(words), "{words}");
        }
        assert_eq!(page.matches("class=\"deviated\"").count(), 1);
        assert!(page.contains("the clock on the wall was &#60;wrong&#62;"), "{page}");
        assert!(!page.contains("REHEARSAL"));
    }

    #[test]
    fn a_page_that_not_everyone_signed_says_so_loudly() {
        let page = held_so(false, Anchor::NotYet);
        assert!(page.contains("NOT SIGNED YET") && page.contains("<dd>not yet</dd>"), "{page}");
        assert!(!script().contains("NOT SIGNED YET"));
    }

    #[test]
    fn a_rehearsal_is_marked_on_every_page_of_the_paper() {
        let page = held(true);
        // At the top, and in the heads of both tables, which are printed again on each page.
        assert_eq!(page.matches("REHEARSAL").count(), 3, "{page}");
        assert_eq!(page.matches("<thead><tr><th class=\"rehearsed\"").count(), 2, "{page}");
        assert!(page.contains("thead { display: table-header-group; }"), "{page}");
    }
}
