//! What people write: founding files, card profiles, policies.

use super::wire::strict;
use keysvc_policies::{
    ContextFacts, PolicySet, PrincipalFacts, Question, QuorumFacts, ResourceFacts, SITE_FILE_BYTES_MAX,
};
use keysvc_protocol::{
    cbor,
    founding::{Founding, Profile},
};

/// A founding file: what is read can be written and read again, and an officer's signature over other bytes is none.
pub(super) fn founding(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(founding) = toml::from_str::<Founding>(text) else { return false };
    let written = toml::to_string(&founding).expect("a founding can be written");
    assert_eq!(
        toml::from_str::<Founding>(&written).as_ref(),
        Ok(&founding),
        "a founding is written otherwise"
    );
    if let Err(fault) = founding.check() {
        assert!(!fault.place.is_empty() && !fault.mend.is_empty(), "a fault without place or mend");
        return false;
    }
    for officer in founding.officers.iter().take(4) {
        let agreement = Founding::agreement(bytes, &officer.name);
        assert!(
            founding.verify_agreement(bytes, officer, &agreement).is_err(),
            "an agreement without signature"
        );
    }
    for profile in &founding.profiles {
        assert_eq!(profile.check_form(), Ok(()), "a founding is good and its profile is not");
    }
    true
}

/// A profile's file, and the same on the wire.
pub(super) fn profile(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).ok();
    let read =
        text.and_then(|text| toml::from_str::<Profile>(text).ok()).or_else(|| strict::<Profile>(bytes));
    let Some(profile) = read else { return false };
    if profile.check_form().is_err() {
        return false;
    }
    let encoded = cbor::encode(&profile);
    assert_eq!(strict::<Profile>(&encoded).as_ref(), Some(&profile), "a profile travels otherwise");
    let written = toml::to_string(&profile).expect("a profile can be written");
    assert_eq!(toml::from_str::<Profile>(&written).as_ref(), Ok(&profile), "a profile is written otherwise");
    for vector in &profile.vectors {
        assert!(vector.read().is_some(), "a good profile has a vector that does not read");
    }
    true
}

/// A policy's text, as a proposal of officers brings it: what is taken can decide, and keeps its digest.
pub(super) fn policy(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(policies) = PolicySet::from_files(&[("site.cedar", text)]) else { return false };
    assert!(
        u64::try_from(text.len()).is_ok_and(|len| len <= SITE_FILE_BYTES_MAX),
        "a policy file over its limit"
    );
    let files: Vec<_> = policies.files().collect();
    let again = PolicySet::from_files(&files).expect("what was taken is taken again");
    assert_eq!(again.digest(), policies.digest(), "a set has two digests");
    let question = Question {
        principal: PrincipalFacts {
            id: "s1",
            kind: "station",
            organisation: "bureau",
            department: "production",
            capabilities: &[],
        },
        action: "card.derive",
        resource: ResourceFacts::Profile { name: "fob" },
        context: ContextFacts::CardDerive { cards: 1, slots: 3, generation: 1, development: false },
        quorum: QuorumFacts::NONE,
    };
    let (once, twice) = (policies.decide(&question), again.decide(&question));
    assert_eq!(format!("{once:?}"), format!("{twice:?}"), "one set decides twice");
    true
}
