//! Why a command gave no result: what failed, why, what to do next, and the exit code.

use crate::advice;
use keysvc_client::ClientError;
use std::{io, path::PathBuf};

/// Why a command gave no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The command line, the configuration or an input file is wrong.
    #[error("{what}")]
    Usage {
        /// What is wrong.
        what: String,
        /// The mend.
        next: String,
    },
    /// The person did not agree.
    #[error("nothing was signed: you did not type yes")]
    Declined,
    /// The person typed another digest than the proposal's.
    #[error("nothing was signed: that is not how the digest begins")]
    OtherDigest,
    /// The person typed another check value than the component's.
    #[error("nothing was given: that is not how the check value begins")]
    OtherCheckValue,
    /// A ceremony is interrupted on purpose.
    #[error("the ceremony is interrupted after step {step}, as its answers say")]
    Interrupted {
        /// The last step that is recorded.
        step: u16,
    },
    /// A request became a proposal.
    #[error("not done: proposal {id} is {state}")]
    Waits {
        /// The proposal.
        id: String,
        /// Where it stands, in words.
        state: String,
        /// Whether something may still come of it.
        waits: bool,
        /// What brings it on.
        next: String,
    },
    /// A call of the client library failed.
    #[error("cannot {doing}: {source}")]
    Client {
        /// What was being done: a verb and its object.
        doing: &'static str,
        /// Why it failed.
        source: Box<ClientError>,
        /// What to do next.
        next: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An update is signed and in the log, but its record is not written.
    #[error("the update is signed and in the log, but {fault}")]
    Unwritten {
        /// Why the record is not written.
        fault: Box<Fault>,
        /// How it is written.
        next: String,
    },
    /// A file does not verify.
    #[error("{} proves nothing: {why}", path.display())]
    Unproved {
        /// The file.
        path: PathBuf,
        /// The first check that failed.
        why: String,
        /// What to do next.
        next: String,
    },
    /// Policies that are not to be put into force as they are, or of which somebody else found something else.
    #[error("{what}")]
    Unsound {
        /// What is wrong with them.
        what: String,
        /// What to do next.
        next: String,
    },
    /// The solver is missing or cannot be used.
    #[error("{what}")]
    NoSolver {
        /// What is wrong with it.
        what: String,
        /// What to do next.
        next: String,
    },
    /// Some of a batch's updates are done and some are not.
    #[error("{}", undone(*.refused, *.unproved, *.pending, *.of))]
    Partly {
        /// How many were refused.
        refused: usize,
        /// How many came back without proof.
        unproved: usize,
        /// How many take people first.
        pending: usize,
        /// How many there were.
        of: usize,
        /// What to do next.
        next: String,
    },
    /// Something about a job that is not done, though nothing failed: it takes people, a machine or another state first.
    #[error("{what}")]
    Undone {
        /// What is not done, and why.
        what: String,
        /// The exit code.
        code: u8,
        /// What to do next.
        next: String,
    },
    /// Some of the doctor's checks are bad.
    #[error("{what}")]
    Unwell {
        /// The sum in words.
        what: String,
        /// The exit code of the worst.
        code: u8,
    },
    /// The runtime does not start.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
}

fn undone(refused: usize, unproved: usize, pending: usize, of: usize) -> String {
    let waiting = if pending == 0 { String::new() } else { format!(", {pending} wait for people") };
    match unproved {
        0 => format!("{refused} of {of} updates refused{waiting}; the others are done"),
        _ => format!("{refused} of {of} updates refused{waiting}, and {unproved} came back without proof"),
    }
}

