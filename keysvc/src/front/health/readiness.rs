//! Whether the service is ready, and every reason why it is not, in words an operator can act on. Pure.

use crate::{
    config::fixed::TOKEN_SILENCE_MAX,
    link::{KeeperState, LastEnd},
};
use std::time::Duration;

/// The front's workers are said not to turn when they left no beat for so long; they leave one each second.
const BEAT_MISSED_MAX: Duration = Duration::from_secs(5);

/// What is known of the front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// The time, seconds since 1970-01-01 UTC.
    pub(super) now_s: i64,
    /// How long it serves.
    pub(super) uptime_ms: u64,
    /// How long ago its workers last turned.
    pub(super) silent_ms: u64,
    /// When the server's certificate ends.
    pub(super) certificate_not_after_s: i64,
    /// When the first revocation list is due.
    pub(super) crl_next_update_s: Option<i64>,
}

/// What is known of the keeper.
#[derive(Debug, Clone)]
pub(super) enum Keeper {
    /// It answers.
    Answers(KeeperState),
    /// Nobody listens on its socket; how it ended, where it said so since it last answered.
    Away(Option<LastEnd>),
    /// It is connected and does not answer in time.
    Silent,
    /// It answers what this build does not understand.
    Foreign,
}

/// Why the front's process is to be taken for dead, if it is.
pub(super) fn dead(facts: &Facts) -> Option<String> {
    let silent = Duration::from_millis(facts.silent_ms);
    (silent > BEAT_MISSED_MAX)
        .then(|| format!("the front's workers have not turned for {} s", silent.as_secs()))
}

/// Every reason why the service is not ready; none when it is.
pub(super) fn reasons(facts: &Facts, keeper: &Keeper) -> Vec<String> {
    let mut reasons: Vec<_> = dead(facts).into_iter().collect();
    if facts.certificate_not_after_s <= facts.now_s {
        reasons.push(
            "the server's certificate has expired: put a fresh one in place and send SIGHUP".to_owned(),
        );
    }
    if facts.crl_next_update_s.is_some_and(|due| due <= facts.now_s) {
        reasons.push(
            "a revocation list has expired, so nobody is let in: put a fresh one in place and send SIGHUP"
                .to_owned(),
        );
    }
    match keeper {
        Keeper::Away(Some(end)) => {
            reasons.push(format!("the keeper is not there: it ended with code {}: {}", end.exit, end.reason));
        }
        Keeper::Away(None) => reasons.push("the keeper is not there: its log says why it ended".to_owned()),
        Keeper::Silent => reasons.push("the keeper is there and does not answer".to_owned()),
        Keeper::Foreign => {
            reasons.push("the keeper is of another build: restart both halves from one".to_owned());
        }
        Keeper::Answers(state) => of_the_keeper(state, &mut reasons),
    }
    reasons
}

fn of_the_keeper(state: &KeeperState, reasons: &mut Vec<String>) {
    if state.halted {
        reasons.push("history was rolled back: serving has stopped, officers must decide".to_owned());
    }
    if state.closing {
        reasons.push("the keeper is ending".to_owned());
    }
    let silent = Duration::from_millis(state.token_silent_ms);
    if silent > TOKEN_SILENCE_MAX {
        reasons.push(format!("the token has not answered for {} s", silent.as_secs()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_protocol::{bytes::Digest, schema::Schema};

    const FACTS: Facts = Facts {
        now_s: 1_000,
        uptime_ms: 60_000,
        silent_ms: 900,
        certificate_not_after_s: 2_000,
        crl_next_update_s: Some(1_500),
    };

    fn state() -> KeeperState {
        KeeperState {
            schema: Schema,
            version: String::new(),
            uptime_ms: 1,
            policy: Digest::new([0; 32]),
            development: false,
            halted: false,
            closing: false,
            leaves: 1,
            checkpoint_size: 1,
            checkpoint_age_ms: 1,
            token_silent_ms: 999,
            queue_len: 0,
            jobs_overdue: 0,
        }
    }

    #[test]
    fn a_service_in_order_has_no_reason() {
        assert_eq!(reasons(&FACTS, &Keeper::Answers(state())), [""; 0]);
        assert_eq!(dead(&FACTS), None);
    }

    #[test]
    fn each_thing_out_of_order_is_a_reason_of_its_own() {
        let halted = KeeperState { halted: true, closing: true, token_silent_ms: 7_400, ..state() };
        let facts = Facts { now_s: 3_000, silent_ms: 6_000, ..FACTS };
        let said = reasons(&facts, &Keeper::Answers(halted));
        assert_eq!(said.len(), 6, "{said:#?}");
        assert!(said.iter().any(|reason| reason == "the token has not answered for 7 s"));
        assert!(dead(&facts).unwrap().contains("6 s"));
        for keeper in [Keeper::Away(None), Keeper::Silent, Keeper::Foreign] {
            assert_eq!(reasons(&FACTS, &keeper).len(), 1);
        }
        let end =
            LastEnd { exit: 10, reason: "a fault of the token (away)".to_owned(), ..LastEnd::default() };
        assert_eq!(
            reasons(&FACTS, &Keeper::Away(Some(end))),
            ["the keeper is not there: it ended with code 10: a fault of the token (away)"]
        );
    }
}
