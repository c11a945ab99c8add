//! One person as two: keys under other names, names used again, certificates beside those that are pinned.

use super::{
    Officers,
    book::{Attempt, Book},
    conflict,
    forge::fresh_key,
    invalid,
};
use keysvc_client::signer::StatementSigner as _;
use keysvc_protocol::{
    bytes::{Blob, Digest},
    cbor,
    founding::PrincipalKind,
    hash::sha256,
    key::KeyKind,
    list::List,
    refusal::{Conflict, Invalid, Refusal},
    reply::{PrincipalListReply, StatusReply},
    request::{EnrolPrincipal, Enrolment, ListPrincipals, Operation, ReadStatus, RotatePrincipal},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{create, done, idem, name},
    ground::Ground,
    raw::{self, Caller, Line},
};
use softhsm_setup::{
    TRUST_DOMAIN,
    pki::{CertificateRequest, Issued},
};
use std::fs;

pub const ATTACKS: &[&str] = &[
    "an officer is enrolled a second time with their approval key under another name",
    "an officer is enrolled a second time with their TLS key under another name",
    "a name that looks like officer-1 is enrolled with the key of officer-1",
    "a terminal is enrolled with an officer's approval key",
    "a terminal is enrolled with another terminal's statement key",
    "a terminal is enrolled with one key as TLS key and statement key",
    "an officer is enrolled without an approval key",
    "an officer is enrolled with a point off the curve",
    "an officer's name is enrolled again with new keys",
    "a machine's name is enrolled again as an officer",
    "a terminal changes to another terminal's TLS key",
    "a terminal changes to an officer's approval key",
    "a terminal changes to the keys it has",
    "a terminal changes another terminal's keys",
    "an officer changes another officer's keys",
    "a key is asked for under a name of the service's own",
    "a second certificate of an officer's name with another key",
    "a certificate of an officer's name over an enrolled machine's key",
    "a machine's enrolled key under no name",
];

fn all(reader: &mut Caller) -> Vec<Enrolment> {
    let list = ListPrincipals { schema: Schema, after: None };
    let reply: PrincipalListReply = reader.ask(Operation::PrincipalList, &list).unwrap();
    reply.principals.into_vec().into_iter().map(|one| one.enrolment).collect()
}

fn enrolment(
    id: &str,
    kind: PrincipalKind,
    tls_key: Digest,
    statement_key: Option<Blob<128>>,
) -> EnrolPrincipal {
    let principal = Enrolment {
        schema: Schema,
        id: name(id),
        kind,
        group: name("roastery"),
        capabilities: List::default(),
        tls_key,
        statement_key,
        wrapping_key: None,
    };
    EnrolPrincipal { schema: Schema, idem: idem(), principal }
}

/// A certificate of the site's authority, in a folder of its own.
fn certificate(ground: &Ground, folder: &str, kind: &str, id: &str) -> Issued {
    let domain = TRUST_DOMAIN.parse().unwrap();
    let issued = ground.site().authority().issue(&CertificateRequest::client(&domain, kind, id)).unwrap();
    put(ground, folder, &issued);
    issued
}

fn put(ground: &Ground, folder: &str, issued: &Issued) {
    let home = ground.site().home(folder);
    fs::create_dir(home.folder()).unwrap();
    issued.write(home.folder()).unwrap();
}

struct Part {
    book: Book,
    officers: Officers,
    /// Public halves of keys that nobody has used: a TLS key's pin, and a statement key.
    fresh: (Digest, Blob<128>),
    known: Vec<Enrolment>,
}

impl Part {
    fn known(&self, id: &str) -> &Enrolment {
        self.known.iter().find(|one| one.id.as_str() == id).unwrap()
    }

    fn enrolments(&self) -> Vec<(&'static str, EnrolPrincipal, Refusal)> {
        use PrincipalKind::{Officer, Terminal};
        let taken = || conflict(Conflict::KeyTaken);
        let (tls, statement) = self.fresh.clone();
        let (one, first) = (self.known("officer-1"), self.known("terminal-1"));
        let key = statement.as_bytes().to_vec();
        let mut off = key.clone();
        off[90] ^= 1;
        let off = Some(Blob::try_from(off).unwrap());
        let enrol = enrolment;
        vec![
            (ATTACKS[0], enrol("officer-1b", Officer, tls, one.statement_key.clone()), taken()),
            (ATTACKS[1], enrol("officer-1b", Officer, one.tls_key, Some(statement.clone())), taken()),
            (ATTACKS[2], enrol("0fficer-1", Officer, one.tls_key, one.statement_key.clone()), taken()),
            (ATTACKS[3], enrol("terminal-8", Terminal, tls, one.statement_key.clone()), taken()),
            (ATTACKS[4], enrol("terminal-8", Terminal, tls, first.statement_key.clone()), taken()),
            (ATTACKS[5], enrol("terminal-8", Terminal, sha256(&[&key]), Some(statement.clone())), taken()),
            (ATTACKS[6], enrol("officer-8", Officer, tls, None), invalid(Invalid::Keys)),
            (ATTACKS[7], enrol("officer-8", Officer, tls, off), invalid(Invalid::Keys)),
            (
                ATTACKS[8],
                enrol("officer-1", Officer, tls, Some(statement.clone())),
                conflict(Conflict::NameTaken),
            ),
            (ATTACKS[9], enrol("terminal-1", Officer, tls, Some(statement)), conflict(Conflict::NameTaken)),
        ]
    }

