//! Who takes part in a development site, and the founding file that says so.
//!
//! Apart because it is the site's story as data: three officers of three departments, a bureau with two stations and
//! the six people who make cards there, a roastery and a bakery with a terminal each, and those who look on. It writes
//! no file.

use crate::{
    SetupError, TRUST_DOMAIN, cards,
    token::{PersonaKey, PublicKeys},
};
use keysvc_protocol::{
    bytes::Digest,
    founding::{Delays, Founding, Officer, Principal, PrincipalKind, Programme},
    name::{Name, NotAName},
    trust::NotATrustDomain,
};
use std::collections::BTreeSet;

/// What stands above the founding file's first line.
const HEADING: &str = "\
# The founding file of a development site: who is who, and what the service is for.
#
# Every officer named here signs exactly these bytes, and the file then becomes leaf 0 of the log. Whoever changes
# it must do so before the first signature; afterwards changes are made by quorum.
#
# development = true allows the known value below and the short delays. The value is printed in NXP's application
# note AN10922: a TEST KEY. Delays are in seconds; with real cards a day and a week at least.

";

/// Where a persona keeps its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// It has none beside its TLS key.
    None,
    /// These, in a token of its own.
    Token(&'static [PersonaKey]),
    /// A statement key in a file.
    File,
}

/// One who takes part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Persona<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// What it is.
    pub(crate) kind: PrincipalKind,
    /// An officer's department, anyone else's organisation. None if it is not enrolled.
    pub(crate) group: Option<&'a str>,
    /// What it may do beyond its kind.
    pub(crate) capabilities: &'a [&'a str],
    /// Its keys.
    pub(crate) keys: Keys,
}

const fn persona<'a>(name: &'a str, kind: PrincipalKind, group: &'a str, keys: Keys) -> Persona<'a> {
    Persona { name, kind, group: Some(group), capabilities: &[], keys }
}

