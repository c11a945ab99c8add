//! A development site: everything under one folder, made at once or not at all.
//!
//! Apart because it knows where things lie; what they are is the other modules' affair. It starts no service, and
//! the officers' signatures and the trust file come later, by `fobctl` and `keysvc init`.

use crate::{
    Home, SetupError,
    claim::Claim,
    config::{self, SERVICE_LABEL, Signs},
    module::Module,
    pki::{Authority, CertificateRequest, key_file},
    private::{new_file, new_folder},
    roster::{self, Cast, Equipped, Keys, Persona},
    softhsm,
    token::{self, Making, PublicKeys},
};
use keysvc_protocol::{
    bytes::Digest,
    founding::{Founding, P256Text},
    public_key::PublicKey,
    trust::{NotATrustDomain, TrustDomain},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The trust domain of every development site.
pub const TRUST_DOMAIN: &str = "demo.keysvc.test";

const SERVICE_CONFIG: &str = "service/keysvc.toml";
const SERVICE: &str = "service";
/// The folder of the front's files in the service's: its certificate, its key, the CA and revocation lists.
const FRONT: &str = "front";
/// The folder in which a client keeps what it has seen.
pub(crate) const STATE: &str = "state";

/// Longest path of a Unix socket, in bytes: `sun_path` holds 108 with its end, and some systems less.
const SOCKET_PATH_MAX: usize = 100;

/// What a site is made of.
#[derive(Debug, Clone)]
pub struct SitePlan {
    /// `SoftHSM`'s module, as [`softhsm::find`] found it: everyone's token is on it.
    pub module: PathBuf,
    /// The module of the service's own token, one of [`crate::ModuleKind::ALL`]; `SoftHSM`'s if left out.
    pub service_module: Option<PathBuf>,
    /// The `softhsm-setup` program, which makes each token in a process of its own.
    pub program: PathBuf,
    /// The port the service will listen on; not 0.
    pub port: u16,
    /// The digest of the shipped policies and `site_cedar`.
    pub policy_digest: Digest,
    /// The text of the site's one policy file, `site.cedar`.
    pub site_cedar: String,
}

/// A development site on disk.
#[derive(Debug)]
pub struct Site {
    folder: PathBuf,
    port: u16,
    authority: Authority,
}

/// Makes a site in a folder that is not there, or is empty.
///
/// # Errors
/// [`SetupError`] if the folder holds something (which is left as it is) or its path does not do, or if anything
/// cannot be made; then nothing stays in the folder.
pub fn lay_out(folder: &Path, plan: &SitePlan) -> Result<Site, SetupError> {
    lay_out_with(folder, plan, &Cast::default())
}

/// The same with other people: a rehearsal's have the names of those who hold the real ceremony.
///
/// # Errors
/// As [`lay_out`]; [`SetupError::Text`] for people who cannot be together.
pub fn lay_out_with(folder: &Path, plan: &SitePlan, cast: &Cast) -> Result<Site, SetupError> {
    let folder = std::path::absolute(folder).map_err(SetupError::file("find", folder))?;
    if plan.port == 0 {
        return Err(SetupError::NoPort);
    }
    if !softhsm::can_name(&folder) {
        return Err(SetupError::PathUnusable { path: folder });
    }
    if socket(&folder).as_os_str().len() > SOCKET_PATH_MAX {
        return Err(SetupError::PathTooLong { path: folder, longest: SOCKET_PATH_MAX });
    }
    let everyone = cast.everyone()?;
    let softhsm = Module::softhsm(&plan.module);
    let modules = Modules {
        service: plan.service_module.as_deref().map_or_else(|| Ok(softhsm.clone()), Module::named)?,
        personas: softhsm,
    };
    let claim = Claim::take(&folder, "pki")?;
    let site = Site { folder, port: plan.port, authority: Authority::create(&trust_domain()?)? };
    site.fill(plan, &modules, &everyone)?;
    claim.keep();
    Ok(site)
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("service/run/keeper.sock")
}

fn trust_domain() -> Result<TrustDomain, SetupError> {
    let why = |error: NotATrustDomain| error.to_string();
    TRUST_DOMAIN.parse().map_err(|error| SetupError::Text { what: "the trust domain", reason: why(error) })
}

impl Site {
    /// Opens a site that was laid out before.
    ///
    /// # Errors
    /// [`SetupError`] if there is none that is whole.
    pub fn open(folder: &Path) -> Result<Self, SetupError> {
        let folder = std::path::absolute(folder).map_err(SetupError::file("find", folder))?;
        let founding = folder.join("founding.toml");
        fs::metadata(&founding).map_err(SetupError::file("find", founding))?;
        let config = folder.join(SERVICE_CONFIG);
        let text = fs::read_to_string(&config).map_err(SetupError::file("read", config))?;
        let port = config::port(&text)?;
        let authority = Authority::read(&folder.join("pki"), &trust_domain()?)?;
        Ok(Self { folder, port, authority })
    }

    /// The folder of it all; an absolute path.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The port of the service on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The certification authority.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The authority's certificate, PEM.
    #[must_use]
    pub fn authority_certificate(&self) -> PathBuf {
        self.folder.join("pki/ca.crt")
    }

    /// The founding file.
    #[must_use]
    pub fn founding(&self) -> PathBuf {
        self.folder.join("founding.toml")
    }

    /// The folder for the officers' signatures over the founding file; empty at first.
    #[must_use]
    pub fn signatures(&self) -> PathBuf {
        self.folder.join("founding-signatures")
    }

    /// The trust file; written by `keysvc init`.
    #[must_use]
    pub fn trust(&self) -> PathBuf {
        self.folder.join("trust")
    }

    /// The socket between the service's two halves.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        socket(&self.folder)
    }

    /// The service's `keysvc.toml`.
    #[must_use]
    pub fn service_config(&self) -> PathBuf {
        self.folder.join(SERVICE_CONFIG)
    }

    /// The service's folder.
    #[must_use]
    pub fn service(&self) -> Home {
        self.home(SERVICE)
    }

    /// A persona's folder: `officer-1` to `officer-3`, `station-1`, `station-2`, `data-1`, `data-2`, `operator-1`,
    /// `operator-2`, `reviewer-1`, `monitor-1`, `terminal-1`, `terminal-2`, `office-1`, `auditor-1`, `platform-1`,
    /// `stranger`, or `service`, and whoever [`Site::add_persona`] made later.
    #[must_use]
    pub fn home(&self, name: &str) -> Home {
        let folder = self.folder.join(name);
        // The front reads its folder by itself, and nothing else of the service's.
        let tls = if name == SERVICE { folder.join(FRONT) } else { folder.clone() };
        Home::new(folder, tls)
    }

    fn fill(&self, plan: &SitePlan, modules: &Modules, personas: &[Persona<'_>]) -> Result<(), SetupError> {
        self.authority.write(&self.folder.join("pki"))?;
        new_folder(&self.signatures())?;
        // All tokens at once: a station's RSA key alone takes longer than the rest of the site.
        let service = self.begin_service(plan, &modules.service);
        let tools = Tools { module: &modules.personas, program: &plan.program };
        let begun: Vec<_> = personas.iter().map(|persona| self.begin(persona, tools)).collect();
        // Every child has ended before the first error is looked at, for what they wrote is then removed.
        let service = service.and_then(Making::finish);
        let ended: Vec<_> = begun.into_iter().map(|begun| begun.and_then(Begun::finish)).collect();
        service?;
        let everyone = ended.into_iter().collect::<Result<Vec<_>, _>>()?;
        let founding = roster::found(self.authority.digest(), plan.policy_digest, &everyone)?;
        let text = roster::text(&founding)?;
        check(&text, &founding)?;
        // Last, because whoever finds it may take the site for whole.
        new_file(&self.founding(), text)
    }

    fn begin_service(&self, plan: &SitePlan, module: &Module) -> Result<Making, SetupError> {
        let home = self.service();
        new_folder(home.folder())?;
        for name in ["policies", "store", "run", FRONT] {
            new_folder(&home.folder().join(name))?;
        }
        new_file(&home.folder().join("policies/site.cedar"), &plan.site_cedar)?;
        new_file(&home.tls_folder().join("ca.crt"), self.authority.certificate_pem())?;
        self.authority.issue(&CertificateRequest::service(&trust_domain()?))?.write(home.tls_folder())?;
        new_file(&self.service_config(), config::service(self, &module.path)?)?;
        // The service's keys are made by `keysvc init`.
        token::start(&plan.program, module, SERVICE_LABEL, home.folder(), &[])
    }

    fn begin<'a>(&self, persona: &Persona<'a>, tools: Tools<'_>) -> Result<Begun<'a>, SetupError> {
        let home = self.home(persona.name);
        new_folder(home.folder())?;
        new_folder(&home.folder().join(STATE))?;
        self.equip(persona, tools)
    }

    /// Makes what a persona has, in its folder that is there and has a state folder only.
    pub(crate) fn equip<'a>(&self, persona: &Persona<'a>, tools: Tools<'_>) -> Result<Begun<'a>, SetupError> {
        let home = self.home(persona.name);
        let request = CertificateRequest::client(&trust_domain()?, persona.kind.name(), persona.name);
        let issued = self.authority.issue(&request)?;
        issued.write(home.folder())?;
        let signs = match persona.keys {
            Keys::None => Signs::Never,
            Keys::Token(_) => Signs::InToken(&tools.module.path),
            Keys::File => Signs::InFile,
        };
        new_file(&home.client_config(), config::client(self, persona.name, signs)?)?;
        let keys = match persona.keys {
            Keys::None => Pending::Made(PublicKeys::default()),
            Keys::File => Pending::Made(statement_file(&home)?),
            Keys::Token(keys) => {
                Pending::Token(token::start(tools.program, tools.module, persona.name, home.folder(), keys)?)
            }
        };
        Ok(Begun { persona: *persona, tls_key: issued.tls_key(), keys })
    }
}

/// Makes `statement.key`.
fn statement_file(home: &Home) -> Result<PublicKeys, SetupError> {
    let (pem, der) = key_file()?;
    new_file(&home.statement_key(), pem.as_bytes())?;
    let key = PublicKey::from_spki(&der)
        .map_err(|error| SetupError::Pki { what: "a statement key", reason: error.to_string() })?;
    Ok(PublicKeys { statement: Some(P256Text::new(key)), ..PublicKeys::default() })
}

/// Reads the founding file back: what the officers sign must be what was meant.
fn check(text: &str, meant: &Founding) -> Result<(), SetupError> {
    let wrong = |reason: String| SetupError::Text { what: "founding.toml", reason };
    let read: Founding = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
    if read == *meant { Ok(()) } else { Err(wrong("it reads back as another".to_owned())) }
}

/// Whose tokens are on what.
struct Modules {
    service: Module,
    personas: Module,
}

/// What makes a persona's token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tools<'a> {
    /// The module.
    pub(crate) module: &'a Module,
    /// The `softhsm-setup` program.
    pub(crate) program: &'a Path,
}

/// A persona that lacks its token yet.
pub(crate) struct Begun<'a> {
    persona: Persona<'a>,
    tls_key: Digest,
    keys: Pending,
}

enum Pending {
    Made(PublicKeys),
    Token(Making),
}

impl<'a> Begun<'a> {
    /// Waits until all of it is made.
    pub(crate) fn finish(self) -> Result<Equipped<'a>, SetupError> {
        let public = match self.keys {
            Pending::Made(public) => public,
            Pending::Token(making) => making.finish()?,
        };
        Ok(Equipped { persona: self.persona, tls_key: self.tls_key, public })
    }
}