impl Fault {
    /// A wrong command line, configuration or input file.
    pub(crate) fn usage(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), next: next.into() }
    }

    /// Policies that are not to be put into force as they are.
    pub(crate) fn unsound(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Unsound { what: what.into(), next: next.into() }
    }

    /// A failed call, with the advice that fits every command.
    pub(crate) fn client(doing: &'static str, source: ClientError) -> Self {
        let next = advice::after(&source);
        Self::Client { doing, source: Box::new(source), next }
    }

    /// The same failure, with better advice.
    pub(crate) fn advised(self, advice: impl FnOnce(&ClientError) -> Option<String>) -> Self {
        match self {
            Self::Client { doing, source, next } => {
                let next = advice(&source).unwrap_or(next);
                Self::Client { doing, source, next }
            }
            other => other,
        }
    }

    /// The exit code, as the help lists them.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            Self::Declined
            | Self::OtherDigest
            | Self::OtherCheckValue
            | Self::Waits { waits: false, .. }
            | Self::Partly { unproved: 0, refused: 1.., .. } => 3,
            Self::Waits { .. } | Self::Interrupted { .. } | Self::Partly { unproved: 0, .. } => 5,
            Self::Client { source, .. } => source.exit_code(),
            Self::Unwell { code, .. } | Self::Undone { code, .. } => *code,
            Self::Unwritten { fault, .. } => fault.exit_code(),
            Self::File { .. } | Self::NoSolver { .. } => 4,
            Self::Partly { .. } | Self::Unproved { .. } | Self::Unsound { .. } => 6,
            Self::Runtime(_) | Self::Output(_) => 1,
        }
    }

    /// What to do next.
    pub(crate) fn next(&self) -> &str {
        match self {
            Self::Usage { next, .. }
            | Self::Client { next, .. }
            | Self::Unwritten { next, .. }
            | Self::Unproved { next, .. }
            | Self::Unsound { next, .. }
            | Self::NoSolver { next, .. }
            | Self::Undone { next, .. }
            | Self::Waits { next, .. }
            | Self::Partly { next, .. } => next,
            Self::Declined => {
                "read the file again; when it is right, run the same command again and type yes"
            }
            Self::OtherDigest => {
                "compare the digest with the others who sign it; if it differs, sign nothing and tell the officers"
            }
            Self::Interrupted { .. } => "run the same command again: it goes on with the next step",
            Self::Unwell { .. } => "do what each line says, then run `fobctl doctor` again",
            Self::OtherCheckValue => {
                "check the form with `fobctl component check`; if its check value is another, tell the officers"
            }
            Self::File { .. } => "correct the path or its rights, then run the same command again",
            Self::Runtime(_) => "free memory and file descriptors, then run the same command again",
            Self::Output(_) => "free the output, then run the same command again",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_client::protocol::{
        bytes::Idem,
        refusal::{Refusal, RefusalReply, RequestId},
    };

    fn refused(refusal: Refusal) -> Fault {
        let reply = RefusalReply::new(refusal, RequestId(Idem::new([7; 16])));
        Fault::client("load", ClientError::Refused(Box::new(reply)))
    }

    #[test]
    fn each_fault_ends_the_program_with_its_documented_code() {
        let file = Fault::File { doing: "read", path: "f".into(), source: io::ErrorKind::NotFound.into() };
        assert_eq!(Fault::usage("w", "n").exit_code(), 2);
        assert_eq!(Fault::Declined.exit_code(), 3);
        assert_eq!(refused(Refusal::Forbidden).exit_code(), 3);
        assert_eq!(refused(Refusal::Busy).exit_code(), 4);
        assert_eq!(refused(Refusal::CounterConflict { expected_seq: 2 }).exit_code(), 7);
        assert_eq!(Fault::client("read", ClientError::Malformed { what: "w".into() }).exit_code(), 6);
        assert_eq!(file.exit_code(), 4);
        let partly = |unproved| Fault::Partly { refused: 1, unproved, pending: 0, of: 3, next: "n".into() };
        assert_eq!((partly(0).exit_code(), partly(1).exit_code()), (3, 6));
        assert_eq!(partly(0).to_string(), "1 of 3 updates refused; the others are done");
        let waiting = Fault::Partly { refused: 0, unproved: 0, pending: 2, of: 3, next: "n".into() };
        assert_eq!(waiting.exit_code(), 5);
        assert_eq!(waiting.to_string(), "0 of 3 updates refused, 2 wait for people; the others are done");
        assert_eq!(Fault::OtherDigest.exit_code(), 3);
        assert_eq!(Fault::Output(io::ErrorKind::StorageFull.into()).exit_code(), 1);
    }

    #[test]
    fn a_fault_says_what_failed_and_why() {
        let text = refused(Refusal::Forbidden).to_string();
        assert!(
            text.starts_with("cannot load: the service refused: the policies do not allow this"),
            "{text}"
        );
    }

    #[test]
    fn better_advice_replaces_the_general_one() {
        let advised = refused(Refusal::Forbidden).advised(|_| Some("ask alice".into()));
        assert_eq!(advised.next(), "ask alice");
        let kept = refused(Refusal::IdemConflict).advised(|_| None);
        assert!(kept.next().starts_with("run the same command without --txn"), "{}", kept.next());
    }
}
