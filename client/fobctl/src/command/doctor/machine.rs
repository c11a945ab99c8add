//! What is looked at without the service: configuration, trust file, certificate, card and key.

use super::report::Line;
use crate::{
    context::Chosen,
    fault::Fault,
    moment,
    pin::PinSource,
    shown::{key_digest, utc},
};
use keysvc_client::{
    ClientConfig, OwnCertificate,
    config::TokenSettings,
    officer::{Card, PinTries},
    protocol::{
        public_key::PublicKey,
        trust::{Trust, TrustDomain},
    },
    signer,
};

/// From so long before its end on a certificate is warned of: 30 days.
const RENEW_MS: u64 = 30 * 24 * 60 * 60 * 1000;

pub(super) fn configuration(chosen: &Chosen) -> Line {
    let by = chosen.by.name();
    Line::ok("configuration", format!("{}, chosen by {by}", chosen.file.display()))
}

pub(super) fn trust(config: &ClientConfig, lines: &mut Vec<Line>) -> Option<Trust> {
    match config.read_trust() {
        Ok(trust) => {
            let genesis = key_digest(&trust.genesis);
            lines.push(Line::ok("trust file", format!("{}, genesis {genesis}", trust.domain)));
            Some(trust)
        }
        Err(error) => {
            lines.push(Line::fault("trust file", &Fault::client("read the trust file", error.into())));
            lines.push(Line::skipped("certificate", "it is looked at by the trust file's domain"));
            None
        }
    }
}

pub(super) fn certificate(
    config: &ClientConfig,
    domain: &TrustDomain,
    lines: &mut Vec<Line>,
) -> Option<OwnCertificate> {
    match OwnCertificate::read(config, domain) {
        Ok(own) => {
            lines.push(judged(&own, domain, moment::now_ms()));
            Some(own)
        }
        Err(error) => {
            lines.push(Line::fault("certificate", &Fault::client("read the certificate", error.into())));
            None
        }
    }
}

fn judged(own: &OwnCertificate, domain: &TrustDomain, now_ms: u64) -> Line {
    const CHECK: &str = "certificate";
    let other = "have the site's CA issue another, and compare ca and certificate in the configuration";
    if let Some(why) = &own.distrusted {
        return Line::bad(CHECK, 2, format!("the configured CA does not vouch for it: {why}"), other);
    }
    let Some(name) = &own.name else {
        let what = format!("it names nobody of {domain}: spiffe://{domain}/KIND/NAME is missing in it");
        return Line::bad(CHECK, 2, what, other);
    };
    let who = format!("{} {}", name.kind, name.name);
    let ends = utc(own.not_after_ms);
    if now_ms > own.not_after_ms {
        return Line::bad(CHECK, 2, format!("of {who}, ended {ends}"), "have the site's CA issue another");
    }
    if now_ms < own.not_before_ms {
        let next = "compare this machine's clock with a good one, or wait";
        return Line::bad(CHECK, 2, format!("of {who}, begins {} only", utc(own.not_before_ms)), next);
    }
    let text = format!("of {who}, by the configured CA, until {ends}");
    if own.not_after_ms.saturating_sub(now_ms) < RENEW_MS {
        return Line::warn(CHECK, text, "have the site's CA issue another before it ends");
    }
    Line::ok(CHECK, text)
}

/// The key that signs: in a file, or behind the card's PIN, which is asked for once.
pub(super) fn key(
    config: &ClientConfig,
    who: &str,
    pin: &PinSource,
    lines: &mut Vec<Line>,
) -> Option<PublicKey> {
    let found = match (&config.statement, &config.token) {
        (Some(_), _) => signer::of_config(config).map_err(|error| Fault::client("read the key", error)),
        (None, Some(settings)) => return card(settings, who, pin, lines),
        (None, None) => {
            lines.push(Line::skipped("key", "the configuration names none: this persona signs nothing"));
            return None;
        }
    };
    signing(found.map(|signer| signer.public_key()), lines)
}

