//! Every key of `keysvc.toml` as data: its form, whether it must be there, what it is for, and what its file must be.
//!
//! Apart from the types so that a file with many faults is explained whole: the types stop at the first. A test holds
//! the two to each other.

use super::{
    Half,
    front_limits::FRONT,
    limits::KEEPER,
    log::{LogFormat, LogLevel},
    sandbox::{KeeperCalls, SandboxPart},
};

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    /// Its name with its section, such as `front.listen`.
    pub(super) name: String,
    /// What its value must look like.
    pub(super) form: Form,
    /// Whether it must be there.
    pub(super) required: bool,
    /// What it is for.
    pub(super) purpose: &'static str,
}

/// What a value must look like, and what it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Text.
    Text,
    /// A trust domain.
    TrustDomain,
    /// An address and a port.
    Address,
    /// A path that the service makes, or that one command alone reads.
    Path,
    /// The path of a Unix socket.
    Socket,
    /// A file or folder that must be there for this half.
    There(Half),
    /// Files that must be there for this half.
    AllThere(Half),
    /// A file that must be there for this half and readable by its owner alone.
    Private(Half),
    /// A user of this machine.
    User,
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any of these words.
    Choices(&'static [&'static str]),
    /// True or false.
    Flag,
    /// Texts.
    Texts,
}

const KEYS: [(&str, Form, bool, &str); 22] = {
    use Form::{Address, AllThere, Choice, Path, Private, Socket, Text, There, TrustDomain, User, Whole};
    [
        (
            "trust-domain",
            TrustDomain,
            true,
            "the trust domain of every name and of the log; the founding file's",
        ),
        ("founding", Path, true, "the founding file; read by keysvc init alone"),
        ("signatures", Path, true, "the folder with the officers' signatures; read by keysvc init alone"),
        ("trust", Path, true, "the trust file: written by keysvc init, compared at every start"),
        ("front.listen", Address, true, "the address and port that clients connect to"),
        ("front.certificate", There(Half::Front), true, "the server's certificate chain, PEM, leaf first"),
        ("front.key", Private(Half::Front), true, "the private key of the server's certificate, PEM"),
        ("front.ca", There(Half::Front), true, "the site CA that clients' certificates chain to, PEM"),
        (
            "front.crls",
            AllThere(Half::Front),
            false,
            "revocation lists; with one, every certificate needs one in date",
        ),
        (
            "front.health",
            Address,
            false,
            "the address of the health and metrics listener (plain HTTP); off without it",
        ),
        ("keeper.socket", Socket, true, "the Unix socket between the halves, in a private folder"),
        ("keeper.store", Path, true, "the folder of the store"),
        ("keeper.anchor", Path, true, "the newest checkpoint, in a file outside the store"),
        ("keeper.policies", There(Half::Keeper), true, "the folder of the site's policies"),
        (
            "keeper.front-user",
            User,
            false,
            "the user that the front runs as, where it is another than the keeper's",
        ),
        // Not for the keeper alone: at its start a module or a folder that is away is waited for.
        ("token.module", There(Half::Both), true, "the PKCS#11 module"),
        ("token.label", Text, true, "the label of the service's token"),
        ("token.pin-file", Private(Half::Keeper), false, "the file with the token's PIN"),
        ("token.pin-credential", Text, false, "the name of the systemd credential with the token's PIN"),
        ("token.pin-fd", Whole(3, 1_023), false, "the open file descriptor to read the token's PIN from"),
        ("token.folder", There(Half::Both), false, "the folder of a token that keeps its keys in files"),
        ("log.level", Choice(&LogLevel::NAMES), false, "how grave a line must be to be logged"),
    ]
};

