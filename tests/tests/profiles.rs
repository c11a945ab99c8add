//! Card profiles that officers put: the next version is in use from its act on, the versions before it go on deriving, and
//! the token must compute what a profile says it computes.

use keysvc_protocol::{
    bytes::Blob,
    cbor::{self, REPLY_LEN_MAX},
    cose::Kind,
    delivery::DeliveredKey,
    founding::{CardFamily, Function, GoldenVector, Profile, ValueRules},
    key::{KeyKind, KeyState},
    leaf::LeafKind,
    proposal::ProposalState,
    refusal::{Conflict, Forbids, Invalid, Refusal, Thing},
    reply::{
        ProfileListReply, ProfilePutReply, ProfileReply, UpdateOutcome, ValueBatchReply, ValueUpdateReply,
    },
    request::{
        ListProfiles, Operation, UpdateValue, UpdateValues,
        ValueOperation::{Debit, Load},
    },
    schema::Schema,
};
use keysvc_tests::{
    agreed::{
        Pending, Sent, activate, agree, create, done, name, next_version, profile, propose, put, retire, send,
    },
    cards,
    ground::{Ground, OFFICERS},
    jobs::{Bench, Shift, head},
    raw::{self, Caller},
};

/// The profile of the programme, and the master of its slots.
const PROFILE: &str = "generated";
const MASTER: &str = "demo-generated";
/// The card whose check values the service tells where a slot has no golden vector.
const SAMPLE_CARD: &str = "04000000000000";
const NOT_RELOADABLE: Refusal = Refusal::ProfileForbids { reason: Forbids::NotReloadable };

fn holder(ground: &Ground, persona: &str) -> Caller {
    cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), persona)
}

fn officers(ground: &Ground) -> [Caller; 3] {
    OFFICERS.map(|persona| holder(ground, persona))
}

const fn invalid(reason: Invalid) -> Refusal {
    Refusal::Invalid { reason }
}

/// Two officers put a profile; the act's proposal, and what the first of them is told.
fn agreed(two: &mut [&mut Caller; 2], profile: &Profile) -> (Pending, ProfilePutReply) {
    let pending = done(&mut two[..], Operation::ProfilePut, &put(profile));
    let reply = pending.result(two[0]).unwrap().reply.unwrap();
    (pending, cbor::decode(reply.as_bytes(), REPLY_LEN_MAX).unwrap())
}

/// The next version of the programme's profile with other value rules.
fn with_rules(reader: &mut Caller, change: impl FnOnce(&mut ValueRules)) -> Profile {
    let mut next = next_version(reader, PROFILE);
    change(next.value.as_mut().unwrap());
    next
}

fn change(terminal: &mut Caller, request: &UpdateValue) -> Result<ValueUpdateReply, Refusal> {
    terminal.ask(Operation::ValueUpdate, request)
}

fn listed(reader: &mut Caller) -> Vec<(String, u32)> {
    let reply: ProfileListReply =
        reader.ask(Operation::ProfileList, &ListProfiles { schema: Schema, after: None }).unwrap();
    reply.profiles.iter().map(|one| (one.name.to_string(), one.version)).collect()
}

fn of_the_first_version(names: &[&str]) -> Vec<(String, u32)> {
    names.iter().map(|name| ((*name).to_owned(), 1)).collect()
}

/// A station, and a job of it for a version of a profile that stays open.
struct Line {
    bench: Bench,
    shift: Shift,
}

impl Line {
    fn open(ground: &Ground, station: &str, of: (&str, u32)) -> Self {
        let mut bench = Bench::new(env!("CARGO_BIN_EXE_card"), ground, station);
        let shift = bench.open(of);
        Self { bench, shift }
    }

    /// The keys of one card, as they are delivered; the card stays in hand.
    fn derive(&mut self, card: &str) -> Result<Vec<DeliveredKey>, Refusal> {
        self.bench.derive(&self.shift, &[card]).map(|delivery| delivery.keys.to_vec())
    }

    /// Goes on after a new start of the service.
    fn go_on(&mut self, ground: &Ground) {
        self.bench.reconnect(ground);
        self.bench.reopen(&self.shift).unwrap();
    }
}

