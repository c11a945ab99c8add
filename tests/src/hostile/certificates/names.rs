//! Certificates of a good authority, in time and for the right use, whose names are not right; and keys that are nobody's.

use super::{Case, Expected, shown};
use crate::hostile::{
    der::Certificate,
    handshake::Shown,
    mint::{Mint, good_uri, uri},
};
use keysvc_protocol::request::Operation;
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType, SignatureAlgorithm,
};
use rustls::AlertDescription;
use softhsm_setup::{TRUST_DOMAIN, pki::spiffe};
use std::net::{IpAddr, Ipv4Addr};

/// A key for these tests alone: the libraries at hand make none of this kind.
const RSA_2048: &str = include_str!("../rsa.pem");

fn named(mint: &Mint, names: Vec<SanType>) -> Shown {
    shown(mint, vec![mint.leaf(|params| params.subject_alt_names = names)])
}

fn with_uri(mint: &Mint, text: &str) -> Shown {
    named(mint, vec![uri(text)])
}

/// The good name on a key that nobody is enrolled with.
fn with_key(mint: &Mint, key: &KeyPair) -> Shown {
    let chain = vec![mint.site.certify(&mint.right(), key)];
    Shown { key: key.serialize_der(), ..shown(mint, chain) }
}

fn with_new_key(mint: &Mint, algorithm: &'static SignatureAlgorithm) -> Shown {
    with_key(mint, &KeyPair::generate_for(algorithm).unwrap())
}

/// The good name with some of its bytes replaced by others, which need not be ASCII.
fn with_bytes(mint: &Mint, from: &[u8], to: &[u8]) -> Shown {
    shown(mint, vec![mint.remade(|certificate: &mut Certificate| certificate.replace(from, to))])
}

macro_rules! of_uri {
    ($name:literal, $make:expr) => {
        Case {
            name: $name,
            expected: Expected::Nobody,
            make: |mint| {
                let make: fn(&str) -> String = $make;
                with_uri(mint, &make(TRUST_DOMAIN))
            },
        }
    };
}

macro_rules! of_names {
    ($name:literal, $names:expr) => {
        Case { name: $name, expected: Expected::Nobody, make: |mint| named(mint, $names) }
    };
}

