//! File systems mounted for a trial: small ones in memory that can be full, and images that can be copied as a disk that
//! lost its power. Unmounted with their value.
//!
//! It takes root's rights; who has none is told so. What is done in them is the trial's.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

/// How often a file system is tried to be unmounted that somebody still uses, and the wait in between.
const TRIES: u32 = 50;
const WAIT: Duration = Duration::from_millis(20);

/// A mounted file system.
#[derive(Debug)]
pub struct Mounted(PathBuf);

impl Mounted {
    /// A file system in memory of `len` bytes at the folder `at`, which is its owner's alone.
    ///
    /// # Errors
    /// Why it cannot be had here, and what to do.
    pub fn memory(at: &Path, len: u64) -> Result<Self, String> {
        let options = format!("size={len},mode=0700");
        Self::mount(at, Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]))
    }

    /// The same over a folder that has files, which are there again in it.
    ///
    /// # Errors
    /// As [`Mounted::memory`].
    pub fn memory_over(at: &Path, len: u64) -> Result<Self, String> {
        let beneath = tempfile::TempDir::with_prefix("keysvc-beneath-").map_err(|error| error.to_string())?;
        copy(at, beneath.path()).map_err(|error| format!("{}: {error}", at.display()))?;
        let mounted = Self::memory(at, len)?;
        copy(beneath.path(), at).map_err(|error| format!("{}: {error}", at.display()))?;
        Ok(mounted)
    }

    /// The file system in an image.
    ///
    /// # Errors
    /// As [`Mounted::memory`].
    pub fn image(image: &Path, at: &Path) -> Result<Self, String> {
        fs::create_dir_all(at).map_err(|error| format!("{}: {error}", at.display()))?;
        Self::mount(at, Command::new("mount").args(["-o", "loop"]).arg(image))
    }

    fn mount(at: &Path, command: &mut Command) -> Result<Self, String> {
        let output = command.arg(at).output().map_err(|error| format!("mount: {error}"))?;
        if output.status.success() {
            return Ok(Self(at.to_owned()));
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(format!("nothing can be mounted here ({said}): run it as root, in a container with --privileged"))
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmounted = |options: &[&str]| {
            let output = Command::new("umount").args(options).arg(&self.0).output();
            output.is_ok_and(|output| output.status.success())
        };
        for _ in 0..TRIES {
            if unmounted(&[]) {
                return;
            }
            thread::park_timeout(WAIT);
        }
        // It goes once nobody uses it any more.
        let _ = unmounted(&["-l"]);
    }
}

/// A new file of `len` bytes with an empty ext4 file system in it.
///
/// # Errors
/// What mkfs says, and what to do.
pub fn make_image(image: &Path, len: u64) -> Result<(), String> {
    let made = fs::File::create(image).and_then(|file| file.set_len(len));
    made.map_err(|error| format!("{}: {error}", image.display()))?;
    let output = Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image).output();
    let output = output.map_err(|error| format!("no mkfs.ext4 ({error}): apt-get install e2fsprogs"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("mkfs.ext4: {said}")) }
}

/// Copies what is in a folder into another, modes too.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let (entry, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let (found, to) = (fs::metadata(&entry)?, to.join(name));
        if found.is_dir() {
            fs::create_dir(&to)?;
            copy(&entry, &to)?;
            fs::set_permissions(&to, fs::Permissions::from_mode(found.permissions().mode()))?;
        } else if found.is_file() {
            fs::copy(&entry, &to)?;
        }
    }
    Ok(())
}
