//! The commands, one file each. This one starts the runtime and hands each command its arguments.

pub(crate) mod api;
pub(crate) mod audit_export;
pub(crate) mod audit_proof;
pub(crate) mod card;
pub(crate) mod ceremony;
pub(crate) mod clock_confirm;
pub(crate) mod completions;
pub(crate) mod component;
pub(crate) mod context;
pub(crate) mod doctor;
pub(crate) mod evidence_get;
pub(crate) mod founding_sign;
pub(crate) mod freeze;
mod freeze_list;
pub(crate) mod job;
pub(crate) mod key_change;
pub(crate) mod key_get;
pub(crate) mod key_impact;
pub(crate) mod key_import;
mod key_list;
pub(crate) mod manual;
mod policy;
pub(crate) mod policy_check;
pub(crate) mod policy_diff;
pub(crate) mod policy_propose;
pub(crate) mod policy_prove;
pub(crate) mod policy_replay;
pub(crate) mod policy_review;
pub(crate) mod policy_show;
pub(crate) mod policy_test;
pub(crate) mod principal_change;
pub(crate) mod principal_enrol;
mod principal_list;
pub(crate) mod profile;
pub(crate) mod proposal_cancel;
pub(crate) mod proposal_list;
pub(crate) mod proposal_result;
pub(crate) mod proposal_show;
pub(crate) mod proposal_vote;
pub(crate) mod quorum;
mod status;
pub(crate) mod terminal_bundle;
pub(crate) mod terminal_verify;
pub(crate) mod value_batch;
pub(crate) mod value_update;

use crate::{
    args::{
        Args, AuditVerb, CardVerb, ClockVerb, ComponentVerb, ContextVerb, EvidenceVerb, FoundingVerb,
        FreezeVerb, KeyVerb, Noun, PrincipalVerb, ProfileVerb, ProposalVerb, QuorumVerb, TerminalVerb,
        ValueVerb,
    },
    context::Surroundings,
    fault::Fault,
    output::Output,
    own_token,
};
use keysvc_client::{
    ClientConfig, Reader,
    protocol::{
        quorum::Verdict,
        request::{Operation, ValueOperation},
    },
};
use std::{io::Write, path::Path};

/// Runs a command to its end.
///
/// # Errors
/// [`Fault`] with the exit code and the next command.
pub(crate) fn run_to_end<W: Write>(args: Args, output: &mut Output<W>) -> Result<(), Fault> {
    let surroundings = Surroundings::of_process();
    // What needs no configuration comes first.
    match &args.noun {
        Noun::Completions(args) => return completions::run(args, output),
        Noun::Manual(args) => return manual::run(args, output),
        Noun::Component(ComponentVerb::Generate(args)) => return component::generate(args, output),
        Noun::Component(ComponentVerb::Check(args)) => return component::check(args, output),
        Noun::Profile(ProfileVerb::Check(args)) => return profile::check(args, output),
        Noun::Ceremony(verb) => return ceremony::run(verb, &args, &surroundings, output),
        Noun::Job(verb) => {
            if let Some(done) = job::offline(verb, output) {
                return done;
            }
        }
        Noun::Policy(verb) => {
            if let Some(done) = policy::offline(verb, &args, &surroundings, output) {
                return done;
            }
        }
        Noun::Context(ContextVerb::List) => {
            return context::list(&surroundings, args.choose(&surroundings).ok().as_ref(), output);
        }
        Noun::Context(ContextVerb::Use(args)) => return context::keep(&surroundings, args, output),
        _ => {}
    }
    let chosen = args.choose(&surroundings)?;
    let config = read_config(&chosen.file)?;
    if let Noun::Context(_) = args.noun {
        return context::show(&chosen, &config, output);
    }
    // Before anything else is done, because the program begins again where the persona has a token of its own.
    own_token::switch(&chosen, &config)?;
    if let Noun::Job(verb) = &args.noun
        && let Some(done) = job::waiting(verb, &config, output)
    {
        return done;
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::Runtime)?;
    if let Noun::Doctor(args) = &args.noun {
        return runtime.block_on(doctor::run((&chosen, &config), args, output));
    }
    runtime.block_on(run(args.noun, &config, output))
}

fn read_config(file: &Path) -> Result<ClientConfig, Fault> {
    ClientConfig::read(file).map_err(|error| Fault::client("read the configuration", error.into()))
}

