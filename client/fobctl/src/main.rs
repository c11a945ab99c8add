//! Command line of the people and machines that use keysvc over the network.
//!
//! Every call goes through the client library, which believes nothing that does not follow from the trust file. This
//! program reads what is typed and shows what came back; it decides nothing about who may do what.

mod acted;
mod advice;
mod args;
mod ceremony;
mod check_value;
mod command;
mod component_form;
mod component_source;
mod confirm;
mod context;
mod diagnostic;
mod enrolment_file;
mod exit;
mod fault;
mod field_names;
mod file;
mod founding_text;
mod job;
mod key_view;
mod moment;
mod money;
mod output;
mod own_key;
mod own_token;
mod pin;
mod policy;
mod profile_file;
mod progress;
mod proposal_document;
mod proposal_view;
#[cfg(test)]
mod sample;
mod shown;
mod typed;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args = args::Args::of_process();
    args.color.decide();
    let mut output = output::Output::new(anstream::stdout().lock(), args.json);
    match command::run_to_end(args, &mut output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            output::complain(&fault, fault.next());
            ExitCode::from(fault.exit_code())
        }
    }
}
