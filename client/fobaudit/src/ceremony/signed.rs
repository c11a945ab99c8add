//! Who signed a ceremony's plan and transcript: exactly the people of the plan, each with the key they were enrolled with.

use super::problem::{Paper, Problem};
use keysvc_protocol::{
    bytes::{Blob, Digest},
    cbor::{self, DecodeError},
    ceremony::{AGREEMENT_LEN_MAX, Person, Plan, PlanAgreement, Role, TranscriptAgreement},
    control::Roster,
    cose::{Kind, Signed},
    founding::PrincipalKind,
    name::Name,
    public_key::PublicKey,
};
use std::collections::BTreeSet;

/// Somebody of the plan, with the key they were enrolled with.
#[derive(Debug, Clone)]
pub(super) struct Signer<'p> {
    person: &'p Person,
    key: PublicKey,
}

/// The people of the plan as they were enrolled; what is wrong with those who were not is told.
pub(super) fn signers<'p>(plan: &'p Plan, roster: &Roster, problems: &mut Vec<Problem>) -> Vec<Signer<'p>> {
    let mut signers: Vec<Signer<'p>> = Vec::new();
    for person in &plan.people {
        let member = roster.member(&person.name);
        let Some((member, key)) = member.and_then(|member| Some((member, member.statement_key()?))) else {
            problems.push(Problem::NotEnrolled(person.name.clone()));
            continue;
        };
        // A custodian's or witness's kind is free; what an officer may do follows from being enrolled as one.
        if person.role == Role::Officer && member.enrolment.kind != PrincipalKind::Officer {
            problems.push(Problem::NoOfficer(person.name.clone(), member.enrolment.kind));
        }
        if !member.enabled {
            problems.push(Problem::Disabled(person.name.clone()));
            continue;
        }
        if let Some(same) = signers.iter().find(|signer| signer.key == key) {
            problems.push(Problem::SameKey(same.person.name.clone(), person.name.clone()));
        }
        signers.push(Signer { person, key });
    }
    signers
}

/// A paper, and what its signatures are bound to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signable<'a> {
    /// Which.
    pub(super) paper: Paper,
    /// SHA-256 of its bytes.
    pub(super) digest: Digest,
    /// What its signatures are bound to.
    pub(super) scope: &'a [u8],
}

/// Checks that exactly these people signed a paper, each once.
pub(super) fn check(
    signable: Signable<'_>,
    signers: &[Signer<'_>],
    agreements: &[Blob<AGREEMENT_LEN_MAX>],
    problems: &mut Vec<Problem>,
) {
    let paper = signable.paper;
    let mut agreed = BTreeSet::new();
    for agreement in agreements {
        match agreed_by(signable, signers, agreement.as_bytes()) {
            Ok(person) if agreed.insert(person) => {}
            Ok(person) => problems.push(Problem::Twice { paper, person: person.clone() }),
            Err(problem) => {
                // Who signed something else has not forgotten to sign.
                agreed.extend(signer_of(&problem, signers));
                problems.push(problem);
            }
        }
    }
    let people = signers.iter().map(|signer| &signer.person.name);
    let missing = people.filter(|person| !agreed.contains(person));
    problems.extend(missing.map(|person| Problem::Missing { paper, person: person.clone() }));
}

fn signer_of<'p>(problem: &Problem, signers: &[Signer<'p>]) -> Option<&'p Name> {
    let (Problem::Other { person, .. }
    | Problem::OtherRole { person, .. }
    | Problem::Signature { person, .. }
    | Problem::AgreementForm { person, .. }) = problem
    else {
        return None;
    };
    signers.iter().map(|signer| &signer.person.name).find(|name| *name == person)
}

/// Whose agreement this is; nothing in it is read before its signature holds.
fn agreed_by<'p>(
    Signable { paper, digest, scope }: Signable<'_>,
    signers: &[Signer<'p>],
    agreement: &[u8],
) -> Result<&'p Name, Problem> {
    let message = Signed::parse(agreement).map_err(|why| Problem::NotSigned { paper, why })?;
    let kid = message.key_identifier();
    let signer = signers.iter().find(|signer| signer.key.identifier() == kid);
    let Signer { person, key } = signer.ok_or(Problem::Stranger { paper, kid })?;
    let name = || person.name.clone();
    let wanted = match paper {
        Paper::Plan => Kind::Plan,
        Paper::Transcript => Kind::Transcript,
    };
    let payload = message.open(wanted, scope, key);
    let payload = payload.map_err(|why| Problem::Signature { paper, person: name(), why })?;
    let said = said(paper, payload).map_err(|why| Problem::AgreementForm { paper, person: name(), why })?;
    let (found, signed_as, role) = said;
    if found != digest {
        return Err(Problem::Other { paper, person: name(), found });
    }
    if signed_as != person.name || role != person.role {
        return Err(Problem::OtherRole { paper, person: name(), name: signed_as, role });
    }
    Ok(&person.name)
}

/// What an agreement says: which document, who, in which role.
fn said(paper: Paper, payload: &[u8]) -> Result<(Digest, Name, Role), DecodeError> {
    Ok(match paper {
        Paper::Plan => {
            let PlanAgreement { plan, person, role, .. } = cbor::decode(payload, AGREEMENT_LEN_MAX)?;
            (plan, person, role)
        }
        Paper::Transcript => {
            let TranscriptAgreement { transcript, person, role, .. } =
                cbor::decode(payload, AGREEMENT_LEN_MAX)?;
            (transcript, person, role)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Sample, founding_leaf};
    use keysvc_protocol::{control::Control, founding::Founding};

    #[test]
    fn one_key_under_two_names_is_not_two_people() {
        let leaf = founding_leaf();
        let text = str::from_utf8(leaf.founding.as_bytes()).unwrap();
        // No founding that was checked is like this one.
        let mut founding: Founding = toml::from_str(text).unwrap();
        founding.officers[1].approval_key = founding.officers[0].approval_key;
        let control = Control::found(founding, &leaf, Sample::founded().genesis()).unwrap();
        let plan = "title = \"t\"\npurpose = \"p\"\ntrust-domain = \"demo.keysvc.test\"\nsteps = []\npeople = [\n\
                    { name = \"alice\", role = \"officer\" }, { name = \"bob\", role = \"officer\" },\n\
                    { name = \"auditor-1\", role = \"witness\" }, { name = \"nobody\", role = \"witness\" } ]\n";
        let plan: Plan = toml::from_str(plan).unwrap();
        let mut problems = Vec::new();
        assert_eq!(signers(&plan, control.roster(), &mut problems).len(), 2);
        let name = |text: &str| text.parse::<Name>().unwrap();
        let same = Problem::SameKey(name("alice"), name("bob"));
        let expected = [same, Problem::NotEnrolled(name("auditor-1")), Problem::NotEnrolled(name("nobody"))];
        assert_eq!(problems, expected);
    }
}
