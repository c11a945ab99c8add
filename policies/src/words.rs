//! A question as one sentence that a person reads: who may do what, and with how many people.
//! Apart from judging: the sentence says nothing of the answer. It is printable ASCII whatever the
//! facts hold, so that it may stand in what officers sign; it is not cut.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::question::{ContextFacts, JobFacts, PrincipalFacts, Question, QuorumFacts, ResourceFacts};

/// The question in words: `officer anna of acme (security) may key.activate a card-master key, 3 officers
/// on the roster, with 2 people of finance, sales`.
///
/// Every fact the policies are given is in it. A name that is not of plain letters stands in quotes.
#[must_use]
pub fn in_words(question: &Question<'_>) -> String {
    let mut words = format!("{} may {}", caller(&question.principal), plain(question.action));
    words.push_str(&matter(question.context));
    words.push_str(&place(question.resource));
    words.push_str(&history(question.context));
    words.push_str(&officers(question.context));
    if question.context.takes_people() {
        words.push_str(&people(question.quorum));
    }
    words
}

/// `terminal till-7 of acme (sales, for till and vault)`.
fn caller(principal: &PrincipalFacts<'_>) -> String {
    let mut words =
        format!("{} {} of {}", plain(principal.kind), plain(principal.id), nobody_or(principal.organisation));
    let department = Some(principal.department).filter(|name| !name.is_empty()).map(plain);
    let capabilities: BTreeSet<_> = principal.capabilities.iter().map(|name| plain(name)).collect();
    let capabilities = capabilities.into_iter().collect::<Vec<_>>().join(" and ");
    let capabilities =
        Some(capabilities).filter(|names| !names.is_empty()).map(|names| format!("for {names}"));
    let more: Vec<_> = department.into_iter().chain(capabilities).collect();
    if !more.is_empty() {
        let _ = write!(words, " ({})", more.join(", "));
    }
    words
}

/// What is done to what: ` a load of 5000 minor units with a card session`.
fn matter(context: ContextFacts<'_>) -> String {
    match context {
        ContextFacts::None | ContextFacts::JobRead { .. } | ContextFacts::Site { .. } => String::new(),
        ContextFacts::CardDerive { cards, slots, generation, development } => format!(
            " {}, {} each of generation {generation}{}",
            counted(cards, "card"),
            counted(slots, "key"),
            developed(development)
        ),
        ContextFacts::Job(job) => signers(job),
        ContextFacts::CardTransition { to, cards } => {
            format!(" of {} to {}", counted(cards, "card"), plain(to))
        }
        ContextFacts::ValueUpdate { operation, amount, no_card_session, passive_tag, development } => {
            let session = if no_card_session { "without" } else { "with" };
            let tag = if passive_tag { " of a passive tag" } else { "" };
            format!(
                " a {} of {amount} minor units {session} a card session{tag}{}",
                plain(operation),
                developed(development)
            )
        }
        ContextFacts::Principal { subject_kind, subject_organisation, own, .. } => {
            let itself = if own { " itself," } else { "" };
            format!("{itself} {} of {}", a(subject_kind), nobody_or(subject_organisation))
        }
        ContextFacts::Key { kind, .. } => format!(" {} key", a(kind)),
        ContextFacts::Freeze { scope: "all", organisation: "", .. } => " everything".to_owned(),
        ContextFacts::Freeze { scope, organisation, .. } => {
            format!(" {} of {}", a(scope), nobody_or(organisation))
        }
        ContextFacts::Profile { family, stored_value, .. } => {
            let value = if stored_value { "with" } else { "without" };
            format!(" a profile of family {} {value} stored value", plain(family))
        }
    }
}

/// Who signs beside the caller: ` with operator olga and reviewer rita`; nothing where nobody does.
fn signers(job: JobFacts<'_>) -> String {
    let one = |role: &str, name: &str| (!name.is_empty()).then(|| format!("{role} {}", plain(name)));
    let operators = match job.operators.len() {
        0 => None,
        1 => Some(format!("operator {}", everyone(job.operators))),
        _ => Some(format!("operators {}", everyone(job.operators))),
    };
    let others = [operators, one("reviewer", job.reviewer), one("witness", job.witness)];
    let others: Vec<_> = others.into_iter().flatten().collect();
    if others.is_empty() { String::new() } else { format!(" with {}", others.join(" and ")) }
}

/// Who did what to the job before: `, created by dora, sealed by dan, operated by olga and otto`.
fn history(context: ContextFacts<'_>) -> String {
    let (created_by, sealed_by, operated_by, reviewed_by) = match context {
        ContextFacts::Job(job) => (job.created_by, job.sealed_by, job.operated_by, job.reviewed_by),
        ContextFacts::JobRead { created_by, sealed_by, operated_by } => {
            (created_by, sealed_by, operated_by, &[][..])
        }
        _ => return String::new(),
    };
    let one = |did: &str, name: &str| (!name.is_empty()).then(|| format!(", {did} by {}", plain(name)));
    let all =
        |did: &str, names: &[String]| (!names.is_empty()).then(|| format!(", {did} by {}", everyone(names)));
    let said = [
        one("created", created_by),
        one("sealed", sealed_by),
        all("operated", operated_by),
        all("reviewed", reviewed_by),
    ];
    said.into_iter().flatten().collect()
}

