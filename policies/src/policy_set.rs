//! Both layers of policies, loaded, validated and ready to decide.
//! It holds no file open and never reads the folder again: other policies are another set.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::Path;

use cedar_policy::{Policy, Validator};

use crate::action::Action;
use crate::depth;
use crate::digest;
use crate::error::PolicyError;
use crate::facts::{self, Vocabulary};
use crate::folder;
use crate::given;
use crate::key::Key;
use crate::need::{self, PolicyNeed, Voter};
use crate::question::{
    ContextFacts, Decision, Denied, PrincipalFacts, Question, QuorumFacts, ResourceFacts, Verdict,
};
use crate::rules::{self, Rules};
use crate::shipped::{CEILING, CEILING_NAME, DEFAULT_SITE, DEFAULT_SITE_NAME};
use crate::source::{self, Source};
use crate::standing::Standings;

/// Policies a site may have in all its files. Those that name no action are evaluated in every
/// decision, at about 1 us each: 256 of them keep a decision near a quarter of a millisecond.
pub const SITE_POLICIES_MAX: usize = 256;

/// The ceiling and one site's policies.
pub struct PolicySet {
    vocabulary: Vocabulary,
    rules: HashMap<String, Rules>,
    standings: Standings,
    site: Vec<Source>,
    policies: usize,
    digest: [u8; 32],
}

/// An officer, as the policies see who may agree to other policies.
struct Seat<'a> {
    officer: &'a PrincipalFacts<'a>,
    votes: bool,
}

/// Whether so many officers can meet the ceiling's floor for other policies: three people, or two where
/// the roster names no more than two.
fn is_enough(officers: usize, on_roster: u32) -> bool {
    officers >= if on_roster <= 2 { 2 } else { 3 }
}

impl PolicySet {
    /// Loads the site's policies from every file of `folder`, under the shipped ceiling.
    ///
    /// # Errors
    ///
    /// Whatever is not a folder of a few plain, small, valid `*.cedar` files; the error names the
    /// file and the line.
    pub fn load(folder: &Path) -> Result<Self, PolicyError> {
        Self::new(CEILING, folder::read(folder)?)
    }

    /// Loads the site's policies from `files`, each a name and its text in any order, under the shipped
    /// ceiling. It equals a folder that holds just these files.
    ///
    /// # Errors
    ///
    /// Whatever is not a few plainly named, small, valid `*.cedar` files, none of them twice; the error
    /// names the file and the line.
    pub fn from_files(files: &[(&str, &str)]) -> Result<Self, PolicyError> {
        Self::new(CEILING, given::read(files)?)
    }

    /// The shipped site policies under the shipped ceiling, without any file. It equals a folder
    /// that holds [`DEFAULT_SITE`] as [`DEFAULT_SITE_NAME`] and nothing else.
    ///
    /// # Errors
    ///
    /// None in a program that passed its tests.
    pub fn shipped() -> Result<Self, PolicyError> {
        Self::from_files(&[(DEFAULT_SITE_NAME, DEFAULT_SITE)])
    }

