//! Looks: the service's state, and a key as it now stands. Nothing is changed or signed.

use super::{Performed, Stage};
use crate::fault::Fault;
use keysvc_client::protocol::{
    ceremony::{Activity, Fact},
    reply::ServiceState,
};

/// The service's state.
///
/// # Errors
/// [`Fault`] of the call.
pub(super) async fn status(stage: &mut Stage<'_>) -> Result<Performed, Fault> {
    let officer = stage.people.connected(&stage.step.by).await?;
    let status = officer.reader().status().await;
    let status = status.map_err(|error| Fault::client("read the status", error))?;
    let checkpoint = status.checkpoint.checkpoint();
    let mut performed = Performed::default();
    let serving = status.state == ServiceState::Serving;
    performed.fact("service-state", if serving { &"serving" } else { &"rolled-back" });
    performed.fact("program", &status.version);
    performed.fact(Fact::TRUST_DOMAIN, &status.trust_domain);
    performed.fact(Fact::GENESIS, &status.genesis);
    performed.fact(Fact::POLICY, &status.policy);
    performed.fact("log-size", &checkpoint.head.size);
    performed.fact("log-root", &checkpoint.head.root);
    performed.fact("development", &status.development);
    if !serving {
        performed.differs("the service says that its history was rolled back");
    }
    if stage.file.plan.genesis.is_some_and(|genesis| genesis != status.genesis) {
        performed.differs("the log's genesis is not the plan's");
    }
    Ok(performed)
}

/// A key as it now stands, compared with what the plan expects of it.
///
/// # Errors
/// [`Fault`] of the call.
pub(super) async fn key(stage: &mut Stage<'_>, activity: &Activity) -> Result<Performed, Fault> {
    let Activity::KeyShow { name, version, check_value, state } = activity else {
        return Ok(Performed::default());
    };
    let officer = stage.people.connected(&stage.step.by).await?;
    let key = officer.reader().key(name, Some(*version)).await;
    let key = key.map_err(|error| Fault::client("read the key", error))?;
    let mut performed = Performed::default();
    performed.key(&key);
    if let Some(expected) = check_value {
        performed.compare_check(&key, expected);
    }
    if let Some(expected) = state.as_ref().filter(|state| *state != key.state.name()) {
        performed.differs(format!("key {name} version {version} is {}, not {expected}", key.state));
    }
    Ok(performed)
}
