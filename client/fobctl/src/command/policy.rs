//! The commands of policies: which of them need no service, and what they share.

use super::{
    policy_check, policy_diff, policy_propose, policy_prove, policy_replay, policy_review, policy_show,
    policy_test,
};
use crate::{
    args::{Args, PolicyVerb},
    context::Surroundings,
    fault::Fault,
    output::Output,
};
use keysvc_client::ClientConfig;
use std::io::Write;

/// Runs a verb that needs no service; nothing where it needs one.
pub(super) fn offline<W: Write>(
    verb: &PolicyVerb,
    args: &Args,
    surroundings: &Surroundings,
    output: &mut Output<W>,
) -> Option<Result<(), Fault>> {
    match verb {
        PolicyVerb::Check(verb) => Some(policy_check::run(verb, args, surroundings, output)),
        PolicyVerb::Test(verb) => Some(policy_test::run(verb, output)),
        PolicyVerb::Prove(verb) => Some(policy_prove::run(verb, output)),
        PolicyVerb::Diff(verb) => policy_diff::offline(verb, output),
        PolicyVerb::Replay(verb) => policy_replay::offline(verb, output),
        PolicyVerb::Show(_) | PolicyVerb::Propose(_) | PolicyVerb::Review(_) => None,
    }
}

/// Runs a verb with the persona's configuration.
pub(super) async fn run<W: Write>(
    verb: PolicyVerb,
    config: &ClientConfig,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    match verb {
        PolicyVerb::Show(args) => policy_show::run(config, &args, output).await,
        PolicyVerb::Diff(args) => policy_diff::run(config, &args, output).await,
        PolicyVerb::Replay(args) => policy_replay::run(config, &args, output),
        PolicyVerb::Propose(args) => policy_propose::run(config, &args, output).await,
        PolicyVerb::Review(args) => policy_review::run(config, &args, output).await,
        // Done before, without a connection.
        PolicyVerb::Check(_) | PolicyVerb::Test(_) | PolicyVerb::Prove(_) => Ok(()),
    }
}
