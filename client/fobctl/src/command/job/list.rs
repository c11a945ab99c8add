//! `fobctl job list`: the jobs by name, those that should have been purged marked.

use crate::{
    fault::Fault,
    output::{Output, Report, tell},
    shown::{table, utc},
};
use keysvc_client::{ClientConfig, protocol::reply::JobView};
use serde::Serialize;
use std::io::Write;

/// `fobctl job list`.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// The purged ones too.
    #[arg(long)]
    purged: bool,
}

#[derive(Debug, Serialize)]
struct ListReport {
    jobs: Vec<ListedJob>,
}

#[derive(Debug, Serialize)]
struct ListedJob {
    name: String,
    state: &'static str,
    order: String,
    profile: String,
    profile_version: u32,
    station: String,
    pending: u32,
    due: String,
    overdue: bool,
}

/// Lists the jobs.
///
/// # Errors
/// [`Fault`] of the service.
pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &ListArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let reader = crate::command::connect(config).await?;
    let jobs = reader.jobs(args.purged, None).await.map_err(|error| Fault::client("list the jobs", error))?;
    let report = ListReport { jobs: jobs.iter().map(ListedJob::of).collect() };
    let overdue = report.jobs.iter().filter(|job| job.overdue).count();
    output.print(&report)?;
    match overdue {
        0 => {}
        1 => tell(&"note: 1 job should have been purged by now"),
        several => tell(&format_args!("note: {several} jobs should have been purged by now")),
    }
    Ok(())
}

impl ListedJob {
    fn of(view: &JobView) -> Self {
        Self {
            name: view.name.to_string(),
            state: view.state.name(),
            order: view.order.as_str().to_owned(),
            profile: view.profile.to_string(),
            profile_version: view.profile_version,
            station: view.station.to_string(),
            pending: view.pending,
            due: utc(view.due_ms),
            overdue: view.overdue,
        }
    }
}

impl Report for ListReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-job-list/1"
    }

    fn text(&self) -> String {
        if self.jobs.is_empty() {
            return "no jobs".to_owned();
        }
        let rows = self.jobs.iter().map(|job| {
            [
                if job.overdue { "!".to_owned() } else { String::new() },
                job.name.clone(),
                job.state.to_owned(),
                job.order.clone(),
                format!("{} {}", job.profile, job.profile_version),
                job.station.clone(),
                job.pending.to_string(),
                if job.overdue { format!("{} OVERDUE", job.due) } else { job.due.clone() },
            ]
        });
        let header = ["", "job", "state", "order", "profile", "station", "in hand", "to be purged by"];
        table(header, &["in hand"], rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::view::tests::view;

    #[test]
    fn overdue_jobs_are_marked_and_nothing_tells_how_many_cards_there_are() {
        let late = ListedJob::of(&view());
        let early = ListedJob::of(&JobView { overdue: false, name: "nfc-2".parse().unwrap(), ..view() });
        let text = ListReport { jobs: vec![late, early] }.text();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[1].starts_with("!  nfc-1") && lines[1].ends_with("OVERDUE"), "{text}");
        assert!(lines[2].trim_start().starts_with("nfc-2") && !lines[2].contains("OVERDUE"), "{text}");
        assert!(!text.contains("1010"), "{text}");
        assert_eq!(ListReport { jobs: Vec::new() }.text(), "no jobs");
    }
}
