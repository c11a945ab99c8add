//! `fobctl job seal`: a second data operator reads what a job is about, says that it is the one they know, and seals it.
//!
//! No blind sealing: the client library puts the head together again out of what is shown and compares its digest; here it
//! is said in words, and the person types how the digest begins that the two of them compared.

use crate::{
    confirm,
    fault::Fault,
    job::{items, view::next},
    output::{Output, Report, tell},
    pin::PinSource,
    shown::{plain, rows, utc, whole_digest, wrapped},
};
use keysvc_client::{
    ClientConfig, ClientError,
    operator::ToSeal,
    protocol::{
        job::{JobHead, JobState},
        name::Name,
    },
};
use serde::Serialize;
use std::{io::Write, path::PathBuf};

const EXAMPLES: &str = "\
Examples:
  fobctl --context data-2 job seal nfc-2026-11
  fobctl --context data-2 job seal nfc-2026-11 --manifest cards.csv   # compare it with your own list
  fobctl --context data-2 job seal nfc-2026-11 --digest '81be 04c7'";

/// Longest line of what is sealed, in characters.
const WIDTH: usize = 78;

/// `fobctl job seal`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SealArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: Name,
    /// Your own copy of the list of cards: the job must have exactly these, in this order.
    #[arg(long, value_name = "FILE.csv")]
    manifest: Option<PathBuf>,
    /// How the digest begins that you compared, four digits or more, instead of being asked.
    #[arg(long, value_name = "XXXX")]
    digest: Option<String>,
    #[command(flatten)]
    pin: PinSource,
}

#[derive(Debug, Serialize)]
struct SealReport {
    job: String,
    state: &'static str,
    head: String,
    root: String,
    items: u32,
    created_by: String,
    sealed_by: String,
}

/// Shows the job, asks, and seals it.
///
/// # Errors
/// [`Fault`] of list, key and service; [`Fault::OtherDigest`] for a digest that begins otherwise.
pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &SealArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let list = args.manifest.as_deref().map(items::read).transpose()?;
    let operator = super::operator(config, &args.pin).await?;
    let sealing = operator.to_seal(&args.job, list.as_deref()).await;
    let sealing = sealing.map_err(|error| not_read(error, list.is_some()))?;
    refuse_maker(&sealing, operator.name())?;
    let head = sealing.head.digest().to_string();
    let root = sealing.root.to_string();
    show(&sealing, list.is_some(), &head);
    // Where no cards are listed the root is the same for every job.
    let (compared, name) = if sealing.head.listed { (&root, "root") } else { (&head, "head") };
    ask(compared, name, args.digest.as_deref())?;
    let sealed = operator.seal(&sealing).await.map_err(|error| Fault::client("seal the job", error))?;
    output.print(&SealReport {
        job: args.job.to_string(),
        state: sealed.name(),
        head: head.clone(),
        root: root.clone(),
        items: sealing.items,
        created_by: sealing.created_by.to_string(),
        sealed_by: operator.name().to_string(),
    })?;
    tell(&format_args!("next: {}", next(args.job.as_str(), JobState::Sealed)));
    Ok(())
}

fn ask(digest: &str, name: &str, given: Option<&str>) -> Result<(), Fault> {
    if given.is_some() {
        return confirm::digest(digest, given);
    }
    let question = format!("type the first four digits of the {name} to seal it:");
    confirm::first_group(digest, &question).map_err(|()| Fault::OtherDigest)
}

/// Why the job is not to be sealed; with a list of one's own it may be the list.
fn not_read(error: ClientError, compared: bool) -> Fault {
    Fault::client("read the job", error).advised(|error| {
        let other = matches!(error, ClientError::Untrusted { .. }) && compared;
        other.then(|| {
            "compare your list with that of who made the job; where both are the same, seal nothing and tell the officers"
                .to_owned()
        })
    })
}

