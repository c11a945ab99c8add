//! What would be enough: which quorum the policies would permit, found by asking them.
//! It knows people by their departments only and counts no approvals: that is the quorum's own work,
//! and the real quorum is put to the policies again before anything is done.

use std::collections::BTreeMap;

use crate::error::PolicyError;
use crate::question::QuorumFacts;

/// People of whom a quorum is tried. Thirty-two officers are far more than a ceremony brings
/// together; with [`VOTER_DEPARTMENTS_MAX`] it bounds the decisions: 1 for all of them, 31 * 255 for
/// each number of people from each set of departments, and 256 for the sets with a department
/// nobody is of.
pub const VOTERS_MAX: u8 = 32;

/// Departments from which a quorum is tried: 8 make 2^8 - 1 = 255 sets. Where the voters have more,
/// only the first by name are tried, [`PolicyNeed::named`] names a whole set that is enough, and what
/// takes one of the others is denied.
pub const VOTER_DEPARTMENTS_MAX: usize = 8;

/// A department nobody is of. Asking about it tells what the policies want from what the roster
/// happens to be: where all officers are of one department, that one need not be named.
const ELSEWHERE: &str = "(elsewhere)";

/// Someone who can vote on a proposal now: an officer who is enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voter<'a> {
    /// The department the officer is enrolled with. An empty one is a department like any other.
    pub department: &'a str,
}

/// What would be enough. A quorum meets it with at least so many people, from at least so many
/// departments, each of the named ones among them.
///
/// It is sound: whichever of the voters come together, when just so many people meet it the policies
/// permit the request. It need not be the only way: where the policies offer two, it is one of them.
///
/// With more people than that it stays sound as long as policies are monotone, that is, never deny to
/// more people or departments what they permit to fewer. Nothing forces a site to write them so. A
/// policy that permits two people but not all the voters is not found, and what it permits is denied.
/// One that permits finance alone, but not finance with sales, is answered by naming finance, because no
/// need can say "and nobody else". A quorum that meets such a need and is denied in the end does no
/// harm: the policies judge the real quorum before the act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyNeed {
    /// Distinct people, at least two: one alone is no quorum.
    pub persons: u8,
    /// Distinct departments among them, at least one.
    pub departments: u8,
    /// Departments that must each be among them, sorted.
    pub named: Vec<String>,
}

impl PolicyNeed {
    /// Asks for the very departments of `group`.
    fn naming(persons: u8, group: &Group) -> Self {
        Self { persons, departments: group.size(), named: group.departments.clone() }
    }

    /// Whether no set that meets it is too little.
    fn is_sound(&self, judged: &[Judged<'_>]) -> bool {
        judged.iter().all(|set| set.is_enough || !self.is_met_by(set.group))
    }

    fn is_met_by(&self, group: &Group) -> bool {
        group.size() >= self.departments && self.named.iter().all(|name| group.departments.contains(name))
    }
}

/// A set of departments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Group {
    /// Sorted, but for [`ELSEWHERE`].
    departments: Vec<String>,
    /// The voters they have together.
    voters: u8,
    /// It includes [`ELSEWHERE`].
    is_imagined: bool,
}

impl Group {
    fn with(&self, department: &str, voters: u8) -> Self {
        let departments = self.departments.iter().cloned().chain([department.to_owned()]).collect();
        Self { departments, voters: self.voters.saturating_add(voters), is_imagined: self.is_imagined }
    }

    fn with_elsewhere(&self) -> Self {
        Self { is_imagined: true, ..self.with(ELSEWHERE, 0) }
    }

    /// How many departments: at most [`VOTER_DEPARTMENTS_MAX`] and one.
    fn size(&self) -> u8 {
        u8::try_from(self.departments.len()).unwrap_or(u8::MAX)
    }

    /// Whether so many people can come from just these departments, at least one from each, if there
    /// were as many in them as one liked.
    fn can_be(&self, persons: u8) -> bool {
        (1..=persons).contains(&self.size())
    }

