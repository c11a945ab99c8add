//! What to do next after a failed call, in words: a line for each error of the client and each refusal of the service.
//!
//! Apart from [`crate::fault`] because it is a text to read, not a mechanism. Commands that know more replace it.

use keysvc_client::{
    ClientError, TokenError,
    protocol::{
        freeze::ScopeKind,
        refusal::{Conflict, Forbids, Invalid, Refusal, Thing, Uncounted},
    },
};

/// What to do after a failed call.
pub(crate) fn after(error: &ClientError) -> String {
    match error {
        ClientError::Refused(reply) => after_refusal(&reply.refusal),
        ClientError::Authentication { .. } => {
            "compare certificate, key and ca in the configuration with the enrolment (`fobctl context \
             show` names them); ask an officer"
                .to_owned()
        }
        ClientError::Unreachable { .. } => {
            "correct endpoint in the configuration, or run `keysvc doctor` on the service's host; then run \
             this again"
                .to_owned()
        }
        ClientError::Timeout { .. } => "run `fobctl status`, then the same command again".to_owned(),
        ClientError::Malformed { .. }
        | ClientError::Untrusted { .. }
        | ClientError::Delivery(_)
        | ClientError::NotSigned(_) => {
            "use nothing of the answer, keep the state folder as evidence, and tell the officers".to_owned()
        }
        ClientError::Bundle(_) => {
            "do not take this record; fetch the trust bundle in force with `fobctl terminal bundle`, then \
             verify it again"
                .to_owned()
        }
        ClientError::Pending(pending) => {
            format!("officers read and approve it with `fobctl proposal approve {}`", pending.id)
        }
        ClientError::NotApprovable(_) => {
            "sign it with no other program; tell the other officers, and compare the versions with `fobctl \
             --version`"
                .to_owned()
        }
        ClientError::Token(TokenError::WrongPin { .. }) => {
            "check the PIN before you run it again: a card locks after a few wrong ones".to_owned()
        }
        ClientError::Token(TokenError::PinLocked { .. }) => {
            "have the card unlocked by who issued it; another officer may act meanwhile".to_owned()
        }
        ClientError::Token(_) => {
            "check module and label under [token] in the configuration, and the PIN".to_owned()
        }
        ClientError::Request { .. } => "correct the command; `fobctl help` lists them all".to_owned(),
        ClientError::Config(_) => "correct the configuration or the file it names".to_owned(),
        ClientError::State { .. } => "mend what is named, then run the same command again".to_owned(),
    }
}

const EXCHANGE_UNKNOWN: &str = "run the same command again: it asks for the session's key again; if it stays so, two \
                                operators open the job again: `fobctl job open JOB --operator CONTEXT --operator CONTEXT`";
const RESULT_PENDING: &str =
    "give the results of the cards in hand first: `fobctl job run JOB` goes on with them";
const PURGE_PENDING: &str = "close the job that this station still holds, which `fobctl job list` names: `fobctl job close \
                             JOB --witness CONTEXT`";
const SAME_PERSON: &str = "have somebody else do it: one person counts once, and whoever put a job together or operated it \
                           may not look over themselves";
const TOKEN_AWAY: &str = "run the same command again in a few seconds, the service looks for its token by itself; if it \
                          stays so, run `keysvc doctor` on the service's host";
const STORE_AWAY: &str = "run the same command again in a few seconds; if it stays so, look at the disk and run `keysvc \
                          doctor` on the service's host";