fn card(settings: &TokenSettings, who: &str, pin: &PinSource, lines: &mut Vec<Line>) -> Option<PublicKey> {
    let card = match Card::find(settings) {
        Ok(card) => card,
        Err(error) => {
            lines.push(Line::fault("card", &Fault::client("find the card", error)));
            return None;
        }
    };
    let identity = card.identity();
    lines.push(Line::ok(
        "card",
        format!("{} ({}), serial number {}", identity.label, identity.model, identity.serial),
    ));
    let tries = card.pin_tries();
    lines.push(tries_left(tries));
    if tries == PinTries::Locked {
        return None;
    }
    let opened = pin.read(settings.pin_file.as_deref(), who).and_then(|pin| {
        let signer = card.unlock(Some(pin)).map_err(|error| Fault::client("unlock the card", error))?;
        Ok(signer.public_key())
    });
    signing(opened, lines)
}

fn tries_left(tries: PinTries) -> Line {
    const CHECK: &str = "PIN tries";
    match tries {
        PinTries::NotSaid => Line::ok(CHECK, "the card says of no wrong one"),
        PinTries::Low => Line::warn(
            CHECK,
            "a wrong PIN was given since the last right one",
            "find out who tried; the right PIN brings all tries back",
        ),
        PinTries::LastTry => Line::warn(
            CHECK,
            "LAST TRY: one more wrong PIN locks the card",
            "be sure of the PIN, or have the card's issuer set it anew",
        ),
        PinTries::Locked => Line::bad(
            CHECK,
            4,
            "the card is locked",
            "have the card unlocked by who issued it; another officer may act meanwhile",
        ),
    }
}

fn signing(key: Result<PublicKey, Fault>, lines: &mut Vec<Line>) -> Option<PublicKey> {
    match key {
        Ok(key) => {
            lines.push(Line::ok("key", format!("P-256, SHA-256 {}", key_digest(&key.digest()))));
            Some(key)
        }
        Err(fault) => {
            lines.push(Line::fault("key", &fault));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::How;
    use super::*;
    use keysvc_client::{own_name::OwnName, protocol::bytes::Digest};

    const DAY_MS: u64 = 24 * 60 * 60 * 1000;

    fn own() -> OwnCertificate {
        OwnCertificate {
            name: Some(OwnName { kind: "officer".into(), name: "officer-1".parse().unwrap() }),
            not_before_ms: 100 * DAY_MS,
            not_after_ms: 200 * DAY_MS,
            tls_key: Digest::new([1; 32]),
            distrusted: None,
        }
    }

    #[test]
    fn a_certificate_is_judged_by_issuer_name_and_time() {
        let domain: TrustDomain = "demo.test".parse().unwrap();
        let how = |own: &OwnCertificate, day: u64| judged(own, &domain, day * DAY_MS).how;
        assert_eq!(how(&own(), 150), How::Ok);
        assert_eq!(how(&own(), 171), How::Warn);
        assert_eq!(how(&own(), 201), How::Bad);
        assert_eq!(how(&own(), 99), How::Bad);
        let stranger = OwnCertificate { distrusted: Some("UnknownIssuer".into()), ..own() };
        assert_eq!(how(&stranger, 150), How::Bad);
        let nameless = OwnCertificate { name: None, ..own() };
        let line = judged(&nameless, &domain, 150 * DAY_MS);
        assert!(line.text.contains("spiffe://demo.test/KIND/NAME is missing"), "{}", line.text);
    }

    #[test]
    fn a_card_on_its_last_try_is_warned_of_and_a_locked_one_is_bad() {
        assert_eq!(tries_left(PinTries::NotSaid).how, How::Ok);
        assert_eq!(tries_left(PinTries::LastTry).how, How::Warn);
        assert_eq!(tries_left(PinTries::Locked).how, How::Bad);
    }
}
