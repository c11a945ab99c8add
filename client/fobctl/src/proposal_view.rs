//! A proposal as officers read it before they sign: the act in words, who asks, who has agreed, what is still needed.
//!
//! Taken from a proposal that the client read whole and whose votes it counted itself; nothing here is the service's word
//! but the roster of officers, the state and, where it says so, the requester's key.

use crate::{
    moment,
    output::Report,
    proposal_document::Document,
    shown::{key_digest, plain, rows, utc, whole_digest, wrapped},
};
use keysvc_client::{
    approvable::{Missing, Vouched},
    officer::OnRecord,
    protocol::{
        founding::GoldenVector,
        name::Name,
        proposal::{Precondition, ProposalState},
        quorum::Need,
    },
};
use serde::Serialize;

/// Columns of the sentence: as wide as a terminal is at least, with some room.
pub(crate) const WIDTH: usize = 100;

/// A proposal for people and JSON.
#[derive(Debug, Serialize)]
pub(crate) struct ProposalView {
    pub(crate) id: String,
    pub(crate) operation: &'static str,
    pub(crate) sentence: String,
    /// What the act carries beside its sentence: a card profile, or policies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) document: Option<Document>,
    /// The check values that the token computed for a card profile that its reader had put.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) computed: Vec<GoldenVector>,
    pub(crate) requester: String,
    /// Whether the requester is an officer, who counts with an approval of their own.
    pub(crate) requester_is_officer: bool,
    /// Who says that the requester's key is the requester's: `founding` or `service`.
    pub(crate) requester_key_from: &'static str,
    pub(crate) state: String,
    pub(crate) open: bool,
    pub(crate) leaf: u64,
    /// SHA-256 of the proposal's bytes.
    pub(crate) digest: String,
    pub(crate) need: NeedView,
    pub(crate) approved: Vec<PersonView>,
    /// Why approvals of others do not count.
    pub(crate) uncounted: Vec<String>,
    /// What is still needed; left out where it is enough.
    pub(crate) missing: Option<MissingView>,
    pub(crate) preconditions: Vec<String>,
    pub(crate) policy: String,
    pub(crate) roster: String,
    pub(crate) created_ms: u64,
    pub(crate) expires_ms: u64,
}

/// Somebody who approved.
#[derive(Debug, Serialize)]
pub(crate) struct PersonView {
    pub(crate) name: String,
    pub(crate) department: String,
}

/// What would be enough.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct NeedView {
    pub(crate) persons: u8,
    pub(crate) departments: u8,
    pub(crate) named: Vec<String>,
}

/// What is still needed.
#[derive(Debug, Serialize)]
pub(crate) struct MissingView {
    pub(crate) persons: u8,
    pub(crate) departments: u8,
    pub(crate) named: Vec<String>,
    /// In words.
    pub(crate) words: String,
}

impl From<&Need> for NeedView {
    fn from(need: &Need) -> Self {
        Self { persons: need.persons, departments: need.departments, named: names(&need.named) }
    }
}

impl NeedView {
    /// In words: `3 people of 2 departments, finance among them`.
    pub(crate) fn words(&self) -> String {
        let departments = match self.departments {
            0 | 1 => String::new(),
            more => format!(" of {more} departments"),
        };
        let named = match self.named.as_slice() {
            [] => String::new(),
            some => format!(", {} among them", some.join(" and ")),
        };
        format!("{} people{departments}{named}", self.persons)
    }
}

fn names(names: &[Name]) -> Vec<String> {
    names.iter().map(Name::to_string).collect()
}

/// What is still needed, in words: `1 more person, of another department than security`.
fn missing_words(missing: &Missing) -> String {
    let people = if missing.persons == 1 { "person" } else { "people" };
    let named = match names(&missing.named).join(" and ") {
        none if none.is_empty() => none,
        some => format!(", {some} among their departments"),
    };
    let present = names(&missing.present).join(" and ");
    let others = match (missing.departments, present.as_str()) {
        // The named ones are new departments themselves.
        (few, _) if usize::from(few) <= missing.named.len() => String::new(),
        (1, "") => String::new(),
        (more, "") => format!(", of {more} departments"),
        (1, present) => format!(", of another department than {present}"),
        (more, present) => format!(", of {more} departments other than {present}"),
    };
    format!("{} more {people}{named}{others}", missing.persons)
}

impl From<&Missing> for MissingView {
    fn from(missing: &Missing) -> Self {
        Self {
            persons: missing.persons,
            departments: missing.departments,
            named: names(&missing.named),
            words: missing_words(missing),
        }
    }
}