/// What would be enough, and the next command.
pub(crate) fn after_refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Unauthenticated => {
            "have an officer compare the certificate's key with the enrolment; `fobctl context show` names \
             its file"
                .to_owned()
        }
        Refusal::Forbidden => {
            "run it as someone the policies allow (`fobctl context list`), or ask the officers".to_owned()
        }
        Refusal::NotFound { what } => after_not_found(*what).to_owned(),
        Refusal::Invalid { reason } => after_invalid(*reason).to_owned(),
        Refusal::ProfileForbids { reason } => after_forbids(reason),
        Refusal::IdemConflict => {
            "run the same command without --txn for a new transaction; with it, change nothing else"
                .to_owned()
        }
        Refusal::ExchangeUnknown => EXCHANGE_UNKNOWN.to_owned(),
        Refusal::ResultPending => RESULT_PENDING.to_owned(),
        Refusal::PurgePending => PURGE_PENDING.to_owned(),
        Refusal::CounterConflict { expected_seq } => {
            format!("read the card again, then send sequence number {expected_seq}")
        }
        Refusal::BalanceMismatch { balance } => {
            format!("read the card again, then send the balance on record, {balance} minor units")
        }
        Refusal::LimitExceeded { limit } => {
            format!("ask for at most {limit}; the card profile sets it (`fobctl profile get NAME`)")
        }
        Refusal::HistoryRolledBack => {
            "do not use the service; keep the state folder (`fobctl context show` names it) as evidence, \
             and tell the officers at once"
                .to_owned()
        }
        Refusal::Busy => {
            "run the same command again in a few seconds; if it stays so, there is more work than the \
             service takes"
                .to_owned()
        }
        Refusal::TokenUnavailable => TOKEN_AWAY.to_owned(),
        Refusal::StoreUnavailable => STORE_AWAY.to_owned(),
        Refusal::StateConflict { reason } => after_conflict(*reason).to_owned(),
        Refusal::ApprovalInvalid { reason } => after_uncounted(*reason).to_owned(),
        Refusal::Expired => "ask for it again; the new proposal has a new identifier".to_owned(),
        Refusal::SamePerson => SAME_PERSON.to_owned(),
        Refusal::Frozen { scope } => {
            let scope =
                if *scope == ScopeKind::All { "all".to_owned() } else { format!("{} NAME", scope.name()) };
            format!(
                "officers see why with `fobctl freeze list`; two of them let it go on with `fobctl freeze lift {scope} \
                 --reason REASON`"
            )
        }
        Refusal::ApprovalRequired { proposal, .. } => {
            format!("officers read and approve it with `fobctl proposal approve {proposal}`")
        }
        Refusal::Internal => {
            "run the same command again in a few seconds; if it stays so, give the request number to the \
             platform's operator, who finds it in the service's log"
                .to_owned()
        }
    }
}

const fn after_not_found(what: Thing) -> &'static str {
    match what {
        Thing::Operation => "compare the versions: `fobctl --version` and `fobctl status`",
        Thing::Key => "see the keys with `fobctl key list`",
        Thing::Programme => "give --programme as the founding file names it",
        Thing::Profile => "see the card profiles and their versions with `fobctl profile list`",
        Thing::Slot => "see how the profile numbers its slots with `fobctl profile get NAME`",
        Thing::Proposal => "see the open ones with `fobctl proposal list`, all with --all",
        Thing::Principal => "see who is enrolled with `fobctl principal list`",
        Thing::Freeze => "see what is stopped with `fobctl freeze list`, and name exactly that scope",
        Thing::Job => "see the jobs with `fobctl job list`, the purged ones too with --purged",
        Thing::Card => "compare the UID with the card: the registry has not met this one",
        Thing::Item => "put the card aside: it is not on the job's list",
        Thing::Leaf | Thing::Tree => "see the size of the log with `fobctl status`; leaves count from 0",
    }
}