fn place(resource: ResourceFacts<'_>) -> String {
    match resource {
        ResourceFacts::Service | ResourceFacts::Log => String::new(),
        ResourceFacts::Profile { name } => format!(", profile {}", plain(name)),
        ResourceFacts::Job { name, customer, profile } => {
            format!(", job {} for customer {}, profile {}", plain(name), plain(customer), plain(profile))
        }
        ResourceFacts::Programme { name, organisation, currency } => {
            format!(", programme {} of {} in currency {currency:03}", plain(name), nobody_or(organisation))
        }
    }
}

fn officers(context: ContextFacts<'_>) -> String {
    match context {
        ContextFacts::None
        | ContextFacts::CardDerive { .. }
        | ContextFacts::Job(_)
        | ContextFacts::JobRead { .. }
        | ContextFacts::CardTransition { .. }
        | ContextFacts::ValueUpdate { .. } => String::new(),
        ContextFacts::Principal { officers, .. }
        | ContextFacts::Key { officers, .. }
        | ContextFacts::Freeze { officers, .. }
        | ContextFacts::Profile { officers, .. }
        | ContextFacts::Site { officers } => format!(", {} on the roster", counted(officers, "officer")),
    }
}

fn people(quorum: QuorumFacts<'_>) -> String {
    let departments: BTreeSet<_> = quorum.departments.iter().map(|name| plain(name)).collect();
    let departments = departments.into_iter().collect::<Vec<_>>().join(", ");
    let from = if departments.is_empty() { String::new() } else { format!(" of {departments}") };
    match quorum.persons {
        0 => format!(", alone{from}"),
        1 => format!(", with 1 person{from}"),
        persons => format!(", with {persons} people{from}"),
    }
}

/// Each once, sorted: `olga and otto`.
fn everyone(names: &[String]) -> String {
    let names: BTreeSet<_> = names.iter().map(|name| plain(name)).collect();
    names.into_iter().collect::<Vec<_>>().join(" and ")
}

fn developed(development: bool) -> &'static str {
    if development { " in a development instance" } else { "" }
}