/// `[sandbox]`; none of its keys must be there.
const SANDBOX: [(&str, Form, &str); 8] = {
    use Form::{AllThere, Choice, Choices, Flag, Texts};
    [
        ("sandbox.require", Flag, "whether a half refuses to start where a part of its sandbox is off"),
        ("sandbox.without", Choices(&SandboxPart::NAMES), "the parts of the sandbox that are left off"),
        ("sandbox.front-reads", AllThere(Half::Front), "what the front may read besides its own files"),
        ("sandbox.keeper-reads", AllThere(Half::Keeper), "what the keeper may read besides its own files"),
        (
            "sandbox.keeper-writes",
            AllThere(Half::Keeper),
            "what the keeper may write besides its own files: the PKCS#11 module's folders and devices",
        ),
        ("sandbox.keeper-network", Flag, "whether the PKCS#11 module needs the network"),
        (
            "sandbox.keeper-calls",
            Choice(&KeeperCalls::NAMES),
            "the system calls of the keeper: all but a list's, or a list's alone",
        ),
        ("sandbox.environment", Texts, "the variables of the environment that both halves are given besides"),
    ]
};

/// All keys, in the order of the example in docs/operations.md.
pub(super) fn all() -> Vec<Key> {
    let plain = KEYS.iter().map(|(name, form, required, purpose)| Key {
        name: (*name).to_owned(),
        form: *form,
        required: *required,
        purpose,
    });
    let format = Key {
        name: "log.format".to_owned(),
        form: Form::Choice(&LogFormat::NAMES),
        required: false,
        purpose: "the form of the log's lines",
    };
    let limit = |section: &str, name: &str, (min, max): (u64, u64), purpose| Key {
        name: format!("{section}.{name}"),
        form: Form::Whole(min, max),
        required: false,
        purpose,
    };
    let front = FRONT.iter().map(|one| limit("front.limits", one.name, one.range, one.bounds));
    let keeper = KEEPER.iter().map(|one| limit("keeper.limits", one.name, one.range, one.bounds));
    let sandbox = SANDBOX.iter().map(|(name, form, purpose)| Key {
        name: (*name).to_owned(),
        form: *form,
        required: false,
        purpose,
    });
    plain.chain([format]).chain(sandbox).chain(front).chain(keeper).collect()
}

/// The sections that keys lie in.
pub(super) const SECTIONS: [&str; 7] =
    ["front", "front.limits", "keeper", "keeper.limits", "token", "log", "sandbox"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// A value of the form, as a file writes it.
    fn sample(form: Form) -> String {
        match form {
            Form::Text | Form::User | Form::Path | Form::Socket | Form::There(_) | Form::Private(_) => {
                "\"root\"".to_owned()
            }
            Form::TrustDomain => "\"demo.test\"".to_owned(),
            Form::Address => "\"127.0.0.1:1\"".to_owned(),
            Form::AllThere(_) | Form::Texts => "[\"a\"]".to_owned(),
            Form::Choices(words) => format!("[\"{}\"]", words[0]),
            Form::Flag => "true".to_owned(),
            Form::Whole(min, _) => min.to_string(),
            Form::Choice(words) => format!("\"{}\"", words[0]),
        }
    }

    fn text<'a>(keys: impl IntoIterator<Item = &'a Key>) -> String {
        let lines: Vec<_> =
            keys.into_iter().map(|key| format!("{} = {}\n", key.name, sample(key.form))).collect();
        lines.concat()
    }

    #[test]
    fn the_types_read_every_key_of_the_table_and_need_those_it_says() {
        let keys = all();
        toml::from_str::<Config>(&text(&keys)).unwrap();
        let (required, optional): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| key.required);
        toml::from_str::<Config>(&text(&required)).unwrap();
        for key in &required {
            let others = text(required.iter().filter(|other| other.name != key.name));
            assert!(toml::from_str::<Config>(&others).is_err(), "{}", key.name);
        }
        assert!(optional.iter().any(|key| key.name == "front.health"));
    }

    #[test]
    fn the_types_know_no_key_beside_the_table() {
        // What the types know, by their own words for an unknown key.
        let base = text(&all());
        for section in
            ["", "front.", "front.limits.", "keeper.", "keeper.limits.", "token.", "log.", "sandbox."]
        {
            let error = toml::from_str::<Config>(&format!("{base}{section}zzz = 1\n")).unwrap_err();
            let said = error.message().to_owned();
            let known = said.split('`').skip(3).step_by(2).map(|name| format!("{section}{name}"));
            for name in known.filter(|name| !SECTIONS.contains(&name.as_str())) {
                assert!(all().iter().any(|key| key.name == name), "{name}");
            }
        }
    }
}
