//! Where a component comes from: the terminal without echo, a private file, or an open file descriptor.
//!
//! Never from the command line or the environment, where others could read it. What is read is wiped; nothing is kept.

use crate::fault::Fault;
use keysvc_client::component::Component;
use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// What is read at most: 32 digits, a mark between any two, and room to see that it is too long.
const READ_MAX: u64 = 80;

/// The source of a component.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ComponentSource {
    /// A file with the component, readable by its owner alone; for stations without a keyboard.
    #[arg(long, value_name = "FILE", conflicts_with = "fd")]
    file: Option<PathBuf>,
    /// An open file descriptor to read the component from, such as a pipe.
    #[arg(long, value_name = "N")]
    fd: Option<u32>,
}

impl ComponentSource {
    /// A file, as if it had been named on the command line.
    pub(crate) const fn of_file(path: PathBuf) -> Self {
        Self { file: Some(path), fd: None }
    }

    /// Reads the component once; `what` names it on the terminal.
    ///
    /// # Errors
    /// [`Fault::Usage`] when the source gives no component.
    pub(crate) fn read(&self, what: &str) -> Result<Component, Fault> {
        self.given().unwrap_or_else(|| typed(&format!("{what} (32 digits, not shown): ")))
    }

    /// Reads the component, on a terminal twice: what is given is not seen, and both must be the same.
    ///
    /// # Errors
    /// [`Fault::Usage`] when the source gives no component, or two different ones.
    pub(crate) fn read_twice(&self, what: &str) -> Result<Component, Fault> {
        self.given().unwrap_or_else(|| {
            let first = typed(&format!("{what} (32 digits, not shown): "))?;
            let second = typed("the same once more: ")?;
            if first.expose() == second.expose() {
                Ok(first)
            } else {
                Err(none("the two that were typed are not the same"))
            }
        })
    }

    fn given(&self) -> Option<Result<Component, Fault>> {
        match (&self.file, self.fd) {
            (Some(path), _) => Some(from_file(path)),
            (None, Some(number)) => Some(from_descriptor(number)),
            (None, None) => None,
        }
    }
}

fn typed(question: &str) -> Result<Component, Fault> {
    let typed = rpassword::prompt_password(question).map(Zeroizing::new);
    let typed = typed.map_err(|error| none(&format!("the component cannot be asked for ({error})")))?;
    read(&typed)
}

fn from_file(path: &Path) -> Result<Component, Fault> {
    let fault = |source| Fault::File { doing: "read", path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(fault)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let what = format!("{} is open to others (mode {mode:04o})", path.display());
        return Err(Fault::usage(what, "run chmod 600 on it; whoever read it meanwhile holds the component"));
    }
    from_stream(File::open(path).map_err(fault)?, &path.display().to_string())
}

fn from_descriptor(number: u32) -> Result<Component, Fault> {
    let name = format!("file descriptor {number}");
    let open = File::open(format!("/dev/fd/{number}"));
    open.map_err(|error| none(&format!("{name} cannot be read ({})", error.kind())))
        .and_then(|file| from_stream(file, &name))
}

fn from_stream(stream: impl Read, name: &str) -> Result<Component, Fault> {
    // Room for all that is read, so that no copy is left behind when the buffer grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(128));
    let done = stream.take(READ_MAX).read_to_end(&mut bytes);
    done.map_err(|error| none(&format!("{name} cannot be read ({})", error.kind())))?;
    let text = str::from_utf8(&bytes).map_err(|_| none(&format!("{name} does not hold text")))?;
    read(text)
}

/// Nothing of what was read is repeated: it may be most of a component.
fn read(text: &str) -> Result<Component, Fault> {
    Component::from_hex(text.trim_end_matches(['\r', '\n'])).map_err(|error| none(&error.to_string()))
}

fn none(what: &str) -> Fault {
    Fault::usage(
        what,
        "read the form again, group by group; give --file FILE or --fd N where there is no terminal",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "0011 2233 4455 6677 8899 aabb ccdd eeff";

    fn file(mode: u32) -> (tempfile::TempDir, ComponentSource) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("component");
        fs::write(&path, format!("{TEXT}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, ComponentSource { file: Some(path), fd: None })
    }

    #[test]
    fn a_component_comes_out_of_a_private_file_only() {
        let (_folder, source) = file(0o600);
        assert_eq!(source.read_twice("c").unwrap().expose()[..3], [0x00, 0x11, 0x22]);
        let (_folder, source) = file(0o644);
        assert!(source.read("c").unwrap_err().to_string().contains("open to others (mode 0644)"));
    }

    #[test]
    fn what_is_no_component_is_refused_without_repeating_it() {
        for bad in ["", "0011 2233", &TEXT.replace('f', "g"), &format!("{TEXT} 00"), &"0".repeat(32)] {
            let fault = from_stream(bad.as_bytes(), "it").unwrap_err();
            assert_eq!(fault.exit_code(), 2);
            assert!(bad.is_empty() || !fault.to_string().contains(bad), "{fault}");
        }
        assert!(from_stream(TEXT.as_bytes(), "it").is_ok());
    }
}