const fn after_invalid(reason: Invalid) -> &'static str {
    match reason {
        Invalid::ZeroAmount => "give --amount above 0",
        Invalid::Items => "name at least one, and none twice",
        Invalid::Range => "ask for a range that ends after it begins and is not longer than one call gives",
        Invalid::TooLong => "ask for less in one command",
        Invalid::Signature => {
            "use the statement key that is enrolled: `fobctl context show` names the one in use; ask an \
             officer"
        }
        Invalid::Seen => {
            "the state folder holds another service's checkpoint: check trust and state in the \
             configuration with `fobctl context show`"
        }
        Invalid::Keys => {
            "compare the enrolment file with the kind of principal: stations, terminals and officers sign, and \
             stations alone have a wrapping key"
        }
        Invalid::Need => {
            "give two people or more, no fewer than the floor in `fobctl quorum show`, and no more than there are \
             officers and departments"
        }
        Invalid::Time => "compare this machine's clock and the service's with a good one",
        Invalid::Custodian => {
            "name officers or operators with a statement key as custodians (`fobctl principal list` shows them)"
        }
        Invalid::Component => {
            "compare the form with its check value (`fobctl component check`), and its number with the plan; then \
             enter it again"
        }
        Invalid::ComponentEqual => {
            "two components are the same: nobody may hold what another holds; make new ones with `fobctl component \
             generate`, and ask for the import again"
        }
        Invalid::Combined => {
            "the check value of the whole key was ordered wrong, or the forms belong to different keys: compare them \
             with the plan, and ask for the import again"
        }
        Invalid::Profile => {
            "check the file with `fobctl profile check FILE`, and its keys with `fobctl key list`"
        }
        Invalid::GoldenVector => {
            "compare the golden vectors with the card maker's: another key, input or system identifier gives others"
        }
        Invalid::Policy => "check the folder with `fobctl policy check DIR`, and propose it again",
        Invalid::LocksOut => {
            "let officers change them again: permit `policy.propose`, `proposal.get` and `proposal.approve` to them \
             whoever one of them is and however many there are, and run `fobctl policy check DIR`"
        }
        Invalid::Job => {
            "correct the form: profile, station, counts and due must agree with each other and with the site (`fobctl \
             job new` explains each)"
        }
        Invalid::Manifest => {
            "compare head and root with who made the job (`fobctl job show JOB`); what is to be changed takes a new job"
        }
        Invalid::ReadBack => "read the card again, and reject it if it stays so: it does not hold its keys",
        Invalid::Http | Invalid::Encoding | Invalid::NotSigned => {
            "compare the versions: `fobctl --version` and `fobctl status`"
        }
    }
}

const fn after_conflict(reason: Conflict) -> &'static str {
    match reason {
        Conflict::KeyState { .. } => "see the keys' states with `fobctl key list`",
        Conflict::ProposalEnded => {
            "see how it ended with `fobctl proposal show ID`; ask for it again if it is still wanted"
        }
        Conflict::ProposalOpen => "see what is still needed with `fobctl proposal show ID`",
        Conflict::NameTaken => "choose another name: one that was used is never used again",
        Conflict::KeyTaken => "make a new key: one that was enrolled is never enrolled again",
        Conflict::TooFewOfficers => "enrol another officer first: two must be left",
        Conflict::Waiting => {
            "wait for it, or withdraw it with `fobctl proposal cancel ID`; `fobctl proposal list --all` shows it"
        }
        Conflict::Disabled => {
            "two officers can enable it again: `fobctl principal enable NAME --reason REASON`"
        }
        Conflict::Precondition => "read the state as it is now, and ask for it again if it is still wanted",
        Conflict::ClockDisputed => {
            "compare the service's clock with a good one, then two officers state it: `fobctl clock confirm`"
        }
        Conflict::Full => "remove what is not needed any more, or end open proposals, first",
        Conflict::Version { .. } => {
            "take the newest version with `fobctl profile get NAME`, raise its version by 1, and put that"
        }
        Conflict::JobState { .. } => "see where it stands with `fobctl job show JOB`, and what comes next",
        Conflict::JobComplete => {
            "give the results that are missing, then count: `fobctl job count JOB` with an operator and a reviewer"
        }
        Conflict::CardState { .. } => "see the card with `fobctl card check UID`, and put it aside",
        Conflict::Generation { .. } => {
            "see the card with `fobctl card check UID`; keys once more take the next generation and two people"
        }
        Conflict::OtherStation => "run it at the job's own station, which `fobctl job show JOB` names",
        Conflict::SessionOver => {
            "two operators begin the next session: `fobctl job open JOB --operator CONTEXT --operator CONTEXT`"
        }
        Conflict::Unbalanced => {
            "count first with `fobctl job count JOB`; a reviewer sees with `fobctl job show JOB` by how much it missed"
        }
        Conflict::OtherJob => "put the card aside: it belongs to another job",
    }
}

