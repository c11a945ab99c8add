//! A custodian's own component: entered unseen, its check value compared with the plan's, and given under seal.
//!
//! Nothing of it is kept here, and none of its digits is shown or recorded; its check value is.

use super::{Performed, Stage};
use crate::{ceremony::answers::Answerer, component_source::ComponentSource, fault::Fault, output::tell};
use keysvc_client::{
    Component, Custodian,
    custodian::Offered,
    protocol::{
        bytes::ProposalId,
        ceremony::{Activity, Fact, idem_of_step},
        name::Name,
        proposal::ProposalState,
    },
};

/// A component that stands in for a person's own in a rehearsal.
#[derive(Debug)]
pub(crate) struct StandIn {
    /// The number of the step that asks for the import.
    pub(crate) of_step: u16,
    /// Who gives it.
    pub(crate) custodian: Name,
    /// It; taken out as it is given.
    pub(crate) component: Component,
}

/// What the plan says of the component.
struct Planned {
    key: Name,
    key_check: String,
    check: String,
}

/// Gives the person's own component.
///
/// # Errors
/// [`Fault`] of card, entry and call.
pub(super) async fn give(stage: &mut Stage<'_>, of_step: u16) -> Result<Performed, Fault> {
    let id = stage.proposal_of(of_step)?;
    let planned = planned(stage, of_step)?;
    let present = stage.people.present(&stage.step.by).await?;
    let mut performed = Performed { proposal: Some(id), ..Performed::default() };
    performed.fact("proposal", &id);
    performed.fact("card", &present.card.token());
    let fault = |error| Fault::client("give the component", error);
    let custodian = Custodian::with_signer(present.officer.reader(), present.card.clone()).map_err(fault)?;
    let offered = match custodian.component_key(id).await {
        Ok(offered) => offered,
        // An interrupted step may have given the last one: then the key is made and the import is over.
        Err(error) => return made_already(stage, &planned, performed).await.ok_or_else(|| fault(error)),
    };
    told(&offered, &planned, id, &mut performed);
    if offered.held.contains(&offered.offer.number) {
        performed.differs("the component had been given before this step ran");
        return Ok(performed);
    }
    let component = entered(stage, of_step, &planned)?;
    let idem = idem_of_step(&stage.file.digest, stage.number);
    let sealed = custodian.seal_as(&offered.offer, &component, idem).map_err(fault)?;
    drop(component);
    stage.sent = Some(id);
    let given = custodian.give(&sealed).await.map_err(fault)?;
    performed.leaf = Some(given.changed.leaf_index);
    performed.fact("leaf", &given.changed.leaf_index);
    let missing: Vec<_> = given.missing.iter().map(ToString::to_string).collect();
    performed.fact("still-missing", &if missing.is_empty() { "none".to_owned() } else { missing.join(", ") });
    if let Some(key) = &given.changed.key {
        performed.key_with(key, Fact::KEY_CHECK_VALUE);
        performed.compare_check(key, &planned.key_check);
    }
    Ok(performed)
}

fn told(offered: &Offered, planned: &Planned, id: ProposalId, performed: &mut Performed) {
    let offer = &offered.offer;
    performed.fact(Fact::NUMBER, &offer.number);
    performed.fact("components", &offer.components);
    performed.fact(Fact::CHECK_VALUE, &planned.check.to_ascii_lowercase());
    performed.fact("of-key", &format!("{} version {}", offer.name, offer.version));
    if offer.name != planned.key || offer.proposal != id {
        performed.differs(format!("the component is for key {}, not {}", offer.name, planned.key));
    }
}

fn planned(stage: &Stage<'_>, of_step: u16) -> Result<Planned, Fault> {
    let (_, step) = stage.earlier(of_step)?;
    let wrong =
        || Fault::usage("the plan imports no key with a component of this person", "correct the plan");
    let Some(Activity::KeyImport { name, check_value, components }) = &step.activity else {
        return Err(wrong());
    };
    let own = components.iter().find(|one| one.custodian == stage.step.by).ok_or_else(wrong)?;
    Ok(Planned { key: name.clone(), key_check: check_value.clone(), check: own.check_value.clone() })
}

/// The component, with the plan's check value.
fn entered(stage: &Stage<'_>, of_step: u16, planned: &Planned) -> Result<Component, Fault> {
    let custodian = &stage.step.by;
    if let Some(stand_ins) = stage.stand_ins {
        return stand_ins.component(of_step, custodian);
    }
    let source = match (stage.answerer.component_file(stage.number), stage.answerer) {
        (Some(path), _) => ComponentSource::of_file(path),
        (None, Answerer::Terminal) => ComponentSource::default(),
        (None, _) => {
            return Err(Fault::usage(
                format!("nobody is there to enter the component of {custodian}"),
                format!(
                    "give component-file for step {} in the answers, or run it on a terminal",
                    stage.number
                ),
            ));
        }
    };
    let component = source.read_twice(&format!("{custodian}: your component"))?;
    let found = component.check_value().to_string();
    tell(&format_args!("its check value is {found}; the plan says {}", planned.check));
    // The check value is of all its digits: another component has another one.
    if found == planned.check.to_ascii_lowercase() {
        return Ok(component);
    }
    let what = format!(
        "the component of {custodian} has the check value {found}, not {}: nothing was sent",
        planned.check
    );
    Err(Fault::usage(what, "enter the component that the plan names"))
}

/// The key as made, where an earlier try gave the last component; the first officer may read keys.
async fn made_already(
    stage: &mut Stage<'_>,
    planned: &Planned,
    mut performed: Performed,
) -> Option<Performed> {
    let officer = stage.people.first_officer()?.name.clone();
    let officer = stage.people.connected(&officer).await.ok()?;
    let record = officer.proposal(performed.proposal?).await.ok()?;
    if !matches!(record.state, ProposalState::Executed { .. }) {
        return None;
    }
    let key = officer.reader().key(&planned.key, None).await.ok()?;
    if key.check.to_string() != planned.key_check.to_ascii_lowercase() {
        return None;
    }
    performed.differs("the component had been given before this step ran");
    performed.key_with(&key, Fact::KEY_CHECK_VALUE);
    Some(performed)
}