    /// Whether so many of the voters can.
    fn is_possible(&self, persons: u8) -> bool {
        self.can_be(persons) && persons <= self.voters && !self.is_imagined
    }
}

/// What the policies say to a set of departments and a number of people.
#[derive(Debug, Clone, Copy)]
struct Judged<'a> {
    group: &'a Group,
    is_enough: bool,
}

impl<'a> Judged<'a> {
    fn new(
        persons: u8,
        group: &'a Group,
        permitted: impl Fn(QuorumFacts<'_>) -> Result<bool, PolicyError>,
    ) -> Result<Self, PolicyError> {
        Ok(Self { group, is_enough: permitted(QuorumFacts { persons, departments: &group.departments })? })
    }
}

/// The least quorum of `voters` that is `permitted`, as [`PolicySet::need`](crate::PolicySet::need)
/// says.
pub(crate) fn of(
    voters: &[Voter<'_>],
    permitted: impl Fn(QuorumFacts<'_>) -> Result<bool, PolicyError>,
) -> Result<Option<PolicyNeed>, PolicyError> {
    let mut sizes: BTreeMap<&str, u8> = BTreeMap::new();
    for voter in voters {
        let size = sizes.entry(voter.department).or_default();
        *size = size.saturating_add(1);
    }
    let all_tried = sizes.len() <= VOTER_DEPARTMENTS_MAX;
    let groups = groups(&sizes);
    let judge = |persons, group| Judged::new(persons, group, &permitted);

    let Some(everyone) = groups.iter().rfind(|group| !group.is_imagined) else { return Ok(None) };
    let persons_max = everyone.voters.min(VOTERS_MAX);
    if persons_max < 2 || !judge(persons_max, everyone)?.is_enough {
        return Ok(None);
    }
    for persons in 2..=persons_max {
        let (possible, others): (Vec<_>, Vec<_>) =
            groups.iter().filter(|group| group.can_be(persons)).partition(|group| group.is_possible(persons));
        let judge = |group| judge(persons, group);
        let possible = possible.into_iter().map(judge).collect::<Result<Vec<_>, _>>()?;
        if possible.iter().any(|set| set.is_enough) {
            let others = others.into_iter().map(judge).collect::<Result<Vec<_>, _>>()?;
            return Ok(summary(persons, &possible, &others, all_tried));
        }
    }
    Ok(None)
}

/// Every set of the departments tried, without and with [`ELSEWHERE`], the smallest first and by name
/// among equals.
fn groups(sizes: &BTreeMap<&str, u8>) -> Vec<Group> {
    let mut groups = vec![Group::default()];
    for (department, voters) in sizes.iter().take(VOTER_DEPARTMENTS_MAX) {
        let with: Vec<_> = groups.iter().map(|group| group.with(department, *voters)).collect();
        groups.extend(with);
    }
    // An officer of that very name is a voter, and nothing is left to be imagined.
    if !sizes.contains_key(ELSEWHERE) {
        let with: Vec<_> = groups.iter().map(Group::with_elsewhere).collect();
        groups.extend(with);
    }
    groups.sort_by(|a, b| (a.size(), &a.departments).cmp(&(b.size(), &b.departments)));
    groups
}

/// What to ask for, if any set that is `possible` is enough.
///
/// First what the policies say of any so many people, whoever they are: two officers of two departments
/// are still "two people". Else what holds for these voters. Else one set by name: the smallest that is
/// sound, if one is.
fn summary(
    persons: u8,
    possible: &[Judged<'_>],
    others: &[Judged<'_>],
    all_tried: bool,
) -> Option<PolicyNeed> {
    let by_name = |group| PolicyNeed::naming(persons, group);
    let smallest = enough(possible).next().map(by_name);
    let named = enough(possible).map(by_name).find(|need| need.is_sound(possible)).or(smallest);
    // Of departments that were not tried nobody knows whether they would do.
    if !all_tried {
        return named;
    }
    let all = [possible, others].concat();
    in_common(persons, &all).or_else(|| in_common(persons, possible)).or(named)
}

/// The size of the smallest set that is enough and the departments in all that are, if that is sound.
fn in_common(persons: u8, judged: &[Judged<'_>]) -> Option<PolicyNeed> {
    let smallest = enough(judged).min_by_key(|group| group.size())?;
    let is_common = |name: &&String| enough(judged).all(|group| group.departments.contains(name));
    let named = smallest.departments.iter().filter(is_common).cloned().collect();
    let need = PolicyNeed { persons, departments: smallest.size(), named };
    need.is_sound(judged).then_some(need)
}

fn enough<'a>(judged: &[Judged<'a>]) -> impl Iterator<Item = &'a Group> {
    judged.iter().filter(|set| set.is_enough).map(|set| set.group)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn voters<'a>(departments: &[&'a str]) -> Vec<Voter<'a>> {
        departments.iter().map(|&department| Voter { department }).collect()
    }

