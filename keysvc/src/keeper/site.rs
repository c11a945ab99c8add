//! The site: what the founding says, indexed for the request's way. Read-only between starts.

use keysvc_protocol::{
    bytes::{Digest, KeyIdentifier},
    checkpoint::Origin,
    founding::{CardSession, Founding, Principal, PrincipalKind, Profile, Programme},
    name::Name,
    public_key::PublicKey,
    trust::{Trust, TrustDomain},
};
use std::{collections::HashMap, sync::Arc};

/// A person or machine that may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// Its name.
    pub id: Name,
    /// What it is.
    pub kind: PrincipalKind,
    /// Its organisation; an officer's is the trust domain's own, `site`.
    pub organisation: String,
    /// Its department; officers only.
    pub department: String,
    /// Its capabilities, as the site's policies name them.
    pub capabilities: Vec<String>,
    /// The key of its statements.
    pub statement_key: Option<PublicKey>,
    /// Its RSA wrapping key, DER; stations only.
    pub wrapping_key: Option<Vec<u8>>,
    /// The one URI name its certificate must carry.
    pub uri: String,
}

/// Who is enrolled and what the service is for.
#[derive(Debug)]
pub struct Site {
    trust: Trust,
    founding: Founding,
    by_pin: HashMap<Digest, Arc<Enrolled>>,
    by_statement_key: HashMap<KeyIdentifier, Arc<Enrolled>>,
}

/// The epoch of the log: raised by officers after a restore from a disaster.
const EPOCH: u32 = 1;

impl Site {
    /// Indexes a founding that was checked and whose genesis digest is known.
    #[must_use]
    pub fn new(founding: Founding, genesis: Digest) -> Self {
        let trust = Trust { domain: founding.trust_domain.clone(), genesis };
        let officers = founding.officers.iter().map(|officer| {
            let enrolled = Enrolled {
                uri: uri(&trust.domain, PrincipalKind::Officer, &officer.name),
                id: officer.name.clone(),
                kind: PrincipalKind::Officer,
                organisation: "site".to_owned(),
                department: officer.department.to_string(),
                capabilities: Vec::new(),
                statement_key: Some(officer.approval_key.p256()),
                wrapping_key: None,
            };
            (officer.tls_key, Arc::new(enrolled))
        });
        let principals =
            founding.principals.iter().map(|p| (p.tls_key, Arc::new(enrolled(&trust.domain, p))));
        let by_pin: HashMap<_, _> = officers.chain(principals).collect();
        let by_statement_key = by_pin.values().filter_map(|enrolled: &Arc<Enrolled>| {
            enrolled.statement_key.map(|key| (key.identifier(), Arc::clone(enrolled)))
        });
        let by_statement_key = by_statement_key.collect();
        Self { trust, founding, by_pin, by_statement_key }
    }

    /// The principal that pinned this TLS key (SHA-256 of its `SubjectPublicKeyInfo`).
    #[must_use]
    pub fn by_pin(&self, key_digest: &Digest) -> Option<&Arc<Enrolled>> {
        self.by_pin.get(key_digest)
    }

    /// The principal whose statement key has this identifier.
    #[must_use]
    pub fn by_statement_key(&self, key: KeyIdentifier) -> Option<&Arc<Enrolled>> {
        self.by_statement_key.get(&key)
    }

    /// The genesis digest: the scope of every signature.
    #[must_use]
    pub fn genesis(&self) -> &Digest {
        &self.trust.genesis
    }

    /// Trust domain and genesis digest.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The log's origin.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin::of(&self.trust.domain, EPOCH)
    }

    /// Whether it was founded for development.
    #[must_use]
    pub fn development(&self) -> bool {
        self.founding.development
    }

    /// The founding.
    #[must_use]
    pub fn founding(&self) -> &Founding {
        &self.founding
    }

    /// The programme of this name.
    #[must_use]
    pub fn programme(&self, name: &Name) -> Option<&Programme> {
        self.founding.programmes.iter().find(|programme| programme.name == *name)
    }

    /// The card profile of this name and version.
    #[must_use]
    pub fn profile(&self, name: &Name, version: u32) -> Option<&Profile> {
        self.founding.profiles.iter().find(|profile| profile.name == *name && profile.version == version)
    }

    /// The newest version of a programme's card profile.
    #[must_use]
    pub fn profile_of(&self, programme: &Programme) -> Option<&Profile> {
        let versions = self.founding.profiles.iter().filter(|profile| profile.name == programme.profile);
        versions.max_by_key(|profile| profile.version)
    }

    /// Whether a programme's cards are passive tags.
    #[must_use]
    pub fn passive_tag(&self, programme: &Programme) -> bool {
        let rules = self.profile_of(programme).and_then(|profile| profile.value.as_ref());
        rules.is_some_and(|rules| rules.card_session == CardSession::PassiveTag)
    }
}

fn uri(domain: &TrustDomain, kind: PrincipalKind, id: &Name) -> String {
    format!("spiffe://{domain}/{kind}/{id}")
}

fn enrolled(domain: &TrustDomain, principal: &Principal) -> Enrolled {
    Enrolled {
        uri: uri(domain, principal.kind, &principal.id),
        id: principal.id.clone(),
        kind: principal.kind,
        organisation: principal.organisation.to_string(),
        department: String::new(),
        capabilities: principal.capabilities.iter().map(Name::to_string).collect(),
        statement_key: principal.statement_key.map(|key| key.p256()),
        wrapping_key: principal.wrapping_key.as_ref().map(|key| key.as_der().to_vec()),
    }
}
