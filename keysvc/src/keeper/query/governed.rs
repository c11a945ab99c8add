//! Reads about what a site is governed by: the card profiles in use and the policies in force.

use super::{Query, View};
use crate::{
    error::{Fault, NotDone},
    keeper::gate::Permit,
};
use keysvc_protocol::{
    cbor::REPLY_LEN_MAX,
    control::InUse,
    list::List,
    name::Name,
    refusal::{Invalid, Refusal, Thing},
    reply::{PolicyReply, PolicyText, ProfileListReply, ProfileReply, ProfileView},
    request::{ListProfiles, ReadPolicy, ReadProfile},
    schema::Schema,
};

/// Entries of one reply of `profile.list`.
const PAGE: usize = 64;
/// Bytes of a reply kept free for what is around the policies.
const REPLY_REST: usize = 16 * 1024;

impl Query for ReadProfile {
    type Reply = ProfileReply;

    fn answer(permit: &Permit<Self>, view: &View<'_>) -> Result<ProfileReply, NotDone> {
        let (asked, profiles) = (permit.action(), view.control.profiles());
        let newest = profiles.newest(&asked.name);
        let found = match asked.version {
            Some(version) => profiles.get(&asked.name, version),
            None => newest,
        };
        let InUse { profile, leaf } = found.ok_or(Refusal::NotFound { what: Thing::Profile })?;
        let newest = newest.is_some_and(|newest| newest.profile.version == profile.version);
        Ok(ProfileReply { schema: Schema, profile: profile.clone(), leaf: *leaf, newest })
    }
}

impl Query for ListProfiles {
    type Reply = ProfileListReply;

    fn answer(permit: &Permit<Self>, view: &View<'_>) -> Result<ProfileListReply, NotDone> {
        let too_long = |_| Fault::Invariant("a list is longer than its reply");
        let views = page(view.control.profiles().iter(), permit.action().after.as_ref());
        let views = views.into_iter().map(|InUse { profile, leaf }| {
            Ok(ProfileView {
                name: profile.name.clone(),
                version: profile.version,
                family: profile.family,
                functions: List::try_from(profile.functions.clone()).map_err(too_long)?,
                leaf: *leaf,
            })
        });
        let views = views.collect::<Result<Vec<_>, Fault>>()?;
        let profiles =
            List::try_from(views).map_err(|_| Fault::Invariant("a list is longer than its reply"))?;
        Ok(ProfileListReply { schema: Schema, profiles })
    }
}

/// The profiles of one reply: whole names, for whoever pages on asks by name. Of a profile with more versions than a reply
/// holds the newest are given.
fn page<'a>(profiles: impl Iterator<Item = &'a InUse>, after: Option<&Name>) -> Vec<&'a InUse> {
    let mut later: Vec<_> =
        profiles.filter(|in_use| after.is_none_or(|after| in_use.profile.name > *after)).collect();
    let Some(first) = later.first().map(|in_use| in_use.profile.name.clone()) else { return later };
    let of_first = later.iter().take_while(|in_use| in_use.profile.name == first).count();
    if of_first > PAGE {
        return later.drain(of_first.saturating_sub(PAGE)..of_first).collect();
    }
    if let Some(next) = later.get(PAGE).map(|in_use| in_use.profile.name.clone()) {
        later.truncate(PAGE);
        later.retain(|in_use| in_use.profile.name != next);
    }
    later
}

impl Query for ReadPolicy {
    type Reply = PolicyReply;

    fn answer(_: &Permit<Self>, view: &View<'_>) -> Result<PolicyReply, NotDone> {
        let (policies, in_force) = (view.control.policies(), &view.policies);
        let len = in_force
            .files()
            .fold(0_usize, |len, (name, text)| len.saturating_add(name.len()).saturating_add(text.len()));
        // Only a folder of the founding's can be so large; what people put in force later fits its proposal.
        let too_long = Refusal::Invalid { reason: Invalid::TooLong };
        if len > REPLY_LEN_MAX.saturating_sub(REPLY_REST) {
            return Err(too_long.into());
        }
        let files = in_force.files().map(|(name, text)| PolicyText { name: name.into(), text: text.into() });
        Ok(PolicyReply {
            schema: Schema,
            policy: *policies.digest(),
            leaf: policies.leaf(),
            files: List::try_from(files.collect::<Vec<_>>()).map_err(|_| too_long)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_protocol::founding::{CardFamily, Function, InputPart, Profile, Scheme};

    fn versions(name: &str, count: u32) -> Vec<InUse> {
        let profile = |version| Profile {
            name: name.parse().unwrap(),
            version,
            family: CardFamily::DesfireEv3,
            scheme: Scheme::An10922Aes128,
            input: vec![InputPart::Uid],
            system_identifier: String::new(),
            slots: vec![],
            functions: vec![Function::Membership],
            vectors: vec![],
            value: None,
            pipeline: 8,
            unit_cost: 0,
        };
        (1..=count).map(|version| InUse { profile: profile(version), leaf: 0 }).collect()
    }

    fn pages(all: &[InUse]) -> Vec<Vec<String>> {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let page = page(all.iter(), after.as_ref());
            let Some(last) = page.last() else { return pages };
            after = Some(last.profile.name.clone());
            let say = |one: &&InUse| format!("{}{}", one.profile.name, one.profile.version);
            pages.push(page.iter().map(say).collect());
        }
    }

    #[test]
    fn pages_hold_whole_profiles_so_that_none_of_their_versions_is_passed_over() {
        let all = [versions("a", 40), versions("b", 30), versions("c", 34), versions("d", 1)].concat();
        let pages = pages(&all);
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [40, 64, 1]);
        assert_eq!(pages.concat().len(), all.len());
        assert!(self::pages(&[]).is_empty());
    }

    #[test]
    fn of_a_profile_with_more_versions_than_a_page_holds_the_newest_are_given() {
        let all = [versions("a", 70), versions("b", 1)].concat();
        let pages = pages(&all);
        assert_eq!((pages[0].len(), pages[0][0].as_str(), pages[0][63].as_str()), (64, "a7", "a70"));
        assert_eq!(pages[1], ["b1"]);
    }
}
