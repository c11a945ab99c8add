//! What a long log costs, as a table with the goals or as one JSON document.

use crate::{
    beside::{self, Row, float, head},
    long::Ended,
};
use keysvc_tests::ground::Failed;
use serde::Serialize;

/// The schema of the JSON document.
const SCHEMA: &str = "keysvc/load-long/2";
/// Goals of docs/performance.md: a restart and a whole verification, in seconds; and what is left of the throughput (G9).
const RESTART_MAX: f64 = 1.0;
const AUDIT_MAX: f64 = 60.0;
const RATIO_MIN: f64 = 0.9;

/// The document. Times are in seconds; rates and restarts are medians. The first site has the short log.
#[derive(Debug, Serialize)]
struct Report {
    schema: &'static str,
    leaves: u64,
    purses: u64,
    rows: Vec<Row>,
    store_bytes: u64,
    export_bytes: u64,
    keeper_resident_kib: u64,
    audit_on_one_core: bool,
    load_average: [String; 2],
}

/// Prints what was measured.
///
/// # Errors
/// [`Failed`] when it cannot be printed; a closed pipe ends the program at once.
pub fn print(ended: &Ended, json: bool) -> Result<(), Failed> {
    beside::print(&Report::new(ended), json, Report::table)
}

impl Report {
    fn new(ended: &Ended) -> Self {
        let rates = ended.compared.iter().map(|compared| Row::rate(compared, RATIO_MIN));
        let rows = [Row::restart(&ended.restarts, Some(RESTART_MAX))].into_iter().chain(rates).chain([
            Row::seconds("filling", ended.fill, None),
            Row::seconds("keysvc verify-store", ended.verify_store, None),
            Row::seconds("fobctl audit export", ended.export, None),
            Row::seconds("fobaudit verify", ended.audit.0, Some(AUDIT_MAX)),
        ]);
        Self {
            schema: SCHEMA,
            leaves: ended.filled.updates,
            purses: ended.filled.purses,
            rows: rows.collect(),
            store_bytes: ended.store_bytes,
            export_bytes: ended.export_bytes,
            keeper_resident_kib: ended.keeper_kib,
            audit_on_one_core: ended.audit.1,
            load_average: ended.load_average.clone(),
        }
    }

    fn table(&self) -> Vec<String> {
        let mib = |bytes: u64| float(bytes) / 1_048_576.0;
        let about = format!(
            "a log of {} leaves on {} purses beside an empty one, in one run; medians\n",
            self.leaves, self.purses
        );
        let rest = format!(
            "\nstore {:.1} MiB, export {:.1} MiB, keeper {:.1} MiB in memory; fobaudit on {}; load average {} before, \
             {} after",
            mib(self.store_bytes),
            mib(self.export_bytes),
            float(self.keeper_resident_kib) / 1_024.0,
            if self.audit_on_one_core { "one core" } else { "all cores: taskset is not installed" },
            self.load_average[0],
            self.load_average[1],
        );
        let rows = self.rows.iter().map(Row::line);
        [about, head("empty", "long")].into_iter().chain(rows).chain([rest]).collect()
    }
}