async fn run<W: Write>(noun: Noun, config: &ClientConfig, output: &mut Output<W>) -> Result<(), Fault> {
    match noun {
        Noun::Founding(FoundingVerb::Sign(args)) => founding_sign::run(config, &args, output),
        Noun::Status => status::run(config, output).await,
        Noun::Key(verb) => keys(verb, config, output).await,
        Noun::Component(ComponentVerb::Enter(args)) => component::enter(config, &args, output).await,
        Noun::Profile(ProfileVerb::Put(args)) => profile::put(config, args, output).await,
        Noun::Profile(ProfileVerb::Get(args)) => profile::get(config, &args, output).await,
        Noun::Profile(ProfileVerb::List) => profile::list(config, output).await,
        Noun::Job(verb) => job::run(verb, config, output).await,
        Noun::Card(CardVerb::Check(args)) => card::check(config, &args, output).await,
        Noun::Card(CardVerb::Move(args)) => card::transition(config, args, output).await,
        Noun::Value(ValueVerb::Load(args)) => {
            value_update::run(config, ValueOperation::Load, args, output).await
        }
        Noun::Value(ValueVerb::Debit(args)) => {
            value_update::run(config, ValueOperation::Debit, args, output).await
        }
        Noun::Value(ValueVerb::Batch(args)) => value_batch::run(config, &args, output).await,
        Noun::Terminal(TerminalVerb::Bundle(args)) => terminal_bundle::run(config, &args, output).await,
        Noun::Terminal(TerminalVerb::Verify(args)) => terminal_verify::run(config, &args, output),
        Noun::Proposal(verb) => proposals(verb, config, output).await,
        Noun::Principal(verb) => principals(verb, config, output).await,
        Noun::Freeze(FreezeVerb::List) => freeze_list::run(config, output).await,
        Noun::Freeze(FreezeVerb::Set(args)) => freeze::set(config, args, output).await,
        Noun::Freeze(FreezeVerb::Lift(args)) => freeze::lift(config, args, output).await,
        Noun::Quorum(QuorumVerb::Show) => quorum::show(config, output).await,
        Noun::Quorum(QuorumVerb::Set(args)) => quorum::set(config, args, output).await,
        Noun::Policy(verb) => policy::run(verb, config, output).await,
        Noun::Clock(ClockVerb::Confirm(args)) => clock_confirm::run(config, &args, output).await,
        Noun::Evidence(EvidenceVerb::Get(args)) => evidence_get::run(config, &args, output).await,
        Noun::Audit(AuditVerb::Export(args)) => audit_export::run(config, &args, output).await,
        Noun::Audit(AuditVerb::Proof(args)) => audit_proof::run(config, &args, output).await,
        Noun::Api(args) => api::run(config, &args, output).await,
        // Done before, without a connection.
        Noun::Context(_)
        | Noun::Ceremony(_)
        | Noun::Doctor(_)
        | Noun::Completions(_)
        | Noun::Manual(_)
        | Noun::Component(_)
        | Noun::Profile(_) => Ok(()),
    }
}

async fn keys<W: Write>(verb: KeyVerb, config: &ClientConfig, output: &mut Output<W>) -> Result<(), Fault> {
    let (operation, args) = match verb {
        KeyVerb::List => return key_list::run(config, output).await,
        KeyVerb::Get(args) => return key_get::run(config, &args, output).await,
        KeyVerb::Impact(args) => return key_impact::run(config, &args, output).await,
        KeyVerb::Import(args) => return key_import::run(config, args, output).await,
        KeyVerb::Create(args) => return key_change::create(config, args, output).await,
        KeyVerb::Compromise(args) => return key_change::compromise(config, args, output).await,
        KeyVerb::Activate(args) => (Operation::KeyActivate, args),
        KeyVerb::Suspend(args) => (Operation::KeySuspend, args),
        KeyVerb::Retire(args) => (Operation::KeyRetire, args),
        KeyVerb::Destroy(args) => (Operation::KeyDestroy, args),
    };
    key_change::change(config, operation, args, output).await
}

async fn proposals<W: Write>(
    verb: ProposalVerb,
    config: &ClientConfig,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    match verb {
        ProposalVerb::List(args) => proposal_list::run(config, &args, output).await,
        ProposalVerb::Show(args) => proposal_show::run(config, &args, output).await,
        ProposalVerb::Approve(args) => proposal_vote::run(config, Verdict::Approve, &args, output).await,
        ProposalVerb::Reject(args) => proposal_vote::run(config, Verdict::Reject, &args, output).await,
        ProposalVerb::Cancel(args) => proposal_cancel::run(config, &args, output).await,
        ProposalVerb::Result(args) => proposal_result::run(config, &args, output).await,
    }
}

async fn principals<W: Write>(
    verb: PrincipalVerb,
    config: &ClientConfig,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    match verb {
        PrincipalVerb::List => principal_list::run(config, output).await,
        PrincipalVerb::Enrol(args) => principal_enrol::enrol(config, &args, output).await,
        PrincipalVerb::Rotate(args) => principal_enrol::rotate(config, &args, output).await,
        PrincipalVerb::Disable(args) => principal_change::disable(config, args, output).await,
        PrincipalVerb::Enable(args) => principal_change::enable(config, args, output).await,
    }
}

async fn connect(config: &ClientConfig) -> Result<Reader, Fault> {
    Reader::connect(config).await.map_err(|error| Fault::client("connect", error))
}