fn precondition(precondition: &Precondition) -> String {
    match precondition {
        Precondition::Key { name, version, state } => format!("key {name} version {version} is {state}"),
        Precondition::Principal { name, leaf } => format!("{name} is enrolled as at leaf {leaf}"),
        Precondition::Freeze { scope, leaf } => format!("{scope} is frozen since leaf {leaf}"),
    }
}

/// What the token computes for a card's slot, in words.
pub(crate) fn computed(vector: &GoldenVector) -> String {
    let GoldenVector { slot, card, check_value } = vector;
    format!("slot {slot} of card {card}: check value {check_value}")
}

/// A state in words.
pub(crate) fn state(state: &ProposalState) -> String {
    match state {
        ProposalState::Open => "open".to_owned(),
        ProposalState::Executed { leaf } => format!("executed at leaf {leaf}"),
        ProposalState::Waiting { leaf, due_ms } => {
            format!("agreed at leaf {leaf}; takes effect {}", moment::planned(*due_ms))
        }
        ProposalState::Rejected { by } => format!("rejected by {by}"),
        ProposalState::Cancelled { by } => format!("withdrawn by {by}"),
        ProposalState::Expired => "expired".to_owned(),
        ProposalState::Failed { refusal } => format!("agreed, then refused: {refusal}"),
    }
}

/// A state in one word, for tables.
pub(crate) const fn state_word(state: &ProposalState) -> &'static str {
    match state {
        ProposalState::Open => "open",
        ProposalState::Executed { .. } => "executed",
        ProposalState::Waiting { .. } => "waiting",
        ProposalState::Rejected { .. } => "rejected",
        ProposalState::Cancelled { .. } => "cancelled",
        ProposalState::Expired => "expired",
        ProposalState::Failed { .. } => "failed",
    }
}

impl From<&OnRecord> for ProposalView {
    fn from(record: &OnRecord) -> Self {
        let proposal = record.approvable.proposal();
        let requester = &proposal.request.requester;
        let people = record.votes.approved.iter();
        Self {
            id: proposal.id.to_string(),
            operation: proposal.request.operation.name(),
            sentence: record.approvable.sentence().to_owned(),
            document: Document::of(&record.approvable),
            computed: Vec::new(),
            requester: requester.to_string(),
            requester_is_officer: record.officers.iter().any(|officer| officer.name == *requester),
            requester_key_from: match record.approvable.vouched() {
                Vouched::Founding => "founding",
                Vouched::Service => "service",
            },
            state: state(&record.state),
            open: record.state == ProposalState::Open,
            leaf: record.leaf,
            digest: record.approvable.digest().to_string(),
            need: NeedView::from(&proposal.need),
            approved: people
                .map(|(name, department)| PersonView {
                    name: name.to_string(),
                    department: department.to_string(),
                })
                .collect(),
            uncounted: record.votes.uncounted.iter().map(ToString::to_string).collect(),
            missing: record.votes.missing.as_ref().map(MissingView::from),
            preconditions: proposal.preconditions.iter().map(precondition).collect(),
            policy: proposal.policy.to_string(),
            roster: proposal.roster.to_string(),
            created_ms: proposal.created_ms,
            expires_ms: proposal.expires_ms,
        }
    }
}

impl ProposalView {
    fn asks(&self) -> String {
        let counts = if self.requester_is_officer {
            format!("{} counts only with an approval of their own", self.requester)
        } else {
            "a machine does not count".to_owned()
        };
        let vouched = match self.requester_key_from {
            "service" => "; enrolled after the founding, so the service vouches for the key",
            _ => "",
        };
        format!("{} ({counts}{vouched})", self.requester)
    }

    fn people(&self) -> String {
        let people = self.approved.iter().map(|one| format!("{} ({})", one.name, one.department));
        let people: Vec<_> = people.collect();
        if people.is_empty() { "nobody yet".to_owned() } else { people.join(", ") }
    }

    /// What is still needed, in words.
    pub(crate) fn still(&self) -> String {
        self.missing.as_ref().map_or_else(|| "nobody more".to_owned(), |missing| missing.words.clone())
    }
}

