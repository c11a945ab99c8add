//! What was proved and what was refuted, and the report of it that people keep.
//! The report is stable: the same policies, limit and solver give the same bytes, and its digest stands
//! in the proposal that officers sign.

use std::fmt::Write as _;

use ring::digest::{SHA256, digest};

use crate::counterexample::Counterexample;

/// A sentence about every request the schema allows, and whether it is true of the site's policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theorem {
    /// Short and unique: `two people: freeze.lift`.
    pub name: String,
    /// In words: `nobody can lift a freeze with fewer than two people`.
    pub statement: String,
    /// How many request environments it was asked of.
    pub environments: u32,
    /// Whether it holds.
    pub outcome: Outcome,
}

/// Whether a theorem holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The solver showed that no request breaks it.
    Holds,
    /// This request breaks it.
    Fails(Counterexample),
}

/// Every theorem about one site's policies, decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Program and version: `cvc5 1.0.3`.
    pub solver: String,
    /// The digest of the policy set.
    pub policies: [u8; 32],
    /// Minor units above which a load counts as large.
    pub load_max: u64,
    /// The theorems, in a fixed order.
    pub theorems: Vec<Theorem>,
    /// What a site may choose, but should choose knowingly.
    pub notices: Vec<String>,
}

impl Proof {
    /// Whether every theorem holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.failed().next().is_none() && !self.theorems.is_empty()
    }

    /// The theorems that fail, each with its counterexample.
    pub fn failed(&self) -> impl Iterator<Item = (&Theorem, &Counterexample)> {
        self.theorems.iter().filter_map(|theorem| match &theorem.outcome {
            Outcome::Holds => None,
            Outcome::Fails(counterexample) => Some((theorem, counterexample)),
        })
    }

    /// How many request environments were asked about, over all theorems.
    #[must_use]
    pub fn environments(&self) -> u32 {
        self.theorems.iter().fold(0, |sum, theorem| sum.saturating_add(theorem.environments))
    }

    /// The proof as text for people, which ends with a newline.
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = String::from("Proof over the site's policies alone, without the ceiling\n\n");
        let policies = self.policies.map(|byte| format!("{byte:02x}")).concat();
        // Writing to a string does not fail.
        let _ = writeln!(text, "policies    {policies}");
        let _ = writeln!(text, "solver      {}", self.solver);
        let _ = writeln!(text, "large load  above {} minor units\n", self.load_max);
        for (theorem, number) in self.theorems.iter().zip(1_u32..) {
            let verdict = if theorem.outcome == Outcome::Holds { "holds" } else { "FAILS" };
            let _ = writeln!(text, "{number:>2}  {verdict}  {}", theorem.statement);
            if let Outcome::Fails(counterexample) = &theorem.outcome {
                let _ = writeln!(text, "           {counterexample}");
            }
        }
        text.push('\n');
        for notice in &self.notices {
            let _ = writeln!(text, "notice: {notice}");
        }
        let _ = writeln!(text, "{}", self.summary());
        text
    }

    /// The SHA-256 of the report.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(digest(&SHA256, self.report().as_bytes()).as_ref()) {
            *to = *from;
        }
        bytes
    }

    /// `16 theorems over 16 request environments: all hold`.
    fn summary(&self) -> String {
        let (theorems, environments) = (self.theorems.len(), self.environments());
        let verdict = match self.failed().count() {
            0 => "all hold".to_owned(),
            1 => "1 fails".to_owned(),
            many => format!("{many} fail"),
        };
        format!("{theorems} theorems over {environments} request environments: {verdict}")
    }
}
