//! A service whose officers change its policies: the folder they edit, and the commands they run.

use keysvc_tests::{
    agreed::Pending,
    cards,
    ground::{Ground, OFFICERS, text},
    raw::Caller,
};
use serde_json::Value;
use std::{fs, path::Path, process::Output};

/// No loads above 200.00.
pub(crate) const CAP: &str = "@id(\"no loads above 200.00\")\n\
    forbid (principal, action == Action::\"value.update\", resource)\n\
    when { context.operation == \"load\" && context.amount > 20000 };\n";

/// A service, and the folder `policies` that an officer edits.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) ground: Ground,
}

impl Shop {
    /// A serving site with the set in force in the folder.
    pub(crate) fn new() -> Self {
        let shop = Self { ground: Ground::new() };
        shop.show("policies");
        shop
    }

    /// A path in the site's folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.ground.site().folder().join(name).to_str().unwrap().to_owned()
    }

    /// The officers, over the raw wire.
    pub(crate) fn officers(&self) -> [Caller; 3] {
        OFFICERS.map(|persona| cards::holder(env!("CARGO_BIN_EXE_card"), self.ground.site(), persona))
    }

    /// Writes a file of the folder's set.
    pub(crate) fn edit(&self, file: &str, policy: &str) {
        fs::write(Path::new(&self.path("policies")).join(file), policy).unwrap();
    }

    /// A folder of cases in which one shipped case stands as it is.
    pub(crate) fn keep_no_cases(&self) {
        fs::create_dir(self.path("cases")).unwrap();
        let name = "an-auditor-may-see-the-state.toml";
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/tests/decisions").join(name);
        fs::copy(shipped, Path::new(&self.path("cases")).join(name)).unwrap();
    }

    /// Runs a command as a persona, who has the PIN in a file.
    pub(crate) fn run(&self, persona: &str, words: &[&str]) -> Output {
        let mut command = self.ground.fobctl(persona, words);
        if words.first() == Some(&"proposal") && words.get(1) == Some(&"approve")
            || words.contains(&"propose")
        {
            command.arg("--pin-file").arg(self.ground.site().home(persona).pin_file());
        }
        command.output().unwrap()
    }

    /// The same with JSON, which must go well.
    pub(crate) fn json(&self, persona: &str, words: &[&str]) -> Value {
        let output = self.run(persona, &[&["--json"], words].concat());
        assert!(output.status.success(), "{words:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a verb of policies on the folder.
    pub(crate) fn policy(&self, persona: &str, verb: &str, more: &[&str]) -> Output {
        self.run(persona, &[&["policy", verb, &self.path("policies")], more].concat())
    }

    /// Writes the set in force into a folder, and gives what is said of it.
    pub(crate) fn show(&self, folder: &str) -> Value {
        self.json("officer-1", &["policy", "show", "--out", &self.path(folder)])
    }

    /// Brings the folder `log` up to date.
    pub(crate) fn export(&self) {
        self.json("auditor-1", &["audit", "export", &self.path("log")]);
    }

    /// Proposes the folder's set with the cases, the log and reports beside it: the proposal, and what is shown of it.
    pub(crate) fn propose(&self, officer: &str) -> (String, Value) {
        let folder = |name: &str| self.path(name);
        let more = ["--reason", "summer", "--cases", &folder("cases"), "--export", &folder("log")];
        let words = [
            &["--json", "policy", "propose", &folder("policies")],
            &more[..],
            &["--report", &folder("reports")],
        ];
        let proposed = self.run(officer, &words.concat());
        assert_eq!(proposed.status.code(), Some(5), "{}", text(&proposed));
        let shown: Value = serde_json::from_slice(&proposed.stdout).unwrap();
        (shown["id"].as_str().unwrap().to_owned(), shown)
    }

    /// Reviews a proposal: the exit code, and the report.
    pub(crate) fn review(&self, officer: &str, id: &str, more: &[&str]) -> (Option<i32>, Value) {
        let output = self.run(officer, &[&["--json", "policy", "review", id], more].concat());
        let report = serde_json::from_slice(&output.stdout);
        (output.status.code(), report.unwrap_or_else(|_| panic!("{}", text(&output))))
    }

    /// Approves a proposal by its digest.
    pub(crate) fn approve(&self, officer: &str, id: &str) {
        let digest =
            self.json(officer, &["proposal", "show", id])["digest"].as_str().unwrap()[..8].to_owned();
        let approved = self.run(officer, &["proposal", "approve", id, "--digest", &digest]);
        assert!(approved.status.success(), "{}", text(&approved));
    }

    /// The first digits of a proposal's digest.
    pub(crate) fn digest_of(&self, pending: &Pending) -> String {
        let digest = keysvc_protocol::hash::sha256(&[pending.reply.proposal.as_bytes()]);
        digest.to_string()[..8].to_owned()
    }
}