const fn after_uncounted(reason: Uncounted) -> &'static str {
    match reason {
        Uncounted::NotAnOfficer | Uncounted::Disabled => {
            "run it as an enabled officer (`fobctl principal list` shows them)"
        }
        Uncounted::OtherCaller => {
            "use the card of the persona that runs it: `fobctl context show` names certificate and token"
        }
        Uncounted::OtherPolicy | Uncounted::OtherRoster => {
            "ask for it again: a proposal dies with the policies and officers it was made under"
        }
        Uncounted::TooFew | Uncounted::BelowFloor => {
            "see what is still needed with `fobctl proposal show ID`; at a station everybody signs whom the act names"
        }
        Uncounted::NotInRole => {
            "have it signed by somebody with the capability (`fobctl principal list` shows them), of a count or incident \
             by an operator of this job first and then by a reviewer"
        }
        Uncounted::OtherAct => "have exactly what is sent signed: `fobctl job agree` takes the same words",
        Uncounted::Stale => {
            "sign again, now: an agreement counts for a quarter of an hour by clocks that agree, and to open, resume or close \
             it is signed after the last session, stop and count"
        }
        Uncounted::UsedBefore => "have it signed again: an agreement serves once",
        Uncounted::CustodiansAlone => {
            "have an officer approve it who holds no component: somebody else is to have looked"
        }
        Uncounted::Form
        | Uncounted::Signature
        | Uncounted::OtherProposal
        | Uncounted::OtherVerdict
        | Uncounted::OtherLog => "compare the versions: `fobctl --version` and `fobctl status`",
    }
}

