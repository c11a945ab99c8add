//! The site: what the founding says, and who is enrolled as the log has it, indexed for the request's way.
//!
//! Programmes stand in the founding. Principals, card profiles and policies come from the ledger's [`Control`], which it
//! publishes after each commit, so that a disabled caller is one on its next request.

use crate::error::Fault;
use arc_swap::{ArcSwap, ArcSwapOption};
use keysvc_protocol::{
    bytes::{Digest, KeyIdentifier},
    checkpoint::Origin,
    control::{Control, Member, Roster},
    founding::{Founding, PrincipalKind, Programme},
    name::Name,
    public_key::PublicKey,
    trust::{Trust, TrustDomain},
};
use std::{collections::HashMap, fmt, sync::Arc};

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
    /// Its organisation as a store that can be frozen; none for an officer.
    pub store: Option<Name>,
    /// Whether it may act.
    pub enabled: bool,
}

/// Who is enrolled and what the service is for.
pub struct Site {
    trust: Trust,
    founding: Founding,
    control: Arc<ArcSwapOption<Control>>,
    index: ArcSwap<Index>,
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("trust", &self.trust).finish_non_exhaustive()
    }
}

/// The roster at one revision, by what requests name.
#[derive(Debug, Default)]
struct Index {
    revision: u64,
    by_name: HashMap<Name, Arc<Enrolled>>,
    by_pin: HashMap<Digest, Arc<Enrolled>>,
    by_statement_key: HashMap<KeyIdentifier, Arc<Enrolled>>,
}

impl Index {
    fn of(domain: &TrustDomain, roster: &Roster) -> Self {
        let mut index = Self { revision: roster.revision(), ..Self::default() };
        for (name, member) in roster.members() {
            let enrolled = Arc::new(enrolled(domain, member));
            index.by_name.insert(name.clone(), Arc::clone(&enrolled));
            index.by_pin.insert(member.enrolment.tls_key, Arc::clone(&enrolled));
            if let Some(key) = enrolled.statement_key {
                index.by_statement_key.insert(key.identifier(), enrolled);
            }
        }
        index
    }
}

/// The epoch of the log: raised by officers after a restore from a disaster.
const EPOCH: u32 = 1;

impl Site {
    /// A site over a founding that was checked, whose genesis digest is known, and the ledger's published state.
    #[must_use]
    pub fn new(founding: Founding, genesis: Digest, control: Arc<ArcSwapOption<Control>>) -> Self {
        let trust = Trust { domain: founding.trust_domain.clone(), genesis };
        Self { trust, founding, control, index: ArcSwap::default() }
    }

    /// Everything that takes people, as the last commit left it.
    ///
    /// # Errors
    /// [`Fault::Invariant`] before it was restored at the start.
    pub fn control(&self) -> Result<Arc<Control>, Fault> {
        self.control.load_full().ok_or(Fault::Invariant("the officers' state was not restored"))
    }

    fn index(&self) -> Arc<Index> {
        let index = self.index.load_full();
        let control = self.control.load();
        let Some(control) = control.as_ref() else { return index };
        if index.revision == control.roster().revision() {
            return index;
        }
        let fresh = Arc::new(Index::of(&self.trust.domain, control.roster()));
        self.index.store(Arc::clone(&fresh));
        fresh
    }

    /// The principal that pinned this TLS key (SHA-256 of its `SubjectPublicKeyInfo`), enabled or not.
    #[must_use]
    pub fn by_pin(&self, key_digest: &Digest) -> Option<Arc<Enrolled>> {
        self.index().by_pin.get(key_digest).cloned()
    }

    /// The principal whose statement key has this identifier, enabled or not.
    #[must_use]
    pub fn by_statement_key(&self, key: KeyIdentifier) -> Option<Arc<Enrolled>> {
        self.index().by_statement_key.get(&key).cloned()
    }

    /// The principal of this name, enabled or not.
    #[must_use]
    pub fn by_name(&self, name: &Name) -> Option<Arc<Enrolled>> {
        self.index().by_name.get(name).cloned()
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
}

fn enrolled(domain: &TrustDomain, member: &Member) -> Enrolled {
    let enrolment = &member.enrolment;
    let officer = enrolment.kind == PrincipalKind::Officer;
    let group = enrolment.group.to_string();
    let (organisation, department) =
        if officer { ("site".to_owned(), group) } else { (group, String::new()) };
    Enrolled {
        uri: format!("spiffe://{domain}/{}/{}", enrolment.kind, enrolment.id),
        id: enrolment.id.clone(),
        kind: enrolment.kind,
        organisation,
        department,
        capabilities: enrolment.capabilities.iter().map(Name::to_string).collect(),
        statement_key: member.statement_key(),
        wrapping_key: enrolment.wrapping_key.as_ref().map(|key| key.as_bytes().to_vec()),
        store: (!officer).then(|| enrolment.group.clone()),
        enabled: member.enabled,
    }
}