fn counted(count: u32, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn a(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {}", plain(noun))
}

fn nobody_or(name: &str) -> String {
    if name.is_empty() { "nobody".to_owned() } else { plain(name) }
}

/// The text as it is if it can pass for a word, and else in quotes and escaped: a name must not be able
/// to say more than a name.
fn plain(text: &str) -> String {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    // Where "nobody" stands for no name, a name that is that word is quoted.
    if !text.is_empty() && text != "nobody" && text.bytes().all(is_word) {
        text.to_owned()
    } else {
        format!("\"{}\"", text.escape_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{ACTIONS, KINDS, OWN_PROGRAMME, people, question};

    #[test]
    fn what_takes_people_says_how_many_and_from_where() {
        let activate = question("officer", "key.activate");
        let alone = "officer someone of acme (sales) may key.activate a card-master key, 3 officers on the roster, alone";
        assert_eq!(in_words(&activate), alone);
        let with_two = in_words(&Question { quorum: people(2), ..activate });
        assert_eq!(with_two, alone.replace("alone", "with 2 people of finance, sales"));
        let with_one = in_words(&Question { quorum: people(1), ..activate });
        assert_eq!(with_one, alone.replace("alone", "with 1 person of finance"));
    }

    #[test]
    fn value_says_how_much_of_what_and_with_which_card() {
        let load = question("terminal", "value.update");
        assert_eq!(
            in_words(&load),
            "terminal someone of acme (sales) may value.update a load of 5000 minor units with a card session, \
             programme gift of acme in currency 978, alone"
        );
        let debit = ContextFacts::ValueUpdate {
            operation: "debit",
            amount: 1,
            no_card_session: true,
            passive_tag: true,
            development: true,
        };
        assert!(in_words(&Question { context: debit, ..load }).contains(
            " a debit of 1 minor units without a card session of a passive tag in a development instance, "
        ));
    }

    #[test]
    fn each_other_context_is_said() {
        let capabilities = ["vault".to_owned(), "spare".to_owned()];
        let mut derive = question("station", "card.derive");
        derive.principal.capabilities = &capabilities;
        derive.principal.department = "";
        let context = ContextFacts::Freeze { scope: "all", organisation: "", officers: 1 };
        let freeze = Question { context, ..question("officer", "freeze.set") };
        for (question, words) in [
            (
                derive,
                "station someone of acme (for spare and vault) may card.derive 2 cards, 3 keys each \
                 of generation 1, profile fob, alone",
            ),
            (
                question("operator", "principal.rotate"),
                "operator someone of acme (sales) may principal.rotate itself, an operator of acme, \
                 3 officers on the roster, alone",
            ),
            (
                freeze,
                "officer someone of acme (sales) may freeze.set everything, 1 officer on the roster, alone",
            ),
            (
                question("officer", "profile.put"),
                "officer someone of acme (sales) may profile.put a profile of family desfire-ev3 with \
                 stored value, 3 officers on the roster, alone",
            ),
            (
                question("officer", "policy.propose"),
                "officer someone of acme (sales) may policy.propose, 3 officers on the roster, alone",
            ),
            (question("auditor", "log.entries"), "auditor someone of acme (sales) may log.entries"),
            (
                question("office", "card.transition"),
                "office someone of acme (sales) may card.transition of 2 cards to active, alone",
            ),
        ] {
            assert_eq!(in_words(&question), words);
        }
    }

    #[test]
    fn an_act_on_a_job_says_who_signs_it_and_who_did_what_before() {
        let roles = "for data-operator and monitor and reviewer and station-operator";
        let job = "job week-47 for customer globex, profile fob";
        for (kind, action, words) in [
            ("operator", "job.create", format!("{job}, alone")),
            ("operator", "job.seal", format!("{job}, created by dora, alone")),
            ("station", "job.open", format!("{job}, created by dora, sealed by dan, alone")),
            (
                "station",
                "job.count",
                format!("{job}, created by dora, sealed by dan, operated by olga and otto, alone"),
            ),
            (
                "station",
                "job.close",
                format!(
                    "{job}, created by dora, sealed by dan, operated by olga and otto, reviewed by rita, alone"
                ),
            ),
            (
                "auditor",
                "job.record",
                format!("{job}, created by dora, sealed by dan, operated by olga and otto"),
            ),
        ] {
            let signers = match action {
                "job.open" => " with operators olga and otto",
                "job.count" => " with operator olga and reviewer rita",
                "job.close" => " with witness mona",
                _ => "",
            };
            let expected = format!("{kind} someone of acme (sales, {roles}) may {action}{signers}, {words}");
            assert_eq!(in_words(&question(kind, action)), expected);
        }
    }

    #[test]
    fn a_name_cannot_say_more_than_a_name() {
        let mut asked = question("terminal", "freeze.lift");
        asked.principal.id = "a may status; officer b";
        asked.principal.organisation = "caf\u{e9}\n\u{202e}";
        asked.context = ContextFacts::Freeze { scope: "terminal", organisation: "nobody", officers: 3 };
        let words = in_words(&asked);
        assert_eq!(
            words,
            "terminal \"a may status; officer b\" of \"caf\\u{e9}\\n\\u{202e}\" (sales) may freeze.lift \
             a terminal of \"nobody\", 3 officers on the roster, alone"
        );
    }

    #[test]
    fn whatever_the_facts_the_words_are_printable_ascii() {
        for kind in KINDS {
            for action in ACTIONS {
                let words = in_words(&question(kind, action));
                assert!(words.starts_with(&format!("{kind} someone of acme (sales")), "{words}");
                assert!(words.contains(&format!(") may {action}")), "{words}");
                assert!(words.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{words}");
            }
        }
    }

    #[test]
    fn two_questions_that_differ_in_a_fact_differ_in_words() {
        let departments = ["finance".to_owned()];
        let one = question("terminal", "value.update");
        let mut others = vec![one; 7];
        others[0].principal.department = "";
        others[1].principal.capabilities = &departments;
        others[2].principal.organisation = "";
        others[3].resource = ResourceFacts::Service;
        others[4].resource = ResourceFacts::Programme { name: "gift", organisation: "acme", currency: 840 };
        others[5].quorum = QuorumFacts { persons: 1, departments: &departments };
        others[6].quorum = QuorumFacts { persons: 1, departments: &[] };
        let mut seen = BTreeSet::from([in_words(&one)]);
        for other in others {
            assert!(seen.insert(in_words(&other)), "{other:?}");
        }
        assert_eq!(one.resource, OWN_PROGRAMME);

        let seal = question("operator", "job.seal");
        let names = ["finance".to_owned(), "sales".to_owned()];
        let same = crate::sample::job("job.seal");
        let mut seen = BTreeSet::from([in_words(&seal)]);
        for other in [
            JobFacts { created_by: "cy", ..same },
            JobFacts { created_by: "", ..same },
            JobFacts { sealed_by: "cy", ..same },
            JobFacts { operated_by: &names, ..same },
            JobFacts { operated_by: &names[..1], ..same },
            JobFacts { reviewed_by: &names, ..same },
            JobFacts { operators: &names, ..same },
            JobFacts { operators: &names[..1], ..same },
            JobFacts { reviewer: "finance", ..same },
            JobFacts { witness: "finance", ..same },
        ] {
            assert!(
                seen.insert(in_words(&Question { context: ContextFacts::Job(other), ..seal })),
                "{other:?}"
            );
        }
    }
}