    fn enrol(&mut self) {
        for (place, (name, request, refusal)) in self.enrolments().into_iter().enumerate() {
            let (by, caller) = match place % 2 {
                0 => ("officer-2", &mut self.officers.two),
                _ => ("officer-3", &mut self.officers.three),
            };
            let operation = Operation::PrincipalEnrol;
            let message = caller.message(operation, cbor::encode(&request));
            self.book.refused(&mut caller.line, Attempt { name, by, operation, message, refusal });
        }
    }

    fn rotate(&mut self, ground: &Ground) {
        let mut terminal = Caller::new(ground.site(), "terminal-1");
        let (own, other) = (self.known("terminal-1").clone(), self.known("terminal-2").clone());
        let officers = self.known("officer-1").statement_key.clone();
        let rotation = |id: &str, tls_key: Option<Digest>, statement_key: Option<Blob<128>>| {
            let (schema, idem) = (Schema, idem());
            cbor::encode(&RotatePrincipal {
                schema,
                idem,
                id: name(id),
                tls_key,
                statement_key,
                wrapping_key: None,
            })
        };
        let taken = || conflict(Conflict::KeyTaken);
        let operation = Operation::PrincipalRotate;
        let cases = [
            (ATTACKS[10], rotation("terminal-1", Some(other.tls_key), None), taken()),
            (ATTACKS[11], rotation("terminal-1", None, officers), taken()),
            (
                ATTACKS[12],
                rotation("terminal-1", Some(own.tls_key), own.statement_key),
                invalid(Invalid::Keys),
            ),
            (ATTACKS[13], rotation("terminal-2", Some(self.fresh.0), None), Refusal::Forbidden),
        ];
        for (name, payload, refusal) in cases {
            let message = terminal.message(operation, payload);
            let attempt = Attempt { name, by: "terminal-1", operation, message, refusal };
            self.book.refused(&mut terminal.line, attempt);
        }
        let one = &mut self.officers.one;
        let message = one.message(operation, rotation("officer-2", Some(self.fresh.0), None));
        let refusal = Refusal::Forbidden;
        let attempt = Attempt { name: ATTACKS[14], by: "officer-1", operation, message, refusal };
        self.book.refused(&mut one.line, attempt);
        let operation = Operation::KeyCreate;
        let message =
            one.message(operation, cbor::encode(&create("storage.operational.2031-01", KeyKind::CardMaster)));
        let refusal = conflict(Conflict::NameTaken);
        let attempt = Attempt { name: ATTACKS[15], by: "officer-1", operation, message, refusal };
        self.book.refused(&mut one.line, attempt);
    }

    fn certificates(&mut self, ground: &Ground, machine: &Issued) {
        let status = cbor::encode(&ReadStatus { schema: Schema });
        let second = certificate(ground, "officer-1-again", "officer", "officer-1");
        assert_ne!(second.tls_key(), self.known("officer-1").tls_key);
        let domain = TRUST_DOMAIN.parse().unwrap();
        let renewed = |kind, id| {
            let request = CertificateRequest::client(&domain, kind, id);
            ground.site().authority().renew(machine, &request).unwrap()
        };
        let as_officer = renewed("officer", "officer-1");
        assert_eq!(as_officer.tls_key(), machine.tls_key());
        put(ground, "machine-as-officer", &as_officer);
        put(ground, "machine-as-nobody", &renewed("terminal", "nobody"));
        for (name, folder) in [
            (ATTACKS[16], "officer-1-again"),
            (ATTACKS[17], "machine-as-officer"),
            (ATTACKS[18], "machine-as-nobody"),
        ] {
            let mut line = Line::with(ground.site(), Some(&ground.site().home(folder))).unwrap();
            self.book.unknown(&mut line, name, Operation::Status, status.clone());
        }
    }
}

#[test]
fn nobody_becomes_two_people_by_keys_names_or_certificates() {
    let mut ground = Ground::new();
    let mut officers = Officers::of(&ground);
    let book = Book::open(&ground);
    let machine = certificate(&ground, "terminal-9", "terminal", "terminal-9");
    let statement = fresh_key(ground.site().folder(), "fresh.key").public_key();
    let statement = Blob::try_from(statement.spki().to_vec()).unwrap();
    let known = all(&mut officers.one);
    let mut part = Part { book, officers, fresh: (machine.tls_key(), statement), known };
    part.enrol();
    part.rotate(&ground);
    // With keys of their own, under a name of their own: two officers enrol it, and it is served at once.
    let (tls, statement) = part.fresh.clone();
    let honest = enrolment("terminal-9", PrincipalKind::Terminal, tls, Some(statement));
    let Officers { one, two, .. } = &mut part.officers;
    done(&mut [one, two], Operation::PrincipalEnrol, &honest);
    let mut line = Line::open(ground.site(), "terminal-9");
    let status = cbor::encode(&ReadStatus { schema: Schema });
    line.put::<StatusReply>(Operation::Status, status).unwrap();
    part.certificates(&ground, &machine);
    let machine =
        all(&mut part.officers.one).into_iter().find(|one| one.id.as_str() == "terminal-9").unwrap();
    assert_eq!(machine, honest.principal);
    assert_eq!(raw::refused(&ground, "terminal-9"), []);
    part.book.close(ATTACKS, &mut ground);
}
