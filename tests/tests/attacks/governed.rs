//! What a site is governed by: card profiles, policies and the record of ceremonies, put by too few, by the wrong ones, in
//! the wrong order, or as what they are not.

use super::{
    Officers,
    book::{Attempt, Book},
    conflict,
    forge::{approval_of, approve},
    invalid, missing, terminal, uncounted,
};
use keysvc_policies::{DEFAULT_SITE, PolicySet};
use keysvc_protocol::{
    bytes::Digest,
    cbor,
    founding::{CardFamily, Function, GoldenVector, Profile},
    key::{KeyKind, KeyState},
    proposal::ProposalState,
    quorum::Need,
    refusal::{Conflict, Invalid, Refusal, Thing, Uncounted},
    reply::{ChangedReply, PolicyReply, VoteReply},
    request::{Operation, POLICY_SET_LEN_MAX, ProposePolicy, ReadPolicy, RecordCeremony},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{
        Pending, Sent, activate, alone, compromise, create, done, freeze, key_state, lift, name,
        next_version, profile, propose, propose_files, propose_policy, put, record_ceremony, send,
    },
    ground::Ground,
    raw::Caller,
};

pub const ATTACKS: &[&str] = &[
    "one officer puts a profile",
    "a terminal puts a profile",
    "a profile leaves a version out",
    "a profile takes the place of a version there is",
    "stored value is put on cards that can be copied",
    "points are put on cards that can be copied",
    "a ceiling above what its cards are trusted with",
    "a programme loses its value rules by its profile",
    "a programme gets another currency by its profile",
    "a profile names a key that signs value",
    "a profile names a key there is not",
    "a profile names a compromised key",
    "a golden vector that the token computes otherwise",
    "a profile that was overtaken is agreed to",
    "a profile's key is compromised between approval and act",
    "one officer changes the policies",
    "two officers change the policies",
    "policies are proposed under another set's digest",
    "policies are proposed under the digest of those in force",
    "policies that are no policies",
    "policies about an attribute there is not",
    "policies under which nobody may ask for others",
    "policies under which nobody may approve others",
    "policies under which only a disabled officer may ask for others",
    "policies over the limit",
    "policies in a file of another kind",
    "policies whose files are out of order",
    "policies of one file twice",
    "an office proposes policies",
    "a terminal proposes policies",
    "a terminal reads the policies",
    "an approval from before the policies changed is completed after",
    "an approval signed before the policies changed is sent after",
    "policies that were overtaken by others are agreed to",
    "policies that are gone come back by their old request",
    "one officer lifts a freeze under policies that permit everything",
    "a terminal reads the policies under policies that permit everything",
    "a terminal records a ceremony",
    "an office records a ceremony",
    "a ceremony that nobody held",
    "a ceremony that somebody held twice",
    "another ceremony under a number that was used",
];

const PROFILE: &str = "generated";
/// What the shipped ceiling leaves of it is little.
const EVERYTHING: &str = "@id(\"everything\")\npermit (principal, action, resource);\n";

struct Part {
    ground: Ground,
    book: Book,
    officers: Officers,
    terminal: Caller,
    office: Caller,
}

impl Part {
    fn refused(
        &mut self,
        name: &'static str,
        by: &'static str,
        (operation, payload): (Operation, Vec<u8>),
        refusal: Refusal,
    ) {
        let caller = match by {
            "officer-1" => &mut self.officers.one,
            "officer-2" => &mut self.officers.two,
            "officer-3" => &mut self.officers.three,
            "terminal-1" => &mut self.terminal,
            _ => &mut self.office,
        };
        let message = caller.message(operation, payload);
        self.book.refused(&mut caller.line, Attempt { name, by, operation, message, refusal });
    }

    fn profiles_of_few(&mut self, next: &Profile) {
        let Self { book, officers: Officers { one, .. }, .. } = self;
        let mut asked = None;
        book.nothing_comes_of("one officer puts a profile", || {
            let pending = propose(one, Operation::ProfilePut, &put(next)).unwrap();
            assert_eq!(pending.proposal.need, Need::of(2));
            assert_eq!(pending.approve(one).unwrap().state, ProposalState::Open);
            asked = Some(pending);
        });
        asked.unwrap().cancel(one).unwrap();
        let put = (Operation::ProfilePut, cbor::encode(&put(next)));
        self.refused("a terminal puts a profile", "terminal-1", put, Refusal::Forbidden);
    }

