//! What is looked at with the service: that it is the trust file's, that it forgot nothing, its clock, and our enrolment.

use super::{Own, report::Line};
use crate::{
    fault::Fault,
    moment::{in_words, now_ms},
    shown::{key_digest, utc},
};
use keysvc_client::{
    ClientConfig, ClientError, Officer,
    protocol::{
        checkpoint::SignedCheckpoint,
        founding::PrincipalKind,
        name::Name,
        public_key::PublicKey,
        refusal::Refusal,
        reply::{PrincipalView, ServiceState, StatusReply},
    },
};
use std::{fs, time::SystemTime};

/// Clocks further apart than this are warned of: a minute.
const APART_WARN_MS: u64 = 60_000;
/// Clocks further apart than this are bad: five minutes. Approvals and officers' plans go by time.
const APART_BAD_MS: u64 = 5 * 60_000;
/// What needs the service.
const CHECKS: [&str; 5] = ["history", "state", "policies", "clock", "enrolment"];

/// Looks at the service from this persona's place.
pub(super) async fn look(config: &ClientConfig, own: &Own, lines: &mut Vec<Line>) {
    let age = kept_s(config);
    let reached = reach(config).await;
    let (officer, status, before) = match reached {
        Ok(reached) => reached,
        Err(fault) => {
            lines.push(Line::fault("service", &fault));
            lines.extend(
                CHECKS.map(|check| Line::skipped(check, "the service was not reached, or is not believed")),
            );
            return;
        }
    };
    let development = if status.development { "; founded for development" } else { "" };
    let version = &status.version;
    lines.push(Line::ok("service", format!("keysvc {version}, of the trust file's genesis{development}")));
    // What connecting alone has seen is nothing that was kept before.
    lines.push(history(before.as_ref().zip(age), &status));
    lines.push(state(&status));
    lines.push(policies(&officer, &status));
    lines.push(clock(officer.reader().service_clock_ms(), now_ms()));
    lines.push(enrolment(&officer, own).await);
}

/// Connects and asks for the status: the reply proves that the log continues what was seen before.
async fn reach(config: &ClientConfig) -> Result<(Officer, StatusReply, Option<SignedCheckpoint>), Fault> {
    let fault = |error| Fault::client("ask the service", error);
    let officer = Officer::connect(config).await.map_err(fault)?;
    let before = officer.reader().seen();
    let status = officer.reader().status().await.map_err(fault)?;
    Ok((officer, status, before))
}

/// How long ago the last checkpoint was kept, in seconds.
fn kept_s(config: &ClientConfig) -> Option<u64> {
    let kept = fs::metadata(config.state.join("checkpoint")).and_then(|file| file.modified()).ok()?;
    SystemTime::now().duration_since(kept).ok().map(|age| age.as_secs())
}

fn history(before: Option<(&SignedCheckpoint, u64)>, status: &StatusReply) -> Line {
    let now = status.checkpoint.checkpoint().head.size;
    let Some((before, age_s)) = before else {
        return Line::ok("history", format!("{now} leaves; nothing was seen before"));
    };
    let (then, ago) = (before.checkpoint().head.size, in_words(age_s));
    Line::ok("history", format!("{now} leaves, proved to continue the {then} that were seen {ago} ago"))
}

fn state(status: &StatusReply) -> Line {
    match status.state {
        ServiceState::Serving => Line::ok("state", format!("serving since {}", utc(status.started_at_ms))),
        ServiceState::RolledBack => Line::bad(
            "state",
            6,
            "STOPPED: its history was rolled back",
            "do not use the service; keep the state folder as evidence, and tell the officers at once",
        ),
    }
}

fn policies(officer: &Officer, status: &StatusReply) -> Line {
    let founded = officer.reader().founded().founding().policy == status.policy;
    let whose = if founded { "the founding's" } else { "put into force by officers since the founding" };
    Line::ok("policies", format!("{}, {whose}", key_digest(&status.policy)))
}

fn clock(service_ms: Option<u64>, now_ms: u64) -> Line {
    const CHECK: &str = "clock";
    let Some(service_ms) = service_ms else {
        return Line::skipped(CHECK, "the service's answer says no time");
    };
    let apart = now_ms.abs_diff(service_ms);
    let side = if now_ms > service_ms { "ahead of" } else { "behind" };
    // It says whole seconds.
    if apart < 2_000 {
        return Line::ok(CHECK, "as the service's, to the second");
    }
    let text = format!("{} {side} the service's", in_words(apart / 1000));
    let next = "compare both with a good clock; where it is the service's that is wrong, tell its operator";
    if apart <= APART_WARN_MS {
        Line::ok(CHECK, text)
    } else if apart <= APART_BAD_MS {
        Line::warn(CHECK, text, next)
    } else {
        Line::bad(CHECK, 2, text, next)
    }
}

