//! The policies in force, at a start, on a reload and for whoever looks: the log's word.
//!
//! The founding names the digest of the folder's files, so the folder must have them while nobody has changed the policies.
//! What people put in force since stands in the log with its text; then the folder is compared, and a difference told.

use crate::{
    config::{Config, ConfigError},
    error::Fault,
    keeper::action::policy_set,
};
use keysvc_policies::PolicySet;
use keysvc_protocol::{bytes::Digest, control::Control};

/// The policies in force.
#[derive(Debug)]
pub struct InForce {
    /// The set.
    pub set: PolicySet,
    /// What the folder says otherwise, with the mend.
    pub notice: Option<String>,
}

/// The policies in force by the log, with what the folder says otherwise.
///
/// # Errors
/// [`Fault`] when they are not at hand: the folder is another than the founding's, or this program reads the log's files
/// otherwise than the one they were put in force with.
pub fn policies_in_force(config: &Config, control: &Control) -> Result<InForce, Fault> {
    let (wanted, leaf) = (*control.policy(), control.policies().leaf());
    let folder = PolicySet::load(&config.keeper.policies);
    let digest = |set: &PolicySet| Digest::new(set.digest());
    let Some(files) = control.policies().files() else {
        let set = folder?;
        if digest(&set) == wanted {
            return Ok(InForce { set, notice: None });
        }
        let mend = format!(
            "the policies have the digest {}, the log says {wanted}; put the recorded policies back",
            digest(&set)
        );
        return Err(ConfigError::file(&config.keeper.policies, mend).into());
    };
    let set = policy_set(files).filter(|set| digest(set) == wanted).ok_or_else(|| {
        Fault::Refusing(format!(
            "the policies that leaf {leaf} put in force have the digest {wanted}, and this program makes another of their \
             text: its ceiling or schema is another version's; start the program they were put in force with"
        ))
    })?;
    let found = match &folder {
        Ok(folder) if digest(folder) == wanted => None,
        Ok(folder) => Some(format!("has the digest {}", digest(folder))),
        Err(error) => Some(format!("does not load ({error})")),
    };
    let notice = found.map(|found| {
        let folder = config.keeper.policies.display();
        format!(
            "{folder} {found}, and nothing is taken from it: in force is {wanted}, by leaf {leaf}; to have the folder \
             agree, put into it what an officer gets by: fobctl policy show --out DIR"
        )
    });
    Ok(InForce { set, notice })
}

/// Says in the log what the folder says otherwise.
pub(super) fn tell(in_force: &InForce) {
    if let Some(notice) = &in_force.notice {
        tracing::warn!("the policy folder is not what is in force: {notice}");
    }
}