    /// Profiles that are none, one after the other, by the officers in turn.
    fn profiles(&mut self, next: &Profile) {
        let spare = create("spare", KeyKind::CardMaster);
        let Officers { one, two, .. } = &mut self.officers;
        done(&mut [one, two], Operation::KeyCreate, &spare);
        alone(one, Operation::KeyCompromise, &compromise("spare", 1)).unwrap();
        let version = || conflict(Conflict::Version { newest: 1 });
        let form = || invalid(Invalid::Profile);
        let with = |change: &dyn Fn(&mut Profile)| {
            let mut profile = next.clone();
            change(&mut profile);
            profile
        };
        let on_key = |key: &str| with(&|profile| profile.slots[0].key = name(key));
        let points = Profile {
            name: name("points"),
            version: 1,
            family: CardFamily::UltralightC,
            functions: vec![Function::Points],
            value: None,
            ..next.clone()
        };
        let golden =
            GoldenVector { slot: 0, card: "04782e21801d80".to_owned(), check_value: "0011223344".to_owned() };
        let cases = [
            (ATTACKS[2], "officer-1", with(&|profile| profile.version = 3), version()),
            (ATTACKS[3], "officer-1", with(&|profile| profile.version = 1), version()),
            (
                ATTACKS[4],
                "officer-1",
                with(&|profile| profile.family = CardFamily::MifareClassic),
                Refusal::Forbidden,
            ),
            (ATTACKS[5], "officer-1", points, form()),
            (ATTACKS[6], "officer-2", with(&|profile| profile.family = CardFamily::UltralightAes), form()),
            (
                ATTACKS[7],
                "officer-2",
                with(&|profile| {
                    profile.value = None;
                    profile.functions = vec![Function::Membership];
                }),
                form(),
            ),
            (
                ATTACKS[8],
                "officer-2",
                with(&|profile| profile.value.as_mut().unwrap().currency = 840),
                form(),
            ),
            (ATTACKS[9], "officer-2", on_key("value-1"), form()),
            (ATTACKS[10], "officer-3", on_key("nothing"), missing(Thing::Key)),
            (
                ATTACKS[11],
                "officer-3",
                on_key("spare"),
                conflict(Conflict::KeyState { state: KeyState::Compromised }),
            ),
            (
                ATTACKS[12],
                "officer-3",
                with(&|profile| profile.vectors = vec![golden.clone()]),
                invalid(Invalid::GoldenVector),
            ),
        ];
        for (name, by, profile, refusal) in cases {
            self.refused(name, by, (Operation::ProfilePut, cbor::encode(&put(&profile))), refusal);
        }
    }

    /// What changes between asking, approving and acting.
    fn late_profiles(&mut self, next: &Profile) {
        let Self { book, officers: Officers { one, two, three }, .. } = self;
        let slow = propose(three, Operation::ProfilePut, &put(next)).unwrap();
        done(&mut [one, two], Operation::ProfilePut, &put(next));
        slow.approve(one).unwrap();
        let overtaken = conflict(Conflict::Version { newest: 2 });
        book.fails(ATTACKS[13], &slow.proposal, &overtaken, || {
            let voted = slow.approve(two).unwrap();
            assert_eq!(voted.state, ProposalState::Failed { refusal: overtaken.clone() });
        });
        done(&mut [one, two], Operation::KeyCreate, &create("doomed", KeyKind::CardMaster));
        done(&mut [one, two], Operation::KeyActivate, &activate("doomed", 1));
        let mut on_doomed = Profile { version: 3, ..next.clone() };
        on_doomed.slots[0].key = name("doomed");
        let asked = propose(three, Operation::ProfilePut, &put(&on_doomed)).unwrap();
        asked.approve(three).unwrap();
        alone(one, Operation::KeyCompromise, &compromise("doomed", 1)).unwrap();
        let refusal = conflict(Conflict::KeyState { state: KeyState::Compromised });
        book.fails(ATTACKS[14], &asked.proposal, &refusal, || {
            let voted = asked.approve(two).unwrap();
            assert_eq!(voted.state, ProposalState::Failed { refusal: refusal.clone() });
        });
        assert_eq!(profile(one, PROFILE, None).unwrap().profile.version, 2);
    }

    fn policies_of_few(&mut self) {
        let Self { book, officers: Officers { one, two, three }, .. } = self;
        let request = propose_policy(&format!("{DEFAULT_SITE}// one more line\n"));
        let mut asked = None;
        book.nothing_comes_of("one officer changes the policies", || {
            let pending: Pending = propose(one, Operation::PolicyPropose, &request).unwrap();
            assert_eq!(pending.proposal.need, Need::of(3));
            assert_eq!(pending.approve(one).unwrap().state, ProposalState::Open);
            asked = Some(pending);
        });
        let asked = asked.unwrap();
        book.nothing_comes_of("two officers change the policies", || {
            let voted = asked.approve(two).unwrap();
            assert_eq!((voted.persons, voted.state), (2, ProposalState::Open));
        });
        asked.cancel(three).unwrap();
    }