/// Compares our enrolment with what is on this machine; officers and auditors may read it.
async fn enrolment(officer: &Officer, own: &Own) -> Line {
    const CHECK: &str = "enrolment";
    let name = own.certificate.as_ref().and_then(|certificate| certificate.name.as_ref());
    let Some(name) = name else { return Line::skipped(CHECK, "the certificate names nobody") };
    match officer.principals().await {
        Ok(all) => {
            let found = all.principals.iter().find(|one| one.enrolment.id == name.name);
            enrolled(found, &name.name, own)
        }
        Err(ClientError::Refused(reply)) if reply.refusal == Refusal::Forbidden => {
            let text = "the service knows this persona, which may not read the list of principals";
            Line::ok(CHECK, text)
        }
        Err(error) => Line::fault(CHECK, &Fault::client("read the enrolment", error)),
    }
}

fn enrolled(found: Option<&PrincipalView>, name: &Name, own: &Own) -> Line {
    const CHECK: &str = "enrolment";
    let Some(found) = found else {
        return Line::bad(CHECK, 3, format!("{name} is not enrolled"), "ask the officers to enrol it");
    };
    let enrolment = &found.enrolment;
    if !found.enabled {
        let next =
            format!("two officers can enable it again: `fobctl principal enable {name} --reason REASON`");
        return Line::bad(CHECK, 3, format!("{name} is disabled, since leaf {}", found.leaf), next);
    }
    if own.certificate.as_ref().is_some_and(|certificate| certificate.tls_key != enrolment.tls_key) {
        return Line::bad(
            CHECK,
            3,
            "another TLS key is enrolled than the certificate's",
            "use the certificate that was enrolled, or ask for the new key with `fobctl principal rotate`",
        );
    }
    let pinned = enrolment.statement_key.as_ref().and_then(|key| PublicKey::from_spki(key.as_bytes()).ok());
    if own.key.is_some_and(|key| pinned != Some(key)) {
        return Line::bad(
            CHECK,
            3,
            "another signing key is enrolled than this one",
            "use the card that was enrolled, or ask for the new key with `fobctl principal rotate`",
        );
    }
    let group = if enrolment.kind == PrincipalKind::Officer { "department" } else { "organisation" };
    let same =
        if own.key.is_some() { "both keys are the enrolled ones" } else { "the TLS key is the enrolled one" };
    let capabilities: Vec<_> = enrolment.capabilities.iter().map(Name::as_str).collect();
    let also =
        if capabilities.is_empty() { String::new() } else { format!(", with {}", capabilities.join(", ")) };
    let who = format!("{name}, {} of {group} {}{also}", enrolment.kind, enrolment.group);
    Line::ok(CHECK, format!("{who}, enabled; {same}"))
}

#[cfg(test)]
mod tests {
    use super::super::report::How;
    use super::*;
    use keysvc_client::{
        OwnCertificate,
        own_name::OwnName,
        protocol::{
            bytes::{Blob, Digest},
            list::List,
            request::Enrolment,
            schema::Schema,
        },
    };

    fn own(tls_key: u8) -> Own {
        let name = OwnName { kind: "officer".into(), name: "alice".parse().unwrap() };
        let certificate = OwnCertificate {
            name: Some(name),
            not_before_ms: 1,
            not_after_ms: 2,
            tls_key: Digest::new([tls_key; 32]),
            distrusted: None,
        };
        let key = crate::sample::founding().officers[0].approval_key.p256();
        Own { certificate: Some(certificate), key: Some(key) }
    }

    fn view(officer: usize, enabled: bool) -> PrincipalView {
        let founding = crate::sample::founding();
        let key = founding.officers[officer].approval_key.p256();
        let enrolment = Enrolment {
            schema: Schema,
            id: "alice".parse().unwrap(),
            kind: PrincipalKind::Officer,
            group: "security".parse().unwrap(),
            capabilities: List::default(),
            tls_key: Digest::new([1; 32]),
            statement_key: Some(Blob::try_from(key.spki().to_vec()).unwrap()),
            wrapping_key: None,
        };
        PrincipalView { enrolment, enabled, leaf: 9 }
    }

    #[test]
    fn clocks_a_minute_apart_are_warned_of_and_five_minutes_apart_are_bad() {
        let how = |seconds: u64| clock(Some(1_000_000), 1_000_000 + seconds * 1_000).how;
        assert_eq!((how(1), how(60)), (How::Ok, How::Ok));
        assert_eq!((how(61), how(300)), (How::Warn, How::Warn));
        assert_eq!(how(301), How::Bad);
        assert_eq!(clock(Some(400_000), 1).how, How::Bad);
        assert_eq!(clock(None, 1).how, How::Skipped);
    }

    #[test]
    fn the_enrolment_is_compared_with_the_keys_that_are_here() {
        let alice = "alice".parse().unwrap();
        let how = |found: Option<&PrincipalView>, own: &Own| enrolled(found, &alice, own).how;
        assert_eq!(how(Some(&view(0, true)), &own(1)), How::Ok);
        assert_eq!(how(Some(&view(0, false)), &own(1)), How::Bad);
        assert_eq!(how(Some(&view(0, true)), &own(2)), How::Bad);
        assert_eq!(how(Some(&view(1, true)), &own(1)), How::Bad);
        assert_eq!(how(None, &own(1)), How::Bad);
        let without = Own { key: None, ..own(1) };
        let line = enrolled(Some(&view(1, true)), &alice, &without);
        assert!(
            line.how == How::Ok && line.text.contains("the TLS key is the enrolled one"),
            "{}",
            line.text
        );
    }
}