/// Delivered keys as golden vectors.
fn as_vectors(keys: &[DeliveredKey]) -> Vec<GoldenVector> {
    let vector = |key: &DeliveredKey| GoldenVector {
        slot: key.slot,
        card: key.card.to_string(),
        check_value: key.check.to_string(),
    };
    keys.iter().map(vector).collect()
}

#[test]
fn a_new_version_brings_its_limits_at_once_and_cards_of_the_version_before_are_still_made() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let mut line = Line::open(&ground, "station-1", (PROFILE, 1));
    change(&mut terminal, &raw::update(Load, 1, 50_000, 0)).unwrap();
    let first = line.derive(SAMPLE_CARD).unwrap();
    let early = line.bench.floor.create("early", &head(PROFILE, 2, 8));
    assert_eq!(early.unwrap_err(), Refusal::NotFound { what: Thing::Profile });

    let lower = with_rules(&mut cat, |rules| (rules.ceiling, rules.load_max) = (60_000, 20_000));
    let request = put(&lower);
    let pending = propose(&mut ann, Operation::ProfilePut, &request).unwrap();
    assert_eq!(pending.proposal.need.persons, 2);
    assert_eq!(pending.approve(&mut ann).unwrap().state, ProposalState::Open);
    // One officer's word changes nothing.
    assert_eq!(listed(&mut cat), of_the_first_version(&[PROFILE, "inline", "known"]));
    let ProposalState::Executed { leaf } = pending.approve(&mut ben).unwrap().state else { panic!() };
    let Sent::Done(reply) = send::<ProfilePutReply>(&mut ann, Operation::ProfilePut, &request).unwrap()
    else {
        panic!("a repetition is answered");
    };
    assert_eq!(reply.receipt.leaf_index, leaf);
    reply.receipt.check_inclusion().unwrap();
    // What the token told at the act is what a station gets.
    assert_eq!(reply.vectors.to_vec(), as_vectors(&first));
    let mut second = Line::open(&ground, "station-2", (PROFILE, 2));
    assert_eq!(second.derive("04782e21801d82").unwrap().len(), 2);
    line.derive("04782e21801d81").unwrap();

    let past = |limit| Err(Refusal::LimitExceeded { limit });
    assert_eq!(change(&mut terminal, &raw::update(Load, 2, 20_001, 50_000)), past(20_000));
    assert_eq!(change(&mut terminal, &raw::update(Load, 2, 20_000, 50_000)), past(60_000));
    change(&mut terminal, &raw::update(Load, 2, 10_000, 50_000)).unwrap();
    let told: ProfileReply = profile(&mut terminal, PROFILE, None).unwrap();
    assert_eq!((&told.profile, told.leaf, told.newest), (&lower, leaf, true));
    let old = profile(&mut terminal, PROFILE, Some(1)).unwrap();
    assert_eq!((old.profile.version, old.leaf, old.newest), (1, 0, false));

    ground.assert_clean();
    for (caller, persona) in [(&mut terminal, "terminal-1"), (&mut ann, OFFICERS[0])] {
        ground.reconnect(caller, persona);
    }
    assert_eq!(profile(&mut terminal, PROFILE, None).unwrap(), told);
    assert_eq!(change(&mut terminal, &raw::update(Load, 3, 1, 60_000)), past(60_000));
    line.go_on(&ground);
    assert_eq!(as_vectors(&line.derive(SAMPLE_CARD).unwrap()), as_vectors(&first));
}