    /// What is needed of `voters` where `permitted` is the policy, and how many times it was asked.
    fn need(voters: &[&str], permitted: impl Fn(u8, &[&str]) -> bool) -> (Option<PolicyNeed>, usize) {
        let asked = Cell::new(0);
        let found = of(&self::voters(voters), |quorum| {
            asked.set(asked.get() + 1);
            let departments: Vec<_> = quorum.departments.iter().map(String::as_str).collect();
            Ok(permitted(quorum.persons, &departments))
        });
        (found.unwrap(), asked.get())
    }

    fn expected(persons: u8, departments: u8, named: &[&str]) -> PolicyNeed {
        let named = named.iter().map(|&name| name.to_owned()).collect();
        PolicyNeed { persons, departments, named }
    }

    const FIVE: [&str; 5] = ["finance", "finance", "sales", "security", "security"];

    #[test]
    fn two_people_are_the_least_even_where_the_policy_wants_none() {
        assert_eq!(need(&FIVE, |_, _| true).0, Some(expected(2, 1, &[])));
    }

    #[test]
    fn departments_are_counted_where_the_policy_counts_them() {
        let two = need(&FIVE, |persons, from| persons >= 2 && from.len() >= 2).0;
        assert_eq!(two, Some(expected(2, 2, &[])));
        let three = need(&FIVE, |persons, from| persons >= 2 && from.len() >= 3).0;
        assert_eq!(three, Some(expected(3, 3, &[])));
    }

    #[test]
    fn a_department_that_is_in_every_enough_set_is_named() {
        let finance = need(&FIVE, |_, from| from.contains(&"finance")).0;
        assert_eq!(finance, Some(expected(2, 1, &["finance"])));
        let one_more = need(&FIVE, |_, from| from.contains(&"finance") && from.len() >= 2).0;
        assert_eq!(one_more, Some(expected(2, 2, &["finance"])));
    }

    #[test]
    fn of_two_alternatives_one_is_named() {
        let either = need(&FIVE, |_, from| from.contains(&"sales") || from.contains(&"security")).0;
        // Sales alone cannot send two.
        assert_eq!(either, Some(expected(2, 1, &["security"])));
        let roster = ["finance", "sales", "security"];
        let either = need(&roster, |_, from| from.contains(&"sales") || from.contains(&"security")).0;
        // Of three who are each alone, any two have one of them among them.
        assert_eq!(either, Some(expected(2, 2, &[])));
    }

    #[test]
    fn a_department_of_one_cannot_send_two() {
        assert_eq!(need(&FIVE, |_, from| from == ["sales"]).0, None);
        let sales = need(&FIVE, |_, from| from.contains(&"sales")).0;
        assert_eq!(sales, Some(expected(2, 1, &["sales"])));
    }

