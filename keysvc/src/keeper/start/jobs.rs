//! Personalization jobs, looked at each minute: how many there are and in which state, which of them should have been purged
//! by now, and what a purge left unfinished.
//!
//! Apart from what people left unfinished because nobody orders a purge beside the act that closed the job. How many cards
//! a job has is nobody's to read in a log or a figure.

use crate::{
    error::Fault,
    keeper::{
        ledger::Reader,
        serve::{Keeper, now_ms},
    },
    metrics::JobFigures,
};
use keysvc_protocol::name::Name;
use std::sync::atomic::Ordering;

/// Jobs read at a time.
const PAGE: usize = 64;
/// Jobs named in one warning: a site whose purges are kept has none, and the count is told beside them.
const NAMED_MAX: usize = 16;
/// Minutes from one warning to the next.
const WARN_EVERY_MIN: u64 = 60;

/// Looks at the jobs, in the first minute and each after it; nothing after a history that was rolled back.
pub(super) async fn each_minute(keeper: &Keeper, minute: u64) -> Result<(), Fault> {
    if keeper.halted.load(Ordering::Acquire) {
        return Ok(());
    }
    keeper.finish_purges().await?;
    let overdue = look(keeper)?;
    if !overdue.is_empty() && minute.is_multiple_of(WARN_EVERY_MIN) {
        tracing::warn!(
            overdue = overdue.len(),
            jobs = named(&overdue),
            "personalization jobs should have been purged by now; their stations still hold their data (fobctl job list)"
        );
    }
    Ok(())
}

/// Counts the jobs that are overdue: one look into an index.
pub(super) fn each_second(keeper: &Keeper) -> Result<(), Fault> {
    keeper.metrics.set_jobs_overdue(keeper.ledger.reader().overdue(now_ms())?);
    Ok(())
}

/// Reads the figures of the jobs, and gives the names of those that are overdue.
pub(super) fn look(keeper: &Keeper) -> Result<Vec<Name>, Fault> {
    let (figures, overdue) = figures(keeper.ledger.reader(), now_ms())?;
    keeper.metrics.set_jobs(&figures);
    keeper.metrics.set_jobs_overdue(u64::try_from(overdue.len()).unwrap_or(u64::MAX));
    Ok(overdue)
}

/// The figures of the jobs that are not purged, and the names of those that should be.
///
/// # Errors
/// [`Fault`] of the store.
pub fn figures(reader: &Reader, now_ms: u64) -> Result<(JobFigures, Vec<Name>), Fault> {
    let mut figures = JobFigures::default();
    figures.cards = reader.cards()?;
    let (mut overdue, mut after) = (Vec::new(), None);
    loop {
        let page = reader.jobs(after.as_ref(), false, PAGE)?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.name.clone());
        for (job, _) in &page {
            figures.count(job.state);
            if job.is_overdue(now_ms) {
                overdue.push(job.name.clone());
            }
        }
        if page.len() < PAGE {
            break;
        }
    }
    Ok((figures, overdue))
}

/// The names as one warning says them.
fn named(jobs: &[Name]) -> String {
    let named: Vec<_> = jobs.iter().take(NAMED_MAX).map(Name::as_str).collect();
    let more = jobs.len().saturating_sub(named.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_names_so_many_jobs_and_counts_the_others() {
        let jobs = |count: usize| {
            (0..count).map(|number| format!("nfc-{number}").parse().unwrap()).collect::<Vec<Name>>()
        };
        assert_eq!(named(&jobs(2)), "nfc-0, nfc-1");
        assert!(named(&jobs(18)).ends_with("nfc-15 and 2 more"));
    }
}
