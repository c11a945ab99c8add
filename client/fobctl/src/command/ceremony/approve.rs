//! `fobctl ceremony approve`: a person reads a plan and signs its digest with their own card.
//!
//! No blind signing: the bytes are read once; the words, the digest and the signature are all of these bytes.

use crate::{
    ceremony::{agreement, durable, words},
    confirm,
    context::Chosen,
    fault::Fault,
    output::{Output, Report, tell},
    own_key,
    pin::PinSource,
    shown::{plain, rows, whole_digest},
};
use keysvc_client::{
    ClientConfig,
    protocol::{ceremony::Person, name::Name},
};
use serde::Serialize;
use std::{io::Write, path::PathBuf};

const EXAMPLES: &str = "\
Examples:
  fobctl --context officer-1 ceremony approve rotate.toml
  fobctl --context officer-2 ceremony approve rotate.toml --digest '81be 04c7'";

/// `fobctl ceremony approve`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ApproveArgs {
    /// The plan, TOML.
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Who signs, as the plan names them; the context's name where it is left out.
    #[arg(long = "as", value_name = "NAME")]
    person: Option<Name>,
    /// The first four digits of the plan's digest, or more of them, instead of being asked.
    #[arg(long, value_name = "XXXX")]
    digest: Option<String>,
    #[command(flatten)]
    pin: PinSource,
}

#[derive(Serialize)]
struct ApproveReport {
    plan: String,
    digest: String,
    person: String,
    role: &'static str,
    agreement: String,
    /// People who have not signed yet.
    missing: Vec<String>,
}

/// Shows the plan, has its digest confirmed, and signs it.
///
/// # Errors
/// [`Fault`] of the plan, the card and the file.
pub(super) fn run<W: Write>(
    (chosen, config): (&Chosen, &ClientConfig),
    args: &ApproveArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let file = super::read(&args.plan)?;
    let person = person(&file.plan.people, args.person.as_ref(), chosen)?;
    tell(&format_args!("{}\n{}\n", plain(file.plan.title.as_str()), plain(file.plan.purpose.as_str())));
    tell(&plain(&words::plan(&file.plan)));
    tell(&format_args!(
        "\n{} takes part as {}\n\nThe plan's SHA-256; compare it:",
        person.name,
        words::role(person.role)
    ));
    for line in whole_digest(&file.digest) {
        tell(&format_args!("  {line}"));
    }
    confirm::digest(&file.digest.to_string(), args.digest.as_deref())?;
    let key = own_key::signer(config, person.name.as_str(), &args.pin)?;
    let signed = agreement::sign_plan(&file, person, &*key);
    let signed = signed.map_err(|error| Fault::client("sign the plan", error))?;
    let folder = file.agreements();
    durable::folder(&folder)?;
    let path = agreement::path(&folder, &person.name);
    durable::put(&path, &signed)?;
    let unsigned = |one: &&Person| !agreement::path(&folder, &one.name).exists();
    let missing: Vec<_> = file.plan.people.iter().filter(unsigned).map(|one| one.name.to_string()).collect();
    let plan = args.plan.display();
    let next = if missing.is_empty() {
        format!("next: `fobctl ceremony run {plan}`")
    } else {
        format!("next: with their own contexts `fobctl ceremony approve {plan}`: {}", missing.join(", "))
    };
    output.print(&ApproveReport {
        plan: plan.to_string(),
        digest: file.digest.to_string(),
        person: person.name.to_string(),
        role: person.role.name(),
        agreement: path.display().to_string(),
        missing,
    })?;
    tell(&next);
    Ok(())
}

fn person<'a>(people: &'a [Person], given: Option<&Name>, chosen: &Chosen) -> Result<&'a Person, Fault> {
    let names: Vec<_> = people.iter().map(|one| one.name.as_str()).collect();
    let next = format!("give --as one of: {}", names.join(", "));
    let name = given
        .or(chosen.context.as_ref())
        .ok_or_else(|| Fault::usage("it is not said who signs", next.clone()))?;
    let found = people.iter().find(|one| one.name == *name);
    found.ok_or_else(|| Fault::usage(format!("the plan names no {name}"), next))
}

impl Report for ApproveReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-ceremony-approve/1"
    }

    fn text(&self) -> String {
        let missing = if self.missing.is_empty() { "nobody".to_owned() } else { self.missing.join(", ") };
        rows([
            ("signed", self.plan.clone()),
            ("digest", whole_digest(&self.digest).join(" ")),
            ("by", format!("{} ({})", self.person, self.role)),
            ("agreement", self.agreement.clone()),
            ("still to sign", missing),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ceremony::plan_file::tests::plan, context::By};

    #[test]
    fn who_signs_is_named_or_is_the_context_and_must_stand_in_the_plan() {
        let plan = plan();
        let chosen = |context: Option<&str>| Chosen {
            file: "client.toml".into(),
            context: context.map(|name| name.parse().unwrap()),
            by: By::ContextOption,
        };
        let (people, bob) = (&plan.plan.people, "bob".parse().unwrap());
        assert_eq!(person(people, None, &chosen(Some("alice"))).unwrap().name.as_str(), "alice");
        assert_eq!(person(people, Some(&bob), &chosen(Some("alice"))).unwrap().name, bob);
        let fault = person(people, None, &chosen(Some("mallory"))).unwrap_err();
        assert_eq!(fault.next(), "give --as one of: alice, bob, carol");
        assert!(person(people, None, &chosen(None)).is_err());
    }
}
