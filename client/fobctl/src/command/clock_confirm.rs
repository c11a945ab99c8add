//! `fobctl clock confirm`: two people have compared the service's clock with a good one.

use crate::{
    acted, confirm,
    fault::Fault,
    moment,
    output::{Output, tell},
    own_key::{connect, unlock},
    pin::PinSource,
    shown::utc,
};
use jiff::Timestamp;
use keysvc_client::{ClientConfig, protocol::request::Operation};
use std::io::Write;

const EXAMPLES: &str = "\
Compare `date -u` on the service's host with a clock that you trust first.

Examples:
  fobctl clock confirm
  fobctl clock confirm --at 2026-11-22T03:41:00Z --yes";

/// `fobctl clock confirm`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConfirmArgs {
    /// What the service's clock showed when it was compared, RFC 3339; this machine's time when left out.
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<u64>,
    /// Sign without asking. What is stated is shown all the same.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    pin: PinSource,
}

fn time(text: &str) -> Result<u64, String> {
    let time: Timestamp = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    u64::try_from(time.as_millisecond()).map_err(|_| "it is before 1970".to_owned())
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &ConfirmArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let officer = connect(config).await?;
    let time_ms = args.at.unwrap_or_else(moment::now_ms);
    tell(&format_args!("you state that the service's clock was right when it showed {}", utc(time_ms)));
    if !args.yes {
        confirm::ask()?;
    }
    let officer = unlock(&officer, config, &args.pin)?;
    let outcome = officer.confirm_clock(Some(time_ms)).await;
    acted::report(&officer, Operation::ClockConfirm, outcome, output).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_typed_as_rfc_3339() {
        assert_eq!(time("2026-11-18T11:06:40Z"), Ok(1_795_000_000_000));
        assert!(time("yesterday").is_err());
        assert!(time("1969-12-31T23:59:59Z").is_err());
    }
}