impl Report for ProposalView {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-proposal-show/1"
    }

    fn text(&self) -> String {
        let mut lines = vec![
            ("proposal", self.id.clone()),
            ("asked by", self.asks()),
            ("state", self.state.clone()),
            ("takes", self.need.words()),
            ("approved by", self.people()),
        ];
        if !self.uncounted.is_empty() {
            lines.push(("not counted", self.uncounted.join("; ")));
        }
        if self.open {
            lines.push(("still needed", self.still()));
        }
        lines.extend(self.preconditions.iter().map(|one| ("only while", one.clone())));
        lines.extend(self.computed.iter().map(|vector| ("computed", computed(vector))));
        lines.extend([
            ("policies", key_digest(&self.policy)),
            ("officers", key_digest(&self.roster)),
            ("made", format!("{}, at leaf {}", utc(self.created_ms), self.leaf)),
            ("expires", moment::planned(self.expires_ms)),
        ]);
        let digest: Vec<_> = whole_digest(&self.digest).into_iter().map(|line| format!("  {line}")).collect();
        let document = self.document.as_ref().map(|document| format!("\n\n{}", document.text(&self.id)));
        format!(
            "{}{}\n\n{}\n\nThe proposal's SHA-256; read it to each other:\n{}",
            wrapped(&plain(&self.sentence), WIDTH),
            document.unwrap_or_default(),
            rows(lines),
            digest.join("\n")
        )
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn view() -> ProposalView {
        ProposalView {
            id: "07".repeat(16),
            operation: "key.activate",
            sentence: "Put version 2 of key value-1 into use. Reason: \"the new year\".".into(),
            document: None,
            computed: Vec::new(),
            requester: "officer-1".into(),
            requester_is_officer: true,
            requester_key_from: "founding",
            state: "open".into(),
            open: true,
            leaf: 12,
            digest: "0123456789abcdef".repeat(4),
            need: NeedView { persons: 2, departments: 2, named: Vec::new() },
            approved: vec![PersonView { name: "officer-2".into(), department: "security".into() }],
            uncounted: Vec::new(),
            missing: Some(MissingView {
                persons: 1,
                departments: 1,
                named: Vec::new(),
                words: "1 more person".into(),
            }),
            preconditions: vec!["key value-1 version 2 is pre-activation".into()],
            policy: "ab".repeat(32),
            roster: "cd".repeat(32),
            created_ms: 1_795_000_000_000,
            expires_ms: 1_795_200_000_000,
        }
    }

    fn missing(persons: u8, departments: u8, named: &[&str], present: &[&str]) -> String {
        let list = |all: &[&str]| all.iter().map(|name| name.parse().unwrap()).collect();
        missing_words(&Missing { persons, departments, named: list(named), present: list(present) })
    }

    #[test]
    fn what_is_still_needed_is_said_with_the_departments_that_are_missing() {
        assert_eq!(missing(1, 0, &[], &["security"]), "1 more person");
        assert_eq!(missing(1, 1, &[], &["security"]), "1 more person, of another department than security");
        assert_eq!(missing(2, 2, &[], &[]), "2 more people, of 2 departments");
        assert_eq!(missing(2, 1, &[], &[]), "2 more people");
        assert_eq!(
            missing(1, 1, &["finance"], &["security"]),
            "1 more person, finance among their departments"
        );
        assert_eq!(
            missing(2, 2, &["finance"], &["audit"]),
            "2 more people, finance among their departments, of 2 departments other than audit"
        );
    }

    #[test]
    fn a_need_is_said_in_words() {
        let need = |persons, departments, named: &[&str]| {
            let named = named.iter().map(|name| (*name).to_owned()).collect();
            NeedView { persons, departments, named }.words()
        };
        assert_eq!(need(2, 1, &[]), "2 people");
        assert_eq!(need(3, 2, &["finance"]), "3 people of 2 departments, finance among them");
    }

    #[test]
    fn the_text_has_the_act_first_and_the_whole_digest_last() {
        let text = view().text();
        assert!(text.starts_with("Put version 2 of key value-1 into use."), "{text}");
        assert!(text.contains("officer-1 (officer-1 counts only with an approval of their own)"), "{text}");
        assert!(text.contains("approved by   officer-2 (security)"), "{text}");
        let group = "0123 4567 89ab cdef 0123 4567 89ab cdef";
        assert!(text.ends_with(&format!("  {group}\n  {group}")), "{text}");
        let machine = ProposalView { requester_is_officer: false, requester_key_from: "service", ..view() };
        assert!(machine.text().contains("a machine does not count; enrolled after the founding"));
    }

    #[test]
    fn an_ended_proposal_needs_nobody_more() {
        let ended =
            ProposalView { open: false, state: "executed at leaf 14".into(), missing: None, ..view() };
        assert!(!ended.text().contains("still needed"), "{}", ended.text());
        assert_eq!(ended.still(), "nobody more");
    }

    #[test]
    fn words_from_outside_cannot_rewrite_the_screen() {
        let view = ProposalView { sentence: "a\u{1b}[2J".into(), ..view() };
        assert!(view.text().starts_with("a\\u{1b}[2J"));
    }
}
