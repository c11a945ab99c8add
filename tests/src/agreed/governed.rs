//! Requests about what a site is governed by: card profiles, policies and the record of ceremonies; and what is in force
//! of them.
//!
//! Apart from the other requests because each carries a document. Key import is [`crate::custody`]'s.

use super::{idem, name, reason};
use crate::raw::Caller;
use keysvc_policies::PolicySet;
use keysvc_protocol::{
    bytes::{Blob, Digest},
    founding::Profile,
    list::List,
    refusal::Refusal,
    reply::ProfileReply,
    request::{
        Operation, PolicyDifference, PolicyFile, PolicyProof, ProposePolicy, PutProfile, ReadProfile,
        RecordCeremony,
    },
    schema::Schema,
};

/// `profile.put`.
#[must_use]
pub fn put(profile: &Profile) -> PutProfile {
    PutProfile { schema: Schema, idem: idem(), profile: profile.clone(), reason: reason() }
}

/// `profile.get`; the newest version where none is given.
///
/// # Errors
/// The [`Refusal`].
pub fn profile(reader: &mut Caller, profile: &str, version: Option<u32>) -> Result<ProfileReply, Refusal> {
    reader.ask(Operation::ProfileGet, &ReadProfile { schema: Schema, name: name(profile), version })
}

/// The newest version of a profile as its next one.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn next_version(reader: &mut Caller, of: &str) -> Profile {
    let mut next = profile(reader, of, None).unwrap().profile;
    next.version += 1;
    next
}

/// `policy.propose` of files as they are, with this digest, and with findings that nobody made.
///
/// # Panics
/// When they do not fit a request.
#[must_use]
pub fn propose_files(files: &[(&str, &[u8])], policy: Digest) -> ProposePolicy {
    let file = |(file, text): &(&str, &[u8])| PolicyFile {
        name: name(file),
        text: Blob::try_from(text.to_vec()).unwrap(),
    };
    let report = Digest::new([5; 32]);
    ProposePolicy {
        schema: Schema,
        idem: idem(),
        policy,
        files: List::try_from(files.iter().map(file).collect::<Vec<_>>()).unwrap(),
        difference: PolicyDifference { cases: 1, changed: 0, report, lines: List::default() },
        proof: PolicyProof {
            solver: "nobody's".parse().unwrap(),
            theorems: 1,
            environments: 1,
            load_max: 100_000,
            report,
        },
        reason: reason(),
        replay: None,
    }
}

/// The same of one good file, with the digest it has.
///
/// # Panics
/// When it does not load.
#[must_use]
pub fn propose_policy(site_cedar: &str) -> ProposePolicy {
    let set = PolicySet::from_files(&[("site.cedar", site_cedar)]).unwrap();
    propose_files(&[("site.cedar", site_cedar.as_bytes())], Digest::new(set.digest()))
}

/// `ceremony.record` of something that these people did.
///
/// # Panics
/// With more than 16 people.
#[must_use]
pub fn record_ceremony(people: &[&str]) -> RecordCeremony {
    RecordCeremony {
        schema: Schema,
        idem: idem(),
        title: reason(),
        plan: Digest::new([1; 32]),
        transcript: Digest::new([2; 32]),
        people: List::try_from(people.iter().map(|person| name(person)).collect::<Vec<_>>()).unwrap(),
    }
}
