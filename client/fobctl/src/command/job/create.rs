//! `fobctl job create`: makes a job of a form, and sends the list of its cards in portions.
//!
//! Run again after it broke off it goes on with the same draft: the head is the same, and no card is there twice.

use crate::{
    fault::Fault,
    job::{
        form::Form,
        items,
        view::{digest_lines, head_of, next},
    },
    moment,
    output::{Output, Report, tell},
    pin::PinSource,
    progress,
    shown::{rows, utc},
};
use keysvc_client::{
    ClientConfig, ClientError, Operator,
    protocol::{
        job::{JobHead, JobItem, JobState},
        name::Name,
        refusal::{Refusal, Thing},
        request::CARDS_MAX,
    },
};
use serde::Serialize;
use std::{io::Write, path::PathBuf};

const EXAMPLES: &str = "\
Examples:
  fobctl job new > nfc-2026-11.toml
  fobctl --context data-1 job create nfc-2026-11.toml
  fobctl --context data-1 job create form.toml --job nfc-2026-12";

/// `fobctl job create`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CreateArgs {
    /// The form, TOML; `fobctl job new` prints one.
    #[arg(value_name = "FILE.toml")]
    form: PathBuf,
    /// The job's name; the form's without its ending when left out.
    #[arg(long, value_name = "NAME")]
    job: Option<Name>,
    #[command(flatten)]
    pin: PinSource,
}

#[derive(Debug, Serialize)]
struct CreateReport {
    job: String,
    state: &'static str,
    order: String,
    customer: String,
    profile: String,
    profile_version: u32,
    station: String,
    ordered: u32,
    issued: u32,
    carried_over: u32,
    /// Cards listed; none where they are taken as encountered.
    items: Option<usize>,
    due: String,
    head: String,
    root: String,
    #[serde(skip)]
    due_ms: u64,
}

/// Makes the job, or goes on with it.
///
/// # Errors
/// [`Fault`] of form, list and service.
pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &CreateArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let form = Form::read(&args.form, args.job.as_ref())?;
    let list = form.items.as_deref().map(items::read).transpose()?;
    let operator = super::operator(config, &args.pin).await?;
    let head = match begun(&operator, &form).await? {
        Some(head) => {
            tell(&format_args!("job {} is there as a draft of this form: going on with it", form.job));
            head
        }
        None => create(&operator, &form).await?,
    };
    if let Some(items) = &list {
        fits(&head, items)?;
        send(&operator, &form.job, items).await?;
    }
    let items = list.as_deref().unwrap_or_default();
    let stands = stands(&operator, &form.job, (&head, items)).await?;
    output.print(&CreateReport::of(&form.job, &head, list.as_deref().map(<[_]>::len), &stands))?;
    let read = if list.is_some() { "head and root" } else { "the head" };
    tell(&format_args!("read {read} to the one who seals it; both must see the same digits"));
    tell(&format_args!("next: {}", next(form.job.as_str(), JobState::Draft)));
    Ok(())
}

async fn create(operator: &Operator, form: &Form) -> Result<JobHead, Fault> {
    let head = form.head(moment::now_ms())?;
    let created = operator.create_job(&form.job, head.clone()).await;
    created.map_err(|error| Fault::client("make the job", error))?;
    Ok(head)
}

/// The head of a draft of this very form, where one was begun: due when it was then.
async fn begun(operator: &Operator, form: &Form) -> Result<Option<JobHead>, Fault> {
    let view = match operator.job(&form.job).await {
        Ok(view) => view,
        Err(error) if error.refusal() == Some(&Refusal::NotFound { what: Thing::Job }) => return Ok(None),
        Err(error) => return Err(Fault::client("look for the job", error)),
    };
    let own = JobHead { due_ms: view.due_ms, ..form.head(moment::now_ms())? };
    if view.state == JobState::Draft && head_of(&view).as_ref() == Some(&own) {
        return Ok(Some(own));
    }
    Err(Fault::usage(
        format!("there is a job {} already, and it is another one: {}", form.job, view.state),
        format!("see it with `fobctl job show {}`; give this one another name with --job NAME", form.job),
    ))
}

fn fits(head: &JobHead, items: &[JobItem]) -> Result<(), Fault> {
    let most = usize::try_from(head.cards()).unwrap_or(usize::MAX);
    let least = usize::try_from(head.ordered).unwrap_or(usize::MAX);
    if (least..=most).contains(&items.len()) {
        return Ok(());
    }
    let what = format!("the list has {} cards where the form says {least} to {most}", items.len());
    Err(Fault::usage(what, "correct the list, or make another job with a form that fits it"))
}

