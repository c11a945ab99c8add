//! One person's card in a process of its own, for the time of one step.
//!
//! A PKCS#11 module is told once in a process where its cards are, and stays logged in to all it opened. People who share a
//! ceremony machine must not share that: each card is opened by a child with the person's own surroundings, which asks the
//! person for the PIN itself and ends with the step. Two ends, one line each way: a message in, its signature out.

use crate::{fault::Fault, output::Output, own_key, pin::PinSource, shown::hex};
use keysvc_client::{
    ClientConfig, ClientError,
    officer::Card,
    protocol::{bytes::from_hex, name::Name, public_key::PublicKey},
    signer::StatementSigner,
};
use std::{
    fmt,
    io::{self, BufRead, BufReader, Read as _, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Mutex,
};

/// Longest line to the card, in bytes: a founding file's agreement is short, a request has 32 KiB, in hexadecimal.
const LINE_LEN_MAX: u64 = 256 * 1024;
/// The very program that runs, though its file were replaced in the middle of a ceremony.
pub(crate) const OWN_PROGRAM: &str = "/proc/self/exe";
/// Where `SoftHSM` is told of its configuration.
const VARIABLE: &str = "SOFTHSM2_CONF";
/// `SoftHSM`'s configuration beside a persona's `client.toml`.
const OWN_CONFIGURATION: &str = "softhsm2.conf";

/// `fobctl ceremony card`: the child.
#[derive(Debug, clap::Args)]
pub(crate) struct CardArgs {
    /// Whose card it is, for the PIN's question.
    #[arg(long, value_name = "NAME")]
    person: Name,
}

/// Opens the own key and signs each message that comes in, until there is none.
///
/// # Errors
/// [`Fault`] when the key does not open.
pub(crate) fn serve<W: Write>(
    config: &ClientConfig,
    args: &CardArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let token = token(config);
    let signer = own_key::signer(config, args.person.as_str(), &PinSource::default())?;
    output.print_text(&format!("{} {token}\n", hex(signer.public_key().spki())))?;
    let mut lines = io::stdin().lock();
    loop {
        let mut line = String::new();
        let read = (&mut lines).take(LINE_LEN_MAX).read_line(&mut line);
        if read.map_err(Fault::Runtime)? == 0 {
            return Ok(());
        }
        let answer = match from_hex(line.trim_end()) {
            Some(message) => signer.sign(&message).map(|signature| hex(&signature)),
            None => Err(ClientError::Request { what: "the message is not hexadecimal".into() }),
        };
        output.print_text(&match answer {
            Ok(signature) => format!("signature {signature}\n"),
            Err(error) => format!("error {}\n", error.to_string().replace('\n', " ")),
        })?;
    }
}

/// What the token says of itself; that the key lies in a file, where it does.
fn token(config: &ClientConfig) -> String {
    let Some(settings) = &config.token else { return "a key in a file".to_owned() };
    match Card::find(settings) {
        Ok(card) => {
            let token = card.identity();
            format!("{}, serial {}, {} {}", token.label, token.serial, token.manufacturer, token.model)
        }
        // The key is opened next, and says why it does not.
        Err(_) => format!("token {}", settings.label),
    }
}

/// A person's key in the child's process.
pub(crate) struct CardProcess {
    public: PublicKey,
    token: String,
    link: Mutex<Link>,
}

struct Link {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl CardProcess {
    /// Opens a person's card: the child asks for the PIN, where no file holds it.
    ///
    /// # Errors
    /// [`Fault`] when the child does not start, or the card does not open; the child says why itself.
    pub(crate) fn open(config: &Path, person: &Name) -> Result<Self, Fault> {
        let mut command = Command::new(OWN_PROGRAM);
        command.arg("--config").arg(config).args(["ceremony", "card", "--person", person.as_str()]);
        // A context's own token is used, and else the machine's.
        let own = config.parent().unwrap_or(Path::new("")).join(OWN_CONFIGURATION);
        if own.is_file() {
            command.env(VARIABLE, own.canonicalize().map_err(Fault::Runtime)?);
        }
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(Fault::Runtime)?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(closed(person));
        };
        let mut link = Link { child, to, from: BufReader::new(from) };
        let first = link.line().map_err(|_| closed(person))?;
        let (spki, token) = first.split_once(' ').ok_or_else(|| closed(person))?;
        let public = from_hex(spki).and_then(|spki| PublicKey::from_spki(&spki).ok());
        let public = public.ok_or_else(|| closed(person))?;
        Ok(Self { public, token: token.to_owned(), link: Mutex::new(link) })
    }

    /// What the token says of itself: label, serial number, maker.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }
}

fn closed(person: &Name) -> Fault {
    Fault::usage(
        format!("the key of {person} did not open"),
        "mend what is said above, then run the same command again: it goes on with this step",
    )
}

impl Link {
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let read = (&mut self.from).take(LINE_LEN_MAX).read_line(&mut line)?;
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(line.trim_end().to_owned()) }
    }

    fn signed(&mut self, message: &[u8]) -> Result<[u8; 64], String> {
        let gone = |error: io::Error| format!("the card's process is gone ({error})");
        writeln!(self.to, "{}", hex(message)).and_then(|()| self.to.flush()).map_err(gone)?;
        let answer = self.line().map_err(gone)?;
        let signature = answer.strip_prefix("signature ").and_then(from_hex);
        signature
            .and_then(|signature| signature.try_into().ok())
            .ok_or_else(|| answer.strip_prefix("error ").unwrap_or("no signature came back").to_owned())
    }
}

impl StatementSigner for CardProcess {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], ClientError> {
        let mut link = self.link.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        link.signed(message).map_err(|what| ClientError::Request { what })
    }
}

impl fmt::Debug for CardProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CardProcess({})", self.public.identifier())
    }
}

impl Drop for CardProcess {
    fn drop(&mut self) {
        let link = self.link.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Nothing is lost with it: what it signed came back before.
        let _: io::Result<()> = link.child.kill();
        let _: io::Result<_> = link.child.wait();
    }
}

/// A key that is known and not open: for reading one's own results, where nothing is signed.
#[derive(Debug)]
pub(crate) struct Locked(pub(crate) PublicKey);

impl StatementSigner for Locked {
    fn public_key(&self) -> PublicKey {
        self.0
    }

    fn sign(&self, _: &[u8]) -> Result<[u8; 64], ClientError> {
        Err(ClientError::Request { what: "this key is not open: its person is not at the machine".into() })
    }
}
