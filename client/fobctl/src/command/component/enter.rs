//! `fobctl component enter`: gives the custodian's own component of an import, sealed to the service's one-time key.
//!
//! The service's key is verified and the person says that the check value is the form's before anything leaves this
//! machine.

use crate::{
    check_value::{compared, grouped},
    component_source::ComponentSource,
    fault::Fault,
    key_view::{AttributeView, KeyView},
    moment,
    output::{Output, Report, tell},
    own_key,
    pin::PinSource,
    shown::{rows, table},
};
use keysvc_client::{
    ClientConfig, ClientError, Custodian,
    component::Component,
    custodian::{Given, Offered},
    protocol::{
        bytes::{ProposalId, ShortCheck},
        component::ComponentKeyOffer,
        key::KeyRecord,
        name::Name,
        refusal::Refusal,
    },
};
use serde::Serialize;
use std::io::Write;

const EXAMPLES: &str = "\
Examples:
  fobctl component enter 3f0c8a1d5b7e4926a1c3d5e7f9012345
  fobctl component enter 3f0c8a1d5b7e4926a1c3d5e7f9012345 --file component --yes";

/// `fobctl component enter`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EnterArgs {
    /// The proposal that the import was, 32 hexadecimal digits.
    #[arg(value_name = "PROPOSAL")]
    id: ProposalId,
    #[command(flatten)]
    source: ComponentSource,
    /// Give it without asking whether the check value is the form's; for scripts that compared it themselves.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    pin: PinSource,
}

/// What the service told of the act.
#[derive(Clone, Copy)]
struct Told<'a> {
    leaf_index: u64,
    key: Option<&'a KeyRecord>,
}

impl<'a> Told<'a> {
    const fn of(given: &'a Given) -> Self {
        Self { leaf_index: given.changed.leaf_index, key: given.changed.key.as_ref() }
    }
}

#[derive(Serialize)]
struct EnterReport {
    proposal: String,
    key_name: String,
    key_version: u32,
    number: u8,
    components: u8,
    check_value: String,
    missing: Vec<u8>,
    leaf_index: u64,
    /// The key, once all components are there.
    key: Option<KeyView>,
    attributes: Vec<AttributeView>,
    #[serde(skip)]
    grouped: String,
}

pub(in crate::command) async fn run<W: Write>(
    config: &ClientConfig,
    args: &EnterArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let persona = own_key::connect(config).await?;
    let who = persona.name().map_or("the custodian", Name::as_str);
    let signer = own_key::signer(config, who, &args.pin)?;
    let custodian = Custodian::with_signer(persona.reader(), signer);
    let custodian = custodian.map_err(|error| Fault::client("give the component", error))?;
    let offered = custodian.component_key(args.id).await;
    let Offered { offer, held } = offered.map_err(|error| {
        Fault::client("get the service's one-time key", error).advised(|error| next(error, args.id))
    })?;
    tell(&said(&offer, &held));
    let component = args.source.read_twice(&format!("component {}", offer.number))?;
    let check = component.check_value();
    tell(&format_args!("its check value: {}", grouped(check)));
    if !args.yes {
        compared(check)?;
    }
    let given = give(&custodian, &offer, &component).await?;
    output.print(&EnterReport::new(&offer, check, &given.missing, Told::of(&given)))?;
    if !given.missing.is_empty() {
        tell(&format_args!("next: the other custodians run `fobctl component enter {}`", args.id));
    } else if given.changed.key.is_some() {
        tell(&format_args!(
            "next: compare the key's check value with the plan, then officers put it into use with `fobctl key \
             activate {} --version {} --reason REASON`",
            offer.name, offer.version
        ));
    }
    Ok(())
}

/// A timeout leaves open whether it was taken: the same sealed bytes once more are the same act.
async fn give(
    custodian: &Custodian,
    offer: &ComponentKeyOffer,
    component: &Component,
) -> Result<Given, Fault> {
    let fault = |error| Fault::client("give the component", error);
    let sealed = custodian.seal(offer, component).map_err(fault)?;
    match custodian.give(&sealed).await {
        Err(ClientError::Timeout { .. }) => custodian.give(&sealed).await.map_err(fault),
        given => given.map_err(fault),
    }
}

/// What to do where there is no import to give to.
fn next(error: &ClientError, id: ProposalId) -> Option<String> {
    match error.refusal()? {
        Refusal::NotFound { .. } => Some(format!(
            "see with `fobctl proposal show {id}` whether it is an import, and what is still needed: components are given \
             once enough officers have agreed"
        )),
        Refusal::Forbidden => Some(format!(
            "`fobctl proposal show {id}` names the custodians: run it as one of them, with --context"
        )),
        Refusal::StateConflict { .. } => {
            Some("there is nothing more to give: see the key with `fobctl key list`".to_owned())
        }
        Refusal::Expired => {
            Some("the import has ended: officers ask for it again with `fobctl key import`".to_owned())
        }
        _ => None,
    }
}