#[test]
fn golden_vectors_are_computed_again_before_a_profile_is_asked_for_and_a_wrong_one_leaves_no_proposal() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, _] = officers(&ground);
    let second = next_version(&mut ann, PROFILE);
    let (_, told) = agreed(&mut [&mut ann, &mut ben], &second);
    let slots: Vec<_> = told.vectors.iter().map(|vector| (vector.slot, vector.card.as_str())).collect();
    assert_eq!(slots, [(0, SAMPLE_CARD), (1, SAMPLE_CARD)]);
    let golden = Profile { version: 3, vectors: told.vectors.to_vec(), ..second };
    let (_, again) = agreed(&mut [&mut ann, &mut ben], &golden);
    assert_eq!(again.vectors, told.vectors);
    // One digit of one of them.
    let mut wrong = Profile { version: 4, ..golden.clone() };
    let digit = if wrong.vectors[1].check_value.starts_with('0') { "1" } else { "0" };
    wrong.vectors[1].check_value.replace_range(..1, digit);
    let before = raw::leaves(&ground).len();
    let refused = propose(&mut ann, Operation::ProfilePut, &put(&wrong));
    assert_eq!(refused, Err(invalid(Invalid::GoldenVector)));
    let kinds: Vec<_> =
        raw::leaves(&ground).split_off(before).into_iter().map(|(entry, _)| entry.kind).collect();
    let kinds: Vec<_> = kinds.into_iter().filter(|kind| *kind != LeafKind::EntriesRead).collect();
    assert_eq!(kinds, [LeafKind::Refused]);
    assert_eq!(profile(&mut ann, PROFILE, None).unwrap().profile, golden);
    // The published card of the founding's profile, under the name of another card.
    let mut known = next_version(&mut ann, "known");
    known.vectors[0].card = "04782e21801d81".to_owned();
    let refused = propose(&mut ann, Operation::ProfilePut, &put(&known));
    assert_eq!(refused, Err(invalid(Invalid::GoldenVector)));
    // They are computed at each start too.
    ground.assert_clean();
}

/// What a hub is told of updates that it passes on.
fn passed_on(ground: &Ground, updates: &[&UpdateValue]) -> Vec<Option<Refusal>> {
    let (key, genesis) = (raw::key(ground.site(), "terminal-1"), raw::genesis(ground.site()));
    let signed = updates.iter().map(|update| {
        let kind = Kind::Request(Operation::ValueUpdate);
        Blob::try_from(raw::sign(&key, kind, genesis.as_bytes(), cbor::encode(update))).unwrap()
    });
    let updates = signed.collect::<Vec<_>>().try_into().unwrap();
    let mut office = Caller::new(ground.site(), "office-1");
    let reply: ValueBatchReply =
        office.ask(Operation::ValueBatch, &UpdateValues { schema: Schema, updates }).unwrap();
    let refusal = |outcome: &UpdateOutcome| match outcome {
        UpdateOutcome::Signed { .. } => None,
        UpdateOutcome::Refused { refusal } => Some(refusal.clone()),
    };
    reply.outcomes.iter().map(refusal).collect()
}

#[test]
fn a_purse_that_is_not_reloadable_is_loaded_once_by_terminal_and_hub_and_its_load_is_answered_again() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, _] = officers(&ground);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let on = |card: &str, update: UpdateValue| UpdateValue { card: card.parse().unwrap(), ..update };
    // Loaded while it was reloadable: that was its first.
    let early = raw::update(Load, 1, 2_000, 0);
    change(&mut terminal, &early).unwrap();
    let once = with_rules(&mut ann, |rules| rules.reloadable = false);
    agreed(&mut [&mut ann, &mut ben], &once);
    let second = raw::update(Load, 2, 500, 2_000);
    assert_eq!(change(&mut terminal, &second), Err(NOT_RELOADABLE));
    change(&mut terminal, &raw::update(Debit, 2, 2_000, 2_000)).unwrap();
    assert_eq!(
        change(&mut terminal, &raw::update(Load, 3, 500, 0)),
        Err(NOT_RELOADABLE),
        "empty, and stays so"
    );

    let other = "04782e21801d81";
    let first = on(other, raw::update(Load, 1, 700, 0));
    let loaded = change(&mut terminal, &first).unwrap();
    let again = on(other, raw::update(Load, 2, 700, 700));
    assert_eq!(change(&mut terminal, &again), Err(NOT_RELOADABLE));
    let repeated = change(&mut terminal, &first).unwrap();
    assert_eq!(repeated.receipt.leaf_index, loaded.receipt.leaf_index);
    // The same through a hub, item by item: refused, answered again, refused inside one batch, and a new card's.
    let third = "04782e21801d82";
    let (new, twice) = (on(third, raw::update(Load, 1, 300, 0)), on(third, raw::update(Load, 2, 300, 300)));
    let refused = || Some(NOT_RELOADABLE);
    assert_eq!(passed_on(&ground, &[&again, &first, &new, &twice]), [refused(), None, None, refused()]);
    assert_eq!(passed_on(&ground, &[&early]), [None]);

    // One-time is not reloadable either; a later version may let go.
    let one_time = with_rules(&mut ann, |rules| rules.one_time = true);
    agreed(&mut [&mut ann, &mut ben], &one_time);
    assert_eq!(change(&mut terminal, &again), Err(NOT_RELOADABLE));
    ground.assert_clean();
    for (caller, persona) in [(&mut ann, OFFICERS[0]), (&mut ben, OFFICERS[1]), (&mut terminal, "terminal-1")]
    {
        ground.reconnect(caller, persona);
    }
    assert_eq!(change(&mut terminal, &again), Err(NOT_RELOADABLE));
    let free = with_rules(&mut ann, |rules| (rules.one_time, rules.reloadable) = (false, true));
    agreed(&mut [&mut ann, &mut ben], &free);
    change(&mut terminal, &again).unwrap();
}