    /// Sets that are none, or that nobody could ever change again.
    fn policies(&mut self) {
        let good = propose_policy(EVERYTHING);
        let in_force = Digest::new(PolicySet::shipped().unwrap().digest());
        let text = |text: &str| propose_files(&[("site.cedar", text.as_bytes())], Digest::new([1; 32]));
        let shipped_but = |from: &str, to: &str| {
            let text = DEFAULT_SITE.replace(from, to);
            assert_ne!(text, DEFAULT_SITE);
            propose_policy(&text)
        };
        let nobody_asks = shipped_but("Action::\"policy.propose\", ", "");
        let nobody_votes = shipped_but(
            "action in [Action::\"proposal.approve\", Action::\"proposal.reject\"]",
            "action == Action::\"proposal.reject\"",
        );
        // In place of the kind, where policies are asked for: only somebody who is not there.
        let gone = shipped_but(
            "when { principal.kind == \"officer\" && context.persons >= 2 };",
            "when { principal == Principal::\"officer-9\" && context.persons >= 2 };",
        );
        let half = "// ".to_owned() + &"x".repeat(POLICY_SET_LEN_MAX / 2);
        let files = [("a.cedar", EVERYTHING), ("b.cedar", half.as_str()), ("c.cedar", half.as_str())];
        let long = of_files(&files);
        let other_kind = propose_files(&[("site.txt", EVERYTHING.as_bytes())], good.policy);
        let mut disordered = of_files(&[("a.cedar", EVERYTHING), ("b.cedar", "// none\n")]);
        let mut reversed = disordered.files.into_vec();
        reversed.reverse();
        disordered.files = reversed.try_into().unwrap();
        let mut twice = of_files(&[("a.cedar", EVERYTHING), ("b.cedar", "// none\n")]);
        let [first, _] = twice.files.to_vec().try_into().unwrap();
        twice.files = vec![first.clone(), first].try_into().unwrap();
        let policy = || invalid(Invalid::Policy);
        let locks_out = || invalid(Invalid::LocksOut);
        let cases: [(_, _, ProposePolicy, Refusal); 11] = [
            (
                ATTACKS[17],
                "officer-1",
                ProposePolicy { policy: Digest::new([1; 32]), ..good.clone() },
                policy(),
            ),
            (ATTACKS[18], "officer-1", ProposePolicy { policy: in_force, ..good.clone() }, policy()),
            (ATTACKS[19], "officer-1", text("permit (everything);"), policy()),
            (
                ATTACKS[20],
                "officer-1",
                text("permit (principal, action, resource) when { principal.age > 3 };"),
                policy(),
            ),
            (ATTACKS[21], "officer-2", nobody_asks, locks_out()),
            (ATTACKS[22], "officer-2", nobody_votes, locks_out()),
            (ATTACKS[23], "officer-2", gone, locks_out()),
            (ATTACKS[24], "officer-2", long, policy()),
            (ATTACKS[25], "officer-3", other_kind, policy()),
            (ATTACKS[26], "officer-3", disordered, policy()),
            (ATTACKS[27], "officer-3", twice, policy()),
        ];
        for (name, by, request, refusal) in cases {
            self.refused(name, by, (Operation::PolicyPropose, cbor::encode(&request)), refusal);
        }
        let request = || (Operation::PolicyPropose, cbor::encode(&good));
        self.refused("an office proposes policies", "office-1", request(), Refusal::Forbidden);
        self.refused("a terminal proposes policies", "terminal-1", request(), Refusal::Forbidden);
        let read = (Operation::PolicyGet, cbor::encode(&ReadPolicy { schema: Schema }));
        self.refused("a terminal reads the policies", "terminal-1", read, Refusal::Forbidden);
    }

    /// The policies change, by all three; what people agreed to under the others counts for nothing.
    fn change_of_policies(&mut self) {
        let stopped = terminal("terminal-2");
        let Self { book, officers: Officers { one, two, three }, .. } = self;
        let asked = propose(one, Operation::KeyCreate, &create("early", KeyKind::CardMaster)).unwrap();
        asked.approve(one).unwrap();
        let signed = approve(asked.id(), approval_of(three, asked.reply.proposal.as_bytes()));
        let others = propose_policy(&format!("{DEFAULT_SITE}// other ones\n"));
        let slow = propose(two, Operation::PolicyPropose, &others).unwrap();
        slow.approve(two).unwrap();
        alone(one, Operation::FreezeSet, &freeze(&stopped)).unwrap();
        let everything = propose_policy(EVERYTHING);
        done(&mut [one, two, three], Operation::PolicyPropose, &everything);
        let in_force: PolicyReply = three.ask(Operation::PolicyGet, &ReadPolicy { schema: Schema }).unwrap();
        assert_eq!(in_force.policy, everything.policy);
        let other = || uncounted(Uncounted::OtherPolicy);
        let operation = Operation::ProposalApprove;
        let late = approve(asked.id(), approval_of(two, asked.reply.proposal.as_bytes()));
        let attempt =
            Attempt { name: ATTACKS[31], by: "officer-2", operation, message: late, refusal: other() };
        book.refused(&mut two.line, attempt);
        let attempt =
            Attempt { name: ATTACKS[32], by: "officer-3", operation, message: signed, refusal: other() };
        book.refused(&mut three.line, attempt);
        assert_eq!(key_state(one, "early", 1), None);
        let late = approve(slow.id(), approval_of(one, slow.reply.proposal.as_bytes()));
        let attempt =
            Attempt { name: ATTACKS[33], by: "officer-1", operation, message: late, refusal: other() };
        book.refused(&mut one.line, attempt);
        self.back_again(&everything);
    }

