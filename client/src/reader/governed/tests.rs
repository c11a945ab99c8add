//! Proves that lists of profiles are paged to their end, and that what does not fit together is not used.

use super::*;
use crate::{
    connect::stand_in::{StandIn, Step},
    testing::{Log, founding, service::serve},
};
use keysvc_protocol::{
    cbor::{self, REQUEST_LEN_MAX},
    founding::{Founding, Profile},
    list::List,
};

fn profile(version: u32) -> Profile {
    let founding: Founding = toml::from_str(&founding()).unwrap();
    Profile { version, ..founding.profiles[0].clone() }
}

fn view(name: &str, version: u32) -> ProfileView {
    let profile = profile(version);
    ProfileView {
        name: name.parse().unwrap(),
        version,
        family: profile.family,
        functions: List::try_from(profile.functions).unwrap(),
        leaf: 0,
    }
}

/// A far end with these pages; what comes after a name is the page after it.
async fn listing(pages: Vec<Vec<ProfileView>>) -> (StandIn, Reader) {
    let (ground, _) = serve(Log::new(4, 0), move |_, operation, envelope| {
        if operation != Operation::ProfileList {
            return None;
        }
        let asked: ListProfiles = cbor::decode(envelope.request.as_bytes(), REQUEST_LEN_MAX).unwrap();
        let ends = |page: &&Vec<ProfileView>| page.last().map(|last| &last.name) == asked.after.as_ref();
        let at = asked.after.as_ref().map_or(0, |_| pages.iter().position(|page| ends(&page)).unwrap() + 1);
        let profiles = pages.get(at).cloned().unwrap_or_default().try_into().unwrap();
        Some(Step::Reply(cbor::encode(&ProfileListReply { schema: Schema, profiles })))
    })
    .await;
    let reader = Reader::connect(&ground.config()).await.unwrap();
    (ground, reader)
}

/// A far end that gives this profile, whatever is asked for.
async fn giving(profile: Profile) -> (StandIn, Reader) {
    let (ground, _) = serve(Log::new(4, 0), move |_, operation, _| {
        let reply = ProfileReply { schema: Schema, profile: profile.clone(), leaf: 0, newest: true };
        (operation == Operation::ProfileGet).then(|| Step::Reply(cbor::encode(&reply)))
    })
    .await;
    let reader = Reader::connect(&ground.config()).await.unwrap();
    (ground, reader)
}

#[tokio::test]
async fn profiles_are_paged_to_the_end_of_the_list() {
    let pages = vec![vec![view("a", 1), view("a", 2)], vec![view("b", 1)]];
    let (_ground, reader) = listing(pages.clone()).await;
    assert_eq!(reader.profiles().await.unwrap(), pages.concat());
}

#[tokio::test]
async fn profiles_out_of_order_are_malformed() {
    for pages in [
        vec![vec![view("a", 2), view("a", 1)]],
        vec![vec![view("b", 1)], vec![view("a", 1)]],
        vec![vec![view("a", 1)], vec![view("a", 1)]],
    ] {
        let (_ground, reader) = listing(pages).await;
        assert!(matches!(reader.profiles().await, Err(ClientError::Malformed { .. })));
    }
}

#[tokio::test]
async fn a_profile_is_the_one_asked_for_and_agrees_with_itself() {
    let name: Name = "fob".parse().unwrap();
    let (_ground, reader) = giving(profile(2)).await;
    assert_eq!(reader.profile(&name, Some(2)).await.unwrap().profile, profile(2));
    assert!(matches!(reader.profile(&name, Some(1)).await, Err(ClientError::Malformed { .. })));
    assert!(matches!(
        reader.profile(&"gift".parse().unwrap(), None).await,
        Err(ClientError::Malformed { .. })
    ));
    let (_ground, reader) = giving(Profile { slots: Vec::new(), ..profile(2) }).await;
    assert!(matches!(reader.profile(&name, None).await, Err(ClientError::Malformed { .. })));
}
