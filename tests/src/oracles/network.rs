//! What comes over the network: heads of requests, certificates, revocation lists, and the frames between the halves.

use super::signed::DOMAIN;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use keysvc::{
    front::{
        FrontLimits, FrontSettings,
        outside::{self, Head},
    },
    link::{SERIAL_LEN_MAX, URI_LEN_MAX, outside as frames},
};
use keysvc_protocol::{bytes::Digest, founding::PrincipalKind, name::Name};
use rcgen::{CertificateParams, KeyPair};
use std::{
    cell::RefCell,
    convert::Infallible,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Mutex,
};
use tokio::io::{AsyncWriteExt as _, duplex};

/// A folder of this thread's own, gone with it.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new(what: &str) -> Self {
        // In memory where there is such a place: it is written for every input.
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let thread = format!("{:?}", std::thread::current().id()).replace(['(', ')'], "");
        let folder = place.join(format!("keysvc-oracle-{what}-{}-{thread}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder of its own");
        Self(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file that only its owner may read.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).expect("a file in the own folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left there is small and says whose it was.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Frames in both directions: what was whole is written as it came.
pub(super) fn link(bytes: &[u8]) -> bool {
    let (asked, answered) = (frames::asked(bytes), frames::answers(bytes));
    for read in [&asked, &answered].into_iter().flatten() {
        let whole = bytes.len().checked_sub(read.left).expect("no more is left than came");
        assert_eq!(read.written, bytes[..whole], "a frame is written otherwise");
    }
    [asked, answered].into_iter().flatten().any(|read| !read.written.is_empty())
}

/// The head of a request, in whatever portions it comes; and the library behind it sees the same one message.
pub(super) fn head(bytes: &[u8]) -> bool {
    let found = outside::head(bytes, usize::MAX);
    for portion in [1, 7, 4_096] {
        assert_eq!(outside::head(bytes, portion), found, "in portions of {portion} it is another head");
    }
    let Head::Good { head_len, body_len } = found else { return false };
    assert!(head_len <= bytes.len() && body_len <= FrontLimits::default().request_len_max);
    let mut message = bytes[..head_len].to_vec();
    message.resize(head_len + body_len, b'x');
    let seen = seen_by_the_library(&message);
    assert!(seen.len() <= 1, "one head is {} requests to the library", seen.len());
    if let Some(seen) = seen.first() {
        assert_eq!(*seen, body_len, "the library reads a body of another length");
    }
    true
}

/// The length of the body of each request that the HTTP library reads from these bytes.
fn seen_by_the_library(message: &[u8]) -> Vec<usize> {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    }
    let seen = Rc::new(RefCell::new(Vec::new()));
    let kept = Rc::clone(&seen);
    RUNTIME.with(|runtime| {
        runtime.block_on(async move {
            let (mut ours, theirs) = duplex(message.len() + 64 * 1024);
            ours.write_all(message).await.expect("room for the message");
            ours.shutdown().await.expect("an end");
            let service = service_fn(move |request: Request<Incoming>| {
                let kept = Rc::clone(&kept);
                async move {
                    let body = request.into_body().collect().await;
                    kept.borrow_mut().push(body.map_or(usize::MAX, |body| body.to_bytes().len()));
                    Ok::<_, Infallible>(Response::new(Empty::<bytes::Bytes>::new()))
                }
            });
            // Whether it is content: what it takes for a bad request it answers itself.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(theirs), service).await;
        });
    });
    seen.take()
}

/// A certificate: whom it names is in it, letter for letter, and is of the trust domain.
pub(super) fn certificate(bytes: &[u8]) -> bool {
    let Some(peer) = outside::peer(bytes, &DOMAIN.parse().expect("a domain")) else { return false };
    let rest = peer.uri.strip_prefix("spiffe://golden.keysvc.test/").expect("a name of the trust domain");
    let (kind, name) = rest.split_once('/').expect("a kind and a name");
    assert!(PRINCIPALS.iter().any(|known| known.name() == kind), "{kind} is no kind");
    assert!(name.parse::<Name>().is_ok(), "{name:?} is no name");
    assert!(peer.uri.len() <= URI_LEN_MAX && peer.serial.len() <= SERIAL_LEN_MAX);
    assert!(peer.serial.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit)));
    assert!(contains(bytes, peer.uri.as_bytes()), "a name that is not in the certificate");
    assert_ne!(peer.key_digest, Digest::new([0; 32]));
    true
}

const PRINCIPALS: [PrincipalKind; 7] = [
    PrincipalKind::Auditor,
    PrincipalKind::Office,
    PrincipalKind::Officer,
    PrincipalKind::Operator,
    PrincipalKind::Platform,
    PrincipalKind::Station,
    PrincipalKind::Terminal,
];

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// A CA whose key nobody has any more, two certificates of it that end in 2099, and what a list of it says that revokes
/// the second: the list without its signature.
const CA: &[u8] = include_bytes!("revocation/ca.pem");
const GOOD: &[u8] = include_bytes!("revocation/good.der");
const REVOKED: &[u8] = include_bytes!("revocation/revoked.der");
const LIST_SIGNED_PART: &[u8] = include_bytes!("revocation/list-signed-part.der");

/// A revocation list: whoever is let in by one is let in by the CA's own, and who is revoked is let in by none.
pub(super) fn revocation(bytes: &[u8]) -> bool {
    static SETTINGS: Mutex<Option<(Scratch, FrontSettings)>> = Mutex::new(None);
    let mut settings = SETTINGS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (scratch, settings) = settings.get_or_insert_with(front);
    scratch.write("crl", bytes);
    let Ok(refused) = outside::judge(settings, &[GOOD.to_vec()]) else { return false };
    if refused.is_none() && !bytes.starts_with(b"-----BEGIN") {
        assert!(contains(bytes, LIST_SIGNED_PART), "let in by a list that the CA did not sign");
    }
    let revoked = outside::judge(settings, &[REVOKED.to_vec()]).expect("the same files are read again");
    assert!(revoked.is_some(), "a revoked certificate is let in");
    refused.is_none()
}

/// A front that reads its list from a file of ours. Its own certificate is made anew: no key is kept for this.
fn front() -> (Scratch, FrontSettings) {
    let scratch = Scratch::new("front");
    let key = KeyPair::generate().expect("a key");
    let own = CertificateParams::new(vec!["keysvc.test".to_owned()]).expect("a name");
    let own = own.self_signed(&key).expect("a certificate");
    let settings = FrontSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        certificate: scratch.write("own.pem", own.pem().as_bytes()),
        key: scratch.write("own.key", key.serialize_pem().as_bytes()),
        ca: scratch.write("ca.pem", CA),
        crls: vec![scratch.write("crl", &[])],
        trust_domain: DOMAIN.parse().expect("a domain"),
        keeper_socket: scratch.path().join("keeper.sock"),
        health: None,
        limits: FrontLimits::default(),
    };
    (scratch, settings)
}