async fn send(operator: &Operator, job: &Name, items: &[JobItem]) -> Result<(), Fault> {
    let bar = progress::bar(items.len(), CARDS_MAX, "cards");
    let sent =
        operator.add_items(job, items, |added| bar.set_position(u64::try_from(added).unwrap_or_default()));
    let sent = sent.await;
    drop(bar);
    sent.map(drop).map_err(|error| {
        Fault::client("send the cards", error).advised(|error| match error {
            ClientError::Refused(reply) if !reply.retryable => None,
            _ => Some("run the same command again: what is there is not sent twice".to_owned()),
        })
    })
}

/// The digests as the service has them, which must be those of what was sent.
async fn stands(
    operator: &Operator,
    job: &Name,
    (head, items): (&JobHead, &[JobItem]),
) -> Result<[String; 2], Fault> {
    let view = operator.job(job).await.map_err(|error| Fault::client("read the job", error))?;
    let own = (head.digest(), items::root(items, items.len()));
    match view.numbers {
        Some(numbers) if (numbers.head, numbers.root) == own => Ok([own.0.to_string(), own.1.to_string()]),
        Some(_) => {
            let what = format!("the service has another head or other cards of job {job} than were sent");
            Err(Fault::client("compare the job", ClientError::Untrusted { what, evidence: None }))
        }
        // Nobody but who made it sees its numbers; then our own are all there is.
        None => Ok([own.0.to_string(), own.1.to_string()]),
    }
}

impl CreateReport {
    fn of(job: &Name, head: &JobHead, items: Option<usize>, [digest, root]: &[String; 2]) -> Self {
        Self {
            job: job.to_string(),
            state: JobState::Draft.name(),
            order: head.order.as_str().to_owned(),
            customer: head.customer.as_str().to_owned(),
            profile: head.profile.to_string(),
            profile_version: head.profile_version,
            station: head.station.to_string(),
            ordered: head.ordered,
            issued: head.issued,
            carried_over: head.carried_over,
            items,
            due: utc(head.due_ms),
            head: digest.clone(),
            root: root.clone(),
            due_ms: head.due_ms,
        }
    }
}

impl Report for CreateReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-job-create/1"
    }

    fn text(&self) -> String {
        let Self { ordered, issued, carried_over, .. } = self;
        let listed =
            self.items.map_or_else(|| "as encountered".to_owned(), |items| format!("{items} listed"));
        let mut lines = vec![
            ("job", format!("{}, {}", self.job, self.state)),
            ("order", format!("{} of customer {}", self.order, self.customer)),
            ("profile", format!("{} version {}", self.profile, self.profile_version)),
            ("station", self.station.clone()),
            ("cards", format!("{ordered} ordered, {issued} issued, {carried_over} carried over, {listed}")),
            ("to be purged", moment::planned(self.due_ms)),
        ];
        lines.extend(digest_lines("head", &self.head));
        // Where no cards are listed the root is every job's.
        if self.items.is_some() {
            lines.extend(digest_lines("root", &self.root));
        }
        rows(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::view::tests::view;

    #[test]
    fn a_list_has_at_least_what_is_ordered_and_at_most_what_is_there() {
        let head = JobHead { ordered: 1, issued: 2, carried_over: 0, ..head_of(&view()).unwrap() };
        let items = |list: &str| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("cards.csv");
            std::fs::write(&path, list).unwrap();
            items::read(&path).unwrap()
        };
        let three = items("04782e21801d80\n04782e21801d81\n04782e21801d82");
        assert!(fits(&head, &three[..1]).is_ok() && fits(&head, &three[..2]).is_ok());
        assert!(fits(&head, &three).unwrap_err().to_string().contains("3 cards where the form says 1 to 2"));
    }

    #[test]
    fn what_was_made_is_shown_with_both_digests_in_groups_of_four() {
        let head = head_of(&view()).unwrap();
        let digests = ["ab".repeat(32), "cd".repeat(32)];
        let report = |items| CreateReport::of(&"nfc-1".parse().unwrap(), &head, items, &digests);
        let text = report(Some(1_000)).text();
        assert!(text.contains("abab abab") && text.contains("cdcd cdcd"), "{text}");
        let text = report(None).text();
        assert!(text.contains("1000 ordered, 1010 issued, 0 carried over, as encountered"), "{text}");
        assert!(!text.contains("cdcd"), "{text}");
    }
}