#[test]
fn a_profile_that_no_card_can_bear_out_is_refused_and_one_that_only_identifies_is_taken() {
    let ground = Ground::new();
    let [mut ann, mut ben, _] = officers(&ground);
    let next = next_version(&mut ann, PROFILE);
    let cases: [(&str, Profile, Refusal); 7] = [
        // The shipped policies say so before its form is looked at.
        (
            "MIFARE Classic with stored value",
            Profile { family: CardFamily::MifareClassic, ..next.clone() },
            Refusal::Forbidden,
        ),
        (
            "NTAG 213 with points",
            Profile {
                name: name("points"),
                version: 1,
                family: CardFamily::Ntag21x,
                functions: vec![Function::Points],
                value: None,
                ..next.clone()
            },
            invalid(Invalid::Profile),
        ),
        (
            "value rules without the function",
            Profile { functions: vec![], ..next.clone() },
            invalid(Invalid::Profile),
        ),
        (
            "a programme's profile without value",
            Profile { functions: vec![Function::Membership], value: None, ..next.clone() },
            invalid(Invalid::Profile),
        ),
        (
            "a ceiling above the family's",
            Profile { family: CardFamily::DesfireLight, ..next.clone() },
            invalid(Invalid::Profile),
        ),
        (
            "a version left out",
            Profile { version: 3, ..next.clone() },
            Refusal::StateConflict { reason: Conflict::Version { newest: 1 } },
        ),
        (
            "a version that is there",
            Profile { version: 1, ..next.clone() },
            Refusal::StateConflict { reason: Conflict::Version { newest: 1 } },
        ),
    ];
    for (what, profile, refusal) in cases {
        assert_eq!(propose(&mut ann, Operation::ProfilePut, &put(&profile)), Err(refusal), "{what}");
    }
    let members = Profile {
        name: name("members"),
        version: 1,
        family: CardFamily::MifareClassic,
        functions: vec![Function::Membership, Function::Discount],
        value: None,
        ..next.clone()
    };
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    assert_eq!(
        send::<ProfilePutReply>(&mut terminal, Operation::ProfilePut, &put(&members)),
        Err(Refusal::Forbidden)
    );
    agreed(&mut [&mut ben, &mut ann], &members);
    assert_eq!(listed(&mut terminal), of_the_first_version(&[PROFILE, "inline", "known", "members"]));
    let after = ListProfiles { schema: Schema, after: Some(name("known")) };
    let page: ProfileListReply = terminal.ask(Operation::ProfileList, &after).unwrap();
    let [one] = page.profiles.to_vec().try_into().unwrap();
    assert_eq!(
        (one.name, one.family, one.functions.to_vec()),
        (name("members"), members.family, members.functions)
    );
    assert_eq!(
        profile(&mut terminal, "members", Some(2)).unwrap_err(),
        Refusal::NotFound { what: Thing::Profile }
    );
    let mut line = Line::open(&ground, "station-1", ("members", 1));
    line.derive(SAMPLE_CARD).unwrap();
}