    /// The site's files, each a name and its text as it was read, sorted by the bytes of their names.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.site.iter().map(|source| (source.name.as_str(), source.text.as_str()))
    }

    /// How many policies the site's files hold together.
    #[must_use]
    pub fn site_policies(&self) -> usize {
        self.policies
    }

    /// SHA-256 over the ceiling, the schema and each site file.
    ///
    /// For each file in turn: the length of its name (8 bytes, big-endian), its name in UTF-8
    /// without a folder, the length of its content (8 bytes, big-endian), its content as it is on
    /// disk. The files are `ceiling.cedar`, `keysvc.cedarschema`, and then the site's, sorted by
    /// the bytes of their names.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// SHA-256 of the shipped ceiling's bytes.
    #[must_use]
    pub fn ceiling_digest() -> [u8; 32] {
        digest::of_ceiling()
    }

    /// Whether the policies leave a way to other policies: at least one of `officers` may still ask for
    /// `policy.propose` when all agree who may look at a proposal and approve it. A set that leaves none
    /// could never be replaced.
    ///
    /// It must be left in each of these, because what holds of today's people alone is over with the next
    /// change of them:
    ///
    /// - with the officers there are;
    /// - with one more on the roster, of a department that is there already, who votes;
    /// - with one more on the roster who does not vote, where enough are left without;
    /// - without each single one of them, still on the roster, where enough are left without.
    ///
    /// Enough are three, or two where the roster names no more than two: the floor of the ceiling.
    ///
    /// `officers` are those who can vote now, as the registry has them; `on_roster` counts those on the
    /// roster, enabled or not.
    ///
    /// # Errors
    ///
    /// As [`PolicySet::decide`]. The caller must treat each as no.
    pub fn can_change_itself(
        &self,
        officers: &[PrincipalFacts<'_>],
        on_roster: u32,
    ) -> Result<bool, PolicyError> {
        let seats = officers.iter().map(|officer| self.seat(officer)).collect::<Result<Vec<_>, _>>()?;
        let all: Vec<_> = seats.iter().collect();
        let grown = on_roster.saturating_add(1);
        let mut left = self.is_left(&all, 0, on_roster)? && self.is_left(&all, 1, grown)?;
        if is_enough(seats.len(), grown) {
            left = left && self.is_left(&all, 0, grown)?;
        }
        if is_enough(seats.len().saturating_sub(1), on_roster) {
            for gone in 0..seats.len() {
                let others = seats.iter().enumerate().filter(|(place, _)| *place != gone);
                let others: Vec<_> = others.map(|(_, seat)| seat).collect();
                left = left && self.is_left(&others, 0, on_roster)?;
            }
        }
        Ok(left)
    }

    /// An officer, and whether the policies let that officer look at proposals and approve them.
    fn seat<'a>(&self, officer: &'a PrincipalFacts<'a>) -> Result<Seat<'a>, PolicyError> {
        let may = |action| {
            let (resource, context) = (ResourceFacts::Service, ContextFacts::None);
            let quorum = QuorumFacts::NONE;
            self.decide(&Question { principal: *officer, action, resource, context, quorum })
        };
        let reads = may("proposal.get")? == Decision::Allow;
        Ok(Seat { officer, votes: reads && may("proposal.approve")? == Decision::Allow })
    }

    /// Whether one of these officers may ask for other policies when all of them agree who may, and so
    /// many newcomers of their departments.
    fn is_left(&self, seats: &[&Seat<'_>], newcomers: u8, on_roster: u32) -> Result<bool, PolicyError> {
        let voters = || seats.iter().filter(|seat| seat.votes);
        // Where there are more than a quorum can count, so many are enough to ask about.
        let persons = u8::try_from(voters().count()).unwrap_or(u8::MAX).saturating_add(newcomers);
        let departments: BTreeSet<_> = voters().map(|seat| seat.officer.department.to_owned()).collect();
        let departments: Vec<_> = departments.into_iter().collect();
        let quorum = QuorumFacts { persons, departments: &departments };
        let (resource, context) = (ResourceFacts::Service, ContextFacts::Site { officers: on_roster });
        for seat in seats {
            let (principal, action) = (*seat.officer, "policy.propose");
            if self.decide(&Question { principal, action, resource, context, quorum })? == Decision::Allow {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Judges one question: [`Decision::Allow`] only if the ceiling and the site both permit it.
    /// An action that the schema does not declare is denied.
    ///
    /// # Errors
    ///
    /// A resource or context that is not the action's, an amount above `i64::MAX`, or a policy that
    /// fails on these facts. The caller must treat each as a denial.
    pub fn decide(&self, question: &Question<'_>) -> Result<Decision, PolicyError> {
        self.judge(question).map(Verdict::decision)
    }

    /// As [`PolicySet::decide`], and of a denial what its caller may be told: [`Denied::SamePerson`] if
    /// every forbid of the layer that denies it is annotated `@refusal("same_person")`, and
    /// [`Denied::Forbidden`] of every other. The ceiling speaks first: what it denies the site is not
    /// asked about.
    ///
    /// # Errors
    ///
    /// As [`PolicySet::decide`].
    pub fn judge(&self, question: &Question<'_>) -> Result<Verdict, PolicyError> {
        let Some(rules) = self.rules.get(question.action) else {
            return Ok(Verdict::Denied(Denied::Forbidden));
        };
        let standing = self.standings.of(Key::of(question), || {
            let (principal, resource, entities) =
                self.vocabulary.put(&question.principal, &question.resource)?;
            rules.action.fits(&resource, question.context)?;
            rules.standing(principal, resource, entities)
        })?;
        let (_, standing) = &*standing;
        // Again, because of another question with the same key the context may be another action's.
        rules.action.fits(&standing.resource, question.context)?;
        let context = facts::context(question.principal.id, question.context, question.quorum)?;
        rules.judge(standing, context)
    }

    /// What would be enough for a question that was denied as it stands: how many people, from how
    /// many departments and from which. `None` when no quorum of these voters is, as when there are
    /// fewer than two of them. For the caller that means denied.
    ///
    /// The policies are asked again about quorums that `voters`, the officers who can vote now, could
    /// form; the question's own quorum facts are not looked at. First all voters together: what is
    /// denied to them is denied at the price of one more decision. Then as few as possible, from two up,
    /// over every set of their departments that so many people can come from. See [`PolicyNeed`] for what
    /// the answer promises.
    ///
    /// At most [`VOTERS_MAX`](crate::VOTERS_MAX) people and
    /// [`VOTER_DEPARTMENTS_MAX`](crate::VOTER_DEPARTMENTS_MAX) departments are tried, so at most
    /// 1 + 31 * 255 + 256 = 8,162 decisions; where two people are enough, at most 1 + 9 + 36 = 46.
    ///
    /// # Errors
    ///
    /// As [`PolicySet::decide`], for any of the quorums tried.
    pub fn need(
        &self,
        question: &Question<'_>,
        voters: &[Voter<'_>],
    ) -> Result<Option<PolicyNeed>, PolicyError> {
        need::of(voters, |quorum| Ok(self.decide(&Question { quorum, ..*question })? == Decision::Allow))
    }

    fn new(ceiling: &str, site: Vec<Source>) -> Result<Self, PolicyError> {
        for Source { name, text } in &site {
            if let Some(line) = depth::too_deep(text) {
                return Err(PolicyError::TooDeep { file: name.clone(), line });
            }
        }
        depth::with_room(|| Self::read(ceiling, site))
    }

    fn read(ceiling: &str, site: Vec<Source>) -> Result<Self, PolicyError> {
        let schema = source::schema()?;
        let validator = Validator::new(schema.clone());

        let ceiling = Source { name: CEILING_NAME.to_owned(), text: ceiling.to_owned() };
        let of_ceiling = rules::of(&ceiling.policies(&validator)?)?;
        let mut of_site: Vec<Policy> = Vec::new();
        for source in &site {
            of_site.extend(source.policies(&validator)?);
            if of_site.len() > SITE_POLICIES_MAX {
                return Err(PolicyError::TooManyPolicies);
            }
        }

        let policies = of_site.len();
        let of_site = rules::of(&of_site)?;

        let mut rules = HashMap::new();
        for uid in schema.actions() {
            let action = Action::new(uid, &schema)?;
            rules.insert(action.name().to_owned(), Rules::new(action, &of_ceiling, &of_site));
        }
        let (vocabulary, standings) = (Vocabulary::new(&schema)?, Standings::new());
        Ok(Self { vocabulary, rules, standings, policies, digest: digest::of_set(&site), site })
    }
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the policies: they are pages long.
        f.debug_struct("PolicySet").field("digest", &self.digest).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::question::JobFacts;
    use crate::sample::{ACTIONS, KINDS, job, people, question};
    use crate::shipped::SCHEMA;

    const EVERYTHING: &str = "permit (principal, action, resource);";

    /// What everyone enrolled may ask.
    const EVERYONES: [&str; 7] = [
        "status",
        "log.checkpoint",
        "log.proof",
        "bundle.get",
        "profile.get",
        "profile.list",
        "principal.rotate",
    ];

    /// What a requester may ask about a proposal.
    const FOLLOW: [&str; 4] = ["proposal.list", "proposal.get", "proposal.cancel", "proposal.result"];

    const VOTES: [&str; 2] = ["proposal.approve", "proposal.reject"];

    /// What officers ask for and nobody else.
    const OFFICERS_ACTS: [&str; 16] = [
        "principal.enrol",
        "principal.disable",
        "principal.enable",
        "key.create",
        "key.activate",
        "key.suspend",
        "key.retire",
        "key.compromise",
        "key.destroy",
        "key.import",
        "profile.put",
        "policy.propose",
        "ceremony.record",
        "freeze.lift",
        "quorum.set",
        "clock.confirm",
    ];

    /// What takes more than its caller, be it an officer.
    const TAKES_PEOPLE: [&str; 13] = [
        "principal.enrol",
        "principal.rotate",
        "principal.enable",
        "key.create",
        "key.activate",
        "key.retire",
        "key.destroy",
        "key.import",
        "profile.put",
        "policy.propose",
        "freeze.lift",
        "quorum.set",
        "clock.confirm",
    ];

    const OVERSIGHT: [&str; 5] =
        ["principal.list", "key.impact", "policy.get", "freeze.list", "evidence.get"];

    /// What the custodians of an imported key do.
    const COMPONENTS: [&str; 2] = ["component.key", "component.give"];

    /// What stations do and nobody else.
    const STATIONS_ACTS: [&str; 7] =
        ["job.open", "job.resume", "card.derive", "card.result", "job.count", "job.incident", "job.close"];

    /// What data operators do and nobody else.
    const DATA_OPERATORS_ACTS: [&str; 4] = ["job.create", "job.items", "job.seal", "job.withdraw"];

    const SEES_JOBS: [&str; 2] = ["job.list", "job.get"];

    /// What the ceiling leaves to sites, with enough people and beyond what everyone may ask, apart
    /// from organisations, card sessions and kinds of keys.
    const ALLOWED: [(&str, &[&[&str]]); 7] = [
        ("station", &[&STATIONS_ACTS, &SEES_JOBS, &["card.check"], &FOLLOW]),
        ("terminal", &[&["value.update", "value.batch", "card.check", "card.transition"], &FOLLOW]),
        (
            "officer",
            &[
                &["key.list", "key.get", "freeze.set", "job.record", "card.check"],
                &FOLLOW,
                &SEES_JOBS,
                &VOTES,
                &OFFICERS_ACTS,
                &OVERSIGHT,
                &COMPONENTS,
            ],
        ),
        (
            "operator",
            &[
                &FOLLOW,
                &COMPONENTS,
                &DATA_OPERATORS_ACTS,
                &SEES_JOBS,
                &["job.suspend", "job.record", "card.check"],
            ],
        ),
        (
            "office",
            &[
                &["value.batch", "freeze.set", "freeze.list", "evidence.get"],
                &["job.record", "card.check", "card.transition"],
                &FOLLOW,
            ],
        ),
        (
            "auditor",
            &[
                &["key.list", "key.get", "log.entries", "proposal.list", "proposal.get"],
                &OVERSIGHT,
                &SEES_JOBS,
                &["job.record", "card.check"],
            ],
        ),
        (
            "platform",
            &[&["key.list", "key.get", "principal.list", "freeze.list", "key.impact", "policy.get"]],
        ),
    ];

    fn allowed(kind: &str, action: &str) -> Decision {
        let row = ALLOWED.iter().find(|(named, _)| *named == kind);
        let own = row.is_some_and(|(_, groups)| groups.iter().any(|actions| actions.contains(&action)));
        if own || EVERYONES.contains(&action) { Decision::Allow } else { Decision::Deny }
    }

    fn allowed_alone(kind: &str, action: &str) -> Decision {
        if TAKES_PEOPLE.contains(&action) { Decision::Deny } else { allowed(kind, action) }
    }

    fn agreed<'a>(kind: &'a str, action: &'a str) -> Question<'a> {
        Question { quorum: people(3), ..question(kind, action) }
    }

    fn folder(files: &[(&str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn site(text: &str) -> PolicySet {
        PolicySet::load(folder(&[("site.cedar", text)]).path()).unwrap()
    }

    fn update(amount: u64, no_card_session: bool, passive_tag: bool, development: bool) -> Question<'static> {
        let context = ContextFacts::ValueUpdate {
            operation: "debit",
            amount,
            no_card_session,
            passive_tag,
            development,
        };
        Question { context, ..question("terminal", "value.update") }
    }

    #[test]
    fn a_site_that_permits_everything_stays_under_the_ceiling() {
        let open = site(EVERYTHING);
        for kind in KINDS {
            for action in ACTIONS {
                let (alone, with_three) = (question(kind, action), agreed(kind, action));
                assert_eq!(open.decide(&alone), Ok(allowed_alone(kind, action)), "{kind} {action} alone");
                assert_eq!(open.decide(&with_three), Ok(allowed(kind, action)), "{kind} {action}");
            }
        }
    }

    #[test]
    fn the_invariants_hold_whatever_a_later_ceiling_permits() {
        let open = Source { name: "site.cedar".to_owned(), text: EVERYTHING.to_owned() };
        let widened = PolicySet::new(&[CEILING, EVERYTHING].concat(), vec![open]).unwrap();
        let changes = ["value.update", "value.batch"].as_slice();
        let only_watch = ["freeze.set", "proposal.cancel", "proposal.result"].as_slice();
        let of_jobs = ["job.list", "job.get", "job.record"].as_slice();
        for (kind, never) in [
            (
                "station",
                [
                    &["value.update", "value.batch", "log.entries", "freeze.set", "job.record"],
                    OVERSIGHT.as_slice(),
                    &[],
                ],
            ),
            ("terminal", [&["log.entries", "freeze.set"], &OVERSIGHT, of_jobs]),
            ("officer", [changes, &[], &[]]),
            ("operator", [&["freeze.set"], &[], &[]]),
            ("office", [&[], &[], &[]]),
            ("auditor", [changes, only_watch, &[]]),
            ("platform", [changes, only_watch, of_jobs]),
        ] {
            for action in ACTIONS {
                let is_officers = OFFICERS_ACTS.contains(&action) || VOTES.contains(&action);
                let is_custodian = matches!(kind, "officer" | "operator");
                let denied = never.concat().contains(&action)
                    || (is_officers && kind != "officer")
                    || (COMPONENTS.contains(&action) && !is_custodian)
                    || (STATIONS_ACTS.contains(&action) && kind != "station")
                    || (DATA_OPERATORS_ACTS.contains(&action) && kind != "operator")
                    || (action == "job.suspend" && kind != "operator")
                    || (action == "card.transition" && !matches!(kind, "terminal" | "office"));
                let expected = if denied { Decision::Deny } else { Decision::Allow };
                assert_eq!(widened.decide(&agreed(kind, action)), Ok(expected), "{kind} {action}");
                if TAKES_PEOPLE.contains(&action) {
                    let alone = widened.decide(&question(kind, action));
                    assert_eq!(alone, Ok(Decision::Deny), "{kind} {action} alone");
                }
            }
        }

        let others = ResourceFacts::Programme { name: "gift", organisation: "globex", currency: 978 };
        let foreign = Question { resource: others, ..question("office", "value.update") };
        assert_eq!(widened.decide(&foreign), Ok(Decision::Deny));
        assert_eq!(widened.decide(&update(1, true, false, false)), Ok(Decision::Deny));
        let others_keys = ContextFacts::Principal {
            subject_kind: "terminal",
            subject_organisation: "acme",
            own: false,
            officers: 3,
        };
        let rotate = Question { context: others_keys, ..agreed("officer", "principal.rotate") };
        assert_eq!(widened.decide(&rotate), Ok(Decision::Deny));
    }

    #[test]
    fn an_office_freezes_only_cards_and_terminals_of_its_own_organisation() {
        let open = site(EVERYTHING);
        let scopes =
            ["card", "terminal", "station", "programme", "store", "profile", "key", "all", "", "Card"];
        for scope in scopes {
            for (own, organisation) in [("acme", "acme"), ("acme", "globex"), ("acme", ""), ("", "")] {
                let context = ContextFacts::Freeze { scope, organisation, officers: 3 };
                let mut set = Question { context, ..question("office", "freeze.set") };
                set.principal.organisation = own;
                let is_own = matches!(scope, "card" | "terminal") && organisation == "acme" && own == "acme";
                let expected = if is_own { Decision::Allow } else { Decision::Deny };
                assert_eq!(open.decide(&set), Ok(expected), "{own} {scope} {organisation}");
                let lift = Question { action: "freeze.lift", quorum: people(3), ..set };
                assert_eq!(open.decide(&lift), Ok(Decision::Deny), "{own} {scope} {organisation}");
            }
        }
    }

    /// The site's policies alone: a second line that holds without the ceiling.
    #[test]
    fn the_shipped_site_asks_for_two_people_itself() {
        let shipped = Source { name: DEFAULT_SITE_NAME.to_owned(), text: DEFAULT_SITE.to_owned() };
        let alone = PolicySet::new(EVERYTHING, vec![shipped]).unwrap();
        assert_eq!(alone.decide(&question("officer", "freeze.set")), Ok(Decision::Allow));
        for kind in KINDS {
            for action in TAKES_PEOPLE {
                for persons in [0, 1] {
                    let asked = Question { quorum: people(persons), ..question(kind, action) };
                    assert_eq!(alone.decide(&asked), Ok(Decision::Deny), "{kind} {action} {persons}");
                }
                let two = Question { quorum: people(2), ..question(kind, action) };
                assert_eq!(alone.decide(&two), Ok(allowed(kind, action)), "{kind} {action}");
            }
        }
        let context = ContextFacts::ValueUpdate {
            operation: "load",
            amount: 100_001,
            no_card_session: false,
            passive_tag: false,
            development: false,
        };
        let load = Question { context, quorum: people(1), ..question("terminal", "value.update") };
        assert_eq!(alone.decide(&load), Ok(Decision::Deny));
        assert_eq!(alone.decide(&Question { quorum: people(2), ..load }), Ok(Decision::Allow));
    }

    /// Every separation that is broken by one person: the act, and how.
    fn one_person_for_two() -> Vec<Question<'static>> {
        let asked = |action: &'static str, kind, job: JobFacts<'static>| Question {
            context: ContextFacts::Job(job),
            ..question(kind, action)
        };
        let mut broken =
            vec![asked("job.seal", "operator", JobFacts { created_by: "someone", ..job("job.seal") })];
        for action in ["job.open", "job.resume"] {
            broken.push(asked(action, "station", JobFacts { created_by: "otto", ..job(action) }));
            broken.push(asked(action, "station", JobFacts { sealed_by: "olga", ..job(action) }));
            let reviewed = JobFacts { reviewed_by: job("job.count").operators, ..job(action) };
            broken.push(asked(action, "station", reviewed));
        }
        for action in ["job.count", "job.incident"] {
            broken.push(asked(action, "station", JobFacts { reviewer: "otto", ..job(action) }));
            broken.push(asked(
                action,
                "station",
                JobFacts { reviewer: "olga", operated_by: &[], ..job(action) },
            ));
        }
        for witness in ["dora", "dan", "olga", "otto"] {
            broken.push(asked("job.close", "station", JobFacts { witness, ..job("job.close") }));
        }
        let JobFacts { created_by, sealed_by, operated_by, .. } = job("job.suspend");
        broken.push(Question {
            context: ContextFacts::JobRead { created_by, sealed_by, operated_by },
            ..question("operator", "job.record")
        });
        broken
    }

    #[test]
    fn one_person_for_two_is_told_so_by_the_ceiling_and_by_the_site_each_alone() {
        let shipped = Source { name: DEFAULT_SITE_NAME.to_owned(), text: DEFAULT_SITE.to_owned() };
        let open = site(EVERYTHING);
        let (both, alone) =
            (PolicySet::shipped().unwrap(), PolicySet::new(EVERYTHING, vec![shipped]).unwrap());
        for broken in one_person_for_two() {
            for (set, name) in [(&both, "both"), (&open, "the ceiling"), (&alone, "the site")] {
                for quorum in [people(0), people(3)] {
                    let asked = Question { quorum, ..broken };
                    let said = set.judge(&asked).unwrap();
                    assert_eq!(said, Verdict::Denied(Denied::SamePerson), "{name}: {asked:?}");
                    assert_eq!(set.decide(&asked), Ok(Decision::Deny));
                }
                // With the people who should sign it is allowed.
                let whole = question(broken.principal.kind, broken.action);
                assert_eq!(set.judge(&whole), Ok(Verdict::Allowed), "{name}: {whole:?}");
            }
        }
    }

    #[test]
    fn who_may_not_ask_at_all_is_told_nothing_of_persons() {
        let shipped = PolicySet::shipped().unwrap();
        for broken in one_person_for_two() {
            let mut asked = broken;
            asked.principal.kind = "terminal";
            assert_eq!(shipped.judge(&asked), Ok(Verdict::Denied(Denied::Forbidden)), "{asked:?}");
        }
        let mut seal = one_person_for_two()[0];
        seal.principal.capabilities = &[];
        assert_eq!(shipped.judge(&seal), Ok(Verdict::Denied(Denied::Forbidden)));
        let unknown = Question { action: "job.burn", ..seal };
        assert_eq!(shipped.judge(&unknown), Ok(Verdict::Denied(Denied::Forbidden)));
    }

    #[test]
    fn a_site_may_tell_of_a_separation_of_its_own_unless_another_forbid_holds_as_well() {
        let told = r#"permit (principal, action, resource);
            @refusal("same_person")
            forbid (principal, action == Action::"job.close", resource)
            when { context.reviewed_by.contains(context.witness) };"#;
        let close = Question {
            context: ContextFacts::Job(JobFacts { witness: "rita", ..job("job.close") }),
            ..question("station", "job.close")
        };
        assert_eq!(site(told).judge(&close), Ok(Verdict::Denied(Denied::SamePerson)));
        let silent =
            format!("{told} forbid (principal, action, resource) when {{ principal.kind == \"station\" }};");
        assert_eq!(site(&silent).judge(&close), Ok(Verdict::Denied(Denied::Forbidden)));
        let untold = told.replace("@refusal(\"same_person\")", "");
        assert_eq!(site(&untold).judge(&close), Ok(Verdict::Denied(Denied::Forbidden)));
        let invented = told.replace("same_person", "frozen");
        let refused = PolicySet::from_files(&[("site.cedar", &invented)]).unwrap_err();
        assert!(matches!(refused, PolicyError::Refusal { line: 2, .. }), "{refused:?}");
    }

    #[test]
    fn nobody_suspends_what_others_operate_and_no_other_generation_is_made_alone() {
        let shipped = Source { name: DEFAULT_SITE_NAME.to_owned(), text: DEFAULT_SITE.to_owned() };
        let alone = PolicySet::new(EVERYTHING, vec![shipped]).unwrap();
        let suspend =
            Question { context: ContextFacts::Job(job("job.count")), ..question("operator", "job.suspend") };
        for set in [&site(EVERYTHING), &alone] {
            assert_eq!(set.judge(&suspend), Ok(Verdict::Denied(Denied::Forbidden)));
            for (generation, persons, expected) in [
                (1, 0, Decision::Allow),
                (2, 0, Decision::Deny),
                (2, 1, Decision::Deny),
                (2, 2, Decision::Allow),
                (u32::MAX, 1, Decision::Deny),
                (u32::MAX, 2, Decision::Allow),
            ] {
                let context = ContextFacts::CardDerive { cards: 1, slots: 1, generation, development: true };
                let derive =
                    Question { context, quorum: people(persons), ..question("station", "card.derive") };
                assert_eq!(set.decide(&derive), Ok(expected), "{generation} {persons}");
            }
        }
    }

    #[test]
    fn what_others_sign_is_not_done_without_them_whatever_the_site_permits() {
        let open = site(EVERYTHING);
        for (action, without) in [
            ("job.open", JobFacts { operators: &[], ..job("job.open") }),
            ("job.resume", JobFacts { operators: &[], ..job("job.resume") }),
            ("job.count", JobFacts { operators: &[], ..job("job.count") }),
            ("job.count", JobFacts { reviewer: "", ..job("job.count") }),
            ("job.incident", JobFacts { operators: &[], ..job("job.incident") }),
            ("job.incident", JobFacts { reviewer: "", ..job("job.incident") }),
            ("job.close", JobFacts { witness: "", ..job("job.close") }),
        ] {
            let asked = Question { context: ContextFacts::Job(without), ..question("station", action) };
            assert_eq!(open.judge(&asked), Ok(Verdict::Denied(Denied::Forbidden)), "{asked:?}");
        }
    }

    #[test]
    fn a_card_that_can_be_copied_holds_no_value_whatever_the_site_permits() {
        let open = site(EVERYTHING);
        for (family, can_hold_value) in [
            ("mifare-classic", false),
            ("ultralight-c", false),
            ("ntag-21x", false),
            ("ultralight-aes", true),
            ("ntag-424-dna", true),
            ("plus-ev2", true),
            ("desfire-light", true),
            ("desfire-ev2", true),
            ("desfire-ev3", true),
        ] {
            for stored_value in [false, true] {
                let context = ContextFacts::Profile { family, stored_value, officers: 3 };
                let put = Question { context, ..agreed("officer", "profile.put") };
                let is_possible = can_hold_value || !stored_value;
                let expected = if is_possible { Decision::Allow } else { Decision::Deny };
                assert_eq!(open.decide(&put), Ok(expected), "{family} {stored_value}");
            }
        }
    }

    #[test]
    fn a_set_that_nobody_could_replace_says_so() {
        fn officer<'a>(id: &'a str, organisation: &'a str, department: &'a str) -> PrincipalFacts<'a> {
            PrincipalFacts { id, kind: "officer", organisation, department, capabilities: &[] }
        }
        let three = [
            officer("anna", "acme", "finance"),
            officer("ben", "acme", "security"),
            officer("cat", "globex", "security"),
        ];
        let shipped = PolicySet::shipped().unwrap();
        assert_eq!(shipped.can_change_itself(&three, 3), Ok(true));
        assert_eq!(shipped.can_change_itself(&three[..2], 2), Ok(true));
        // The third is disabled, and two of three are too few.
        assert_eq!(shipped.can_change_itself(&three[..2], 3), Ok(false));
        assert_eq!(shipped.can_change_itself(&three[..1], 1), Ok(false));
        assert_eq!(shipped.can_change_itself(&[], 0), Ok(false));

        let only = |when: &str| {
            site(&format!(
                r#"permit (principal, action, resource);
                   forbid (principal, action == Action::"policy.propose", resource) unless {{ {when} }};"#
            ))
        };
        for (when, can) in [
            (r#"principal.organisation == "globex""#, true),
            (r#"principal == Principal::"anna""#, true),
            (r#"principal == Principal::"dan""#, false),
            (r#"context.departments.containsAll(["finance", "security"])"#, true),
            (r#"context.departments.contains("sales")"#, false),
            ("context.persons >= 4", false),
            ("context.departments_count == 2 && context.officers >= 3", true),
            ("context.departments_count == 2 && context.officers == 3", false),
        ] {
            assert_eq!(only(when).can_change_itself(&three, 3), Ok(can), "{when}");
        }
        // Whoever asks, others must be able to read and to agree.
        for vote in ["proposal.get", "proposal.approve"] {
            let but = |unless: &str| {
                site(&format!(
                    r#"permit (principal, action, resource);
                       forbid (principal, action == Action::"{vote}", resource) {unless};"#
                ))
            };
            assert_eq!(but("").can_change_itself(&three, 3), Ok(false), "{vote}");
            let two = but(r#"unless { principal.department == "security" }"#);
            assert_eq!(two.can_change_itself(&three, 3), Ok(false), "{vote}");
            let all = but(r#"unless { principal.kind == "officer" }"#);
            assert_eq!(all.can_change_itself(&three, 3), Ok(true), "{vote}");
        }
        let forgotten = site(r#"permit (principal, action == Action::"status", resource);"#);
        assert_eq!(forgotten.can_change_itself(&three, 3), Ok(false));
        let failing = only("context.officers + 9223372036854775807 > 0");
        assert!(matches!(failing.can_change_itself(&three, 3), Err(PolicyError::Evaluation { .. })));
        let operator = PrincipalFacts { kind: "operator", ..three[0] };
        assert_eq!(shipped.can_change_itself(&[operator; 3], 3), Ok(false));
    }

    #[test]
    fn a_set_that_depends_on_one_person_or_on_their_number_locks_its_own_change_out() {
        fn officer<'a>(id: &'a str, department: &'a str) -> PrincipalFacts<'a> {
            PrincipalFacts { id, kind: "officer", organisation: "acme", department, capabilities: &[] }
        }
        let four = [
            officer("anna", "finance"),
            officer("ben", "security"),
            officer("cat", "security"),
            officer("dan", "finance"),
        ];
        let shipped = PolicySet::shipped().unwrap();
        let can = |set: &PolicySet, officers: usize, on_roster| {
            set.can_change_itself(&four[..officers], on_roster).unwrap()
        };
        for (officers, on_roster, left) in
            [(4, 4, true), (3, 4, true), (3, 3, true), (2, 2, true), (2, 3, false), (2, 4, false)]
        {
            assert_eq!(can(&shipped, officers, on_roster), left, "{officers} of {on_roster}");
        }
        let only = |action: &str, when: &str| {
            site(&format!(
                r#"permit (principal, action, resource);
                   forbid (principal, action == Action::"{action}", resource) unless {{ {when} }};"#
            ))
        };
        // What is asked for, by whom, and whether three and four of as many could change it.
        for (action, when, with_three, with_four) in [
            ("policy.propose", r#"principal == Principal::"anna""#, true, false),
            ("policy.propose", r#"principal != Principal::"anna""#, true, true),
            ("policy.propose", r#"principal.department == "finance""#, true, true),
            ("proposal.approve", r#"principal != Principal::"anna""#, false, false),
            ("proposal.get", r#"principal != Principal::"anna""#, false, false),
            // The number of officers, or of those who agree.
            ("policy.propose", "context.officers == 3", false, false),
            ("policy.propose", "context.officers <= 4", true, false),
            ("policy.propose", "context.persons >= context.officers", false, false),
            ("policy.propose", "context.persons == 3", false, false),
            ("policy.propose", "context.persons <= 4", true, false),
            ("policy.propose", "context.persons >= 3", true, true),
            ("policy.propose", "context.persons >= 4", false, false),
        ] {
            let set = only(action, when);
            assert_eq!(can(&set, 3, 3), with_three, "{action} unless {when}, three");
            assert_eq!(can(&set, 4, 4), with_four, "{action} unless {when}, four");
        }
        // The only one of a department that must be among them, once three are enough without.
        let three_and_one = [four[1], four[2], officer("eve", "security"), four[0]];
        let finance = only("policy.propose", r#"context.departments.contains("finance")"#);
        assert_eq!(finance.can_change_itself(&three_and_one, 4), Ok(false));
        assert_eq!(finance.can_change_itself(&four, 4), Ok(true));
        // Two officers, who both must agree, and a third who will have to agree too.
        assert!(can(&only("policy.propose", "context.persons >= 2"), 2, 2));
        assert!(!can(&only("policy.propose", "context.officers == 2"), 2, 2));
    }

    #[test]
    fn a_set_of_given_files_equals_a_folder_of_them() {
        let files = [("b.cedar", "// b"), ("a.cedar", EVERYTHING)];
        let given = PolicySet::from_files(&files).unwrap();
        let loaded = PolicySet::load(folder(&files).path()).unwrap();
        assert_eq!(given.digest(), loaded.digest());
        for set in [&given, &loaded] {
            assert_eq!(set.files().collect::<Vec<_>>(), [("a.cedar", EVERYTHING), ("b.cedar", "// b")]);
            assert_eq!(set.decide(&question("auditor", "log.entries")), Ok(Decision::Allow));
        }
        let again = PolicySet::from_files(&given.files().collect::<Vec<_>>()).unwrap();
        assert_eq!(again.digest(), given.digest());
        assert_eq!(PolicySet::from_files(&[]).unwrap_err(), PolicyError::NoFiles);
        let bad = PolicySet::from_files(&[("a.cedar", EVERYTHING), ("b.cedar", "permit (principal);")]);
        assert!(matches!(bad, Err(PolicyError::Syntax { file, .. }) if file == "b.cedar"));
    }

    #[test]
    fn only_card_masters_are_imported() {
        let open = site(EVERYTHING);
        for kind in ["card-master", "value-signing", "storage", "", "Card-master"] {
            let context = ContextFacts::Key { kind, officers: 3 };
            let expected = if kind == "card-master" { Decision::Allow } else { Decision::Deny };
            let asked = Question { context, ..agreed("officer", "key.import") };
            assert_eq!(open.decide(&asked), Ok(expected), "{kind}");
        }
    }

    #[test]
    fn only_two_kinds_of_keys_are_made_and_destroyed_on_request() {
        let open = site(EVERYTHING);
        for kind in
            ["card-master", "value-signing", "service-statement", "checkpoint", "storage", "transport", ""]
        {
            for action in ["key.create", "key.destroy"] {
                let context = ContextFacts::Key { kind, officers: 3 };
                let expected = match kind {
                    "card-master" | "value-signing" => Decision::Allow,
                    _ => Decision::Deny,
                };
                let asked = Question { context, ..agreed("officer", action) };
                assert_eq!(open.decide(&asked), Ok(expected), "{action} {kind}");
            }
        }
    }

    #[test]
    fn the_shipped_site_permits_what_the_ceiling_leaves_to_it() {
        let shipped = PolicySet::shipped().unwrap();
        for kind in KINDS {
            for action in ACTIONS {
                let (alone, with_three) = (question(kind, action), agreed(kind, action));
                assert_eq!(shipped.decide(&alone), Ok(allowed_alone(kind, action)), "{kind} {action} alone");
                assert_eq!(shipped.decide(&with_three), Ok(allowed(kind, action)), "{kind} {action}");
            }
        }
    }

    #[test]
    fn a_kind_that_cannot_be_enrolled_is_denied_everything() {
        let open = site(EVERYTHING);
        for kind in ["", "root", "Station", "station ", "auditor\0"] {
            for action in ACTIONS {
                assert_eq!(open.decide(&agreed(kind, action)), Ok(Decision::Deny), "{kind} {action}");
            }
        }
    }

    #[test]
    fn no_site_opens_another_organisations_programme() {
        let others = ResourceFacts::Programme { name: "gift", organisation: "globex", currency: 978 };
        let foreign = Question { resource: others, ..question("terminal", "value.update") };
        assert_eq!(site(EVERYTHING).decide(&foreign), Ok(Decision::Deny));
    }

    #[test]
    fn an_update_without_card_session_needs_a_passive_tag_or_development() {
        let open = site(EVERYTHING);
        for (no_card_session, passive_tag, development) in
            [(true, true, false), (true, false, true), (true, true, true), (false, false, false)]
        {
            let question = update(1, no_card_session, passive_tag, development);
            assert_eq!(open.decide(&question), Ok(Decision::Allow), "{question:?}");
        }
        assert_eq!(open.decide(&update(1, true, false, false)), Ok(Decision::Deny));
    }

    #[test]
    fn a_site_without_a_permit_denies() {
        let closed = site("forbid (principal, action, resource) when { principal.kind == \"nobody\" };");
        let blank = site("// nothing yet\n");
        for kind in KINDS {
            for action in ACTIONS {
                assert_eq!(closed.decide(&agreed(kind, action)), Ok(Decision::Deny), "{kind} {action}");
                assert_eq!(blank.decide(&agreed(kind, action)), Ok(Decision::Deny), "{kind} {action}");
            }
        }
    }

    #[test]
    fn a_forbid_in_one_file_beats_a_permit_in_another() {
        let forbid = r#"forbid (principal == Principal::"someone", action, resource);"#;
        let folder = folder(&[("a.cedar", EVERYTHING), ("b.cedar", forbid)]);
        let policies = PolicySet::load(folder.path()).unwrap();
        let mut question = question("station", "status");
        assert_eq!(policies.decide(&question), Ok(Decision::Deny));
        question.principal.id = "someone-else";
        assert_eq!(policies.decide(&question), Ok(Decision::Allow));
    }

    #[test]
    fn a_site_can_ask_for_a_capability_and_limit_an_amount() {
        let policies = site(
            r#"permit (principal, action == Action::"value.update", resource)
               when { principal.capabilities.contains("till") && context.amount <= 100 };"#,
        );
        let capabilities = ["till".to_owned()];
        let mut small = update(100, false, false, false);
        assert_eq!(policies.decide(&small), Ok(Decision::Deny));
        small.principal.capabilities = &capabilities;
        assert_eq!(policies.decide(&small), Ok(Decision::Allow));
        let large = Question { principal: small.principal, ..update(101, false, false, false) };
        assert_eq!(policies.decide(&large), Ok(Decision::Deny));
    }

    #[test]
    fn an_unknown_action_is_denied() {
        let open = site(EVERYTHING);
        for action in ["", "key.export", "Status", "status ", "Action::\"status\""] {
            let question = Question { action, ..question("auditor", "status") };
            assert_eq!(open.decide(&question), Ok(Decision::Deny), "{action}");
        }
    }

    #[test]
    fn a_resource_or_context_of_another_action_is_an_error() {
        let open = site(EVERYTHING);
        for (action, other) in [
            ("status", "log.proof"),
            ("card.derive", "value.update"),
            ("value.update", "card.derive"),
            ("job.seal", "status"),
            ("job.seal", "job.get"),
            ("job.record", "job.count"),
            ("card.transition", "key.create"),
            ("freeze.set", "key.create"),
            ("quorum.set", "freeze.lift"),
            ("profile.put", "quorum.set"),
        ] {
            let (right, wrong) = (question("terminal", action), question("terminal", other));
            for question in
                [Question { resource: wrong.resource, ..right }, Question { context: wrong.context, ..right }]
            {
                if question != right {
                    let refused = open.decide(&question);
                    assert!(matches!(refused, Err(PolicyError::Misfit { .. })), "{question:?}: {refused:?}");
                }
            }
        }
    }

    #[test]
    fn an_amount_that_policies_cannot_hold_is_an_error() {
        let question = update(u64::MAX, false, false, false);
        assert_eq!(site(EVERYTHING).decide(&question), Err(PolicyError::AmountTooLarge));
    }

    #[test]
    fn a_forbid_that_fails_is_an_error_although_a_permit_matches() {
        let policies = site(
            "permit (principal, action, resource);\n\
             forbid (principal, action == Action::\"value.update\", resource) when { context.amount + 1 < 0 };",
        );
        let largest = u64::try_from(i64::MAX).unwrap();
        let Err(PolicyError::Evaluation { policy, reason }) =
            policies.decide(&update(largest, false, false, false))
        else {
            panic!("no error")
        };
        assert_eq!(policy, "site.cedar:2:1");
        assert!(reason.contains("overflow"), "{reason}");
        assert_eq!(policies.decide(&update(1, false, false, false)), Ok(Decision::Allow));
    }

    #[test]
    fn a_bad_policy_names_its_file_among_several() {
        let good = folder(&[("a.cedar", EVERYTHING)]);
        fs::write(good.path().join("b.cedar"), "permit (principal, action);").unwrap();
        let Err(PolicyError::Syntax { file, line: 1, .. }) = PolicySet::load(good.path()) else {
            panic!("loaded")
        };
        assert_eq!(file, "b.cedar");

        let unknown = "permit (principal, action, resource) when { principal.colour == \"red\" };";
        fs::write(good.path().join("b.cedar"), unknown).unwrap();
        let error = PolicySet::load(good.path()).unwrap_err();
        assert!(
            matches!(&error, PolicyError::Invalid { file, line: 1, .. } if file == "b.cedar"),
            "{error:?}"
        );
        assert!(error.to_string().starts_with("b.cedar, line 1: "), "{error}");
    }

    #[test]
    fn a_site_may_have_as_many_policies_as_the_cap_and_no_more() {
        let full = [EVERYTHING, "\n"].concat().repeat(SITE_POLICIES_MAX);
        assert!(PolicySet::load(folder(&[("site.cedar", &full)]).path()).is_ok());
        let over = folder(&[("a.cedar", &full), ("b.cedar", EVERYTHING)]);
        assert_eq!(PolicySet::load(over.path()).unwrap_err(), PolicyError::TooManyPolicies);
    }

    #[test]
    fn the_shipped_set_equals_a_folder_of_the_shipped_file() {
        let written = folder(&[(DEFAULT_SITE_NAME, DEFAULT_SITE)]);
        let loaded = PolicySet::load(written.path()).unwrap();
        assert_eq!(loaded.digest(), PolicySet::shipped().unwrap().digest());
    }

    #[test]
    fn the_digest_changes_with_any_byte_and_with_a_file_name() {
        let sets: [&[(&str, &str)]; 7] = [
            &[("site.cedar", EVERYTHING)],
            &[("site.cedar", "permit (principal, action, resource);\n")],
            &[("site.cedar", "permit (principal, action,  resource);")],
            &[("site.cedar", "forbid (principal, action, resource);")],
            &[("sitf.cedar", EVERYTHING)],
            &[("site.cedar", EVERYTHING), ("more.cedar", "")],
            &[("site.cedar", ""), ("more.cedar", EVERYTHING)],
        ];
        let digests = sets.map(|files| PolicySet::load(folder(files).path()).unwrap().digest());
        assert_eq!(digests.iter().collect::<HashSet<_>>().len(), digests.len());
    }

    #[test]
    fn the_digest_does_not_depend_on_the_order_of_writing() {
        let forward = folder(&[("a.cedar", EVERYTHING), ("b.cedar", "// b")]);
        let backward = folder(&[("b.cedar", "// b"), ("a.cedar", EVERYTHING)]);
        let digest = |folder: &TempDir| PolicySet::load(folder.path()).unwrap().digest();
        assert_eq!(digest(&forward), digest(&backward));
    }

    #[test]
    fn a_loaded_set_no_longer_reads_its_folder() {
        let folder = folder(&[("site.cedar", EVERYTHING)]);
        let policies = PolicySet::load(folder.path()).unwrap();
        folder.close().unwrap();
        assert_eq!(policies.decide(&question("auditor", "log.entries")), Ok(Decision::Allow));
    }

    #[test]
    fn a_set_can_be_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<PolicySet>();
    }

    #[test]
    fn the_schema_does_not_pass_for_a_policy() {
        assert!(matches!(
            PolicySet::load(folder(&[("schema.cedar", SCHEMA)]).path()),
            Err(PolicyError::Syntax { .. })
        ));
    }
}