fn after_forbids(reason: &Forbids) -> String {
    match reason {
        Forbids::ShortUid => "use cards with identifiers of 7 or 10 bytes".to_owned(),
        Forbids::InputLength { .. } => {
            "use a card identifier of the length the profile is made for, or ask the officers for another \
             profile"
                .to_owned()
        }
        Forbids::Currency { expected } => {
            format!("leave --currency out, or give --currency {expected:03}, the programme's")
        }
        Forbids::Purse => "give --purse as the card profile lists them (`fobctl profile get NAME`)".to_owned(),
        Forbids::Function => {
            "use a card whose profile enables stored-value, or have officers put another version of the profile"
                .to_owned()
        }
        Forbids::NotReloadable => {
            "give another card: this purse was loaded once; or have officers put a version of the profile that is \
             reloadable"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_client::protocol::{bytes::ProposalId, card::CardState, cbor, job::JobState, key::KeyState};
    use std::collections::BTreeSet;

    fn conflicts() -> impl Iterator<Item = Conflict> {
        [
            Conflict::KeyState { state: KeyState::Suspended },
            Conflict::ProposalEnded,
            Conflict::ProposalOpen,
            Conflict::NameTaken,
            Conflict::KeyTaken,
            Conflict::TooFewOfficers,
            Conflict::Waiting,
            Conflict::Disabled,
            Conflict::Precondition,
            Conflict::ClockDisputed,
            Conflict::Full,
            Conflict::Version { newest: 2 },
            Conflict::JobState { state: JobState::Draft },
            Conflict::JobComplete,
            Conflict::CardState { state: CardState::Ready },
            Conflict::Generation { newest: 1 },
            Conflict::OtherStation,
            Conflict::SessionOver,
            Conflict::Unbalanced,
            Conflict::OtherJob,
        ]
        .into_iter()
    }

    fn uncounted() -> impl Iterator<Item = Uncounted> {
        [
            Uncounted::Form,
            Uncounted::Signature,
            Uncounted::NotAnOfficer,
            Uncounted::Disabled,
            Uncounted::OtherProposal,
            Uncounted::OtherVerdict,
            Uncounted::OtherCaller,
            Uncounted::OtherPolicy,
            Uncounted::OtherRoster,
            Uncounted::TooFew,
            Uncounted::OtherLog,
            Uncounted::BelowFloor,
            Uncounted::CustodiansAlone,
            Uncounted::NotInRole,
            Uncounted::OtherAct,
            Uncounted::Stale,
            Uncounted::UsedBefore,
        ]
        .into_iter()
    }

    const THINGS: [Thing; 13] = [
        Thing::Operation,
        Thing::Key,
        Thing::Programme,
        Thing::Profile,
        Thing::Slot,
        Thing::Leaf,
        Thing::Tree,
        Thing::Proposal,
        Thing::Principal,
        Thing::Freeze,
        Thing::Job,
        Thing::Card,
        Thing::Item,
    ];
    const REASONS: [Invalid; 23] = [
        Invalid::Http,
        Invalid::TooLong,
        Invalid::Encoding,
        Invalid::NotSigned,
        Invalid::Signature,
        Invalid::Seen,
        Invalid::ZeroAmount,
        Invalid::Items,
        Invalid::Range,
        Invalid::Keys,
        Invalid::Need,
        Invalid::Time,
        Invalid::Custodian,
        Invalid::Component,
        Invalid::ComponentEqual,
        Invalid::Combined,
        Invalid::Profile,
        Invalid::GoldenVector,
        Invalid::Policy,
        Invalid::LocksOut,
        Invalid::Job,
        Invalid::Manifest,
        Invalid::ReadBack,
    ];

    /// Every refusal, with every reason it may have.
    fn refusals() -> Vec<Refusal> {
        let forbids = [
            Forbids::ShortUid,
            Forbids::InputLength { found: 40 },
            Forbids::Currency { expected: 978 },
            Forbids::Purse,
            Forbids::Function,
            Forbids::NotReloadable,
        ];
        let mut all = vec![
            Refusal::Unauthenticated,
            Refusal::Forbidden,
            Refusal::IdemConflict,
            Refusal::ExchangeUnknown,
            Refusal::CounterConflict { expected_seq: 7 },
            Refusal::BalanceMismatch { balance: 1234 },
            Refusal::LimitExceeded { limit: 500 },
            Refusal::HistoryRolledBack,
            Refusal::Busy,
            Refusal::TokenUnavailable,
            Refusal::StoreUnavailable,
            Refusal::Internal,
            Refusal::Expired,
            Refusal::SamePerson,
            Refusal::Frozen { scope: ScopeKind::Terminal },
            Refusal::ApprovalRequired { proposal: ProposalId::new([7; 16]), persons: 2, departments: 1 },
            Refusal::ResultPending,
            Refusal::PurgePending,
        ];
        all.extend(conflicts().map(|reason| Refusal::StateConflict { reason }));
        all.extend(uncounted().map(|reason| Refusal::ApprovalInvalid { reason }));
        all.extend(THINGS.map(|what| Refusal::NotFound { what }));
        all.extend(REASONS.map(|reason| Refusal::Invalid { reason }));
        all.extend(forbids.map(|reason| Refusal::ProfileForbids { reason }));
        all
    }

    #[test]
    fn every_refusal_has_a_next_step_in_words() {
        let all = refusals();
        for refusal in &all {
            let next = after_refusal(refusal);
            assert!(next.len() > 15 && !next.ends_with('.'), "{refusal}: {next}");
            assert!(next.starts_with(|first: char| first.is_ascii_lowercase()), "{refusal}: {next}");
            assert!(!next.contains("  ") && !next.contains('\n'), "{refusal}: {next}");
        }
        // None is missing above: the number after the last is none of the wire's.
        let numbers: BTreeSet<_> = all.iter().map(Refusal::number).collect();
        let count = u8::try_from(numbers.len()).unwrap();
        assert_eq!(numbers, (0..u16::from(count)).collect());
        assert!(cbor::decode::<Refusal>(&[count], 1).is_err());
    }

    #[test]
    fn a_wrong_pin_is_not_tried_again_without_a_look() {
        let wrong = ClientError::Token(TokenError::WrongPin { label: "officer-1".into() });
        assert!(after(&wrong).contains("locks after a few"), "{}", after(&wrong));
        let locked = ClientError::Token(TokenError::PinLocked { label: "officer-1".into() });
        assert!(after(&locked).contains("unlocked"), "{}", after(&locked));
    }

    #[test]
    fn what_would_have_been_enough_is_in_the_next_step() {
        let next = |refusal| after_refusal(&refusal);
        assert!(next(Refusal::CounterConflict { expected_seq: 7 }).contains("sequence number 7"));
        assert!(next(Refusal::BalanceMismatch { balance: 1234 }).contains("1234 minor units"));
        assert!(next(Refusal::LimitExceeded { limit: 500 }).contains("at most 500"));
        assert!(
            next(Refusal::ProfileForbids { reason: Forbids::Currency { expected: 8 } })
                .contains("--currency 008")
        );
    }

    #[test]
    fn what_passes_by_itself_is_tried_again_and_a_rolled_back_history_is_not() {
        for refusal in refusals() {
            let next = after_refusal(&refusal);
            assert_eq!(
                next.starts_with("run the same command again in a few seconds"),
                refusal.retryable(),
                "{refusal}: {next}"
            );
        }
        assert!(after_refusal(&Refusal::HistoryRolledBack).contains("evidence"));
    }
}
