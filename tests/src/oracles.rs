//! What must hold of every parser of outside bytes, whatever the bytes: one plain function for each parser.
//!
//! The fuzz targets under `fuzz/` run them on a nightly compiler for as long as one likes; `tests/tests/corpus.rs` runs
//! them on the seeds and the findings, in every run of the suite. An oracle panics where the parser is wrong, and says
//! otherwise whether the bytes were accepted, so that a seed which no longer says anything is noticed. Time and memory
//! are whoever runs them to bound. docs/fuzzing.md has the list for people.
//!
//! `fuzz/src/lib.rs` reads this file by its path: so each module says where it lies, and nothing here names another part
//! of this crate.

#[path = "oracles/client.rs"]
mod client;
#[path = "oracles/deterministic.rs"]
pub mod deterministic;
#[path = "oracles/files.rs"]
mod files;
#[path = "oracles/history.rs"]
mod history;
#[path = "oracles/network.rs"]
mod network;
#[path = "oracles/signed.rs"]
mod signed;
#[path = "oracles/text.rs"]
mod text;
#[path = "oracles/wire.rs"]
mod wire;

/// The parsers of one kind of bytes, and what must hold of them.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: that of the fuzz target and of its folder of seeds.
    pub name: &'static str,
    /// What the bytes are, in words.
    pub what: &'static str,
    /// Longest input that makes sense to try, in bytes.
    pub len_max: usize,
    /// Whether the bytes were accepted. Panics where something does not hold.
    pub accepts: fn(&[u8]) -> bool,
}

/// Bytes that hold one message: the largest golden one has 2.3 KiB.
const MESSAGE_LEN_MAX: usize = 4 * 1024;
/// Texts of a screen or two: a founding file of the tests has 3 KiB, the shipped policies 11 KiB.
const TEXT_LEN_MAX: usize = 16 * 1024;

const fn target(
    name: &'static str,
    what: &'static str,
    len_max: usize,
    accepts: fn(&[u8]) -> bool,
) -> Target {
    Target { name, what, len_max, accepts }
}

/// All of them.
pub const TARGETS: [Target; 20] = [
    target(
        "requests",
        "the body of an HTTP request, and in it any operation's request and its sentence for officers",
        MESSAGE_LEN_MAX,
        wire::requests,
    ),
    target("replies", "what the service answers, as clients read it", MESSAGE_LEN_MAX, wire::replies),
    target("leaves", "an entry of the log, and any leaf's payload", MESSAGE_LEN_MAX, wire::leaves),
    target("signed", "COSE_Sign1 of any kind, and what each kind signs", MESSAGE_LEN_MAX, signed::signed),
    target(
        "value_update",
        "a value update, by the smallest terminals' reader and by the other one",
        512,
        signed::value_update,
    ),
    target("public_key", "a public key and a signature, by both libraries", 512, signed::public_key),
    target("checkpoint", "a signed note", 4 * 1024, signed::checkpoint),
    target("bundle", "a trust bundle and its file", MESSAGE_LEN_MAX, files::bundle),
    target("proposal", "a proposal, an approval, and the evidence of both", MESSAGE_LEN_MAX, files::proposal),
    target("export", "hash tiles, entry bundles and payload files of an export", 16 * 1024, files::export),
    target("history", "the leaves of a log, as an auditor follows them", 8 * 1024, history::history),
    target("transcript", "the transcript and the plan of a ceremony", TEXT_LEN_MAX, files::transcript),
    target("founding", "a founding file and an officer's signature over it", TEXT_LEN_MAX, text::founding),
    target("profile", "a card profile's file", 4 * 1024, text::profile),
    target("policy", "the text of a policy", TEXT_LEN_MAX, text::policy),
    target("link", "frames between front and keeper, in both directions", MESSAGE_LEN_MAX, network::link),
    target("head", "the head of an HTTP request, beside the library behind it", 9 * 1024, network::head),
    target("certificate", "a client's certificate: whom it names", 4 * 1024, network::certificate),
    target("revocation", "a revocation list, as a start and a reload read it", 4 * 1024, network::revocation),
    target(
        "client_files",
        "a client's trust file, configuration and kept state, and a custodian's component",
        8 * 1024,
        client::files,
    ),
];

/// The target of this name.
#[must_use]
pub fn named(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