pub(super) const CASES: &[Case] = &[
    of_uri!("another trust domain", |_| spiffe("other.test", "terminal", "terminal-1")),
    of_uri!("a trust domain that begins like ours", |ours| spiffe(
        &format!("{ours}.evil"),
        "terminal",
        "terminal-1"
    )),
    of_uri!("a trust domain that ends like ours", |ours| spiffe(
        &format!("evil.{ours}"),
        "terminal",
        "terminal-1"
    )),
    of_uri!("a trust domain in upper case", |ours| spiffe(&ours.to_uppercase(), "terminal", "terminal-1")),
    of_uri!("a trust domain in punycode", |_| spiffe("xn--dmo-bma.test", "terminal", "terminal-1")),
    of_uri!("a trust domain with a port", |ours| spiffe(&format!("{ours}:443"), "terminal", "terminal-1")),
    of_uri!("a trust domain behind a user", |ours| spiffe(&format!("x@{ours}"), "terminal", "terminal-1")),
    of_uri!("a scheme in upper case", |ours| spiffe(ours, "terminal", "terminal-1")
        .replace("spiffe", "SPIFFE")),
    of_uri!("another scheme", |ours| spiffe(ours, "terminal", "terminal-1").replace("spiffe", "https")),
    of_uri!("a name in upper case", |ours| spiffe(ours, "terminal", "TERMINAL-1")),
    of_uri!("a percent-encoded name", |ours| spiffe(ours, "terminal", "terminal%2d1")),
    of_uri!("a percent-encoded slash", |ours| format!("spiffe://{ours}/terminal%2fterminal-1")),
    of_uri!("a path that goes up", |ours| format!("spiffe://{ours}/terminal/../officer/officer-1")),
    of_uri!("a path that stays", |ours| format!("spiffe://{ours}/terminal/./terminal-1")),
    of_uri!("an empty kind", |ours| spiffe(ours, "", "terminal-1")),
    of_uri!("an unknown kind", |ours| spiffe(ours, "root", "terminal-1")),
    of_uri!("an empty name", |ours| spiffe(ours, "terminal", "")),
    of_uri!("a name alone", |ours| format!("spiffe://{ours}/terminal-1")),
    of_uri!("a part too many", |ours| spiffe(ours, "terminal", "terminal-1/x")),
    of_uri!("a slash at the end", |ours| spiffe(ours, "terminal", "terminal-1/")),
    of_uri!("a question behind the name", |ours| spiffe(ours, "terminal", "terminal-1?x=y")),
    of_uri!("a fragment behind the name", |ours| spiffe(ours, "terminal", "terminal-1#x")),
    of_uri!("a name of 60,000 bytes", |ours| spiffe(ours, "terminal", &"t".repeat(60_000))),
    of_uri!("the service's own kind", |ours| spiffe(ours, "service", "keysvc")),
    of_uri!("an officer's name on a terminal's key", |ours| spiffe(ours, "officer", "officer-1")),
    of_uri!("another terminal's name on this key", |ours| spiffe(ours, "terminal", "terminal-2")),
    of_uri!("another kind than the one enrolled", |ours| spiffe(ours, "station", "terminal-1")),
    of_names!("two URI names", vec![uri(&good_uri()), uri(&spiffe(TRUST_DOMAIN, "terminal", "terminal-2"))]),
    of_names!("two URI names, the good one last", vec![uri("https://example.test"), uri(&good_uri())]),
    of_names!("the good URI name twice", vec![uri(&good_uri()); 2]),
    of_names!("a hundred URI names", {
        let mut names: Vec<_> = (0..99).map(|number| uri(&format!("spiffe://{number}.test/x"))).collect();
        names.push(uri(&good_uri()));
        names
    }),
    of_names!("no name", vec![]),
    of_names!("a host name alone", vec![SanType::DnsName("terminal-1.demo.test".try_into().unwrap())]),
    of_names!("a mail address alone", vec![SanType::Rfc822Name("terminal-1@demo.test".try_into().unwrap())]),
    of_names!("a network address alone", vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))]),
    of_names!("the good URI as a host name", vec![SanType::DnsName(good_uri().as_str().try_into().unwrap())]),
    Case {
        name: "a name with a letter that is not ASCII",
        expected: Expected::Nobody,
        make: |mint| with_bytes(mint, b"/terminal-1", "/t\u{e9}rmial-1".as_bytes()),
    },
    Case {
        name: "a name with a letter that looks like ours",
        expected: Expected::Nobody,
        make: |mint| with_bytes(mint, b"/terminal-1", "/t\u{435}rmial-1".as_bytes()),
    },
    Case {
        name: "a name with bytes that are no text",
        expected: Expected::Nobody,
        make: |mint| with_bytes(mint, b"/terminal-1", b"/terminal\xff1"),
    },
    Case {
        name: "a name that ends in a zero byte",
        expected: Expected::Nobody,
        make: |mint| with_bytes(mint, b"/terminal-1", b"/terminal-\0"),
    },
    Case {
        name: "the good name on a key that is not enrolled",
        expected: Expected::Nobody,
        make: |mint| with_new_key(mint, &PKCS_ECDSA_P256_SHA256),
    },
    Case {
        name: "the good name on an RSA key",
        expected: Expected::Nobody,
        make: |mint| with_key(mint, &KeyPair::from_pem(RSA_2048).unwrap()),
    },
    Case {
        name: "the good name on a P-384 key",
        expected: Expected::Nobody,
        make: |mint| with_new_key(mint, &PKCS_ECDSA_P384_SHA384),
    },
    Case {
        name: "the good name on an Ed25519 key",
        expected: Expected::Nobody,
        make: |mint| with_new_key(mint, &PKCS_ED25519),
    },
    Case {
        name: "a right certificate, for what its kind may not do",
        expected: Expected::Forbidden,
        make: |mint| Shown { asks: Operation::LogEntries, ..shown(mint, vec![mint.leaf(|_| {})]) },
    },
    Case {
        name: "a right certificate, for another protocol",
        expected: Expected::Alert(AlertDescription::NoApplicationProtocol),
        make: |mint| Shown { protocols: vec![b"h2".to_vec()], ..shown(mint, vec![mint.leaf(|_| {})]) },
    },
];