    #[test]
    fn what_only_the_roster_forces_is_not_asked_for() {
        let two = ["finance", "security"];
        assert_eq!(need(&two, |persons, _| persons >= 2).0, Some(expected(2, 1, &[])));
        assert_eq!(need(&two, |_, from| from.contains(&"finance")).0, Some(expected(2, 1, &["finance"])));
        assert_eq!(need(&two, |_, from| from.len() >= 2).0, Some(expected(2, 2, &[])));
        let both = |_, from: &[&str]| from.contains(&"finance") && from.contains(&"security");
        assert_eq!(need(&two, both).0, Some(expected(2, 2, &["finance", "security"])));

        let one = ["finance"; 3];
        assert_eq!(need(&one, |persons, _| persons >= 2).0, Some(expected(2, 1, &[])));
        assert_eq!(need(&one, |_, from| from.contains(&"finance")).0, Some(expected(2, 1, &["finance"])));
        assert_eq!(need(&one, |_, from| from.len() >= 2).0, None);
    }

    #[test]
    fn more_people_are_asked_for_only_where_fewer_are_not_enough() {
        assert_eq!(need(&FIVE, |persons, _| persons >= 4).0, Some(expected(4, 1, &[])));
        assert_eq!(need(&FIVE, |persons, _| persons >= 6).0, None);
    }

    #[test]
    fn a_policy_that_lists_who_may_agree_is_answered_for_these_voters() {
        let listed = ["finance", "sales", "security"];
        let known = need(&FIVE, |_, from| from.iter().all(|name| listed.contains(name))).0;
        assert_eq!(known, Some(expected(2, 1, &[])));
        let named_so = need(&["(elsewhere)", "(elsewhere)"], |persons, _| persons >= 2).0;
        // Nothing is left to be imagined, so what all have in common is named.
        assert_eq!(named_so, Some(expected(2, 1, &["(elsewhere)"])));
    }

    #[test]
    fn a_hopeless_request_costs_one_question() {
        assert_eq!(need(&FIVE, |_, _| false), (None, 1));
    }

    #[test]
    fn fewer_than_two_voters_are_never_a_quorum() {
        assert_eq!(need(&[], |_, _| true), (None, 0));
        assert_eq!(need(&["finance"], |_, _| true), (None, 0));
    }

    #[test]
    fn what_is_denied_to_all_voters_is_not_looked_for() {
        assert_eq!(need(&FIVE, |persons, _| persons == 2), (None, 1));
    }

    #[test]
    fn what_no_need_can_say_is_named_all_the_same() {
        let from_one = need(&FIVE, |persons, from| from == ["finance"] || persons == 5).0;
        assert_eq!(from_one, Some(expected(2, 1, &["finance"])));
        // Where a larger set can be said, it is preferred to the smaller one.
        let denied = ["finance", "security"];
        let sound =
            need(&FIVE, |persons, from| persons == 5 || (from.contains(&"finance") && from != denied));
        assert_eq!(sound.0, Some(expected(2, 2, &["finance", "sales"])));
    }

    #[test]
    fn a_policy_that_fails_is_an_error() {
        let failed = of(&voters(&FIVE), |_| Err(PolicyError::AmountTooLarge));
        assert_eq!(failed, Err(PolicyError::AmountTooLarge));
    }

    #[test]
    fn of_nine_departments_the_first_eight_are_tried_and_a_whole_set_is_named() {
        let eight = ["a", "b", "c", "d", "e", "f", "g", "h"];
        assert_eq!(need(&eight, |_, from| from.len() >= 2).0, Some(expected(2, 2, &[])));
        let nine = [["i"].as_slice(), &eight].concat();
        assert_eq!(need(&nine, |_, from| from.len() >= 2).0, Some(expected(2, 2, &["a", "b"])));
        assert_eq!(need(&nine, |_, from| from.contains(&"i")), (None, 1));
    }

    #[test]
    fn the_most_that_is_asked_is_what_the_limits_say() {
        let roster: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h"].repeat(40);
        let (found, asked) = need(&roster, |persons, from| persons == 32 && from.len() == 8);
        assert_eq!(found, Some(expected(32, 8, &["a", "b", "c", "d", "e", "f", "g", "h"])));
        assert!(asked <= 1 + 31 * 255 + 256, "{asked}");
        assert_eq!(need(&roster, |persons, _| persons > 32), (None, 1));
        let (_, asked) = need(&roster, |_, _| true);
        assert_eq!(asked, 1 + 9 + 36);
    }