#[test]
fn a_master_is_rotated_by_a_new_version_of_its_profile_and_both_make_their_own_cards() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let mut first = Line::open(&ground, "station-1", (PROFILE, 1));
    let old = first.derive(SAMPLE_CARD).unwrap();
    assert!(old.iter().all(|key| key.key_version == 1));
    let mut next = next_version(&mut ann, PROFILE);
    next.slots.iter_mut().for_each(|slot| slot.key_version = 2);
    let refused = propose(&mut ann, Operation::ProfilePut, &put(&next));
    assert_eq!(refused, Err(Refusal::NotFound { what: Thing::Key }), "its master is not there yet");

    done(&mut [&mut ann, &mut ben], Operation::KeyCreate, &create(MASTER, KeyKind::CardMaster));
    // It may be put before its master is in use, and makes no card until then.
    let (_, told) = agreed(&mut [&mut ann, &mut ben], &next);
    assert!(told.vectors.is_empty(), "{:?}", told.vectors);
    let not_yet = Refusal::StateConflict { reason: Conflict::KeyState { state: KeyState::PreActivation } };
    let mut second = Line::open(&ground, "station-2", (PROFILE, 2));
    let issued = "04782e21801d80";
    assert_eq!(second.derive(issued), Err(not_yet));
    done(&mut [&mut ben, &mut cat], Operation::KeyActivate, &activate(MASTER, 2));
    let new = second.derive(issued).unwrap();
    assert!(new.iter().all(|key| key.key_version == 2));
    // What the token makes of one card under both.
    let third = Profile { version: 3, ..next };
    let (_, told) = agreed(&mut [&mut ann, &mut ben], &third);
    let (old, under_new) = (as_vectors(&old), told.vectors.to_vec());
    assert!(under_new.iter().zip(&old).all(|(new, old)| (new.slot, &new.card) == (old.slot, &old.card)));
    assert!(
        under_new.iter().zip(&old).all(|(new, old)| new.check_value != old.check_value),
        "another master, another key"
    );
    // The old one retires: the cards made under it are served, new ones are made under the new one alone.
    done(&mut [&mut ann, &mut cat], Operation::KeyRetire, &retire(MASTER, 1));
    assert_eq!(as_vectors(&first.derive(SAMPLE_CARD).unwrap()), old);
    let fresh = "04782e21801d81";
    let retired = Refusal::StateConflict { reason: Conflict::KeyState { state: KeyState::Deactivated } };
    assert_eq!(first.derive(fresh), Err(retired));
    second.derive(fresh).unwrap();
    // Value goes on as it was.
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let card = "04782e21801d8f".parse().unwrap();
    change(&mut terminal, &UpdateValue { card, ..raw::update(Load, 1, 2_000, 0) }).unwrap();
    ground.assert_clean();
    second.go_on(&ground);
    assert_eq!(as_vectors(&second.derive(issued).unwrap()), as_vectors(&new));
}

#[test]
fn of_two_profiles_with_one_number_the_second_comes_too_late() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let (low, high) = (
        with_rules(&mut ann, |rules| rules.ceiling = 600_000),
        with_rules(&mut ann, |rules| rules.ceiling = 900_000),
    );
    let slow = propose(&mut cat, Operation::ProfilePut, &put(&high)).unwrap();
    agreed(&mut [&mut ann, &mut ben], &low);
    let (_, late) = (slow.approve(&mut cat).unwrap(), slow.approve(&mut ben));
    let overtaken = Refusal::StateConflict { reason: Conflict::Version { newest: 2 } };
    let state = late.map(|voted| voted.state);
    assert_eq!(state, Ok(ProposalState::Failed { refusal: overtaken }));
    assert_eq!(profile(&mut ann, PROFILE, None).unwrap().profile, low);
    let (_, state) = agree(
        &mut [&mut cat, &mut ann],
        Operation::ProfilePut,
        &put(&Profile { version: 3, ..high.clone() }),
    )
    .unwrap();
    assert!(matches!(state, ProposalState::Executed { .. }), "{state:?}");
    assert_eq!(profile(&mut ann, PROFILE, None).unwrap().profile.value, high.value);
    ground.assert_clean();
}