/// Whoever made it is told before they read it all.
fn refuse_maker(sealing: &ToSeal, own: &Name) -> Result<(), Fault> {
    if sealing.created_by != *own {
        return Ok(());
    }
    Err(Fault::Undone {
        what: format!("{own} made job {}, and may not seal it too", sealing.job),
        code: 3,
        next: format!("another data operator runs it: `fobctl --context OTHER job seal {}`", sealing.job),
    })
}

fn show(sealing: &ToSeal, compared: bool, head: &str) {
    tell(&format_args!("{}\n", wrapped(&plain(&sentence(sealing)), WIDTH)));
    let digest = |name: &str, digest: &str| {
        for (line, title) in whole_digest(&digest).into_iter().zip([name, ""]) {
            tell(&format_args!("  {title:<4}  {line}"));
        }
    };
    digest("head", head);
    if sealing.head.listed {
        digest("root", &sealing.root.to_string());
    }
    if compared {
        tell(&"\nits cards are those of your list, in the same order");
    }
    tell(&"");
}

/// What a seal fixes, in words; every field of the head is in it, or this would not compile.
fn sentence(sealing: &ToSeal) -> String {
    let ToSeal { job, head, items, root: _, created_by } = sealing;
    let JobHead {
        schema: _,
        order,
        customer,
        profile,
        profile_version,
        lot,
        station,
        equipment,
        ordered,
        issued,
        carried_over,
        listed,
        due_ms,
    } = head;
    let which =
        if *listed { format!("{items} listed cards") } else { "cards as they are encountered".to_owned() };
    format!(
        "Seal job {job}, made by {created_by}: order '{}' of customer '{}', card profile {profile} version \
         {profile_version}, lot '{}', at station {station} on '{}'; {ordered} ordered, {issued} issued, {carried_over} \
         carried over, {which}; to be purged by {}. Nothing about it changes after that.",
        order.as_str(),
        customer.as_str(),
        lot.as_str(),
        equipment.as_str(),
        utc(*due_ms)
    )
}

impl Report for SealReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-job-seal/1"
    }

    fn text(&self) -> String {
        rows([
            ("sealed", self.job.clone()),
            ("made by", self.created_by.clone()),
            ("sealed by", self.sealed_by.clone()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::view::{head_of, tests::view};
    use keysvc_client::protocol::bytes::Digest;

    fn sealing() -> ToSeal {
        ToSeal {
            job: "nfc-1".parse().unwrap(),
            head: head_of(&view()).unwrap(),
            items: 0,
            root: Digest::new([1; 32]),
            created_by: "data-1".parse().unwrap(),
        }
    }

    #[test]
    fn who_made_a_job_is_sent_away_before_reading_it() {
        assert!(refuse_maker(&sealing(), &"data-2".parse().unwrap()).is_ok());
        let fault = refuse_maker(&sealing(), &"data-1".parse().unwrap()).unwrap_err();
        assert_eq!(
            (fault.exit_code(), fault.to_string().as_str()),
            (3, "data-1 made job nfc-1, and may not seal it too")
        );
    }

    #[test]
    fn a_list_that_is_another_is_compared_before_anybody_is_suspected() {
        let other = || ClientError::Untrusted { what: "other cards".into(), evidence: None };
        assert!(not_read(other(), true).next().starts_with("compare your list"));
        assert!(not_read(other(), false).next().starts_with("use nothing of the answer"));
    }

    #[test]
    fn what_is_sealed_is_said_with_every_number() {
        let said = sentence(&sealing());
        for word in ["nfc-1", "data-1", "PO-4711", "acme", "known version 1", "L7", "station-1", "encoder 2"]
        {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert!(
            said.contains("1000 ordered, 1010 issued, 0 carried over, cards as they are encountered"),
            "{said}"
        );
        assert!(said.contains("purged by 2026-11-18T11:06:40.000Z"), "{said}");
    }

    #[test]
    fn a_digest_that_begins_otherwise_seals_nothing() {
        let digest = "81be04c7".repeat(8);
        assert!(ask(&digest, "root", Some("81be 04c7")).is_ok());
        assert!(matches!(ask(&digest, "root", Some("81bf")), Err(Fault::OtherDigest)));
    }
}
