//! Officers' and stations' tokens, several at a time: each in a child of its own (`card`), because `SoftHSM` takes its
//! folder from the environment, which a process may set only for its children.
//!
//! A card signs whatever a test gives it, as a stolen one would. It knows no proposals: [`crate::agreed`] does.

use crate::raw::{Caller, Line, genesis};
use keysvc_client::{ClientConfig, ClientError, signer::StatementSigner, token_signer};
use keysvc_protocol::{
    bytes::from_hex,
    key::KeyKind as Kind,
    public_key::PublicKey,
    reply::KeyListReply,
    request::{ListKeys, Operation},
    schema::Schema,
};
use keysvc_token::KeyKind;
use softhsm_setup::Site;
use std::{
    fmt,
    io::{self, BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Stdio},
    sync::Mutex,
};

/// A token in a child.
pub struct Card {
    public: PublicKey,
    child: Mutex<(Child, ChildStdin, BufReader<ChildStdout>)>,
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.public.fmt(f)
    }
}

impl Card {
    /// Opens a persona's token. `program` is this package's `card`, as `env!("CARGO_BIN_EXE_card")` names it.
    ///
    /// # Panics
    /// When it does not open.
    #[must_use]
    pub fn insert(program: &str, site: &Site, persona: &str) -> Self {
        Self::insert_as((Path::new(program), &[]), site, persona)
    }

    /// Opens a persona's token in a child of a program that is told by `words` to do what [`serve`] does, with the
    /// configuration after them.
    ///
    /// # Panics
    /// When it does not open.
    #[must_use]
    pub fn insert_as((program, words): (&Path, &[&str]), site: &Site, persona: &str) -> Self {
        let home = site.home(persona);
        let mut child = home
            .command(program)
            .args(words)
            .arg(home.client_config())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let public = PublicKey::from_spki(&line(&mut stdout)).unwrap();
        Self { public, child: Mutex::new((child, stdin, stdout)) }
    }
}

impl StatementSigner for Card {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], ClientError> {
        let mut child = self.child.lock().unwrap();
        let (_, stdin, stdout) = &mut *child;
        writeln!(stdin, "{}", hex(message)).unwrap();
        stdin.flush().unwrap();
        Ok(line(stdout).try_into().unwrap())
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let (child, _, _) = self.child.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A persona with its card, on its own connection.
///
/// # Panics
/// When either is not to be had.
#[must_use]
pub fn holder(program: &str, site: &Site, persona: &str) -> Caller {
    holding(Card::insert(program, site, persona), site, persona)
}

/// A persona with this card, on its own connection.
///
/// # Panics
/// When it does not connect.
#[must_use]
pub fn holding(card: Card, site: &Site, persona: &str) -> Caller {
    Caller { line: Line::open(site, persona), signer: Some(Box::new(card)), genesis: genesis(site) }
}

/// The service's statement key, as somebody reads it who sees keys.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn statement_key(reader: &mut Caller) -> PublicKey {
    let keys: KeyListReply = reader.ask(Operation::KeyList, &ListKeys { schema: Schema }).unwrap();
    let key = keys.keys.iter().find(|key| key.kind == Kind::ServiceStatement).unwrap();
    PublicKey::from_spki(key.public.as_ref().unwrap().as_bytes()).unwrap()
}

/// What the child `card` does: the public half, then a signature for each line.
///
/// # Panics
/// When the token does not open or does not sign.
pub fn serve(client_config: &Path) {
    let settings = ClientConfig::read(client_config).unwrap().token.unwrap();
    let token = token_signer::open(&settings, None).unwrap();
    let kinds = [KeyKind::Approval, KeyKind::Statement];
    let kind = kinds[usize::from(!settings.label.starts_with("officer"))];
    let signer = token_signer::TokenSigner::find(&token, kind).unwrap();
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", hex(signer.public_key().spki())).unwrap();
    stdout.flush().unwrap();
    for message in io::stdin().lines() {
        let signature = signer.sign(&from_hex(&message.unwrap()).unwrap()).unwrap();
        writeln!(stdout, "{}", hex(&signature)).unwrap();
        stdout.flush().unwrap();
    }
}

fn line(stdout: &mut BufReader<ChildStdout>) -> Vec<u8> {
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    from_hex(line.trim_end()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
