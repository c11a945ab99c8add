//! A plan's steps in words, as they stand on the paper and on the screen.

use crate::shown::hex_digits;
use keysvc_client::protocol::{
    bytes::Digest,
    ceremony::{Activity, Outcome, Plan, Role, Step},
};

/// Digits of a digest that stand in a sentence: people compare the whole elsewhere.
const DIGITS: usize = 16;

/// What the program does in a step.
pub(crate) fn activity(step: &Step) -> String {
    let Some(activity) = &step.activity else {
        return "people do this alone; the program does nothing".into();
    };
    match activity {
        Activity::Status => "shows the service's state: genesis, policies, log".into(),
        Activity::FoundingSign { file, .. } => format!("signs the founding file {file} with the own card"),
        Activity::Found { config } => format!("founds the service of {config} (keysvc init)"),
        Activity::KeyCreate { name, kind } => {
            format!("asks for the next version of key {name}, a {}, made in the token", kind.name())
        }
        Activity::KeyActivate { name, version } => {
            format!("asks to put key {name} version {version} into use")
        }
        Activity::KeyRetire { name, version } => format!("asks to retire key {name} version {version}"),
        Activity::KeyImport { name, components, .. } => {
            let who: Vec<_> = components.iter().map(|one| one.custodian.as_str()).collect();
            format!("asks to import key {name} from the components of {}", who.join(" and "))
        }
        Activity::ComponentGive { of_step } => {
            format!("enters the own component of the key of step {of_step}, unseen by the others")
        }
        Activity::PrincipalEnrol { file, name, kind, .. } => {
            format!("asks to enrol {name} as {kind}, as {file} says")
        }
        Activity::PolicyPropose { folder, .. } => format!("asks for the policies in {folder}"),
        Activity::ProfilePut { file, family, name, version, .. } => {
            format!(
                "asks for version {version} of card profile {name}, for {}, as {file} says",
                family.name()
            )
        }
        Activity::Approve { of_step } => {
            format!("reads what step {of_step} asked for, and approves it with the own card")
        }
        Activity::KeyShow { name, version, .. } => {
            format!("shows key {name} version {version} as it now stands")
        }
    }
}

/// What a step must come to; nothing where the plan does not say.
pub(crate) fn expected(step: &Step) -> Vec<String> {
    let Some(activity) = &step.activity else { return Vec::new() };
    let begins = |digest: &Digest| format!("SHA-256 begins {}", head(digest));
    match activity {
        Activity::FoundingSign { sha256, .. } => vec![begins(sha256)],
        Activity::PrincipalEnrol { sha256, statement_key, .. } => {
            let key = statement_key.as_ref().map(|key| format!("statement key begins {}", head(key)));
            [begins(sha256)].into_iter().chain(key).collect()
        }
        Activity::ProfilePut { sha256, digest, .. } => {
            let digest = digest.as_ref().map(|digest| format!("profile digest begins {}", head(digest)));
            [begins(sha256)].into_iter().chain(digest).collect()
        }
        Activity::PolicyPropose { policy, large_above, cases, .. } => {
            let set = format!("policy digest begins {}", head(policy));
            let large = large_above.map(|above| format!("loads above {above} minor units take two people"));
            let cases = cases.as_ref().map(|cases| format!("cases of {cases} come out as they say"));
            [set].into_iter().chain(large).chain(cases).collect()
        }
        Activity::KeyImport { check_value, components, .. } => {
            let whole = format!("key: check value {check_value}");
            let one = components.iter().map(|one| format!("{}: {}", one.custodian, one.check_value));
            [whole].into_iter().chain(one).collect()
        }
        Activity::KeyShow { check_value, state, .. } => {
            let check = check_value.iter().map(|value| format!("check value {value}"));
            check.chain(state.iter().map(|state| format!("state {state}"))).collect()
        }
        _ => Vec::new(),
    }
}

/// The head of a digest in groups of four.
pub(crate) fn head(digest: &Digest) -> String {
    let digits: String = digest.as_bytes().iter().flat_map(|byte| hex_digits(*byte)).take(DIGITS).collect();
    grouped(&digits).join(" ")
}

/// Hexadecimal in groups of four digits.
pub(crate) fn grouped(hex: &str) -> Vec<String> {
    let digits: Vec<char> = hex.chars().collect();
    digits.chunks(4).map(|group| group.iter().collect()).collect()
}

/// What somebody does in a ceremony, in words.
pub(crate) const fn role(role: Role) -> &'static str {
    match role {
        Role::Officer => "officer: asks and approves",
        Role::Custodian => "custodian: holds a component",
        Role::Witness => "witness: looks on",
    }
}

/// How often something was, in words.
pub(crate) fn times(count: u16) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        more => format!("{more} times"),
    }
}

/// How a step ended, in one word.
pub(crate) const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Deviated => "deviated",
        Outcome::Failed => "failed",
    }
}

/// The initials that a name suggests: `officer-1` gives `O1`. A person at a keyboard types their own.
pub(crate) fn initials(name: &str) -> String {
    let parts = name.split(|character: char| !character.is_ascii_alphanumeric());
    let taken: String = parts.filter_map(|part| part.chars().next()).take(8).collect();
    taken.to_ascii_uppercase()
}

/// The plan in words, one step after the other.
pub(crate) fn plan(plan: &Plan) -> String {
    let mut lines = Vec::new();
    for (number, step) in (1_u16..).zip(&plan.steps) {
        lines.push(format!("{number:>3}  {}: {}", step.by, step.say));
        if step.activity.is_some() {
            lines.push(format!("       {}", activity(step)));
        }
        lines.extend(expected(step).into_iter().map(|line| format!("       expected: {line}")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceremony::plan_file::tests::plan as sample;

    #[test]
    fn every_step_is_told_with_who_does_it_and_what_it_must_come_to() {
        let text = plan(&sample().plan);
        assert!(text.contains("  1  carol: Carol sees that the room is closed"), "{text}");
        assert!(text.contains("asks for the next version of key value-1, a value-signing"), "{text}");
        assert!(text.contains("reads what step 2 asked for"), "{text}");
        assert!(text.contains("expected: state pre-activation"), "{text}");
    }

    #[test]
    fn digests_and_initials_are_short_enough_to_read() {
        assert_eq!(head(&Digest::new([0x1f; 32])), "1f1f 1f1f 1f1f 1f1f");
        assert_eq!(initials("officer-1"), "O1");
        assert_eq!(initials("ann"), "A");
        assert_eq!((times(0), times(1), times(2)), ("never".into(), "once".into(), "2 times".into()));
        assert!(initials("a-b-c-d-e-f-g-h-i-j").len() <= 8);
    }
}