/// What the offer says, before anything is typed.
fn said(offer: &ComponentKeyOffer, held: &[u8]) -> String {
    let mut lines = vec![
        ("key", format!("{} version {}", offer.name, offer.version)),
        ("component", format!("{} of {}, of {}", offer.number, offer.components, offer.custodian)),
        ("open until", moment::planned(offer.expires_ms)),
    ];
    let others: Vec<u8> = held.iter().copied().filter(|number| *number != offer.number).collect();
    lines.push(("given so far", components(&others).unwrap_or_else(|| "none of the others".to_owned())));
    if held.contains(&offer.number) {
        lines.push((
            "note",
            "the service holds this component already; giving it again replaces it".to_owned(),
        ));
    }
    rows(lines)
}

/// Components by their numbers, in words; nothing where there are none.
fn components(numbers: &[u8]) -> Option<String> {
    let all: Vec<_> = numbers.iter().map(ToString::to_string).collect();
    match all.len() {
        0 => None,
        1 => Some(format!("component {}", all.concat())),
        _ => Some(format!("components {}", all.join(" and "))),
    }
}

impl EnterReport {
    fn new(offer: &ComponentKeyOffer, check: ShortCheck, missing: &[u8], told: Told<'_>) -> Self {
        let Told { leaf_index, key } = told;
        Self {
            proposal: offer.proposal.to_string(),
            key_name: offer.name.to_string(),
            key_version: offer.version,
            number: offer.number,
            components: offer.components,
            check_value: check.to_string(),
            missing: missing.to_vec(),
            leaf_index,
            key: key.map(KeyView::from),
            attributes: key.map(AttributeView::of).unwrap_or_default(),
            grouped: grouped(check),
        }
    }
}

impl Report for EnterReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-component-enter/1"
    }

    fn text(&self) -> String {
        let mut lines = vec![
            (
                "given",
                format!(
                    "component {} of {} of key {} version {}",
                    self.number, self.components, self.key_name, self.key_version
                ),
            ),
            ("check value", self.grouped.clone()),
            ("in the log", format!("leaf {}", self.leaf_index)),
        ];
        let Some(key) = &self.key else {
            lines.push(("still missing", components(&self.missing).unwrap_or_else(|| "nothing".to_owned())));
            return rows(lines);
        };
        lines.push((
            "key",
            format!("made: {} version {} ({}), {}", key.name, key.version, key.kind, key.state),
        ));
        lines.push(("its check value", format!("{} ({})", key.check.value, key.check.method)));
        let attributes = self.attributes.iter().map(|one| [one.name.clone(), one.value.clone()]);
        format!("{}\n\n{}", rows(lines), table(["attribute", "value"], &[], attributes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use keysvc_client::protocol::{bytes::Blob, schema::Schema};

    fn offer() -> ComponentKeyOffer {
        ComponentKeyOffer {
            schema: Schema,
            proposal: ProposalId::new([7; 16]),
            custodian: "operator-1".parse().unwrap(),
            number: 2,
            name: "acme-master".parse().unwrap(),
            version: 3,
            components: 3,
            public: Blob::try_from(vec![0]).unwrap(),
            expires_ms: 1_795_000_000_000,
        }
    }

    fn report(missing: &[u8], made: bool) -> String {
        let key = made.then(sample::key);
        let told = Told { leaf_index: 31, key: key.as_ref() };
        EnterReport::new(&offer(), ShortCheck::new([2; 5]), missing, told).text()
    }

    #[test]
    fn the_person_is_told_which_key_and_component_before_anything_is_typed() {
        let text = said(&offer(), &[1]);
        assert!(text.contains("acme-master version 3") && text.contains("2 of 3, of operator-1"), "{text}");
        assert!(
            text.lines().any(|line| line.starts_with("given so far") && line.ends_with("component 1")),
            "{text}"
        );
        assert!(said(&offer(), &[2]).contains("replaces it"));
        assert!(said(&offer(), &[]).contains("none of the others"));
    }

    #[test]
    fn what_is_missing_still_or_the_made_key_is_told() {
        let waiting = report(&[1, 3], false);
        assert!(waiting.contains("still missing") && waiting.contains("components 1 and 3"), "{waiting}");
        let made = report(&[], true);
        assert!(made.contains("made: demo-known version 1") && made.contains("CKA_DERIVE"), "{made}");
        assert!(made.contains("0102030405 (cmac)"), "{made}");
    }
}
