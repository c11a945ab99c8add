//! What a verification found, as text for people and as one JSON document.

use crate::keeper::ledger::rebuild::{NAMED_MAX, Part, Rebuilt};
use serde_json::{Map, Value, json};
use std::{fmt::Write as _, path::Path, time::Duration};

/// The schema of the JSON document.
const SCHEMA: &str = "keysvc/verify-store/1";

/// A verification that is over.
pub(super) struct Report<'a> {
    pub(super) store: &'a Path,
    pub(super) rebuilt: &'a Rebuilt,
    pub(super) took: Duration,
}

impl Report<'_> {
    fn rate(&self) -> u128 {
        let leaves = u128::from(self.rebuilt.head.size);
        leaves.saturating_mul(1000).checked_div(self.took.as_millis()).unwrap_or(leaves)
    }

    /// For people, the verdict last.
    pub(super) fn text(&self) -> String {
        let (rebuilt, mut text) = (self.rebuilt, String::new());
        let mut line = |head: &str, words: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{head:<10} {words}");
        };
        line("store", &self.store.display().to_string());
        let leaves = if rebuilt.head.size == 1 { "leaf" } else { "leaves" };
        line("log", &format!("{} {leaves}, root {}", rebuilt.head.size, rebuilt.head.root));
        let kinds: Vec<_> = rebuilt.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        line("rebuilt", &kinds.join(", "));
        for (number, part) in Part::ALL.into_iter().enumerate() {
            let count = rebuilt.findings.count(part);
            let differ = match count.differ {
                0 => String::new(),
                many => format!("; {many} DIFFER"),
            };
            let head = if number == 0 { "compared" } else { "" };
            line(head, &format!("{:<11}{:>10}  {}{differ}", part.name(), count.compared, part.says()));
        }
        if rebuilt.forgotten > 0 {
            line("forgotten", &format!("{} idempotency keys after their 90 days", rebuilt.forgotten));
        }
        if rebuilt.erased > 0 {
            let leaves = if rebuilt.erased == 1 { "payload" } else { "payloads" };
            line("erased", &format!("{} {leaves} with the jobs they belonged to", rebuilt.erased));
        }
        let seconds = self.took.as_secs_f64();
        line("took", &format!("{seconds:.1} s, {} leaves a second", self.rate()));
        for one in rebuilt.findings.named() {
            let place = format!("{} {}", one.part.name(), one.key);
            line("DIFFERS", &format!("{place}: the log says {}; the store says {}", one.log, one.store));
        }
        let total = rebuilt.findings.total();
        let named = u64::try_from(NAMED_MAX).unwrap_or(u64::MAX);
        if total > named {
            line("", &format!("and {} more", total.saturating_sub(named)));
        }
        line(
            "verdict",
            &match total {
                0 => "verified: the store is what its log says".to_owned(),
                1 => "NOT verified: 1 difference".to_owned(),
                many => format!("NOT verified: {many} differences"),
            },
        );
        text.truncate(text.trim_end().len());
        text
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let (rebuilt, findings) = (self.rebuilt, &self.rebuilt.findings);
        let kinds: Map<_, _> =
            rebuilt.kinds.iter().map(|(kind, count)| ((*kind).to_string(), json!(count))).collect();
        let compared = Part::ALL.into_iter().map(|part| {
            let count = findings.count(part);
            json!({ "part": part.name(), "rows": count.compared, "differ": count.differ })
        });
        let differences = findings.named().iter().map(
            |one| json!({ "part": one.part.name(), "key": one.key, "log": one.log, "store": one.store }),
        );
        json!({
            "schema": SCHEMA,
            "store": self.store.display().to_string(),
            "verified": findings.total() == 0,
            "leaves": rebuilt.head.size,
            "root": rebuilt.head.root.to_string(),
            "kinds": kinds,
            "forgotten": rebuilt.forgotten,
            "erased": rebuilt.erased,
            "compared": compared.collect::<Vec<_>>(),
            "differences": differences.collect::<Vec<_>>(),
            "differences_total": findings.total(),
            "seconds": self.took.as_secs_f64(),
        })
    }
}