    /// Back to the shipped ones; then the request that put the others in force is sent once more.
    fn back_again(&mut self, everything: &ProposePolicy) {
        let stopped = terminal("terminal-2");
        let Self { book, officers: Officers { one, two, three }, .. } = self;
        let back = propose_policy(DEFAULT_SITE);
        done(&mut [two, one, three], Operation::PolicyPropose, &back);
        book.nothing_comes_of("policies that are gone come back by their old request", || {
            let again = send::<ChangedReply>(one, Operation::PolicyPropose, everything).unwrap();
            assert!(matches!(again, Sent::Done(_)), "{again:?}");
            let now: PolicyReply = three.ask(Operation::PolicyGet, &ReadPolicy { schema: Schema }).unwrap();
            assert_eq!(now.policy, back.policy);
        });
        let again = ProposePolicy { idem: keysvc_tests::agreed::idem(), ..everything.clone() };
        done(&mut [one, two, three], Operation::PolicyPropose, &again);
        let mut asked = None;
        book.nothing_comes_of("one officer lifts a freeze under policies that permit everything", || {
            let pending = propose(one, Operation::FreezeLift, &lift(&stopped)).unwrap();
            assert_eq!(pending.proposal.need, Need::of(2));
            assert_eq!(pending.approve(one).unwrap().state, ProposalState::Open);
            asked = Some(pending);
        });
        let voted: VoteReply = asked.unwrap().approve(two).unwrap();
        assert!(matches!(voted.state, ProposalState::Executed { .. }), "{:?}", voted.state);
        let read = (Operation::PolicyGet, cbor::encode(&ReadPolicy { schema: Schema }));
        self.refused(ATTACKS[36], "terminal-1", read, Refusal::Forbidden);
    }

    fn ceremonies(&mut self) {
        let good = record_ceremony(&["officer-1", "officer-2"]);
        let of = |request: &RecordCeremony| (Operation::CeremonyRecord, cbor::encode(request));
        self.refused("a terminal records a ceremony", "terminal-1", of(&good), Refusal::Forbidden);
        self.refused("an office records a ceremony", "office-1", of(&good), Refusal::Forbidden);
        let items = || invalid(Invalid::Items);
        self.refused("a ceremony that nobody held", "officer-1", of(&record_ceremony(&[])), items());
        let twice = record_ceremony(&["officer-1", "officer-1"]);
        self.refused("a ceremony that somebody held twice", "officer-2", of(&twice), items());
        alone(&mut self.officers.three, Operation::CeremonyRecord, &good).unwrap();
        let other = RecordCeremony { transcript: Digest::new([3; 32]), ..good };
        self.refused(ATTACKS[41], "officer-3", of(&other), Refusal::IdemConflict);
    }
}

/// `policy.propose` of these files, with the digest that they have.
fn of_files(files: &[(&str, &str)]) -> ProposePolicy {
    let digest = Digest::new(PolicySet::from_files(files).unwrap().digest());
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    propose_files(&files, digest)
}

#[test]
fn profiles_policies_and_ceremonies_are_nobodys_alone_and_hold_what_people_agreed_to() {
    let ground = Ground::new();
    let mut officers = Officers::of(&ground);
    let [terminal, office] = ["terminal-1", "office-1"].map(|persona| Caller::new(ground.site(), persona));
    let book = Book::open(&ground);
    let next = next_version(&mut officers.one, PROFILE);
    let mut part = Part { ground, book, officers, terminal, office };
    part.profiles_of_few(&next);
    part.profiles(&next);
    part.late_profiles(&next);
    part.policies_of_few();
    part.policies();
    part.change_of_policies();
    part.ceremonies();
    let Part { mut ground, book, .. } = part;
    book.close(ATTACKS, &mut ground);
}