/// Someone of the bureau who makes cards. One capability each: what takes two takes two people.
const fn worker(name: &'static str, capabilities: &'static [&'static str], keys: Keys) -> Persona<'static> {
    Persona { capabilities, ..persona(name, PrincipalKind::Operator, BUREAU, keys) }
}

/// The organisation that makes the cards.
const BUREAU: &str = "bureau";

const OFFICERS_KEYS: Keys = Keys::Token(&[PersonaKey::Approval]);
const STATIONS_KEYS: Keys = Keys::Token(&[PersonaKey::Statement, PersonaKey::Wrapping]);
/// A card of one's own, on which nothing is but the key one signs with.
const SIGNERS_KEYS: Keys = Keys::Token(&[PersonaKey::Statement]);

impl<'a> Persona<'a> {
    /// Someone who comes later, with all the keys that its kind can use.
    pub(crate) const fn new(name: &'a str, kind: PrincipalKind, group: &'a str) -> Self {
        let keys = match kind {
            PrincipalKind::Officer => OFFICERS_KEYS,
            PrincipalKind::Station => STATIONS_KEYS,
            PrincipalKind::Terminal | PrincipalKind::Operator | PrincipalKind::Office => Keys::File,
            PrincipalKind::Auditor | PrincipalKind::Platform => Keys::None,
        };
        persona(name, kind, group, keys)
    }
}

/// Everyone, in the founding file's order.
pub(crate) const PERSONAS: [Persona<'static>; 17] = [
    persona("officer-1", PrincipalKind::Officer, "security", OFFICERS_KEYS),
    persona("officer-2", PrincipalKind::Officer, "finance", OFFICERS_KEYS),
    persona("officer-3", PrincipalKind::Officer, "audit", OFFICERS_KEYS),
    persona("station-1", PrincipalKind::Station, BUREAU, STATIONS_KEYS),
    persona("station-2", PrincipalKind::Station, BUREAU, STATIONS_KEYS),
    worker("data-1", &["data-operator"], Keys::File),
    worker("data-2", &["data-operator"], Keys::File),
    worker("operator-1", &["station-operator"], Keys::File),
    worker("operator-2", &["station-operator"], Keys::File),
    worker("reviewer-1", &["reviewer"], Keys::File),
    // Comes to the floor only to see a job purged, and brings the card to say so.
    worker("monitor-1", &["monitor"], SIGNERS_KEYS),
    persona("terminal-1", PrincipalKind::Terminal, "roastery", Keys::File),
    persona("terminal-2", PrincipalKind::Terminal, "bakery", Keys::File),
    // The roastery's hub and back office: passes on what its terminals signed, and freezes its own cards and terminals.
    persona("office-1", PrincipalKind::Office, "roastery", Keys::File),
    persona("auditor-1", PrincipalKind::Auditor, "auditors", Keys::None),
    persona("platform-1", PrincipalKind::Platform, "platform", Keys::None),
    // Has a certificate of the site's CA and keys, but nobody enrolled it.
    Persona {
        name: "stranger",
        kind: PrincipalKind::Terminal,
        group: None,
        capabilities: &[],
        keys: Keys::File,
    },
];

/// Other people than the story's, for a site that stands in for a real one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cast {
    /// The officers in place of the three, each of a department of their own; the three where there are none.
    pub officers: Vec<Name>,
    /// Operators that come to everyone else. One of a name that an operator of the story has is that operator.
    pub operators: Vec<Name>,
}

/// Departments, in the order of a cast's officers.
const DEPARTMENTS: [&str; 16] = [
    "security",
    "finance",
    "audit",
    "department-4",
    "department-5",
    "department-6",
    "department-7",
    "department-8",
    "department-9",
    "department-10",
    "department-11",
    "department-12",
    "department-13",
    "department-14",
    "department-15",
    "department-16",
];
/// The organisation of a cast's operators.
const OPERATIONS: &str = "operations";

impl Cast {
    /// Everyone, in the founding file's order.
    ///
    /// # Errors
    /// [`SetupError::Text`] for more officers than there are departments, or a name that stands there twice.
    pub(crate) fn everyone(&self) -> Result<Vec<Persona<'_>>, SetupError> {
        if self.officers.len() > DEPARTMENTS.len() {
            return Err(wrong(format!("there are more than {} officers", DEPARTMENTS.len())));
        }
        let named = self.officers.iter().zip(DEPARTMENTS);
        let named = named.map(|(name, group)| Persona::new(name.as_str(), PrincipalKind::Officer, group));
        let of_story = |name: &Name| {
            PERSONAS.iter().any(|one| one.kind == PrincipalKind::Operator && one.name == name.as_str())
        };
        let operators = self.operators.iter().filter(|name| !of_story(name));
        let operators =
            operators.map(|name| Persona::new(name.as_str(), PrincipalKind::Operator, OPERATIONS));
        let kept = |one: &&Persona<'_>| self.officers.is_empty() || one.kind != PrincipalKind::Officer;
        let everyone: Vec<Persona<'_>> =
            named.chain(PERSONAS.iter().filter(kept).copied()).chain(operators).collect();
        let mut seen = BTreeSet::new();
        match everyone.iter().find(|one| !seen.insert(one.name)) {
            Some(twice) => Err(wrong(format!("{} stands there twice", twice.name))),
            None => Ok(everyone),
        }
    }
}

/// A persona with what was made for it.
#[derive(Debug, Clone)]
pub(crate) struct Equipped<'a> {
    /// Who.
    pub(crate) persona: Persona<'a>,
    /// SHA-256 of the TLS key's `SubjectPublicKeyInfo`.
    pub(crate) tls_key: Digest,
    /// The public halves of its other keys.
    pub(crate) public: PublicKeys,
}

/// The text of the founding file.
pub(crate) fn text(founding: &Founding) -> Result<String, SetupError> {
    let text = toml::to_string_pretty(founding).map_err(|error| wrong(error.to_string()))?;
    Ok(format!("{HEADING}{text}"))
}