    /// Three departments of two, one and two people; a policy is a table over people and sets.
    struct Table([[bool; 8]; 6]);

    impl Table {
        const SIZES: [u8; 3] = [2, 1, 2];

        /// Any table: `seed` is stirred as in splitmix64.
        fn any(seed: u64) -> Self {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut rows = [[false; 8]; 6];
            for cell in rows.iter_mut().flatten() {
                state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_add(seed);
                state ^= state >> 27;
                *cell = (state >> 40).is_multiple_of(8);
            }
            Self(rows)
        }

        /// Permits whatever is at least as much as something `any` permits.
        fn monotone(seed: u64) -> Self {
            let some = Self::any(seed).0;
            let mut rows = [[false; 8]; 6];
            for (persons, set) in cells() {
                rows[persons][set] =
                    cells().any(|(fewer, part)| fewer <= persons && part & set == part && some[fewer][part]);
            }
            Self(rows)
        }

        fn need(&self) -> Option<PolicyNeed> {
            let voters = ["a", "a", "b", "c", "c"];
            need(&voters, |persons, from| self.0[usize::from(persons)][set(from)]).0
        }
    }

    fn cells() -> impl Iterator<Item = (usize, usize)> {
        (2..6).flat_map(|persons| (1..8).map(move |set| (persons, set)))
    }

    fn set(from: &[&str]) -> usize {
        ["a", "b", "c"]
            .iter()
            .zip([1, 2, 4])
            .filter(|(name, _)| from.contains(name))
            .map(|(_, bit)| bit)
            .sum()
    }

    fn is_feasible(persons: usize, set: usize) -> bool {
        let voters: u8 =
            Table::SIZES.iter().zip([1, 2, 4]).filter(|(_, bit)| set & bit != 0).map(|(n, _)| n).sum();
        (set.count_ones() as usize..=usize::from(voters)).contains(&persons)
    }

    fn meets(need: &PolicyNeed, persons: usize, set: usize) -> bool {
        let named: Vec<_> = need.named.iter().map(String::as_str).collect();
        persons >= usize::from(need.persons)
            && set.count_ones() >= u32::from(need.departments)
            && self::set(&named) & set == self::set(&named)
    }

    #[test]
    fn every_quorum_that_meets_the_need_is_permitted_and_fewer_people_never_are() {
        let mut found = 0;
        for seed in 0..20_000 {
            let policy = Table::monotone(seed);
            let permitted = |(persons, set): (usize, usize)| policy.0[persons][set];
            let quorums: Vec<_> = cells().filter(|(persons, set)| is_feasible(*persons, *set)).collect();
            let Some(need) = policy.need() else {
                assert!(!permitted((5, 7)), "{seed}");
                continue;
            };
            found += 1;
            assert!(need.persons >= 2 && need.departments >= 1, "{seed} {need:?}");
            let least =
                quorums.iter().filter(|quorum| permitted(**quorum)).map(|(persons, _)| *persons).min();
            assert_eq!(least, Some(usize::from(need.persons)), "{seed}");
            let meeting: Vec<_> =
                quorums.iter().filter(|(persons, set)| meets(&need, *persons, *set)).collect();
            assert!(!meeting.is_empty(), "{seed} {need:?}");
            assert!(meeting.iter().all(|quorum| permitted(**quorum)), "{seed} {need:?}");
        }
        assert!(found > 1000, "{found}");
    }

    #[test]
    fn whatever_the_policy_a_need_can_be_met_by_a_quorum_that_is_permitted() {
        let mut found = 0;
        for seed in 0..20_000 {
            let policy = Table::any(seed);
            let need = policy.need();
            assert_eq!(need.is_some(), policy.0[5][7], "{seed}");
            let Some(need) = need else { continue };
            found += 1;
            let can_pass = |(persons, set): (usize, usize)| {
                persons == usize::from(need.persons)
                    && is_feasible(persons, set)
                    && meets(&need, persons, set)
                    && policy.0[persons][set]
            };
            assert!(cells().any(can_pass), "{seed} {need:?}");
        }
        assert!(found > 1000, "{found}");
    }
}
