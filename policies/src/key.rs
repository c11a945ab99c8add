//! Who asks for what about what, as bytes: every fact of a question but its circumstances and its people.
//! Apart from what is kept under it, because all of that rests on this: two questions have one key only where they have
//! the same facts.

use crate::question::{PrincipalFacts, Question, ResourceFacts};

/// Bytes of a key with names of common length: one allocation makes it.
const COMMON_LEN: usize = 256;

/// The action, the principal and the resource of a question. Each text stands after its length and each list after its
/// count, so that no two questions share one.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    /// The key of `question`.
    pub(crate) fn of(question: &Question<'_>) -> Self {
        // Every field by its name: a new one is not forgotten here.
        let PrincipalFacts { id, kind, organisation, department, capabilities } = question.principal;
        let mut key = Self(Vec::with_capacity(COMMON_LEN));
        key.texts([question.action, id, kind, organisation, department]);
        key.number(capabilities.len());
        key.texts(capabilities.iter().map(String::as_str));
        match question.resource {
            ResourceFacts::Service => key.number(0),
            ResourceFacts::Log => key.number(1),
            ResourceFacts::Profile { name } => {
                key.number(2);
                key.texts([name]);
            }
            ResourceFacts::Job { name, customer, profile } => {
                key.number(3);
                key.texts([name, customer, profile]);
            }
            ResourceFacts::Programme { name, organisation, currency } => {
                key.number(4);
                key.texts([name, organisation]);
                key.number(currency.into());
            }
        }
        key
    }

    fn texts<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) {
        for text in texts {
            self.number(text.len());
            self.0.extend_from_slice(text.as_bytes());
        }
    }

    fn number(&mut self, number: usize) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::question::QuorumFacts;
    use crate::sample::{OWN_PROGRAMME, people, question};

    #[test]
    fn each_fact_makes_another_key_and_so_does_where_it_stands() {
        let names = ["finance".to_owned(), "sales".to_owned()];
        let swapped = ["sales".to_owned(), "finance".to_owned()];
        let joined = ["financesales".to_owned()];
        let asked = question("terminal", "value.update");
        assert_eq!(asked.resource, OWN_PROGRAMME);
        let by = |principal| Question { principal, ..asked };
        let about = |resource| Question { resource, ..asked };
        let who = asked.principal;
        let questions = [
            asked,
            Question { action: "value.batch", ..asked },
            by(PrincipalFacts { id: "someone-else", ..who }),
            by(PrincipalFacts { kind: "office", ..who }),
            by(PrincipalFacts { organisation: "globex", ..who }),
            by(PrincipalFacts { department: "finance", ..who }),
            // The same letters, divided otherwise.
            by(PrincipalFacts { kind: "termina", organisation: "lacme", ..who }),
            by(PrincipalFacts { organisation: "acmesales", department: "", ..who }),
            by(PrincipalFacts { capabilities: &names, ..who }),
            by(PrincipalFacts { capabilities: &swapped, ..who }),
            by(PrincipalFacts { capabilities: &names[..1], ..who }),
            by(PrincipalFacts { capabilities: &joined, ..who }),
            about(ResourceFacts::Service),
            about(ResourceFacts::Log),
            about(ResourceFacts::Profile { name: "gift" }),
            about(ResourceFacts::Job { name: "gift", customer: "acme", profile: "" }),
            about(ResourceFacts::Job { name: "gift", customer: "", profile: "acme" }),
            about(ResourceFacts::Programme { name: "gif", organisation: "acme", currency: 978 }),
            about(ResourceFacts::Programme { name: "gift", organisation: "globex", currency: 978 }),
            about(ResourceFacts::Programme { name: "gift", organisation: "acme", currency: 840 }),
        ];
        let keys: HashSet<_> = questions.iter().map(Key::of).collect();
        assert_eq!(keys.len(), questions.len());
    }

    #[test]
    fn circumstances_and_people_make_no_other_key() {
        let asked = question("terminal", "value.update");
        let context = question("station", "card.derive").context;
        for other in [Question { context, ..asked }, Question { quorum: people(2), ..asked }] {
            assert_eq!(Key::of(&other), Key::of(&Question { quorum: QuorumFacts::NONE, ..asked }));
        }
    }
}
