//! `fobctl quorum show` and `set`: how many people each operation takes.

use crate::{
    acted,
    fault::Fault,
    output::{Output, Report},
    own_key::{connect, unlock},
    pin::PinSource,
    proposal_view::NeedView,
    shown::table,
};
use keysvc_client::{
    ClientConfig,
    officer::Principals,
    protocol::{
        founding::PrincipalKind,
        list::List,
        name::Name,
        quorum::{Need, floor},
        request::Operation,
        schema::Schema,
    },
};
use serde::Serialize;
use std::{collections::BTreeSet, io::Write};

const EXAMPLES: &str = "\
Examples:
  fobctl quorum set key.activate --persons 3 --departments 2
  fobctl quorum set freeze.lift --persons 2 --named security
  fobctl quorum set key.activate --persons 2      # back to its floor";

/// `fobctl quorum set`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SetArgs {
    /// The operation, such as key.activate.
    #[arg(value_name = "OPERATION", value_parser = operation)]
    operation: Operation,
    /// How many people, two or more.
    #[arg(long, value_name = "N")]
    persons: u8,
    /// Of how many departments at least.
    #[arg(long, value_name = "N", default_value_t = 1)]
    departments: u8,
    /// A department that must be among them; may be given several times.
    #[arg(long, value_name = "DEPARTMENT")]
    named: Vec<Name>,
    #[command(flatten)]
    pin: PinSource,
}

/// Only what has a floor can be set: the rest is the policies'.
fn operation(name: &str) -> Result<Operation, String> {
    let known = || Operation::ALL.into_iter().filter(|one| floor(*one, false, 3).is_some());
    known().find(|one| one.name() == name).ok_or_else(|| {
        let names: Vec<_> = known().map(Operation::name).collect();
        format!("a number can be set for {}", names.join(", "))
    })
}

#[derive(Serialize)]
struct ShowReport {
    officers: usize,
    operations: Vec<LineView>,
}

#[derive(Serialize)]
struct LineView {
    operation: &'static str,
    need: NeedView,
    /// `floor`, or `set` where officers have set more.
    by: &'static str,
}

pub(super) async fn show<W: Write>(config: &ClientConfig, output: &mut Output<W>) -> Result<(), Fault> {
    let officer = connect(config).await?;
    let all = officer.principals().await.map_err(|error| Fault::client("read the thresholds", error))?;
    output.print(&ShowReport::from(&all))
}

pub(super) async fn set<W: Write>(
    config: &ClientConfig,
    args: SetArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let need = args.need()?;
    let officer = connect(config).await?;
    let officer = unlock(&officer, config, &args.pin)?;
    let outcome = officer.set_quorum(args.operation, need).await;
    acted::report(&officer, Operation::QuorumSet, outcome, output).await
}

impl SetArgs {
    fn need(&self) -> Result<Need, Fault> {
        let named: BTreeSet<_> = self.named.iter().cloned().collect();
        let wrong = |what: String| {
            Fault::usage(what, "give two people or more, and not more departments than people")
        };
        let named = List::try_from(named.into_iter().collect::<Vec<_>>());
        let named = named.map_err(|error| wrong(format!("--named: {error}")))?;
        let need = Need { schema: Schema, persons: self.persons, departments: self.departments, named };
        if need.is_sound() { Ok(need) } else { Err(wrong("nobody could ever meet that".into())) }
    }
}

impl From<&Principals> for ShowReport {
    fn from(all: &Principals) -> Self {
        let officer = |kind: PrincipalKind| kind == PrincipalKind::Officer;
        let officers = all.principals.iter().filter(|one| officer(one.enrolment.kind)).count();
        let lines = Operation::ALL.into_iter().filter_map(|operation| {
            let floor = floor(operation, false, officers)?;
            let set = all.thresholds.iter().find(|one| one.operation == operation);
            Some(LineView {
                operation: operation.name(),
                need: NeedView::from(&set.map_or_else(|| floor.clone(), |set| floor.and(&set.need))),
                by: if set.is_some() { "set" } else { "floor" },
            })
        });
        Self { officers, operations: lines.collect() }
    }
}

impl Report for ShowReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-quorum-show/1"
    }

    fn text(&self) -> String {
        let rows = self.operations.iter();
        let rows = rows.map(|one| [one.operation.to_owned(), one.need.words(), one.by.to_owned()]);
        let table = table(["operation", "takes", "by"], &[], rows);
        format!(
            "{table}\n\n{} officers; the policies may ask for more, and for people where none stand here. Enrolling \
             and rotating officers takes as many as key.destroy.",
            self.officers
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_client::protocol::reply::Threshold;

    fn args(persons: u8, departments: u8, named: &[&str]) -> SetArgs {
        SetArgs {
            operation: Operation::KeyActivate,
            persons,
            departments,
            named: named.iter().map(|name| name.parse().unwrap()).collect(),
            pin: PinSource::default(),
        }
    }

    #[test]
    fn a_need_that_nobody_can_meet_is_refused_before_anything_is_signed() {
        assert!(args(3, 2, &["security", "finance"]).need().is_ok());
        for (persons, departments) in [(1, 1), (0, 0), (2, 3), (33, 1)] {
            assert_eq!(args(persons, departments, &[]).need().unwrap_err().exit_code(), 2);
        }
    }

    #[test]
    fn only_operations_with_a_floor_can_be_set() {
        assert_eq!(operation("key.activate"), Ok(Operation::KeyActivate));
        assert!(operation("value.update").unwrap_err().contains("principal.enrol"));
    }

    #[test]
    fn a_threshold_stands_above_its_floor() {
        let need = Need { persons: 3, ..Need::of(2) };
        let thresholds = vec![Threshold { operation: Operation::FreezeLift, need }];
        let report = ShowReport::from(&Principals { principals: Vec::new(), thresholds });
        let line = |name| report.operations.iter().find(|one| one.operation == name).unwrap();
        assert_eq!((line("freeze.lift").need.persons, line("freeze.lift").by), (3, "set"));
        assert_eq!((line("key.activate").need.persons, line("key.activate").by), (2, "floor"));
        assert!(report.text().contains("freeze.lift       3 people  set"), "{}", report.text());
    }
}