/// Founds the development site.
pub(crate) fn found(ca: Digest, policy: Digest, everyone: &[Equipped<'_>]) -> Result<Founding, SetupError> {
    let mut founding = Founding {
        trust_domain: TRUST_DOMAIN.parse().map_err(|error: NotATrustDomain| wrong(error.to_string()))?,
        ca,
        policy,
        development: true,
        // Seconds, so that the demo and the tests can wait for them.
        delays: Delays { roster_s: 3, destroy_s: 4 },
        officers: Vec::new(),
        principals: Vec::new(),
        programmes: vec![Programme {
            name: name("coffee")?,
            organisation: name("roastery")?,
            // Euro.
            currency: 978,
            profile: name("generated")?,
            value_key: name("value-1")?,
        }],
        profiles: cards::profiles()?,
        keys: cards::keys()?,
    };
    for equipped in everyone {
        enrol(&mut founding, equipped)?;
    }
    founding.check().map_err(|error| wrong(error.to_string()))?;
    Ok(founding)
}

fn enrol(founding: &mut Founding, equipped: &Equipped<'_>) -> Result<(), SetupError> {
    let Equipped { persona, tls_key, public } = equipped;
    let Some(group) = persona.group else { return Ok(()) };
    if persona.kind == PrincipalKind::Officer {
        let approval_key = public.approval.ok_or_else(|| wrong("an officer came without an approval key"))?;
        founding.officers.push(Officer {
            name: name(persona.name)?,
            department: name(group)?,
            tls_key: *tls_key,
            approval_key,
        });
    } else {
        founding.principals.push(Principal {
            id: name(persona.name)?,
            kind: persona.kind,
            organisation: name(group)?,
            capabilities: persona.capabilities.iter().map(|one| name(one)).collect::<Result<_, _>>()?,
            tls_key: *tls_key,
            statement_key: public.statement,
            wrapping_key: public.wrapping.clone(),
        });
    }
    Ok(())
}

/// The name that this text is.
pub(crate) fn name(text: &str) -> Result<Name, SetupError> {
    text.parse().map_err(|error: NotAName| wrong(error.to_string()))
}

fn wrong(reason: impl Into<String>) -> SetupError {
    SetupError::Text { what: "founding.toml", reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast(officers: &[&str], operators: &[&str]) -> Cast {
        let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        Cast { officers: names(officers), operators: names(operators) }
    }

    #[test]
    fn a_cast_stands_in_place_of_the_officers_and_everyone_else_stays() {
        let cast = cast(&["ann", "bob"], &["cy"]);
        let everyone = cast.everyone().unwrap();
        let officers: Vec<_> =
            everyone.iter().filter(|one| one.kind == PrincipalKind::Officer).map(|one| one.name).collect();
        assert_eq!(officers, ["ann", "bob"]);
        assert_eq!(everyone.len(), PERSONAS.len());
        assert!(everyone.iter().any(|one| one.name == "cy" && one.kind == PrincipalKind::Operator));
        assert_ne!(everyone[0].group, everyone[1].group, "each of a department of their own");
    }

    #[test]
    fn the_bureau_has_two_for_what_takes_two_and_nobody_has_two_roles() {
        let mut roles: Vec<_> = PERSONAS.iter().flat_map(|one| one.capabilities).collect();
        roles.sort_unstable();
        let twice =
            ["data-operator", "data-operator", "monitor", "reviewer", "station-operator", "station-operator"];
        assert_eq!(roles, twice.iter().collect::<Vec<_>>());
        assert!(PERSONAS.iter().all(|one| one.capabilities.len() <= 1));
        let workers = PERSONAS.iter().filter(|one| !one.capabilities.is_empty());
        assert!(workers.clone().all(|one| one.kind == PrincipalKind::Operator && one.group == Some(BUREAU)));
        let in_token: Vec<_> =
            workers.filter(|one| matches!(one.keys, Keys::Token(_))).map(|one| one.name).collect();
        assert_eq!(in_token, ["monitor-1"]);
    }

    #[test]
    fn without_a_cast_it_is_the_story_and_nobody_stands_there_twice() {
        let names = |cast: &Cast| -> Vec<String> {
            cast.everyone().unwrap().iter().map(|one| one.name.to_owned()).collect()
        };
        assert_eq!(names(&Cast::default()), PERSONAS.map(|one| one.name));
        assert!(cast(&["ann", "ann"], &[]).everyone().is_err());
        assert!(cast(&["ann", "bob"], &["office-1"]).everyone().is_err());
        assert!(cast(&["ann", "bob"], &["cy", "cy"]).everyone().is_err());
        // Who is an operator already stays as they are, with what they may do.
        let known = cast(&["ann", "bob", "cat"], &["operator-1"]);
        let everyone = known.everyone().unwrap();
        assert_eq!(everyone.len(), PERSONAS.len());
        let one = everyone.iter().find(|one| one.name == "operator-1").unwrap();
        assert_eq!(one.capabilities, ["station-operator"]);
    }
}
